"""Makes a golden history: a small box as the Greenroom under `COMMAND` makes it, for the tests in tests/golden/.

    python scripts/golden_history.py COMMAND tests/golden/NAME

`COMMAND` is the `greenroom` of a checkout of any commit. The box and its repository lie below PLACE while they are
made, so that no path of a machine gets into them. What can be made again (sockets, launcher, toolchains, scratch, the
runs' database) is left out, as in a backup. The keys are thrown-away ones: they open nothing else.
"""

from __future__ import annotations

import contextlib
import io
import json
import lzma
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PLACE = Path("/srv/greenroom-golden")
FILES = {
    "pyproject.toml": '[project]\nname = "calm"\nversion = "1"\nrequires-python = ">=3.9"\n\n'
    '[tool.pytest.ini_options]\ntestpaths = ["tests"]\npythonpath = ["."]\n',
    "greenroom.toml": 'test-command = "python -m pytest -q tests"\n',
    "README.md": "# Calm\n\nIt is teh smallest package that there is.\n",
    "calm.py": '"""Calm."""\n\nimport os\n\n\ndef double(number):\n    """Recieve a number; twice that."""\n'
    "    return number * 2\n",
    "notes.txt": "Seperate the wheat from the chaff.\n",
    "still.py": '"""Still."""\n\n\ndef half(number):\n    """Half."""   \n    return number / 2\n',
    "plain.py": '"""Plain."""\n\nNAME = f"plain"\n',
    "tests/test_calm.py": "import calm\nimport still\n\n\ndef test_double():\n    assert calm.double(2) == 4\n\n\n"
    "def test_half():\n    assert still.half(2) == 1\n",
}
LEFT_OUT = ("run", "keeper", "log/lock", "store/.incoming", "db/dbos.db")


def main(command: str, target: Path) -> int:
    """Make the box, go the path a few times, and keep what it left; non-zero when a step did not do what it should."""
    with _place() as box:
        environment = {
            **os.environ,
            "GREENROOM_HOME": str(box),
            "COLUMNS": "200",
            "LOGNAME": "ada",
            "USER": "ada",
            "GREENROOM_EPOCH_SECONDS": "20",
        }

        def ask(*words: str) -> Any:
            ended = subprocess.run(
                [command, *words, "--json"], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
            )
            if ended.returncode not in (0, 3, 4):
                raise SystemExit(f"{words}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}")
            return json.loads(ended.stdout)

        try:
            _history(ask)
            wanted = {"list": ask("list", "--all"), "status": _status(ask("status"))}
        finally:
            subprocess.run([command, "down"], env=environment, check=False)
        checked = subprocess.run([command, "log", "check"], env=environment, capture_output=True, check=False)
        if checked.returncode != 0:
            raise SystemExit(checked.stdout.decode())
        target.mkdir(parents=True, exist_ok=True)
        (target / "log.jsonl").write_bytes(b"".join(entry + b"\n" for entry in _entries(box / "log")))
        (target / "said.json").write_text(json.dumps(wanted, indent=1, sort_keys=True) + "\n")
        (target / "box.tar.xz").write_bytes(_packed(box))
    return 0


def _history(ask: Any) -> None:
    """One change kept, one taken back, one said no to; what else was found waits. And each word a person can say."""
    ask("init", "--no-input")
    ask("config", "approve", str(PLACE / "project"), "--yes")
    found = ask("improve", str(PLACE / "project"))
    first, *rest = _waiting(found["changes"])
    print(f"{len(rest) + 1} wait", file=sys.stderr)
    ask("approve", first, "--yes", "--actor", "Ada")
    ask("improve", str(PLACE / "project"))
    second, *rest = _waiting(ask("list", "--all")["changes"])
    ask("approve", second, "--yes", "--actor", "Ada")
    ask("revert", [row["id"] for row in ask("list", "--all")["changes"] if row["state"] == "kept"][-1])
    ask("improve", str(PLACE / "project"))
    third, *rest = _waiting(ask("list", "--all")["changes"])
    ask("reject", third, "--why", "we like it as it is")
    _words(ask, third, rest[1])
    ask("approve", rest[0], "--yes", "--no-promote", "--actor", "Ada")
    for row in ask("list", "--all")["changes"]:
        print(row["id"], row["state"], (row["held"] or {}).get("rule"), row["rule"], file=sys.stderr)


