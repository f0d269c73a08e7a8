"""A box goes to a file, comes back elsewhere and works, and goes away without a trace but what it lists."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from e2e_box import CALM, COMMAND, write

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]


class Home:
    """A home directory of its own, in which a person types commands."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.code = 0
        self.said = ""

    def __call__(self, *words: str, box: str = "") -> str:
        """Run `greenroom WORDS`; stdout."""
        environment = {"HOME": str(self.root), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
        if box:
            environment["GREENROOM_HOME"] = box
        argv = [sys.executable, "-c", COMMAND, *words]
        ended = subprocess.run(argv, env=environment, cwd=self.root, capture_output=True, text=True, check=False)
        self.code, self.said = ended.returncode, ended.stderr
        return ended.stdout

    def json(self, *words: str, box: str = "") -> Mapping[str, object]:
        """Run it with --json, which must succeed."""
        answer: Mapping[str, object] = json.loads(self(*words, "--json", box=box) or "{}")
        assert self.code == 0, (answer, self.said)
        return answer

    def files(self) -> dict[str, bytes]:
        """Every path below, with the bytes of files."""
        return {
            str(path.relative_to(self.root)): path.read_bytes() if path.is_file() else b""
            for path in sorted(self.root.rglob("*"))
        }


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory with a short name: a socket's path has at most 107 bytes (unix(7))."""
    with tempfile.TemporaryDirectory(prefix="gr-") as name:
        yield Path(name)


@pytest.fixture
def home(short: Path) -> Iterator[Home]:
    home = Home(short / "home")
    home.root.mkdir()
    # What else a box needs above itself: the place that XDG names belongs to the person, not to the box.
    (home.root / ".local/state").mkdir(parents=True)
    yield home
    for box in ("", str(short / "elsewhere")):
        home("down", box=box)


def test_e2e_backup_restore_and_uninstall(home: Home, short: Path) -> None:
    """What waits in the box can be approved in the restored one; a changed file restores nothing; after uninstall the
    home is as it was before, but for the commits that were delivered."""
    repository = home.root / "calm"
    write(repository, {**CALM, "README.md": "# Calm\n\nYou will recieve it.\n"})
    git = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-C", str(repository))
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-qm", "calm")):
        subprocess.run([*git, *words], check=True)
    before = home.files()
    home("init", "--no-input")
    home("config", "set", "caps.changes", "20")
    (row,) = home.json("improve", str(repository), "--only", "codespell")["changes"]  # type: ignore[misc]
    file, elsewhere = short / "box.backup", str(short / "elsewhere")
    made = home.json("backup", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    assert home("backup", str(file)) == ""
    assert (home.code, "file-exists" in home.said) == (2, True)
    inside = str(home.root / ".local/state/greenroom/again.backup")
    assert home("backup", inside) == ""
    assert "backup-inside-the-box" in home.said

    broken = short / "broken.backup"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    broken.write_bytes(data)
    assert home("restore", str(broken), elsewhere) == ""
    assert (home.code, "backup-broken" in home.said) == (8, True)
    assert home("restore", str(file), elsewhere, "--sha256", "0" * 64) == ""
    assert (home.code, "backup-of-another-hash" in home.said) == (8, True)
    assert not Path(elsewhere).exists()

    restored = home.json("restore", str(file), elsewhere, "--sha256", str(made["sha256"]))
    assert (restored["box"], restored["log"]) == (made["box"], made["log"])
    assert home("restore", str(file), elsewhere) == ""
    assert "box-exists" in home.said
    approved = home.json("approve", str(row["id"]), "--yes", box=elsewhere)
    assert approved["state"] == "kept", approved
    assert "receive" in (repository / "README.md").read_text()
    assert home.json("log", "check", box=elsewhere)["ok"] is True
    assert "backup.restored" in home("log", box=elsewhere)
    assert home.json("metrics")["backup_bytes"] == made["bytes"]

    kept = home.json("uninstall", "--yes", "--keep-log", box=elsewhere)
    assert str(repository) in str(kept["stays"])
    assert sorted(path.name for path in Path(elsewhere).iterdir()) == ["box.json", "log", "public"]
    assert home.json("log", "check", f"{elsewhere}/log", "--keys", f"{elsewhere}/public")["ok"] is True
    home("list", box=elsewhere)
    assert ("only-a-log" in home.said, "greenroom log check" in home.said) == (True, True)
    assert home.json("log", "check", box=elsewhere)["ok"] is True
    home.json("uninstall", "--yes", box=elsewhere)
    assert not Path(elsewhere).exists()
    home("uninstall")
    assert "not-confirmed" in home.said
    home.json("uninstall", "--yes")
    after = home.files()
    assert {path for path in before if not path.startswith("calm/.git/")} == {
        path for path in after if not path.startswith("calm/.git/")
    }
    assert {path for path, data in before.items() if after.get(path) != data and not path.startswith("calm/.git/")} == {
        "calm/README.md"
    }


def test_e2e_uninstall_leaves_a_box_with_strange_files_whole(home: Home) -> None:
    """A file of the person's in the box stops it before anything is taken away."""
    home("init", "--no-input")
    strange = home.root / ".local/state/greenroom/thesis.txt"
    strange.write_text("mine")
    home("uninstall", "--yes")
    assert (home.code, "not-only-a-box" in home.said, "thesis.txt" in home.said) == (2, True, True)
    assert strange.exists()
    assert home.json("status")["mode"] == "propose"