def _words(ask: Any, rejected: str, waiting: str) -> None:
    """What else a person can say of changes and of the box, where nothing of it is in force any more at the end."""
    again = ask("reopen", rejected)["id"]
    ask("reject", again, "--why", "still no")
    ask("defer", waiting, "--until", "2030-01-01")
    ask("reopen", waiting)
    ask("approve", waiting, "--yes", "--no-promote", "--actor", "Ada")
    ask("cancel", waiting)
    kept = next(row["id"] for row in ask("list", "--all")["changes"] if row["state"] == "kept")
    ask("floor", "set", kept)
    ask("floor", "clear", kept)
    ask("mode", "supervised")
    ask("opt-in", "add", "codespell", "--repo", str(PLACE / "project"), "--expires", "2d")
    ask("opt-in", "remove", "codespell", "--repo", str(PLACE / "project"))
    ask("looked")
    ask("mode", "propose")
    ask("stop")
    ask("lift")
    ask("backup", str(PLACE / "backup"))


def _waiting(rows: list[dict[str, Any]]) -> list[str]:
    """What can be agreed to: at once, else after it was moved onto what is live."""
    open_rows = [row for row in rows if row["state"] != "aborted"]
    at_once, moved = (
        [row["id"] for row in open_rows if (row["held"] or {}).get("rule") == rule]
        for rule in ("needs-approval", "base-moved")
    )
    return at_once or moved


def _status(said: dict[str, Any]) -> dict[str, Any]:
    return {name: said[name] for name in ("mode", "live", "stopped", "log_size", "policy") if name in said}


@contextlib.contextmanager
def _place() -> Iterator[Path]:
    PLACE.mkdir(mode=0o755)
    try:
        project = PLACE / "project"
        for name, text in FILES.items():
            path = project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        fixed = {"GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z"}
        who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
        for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "first")):
            subprocess.run(["git", *who, *words], cwd=project, env={**os.environ, **fixed}, check=True)
        yield PLACE / "box"
    finally:
        shutil.rmtree(PLACE, ignore_errors=True)


def _entries(log: Path) -> Iterator[bytes]:
    """The published entries, byte for byte: of each bundle (C2SP tlog-tiles) the whole one, else the longest part."""
    bundles = log / "tile" / "entries"
    for number in range(1000):
        whole, parts = bundles / f"{number:03}", list(bundles.glob(f"{number:03}.p/*"))
        if not whole.exists() and not parts:
            return
        data = (whole if whole.exists() else max(parts, key=lambda path: int(path.name))).read_bytes()
        while data:
            size = int.from_bytes(data[:2], "big")
            yield data[2 : 2 + size]
            data = data[2 + size :]


def _packed(box: Path) -> bytes:
    """The box as a tar: names in order, no owner, no time, databases without their write-ahead logs."""
    for path in (*box.glob("db/box.db"), *box.glob("guard/*.db")):
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("PRAGMA journal_mode=DELETE")
            connection.execute("VACUUM")
    toolchains = _toolchains(box / "store")
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(box.rglob("*")):
            name = str(path.relative_to(box))
            if any(name == out or name.startswith((f"{out}/", f"{out}-")) for out in LEFT_OUT) or path in toolchains:
                continue
            info = tar.gettarinfo(path, name)
            info.uid = info.gid = info.mtime = 0
            info.uname = info.gname = ""
            info.mode = 0o700 if path.is_dir() else 0o444 if name.startswith("store/") else 0o600
            if path.is_file():
                with open(path, "rb") as file:
                    tar.addfile(info, file)
            else:
                tar.addfile(info)
    return lzma.compress(data.getvalue(), preset=9 | lzma.PRESET_EXTREME)


def _toolchains(store: Path) -> set[Path]:
    """The files of toolchains in the store: the next run makes them again, and they are large."""
    named: set[bytes] = set()
    trees: set[bytes] = set()
    for golden in (store / "golden").glob("*/*"):
        named |= set(re.findall(rb'"blob:([0-9a-f]{64})"', golden.read_bytes()))
        for tree in re.findall(rb'"(?:deps|toolchain)":"tree:([0-9a-f]{64})"', golden.read_bytes()):
            named |= _blobs(_path(store, "tree", tree))
            trees.add(tree)
    kept: set[bytes] = set()
    for kind in ("tree", "tool", "policy"):
        for path in (store / kind).glob("*/*"):
            if (path.parent.name + path.name).encode() not in trees:
                kept |= _blobs(path)
    made = {_path(store, "tree", each) for each in trees}
    return made | {_path(store, "blob", each) for each in named - kept}


def _blobs(path: Path) -> set[bytes]:
    return set(re.findall(rb"\b[0-9a-f]{64}\b", path.read_bytes())) if path.exists() else set()


def _path(store: Path, kind: str, name: bytes) -> Path:
    return store / kind / name[:2].decode() / name[2:].decode()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
