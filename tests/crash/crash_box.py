"""A real box that is killed: real processes, a small repository with one finding, copies of the box to begin from.

Every run of the suite starts from a copy (`Stage`), takes one command of a person with a crash on the way, goes on
with `greenroom resume`, and ends with `Box.verify`.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from greenroom.audit.check import check
from greenroom.audit.checkpoint import KeptCheckpoint
from greenroom.audit.epochs import CHAIN, walk
from greenroom.audit.keys import load_public
from greenroom.audit.reader import read_copy
from greenroom.bootstrap.ownership import hand_over
from greenroom.config import Box
from greenroom.domain.digest import Digest
from greenroom.domain.documents import load_json
from greenroom.domain.vocabulary import Kind, Subject, address_of
from greenroom.keeper.separation import users_of
from greenroom.pipeline.board import read_board
from greenroom.release.reading import manifest_of_commit
from greenroom.release.refs import RefRelease
from greenroom.release.store import FileStore
from greenroom.release.trees import StoreTrees

COMMAND = "import sys; from greenroom.bootstrap import main; sys.exit(main())"
BEFORE = {
    "pyproject.toml": '[project]\nname = "small"\nversion = "1"\n',
    "small.py": '"""Small."""\n\n\ndef one():\n    """The first number."""\n    return 1\n',
    "tests/test_small.py": "import small\n\n\ndef test_one():\n    assert small.one() == 1\n",
    "README.md": "# Small\n\nA small package.\n",
}
FINDING = {"README.md": "# Small\n\nThe words that you recieve.\n"}
FOUND = BEFORE | FINDING
FIXED = FOUND | {"README.md": "# Small\n\nThe words that you receive.\n"}
"""The files that are live before, with the finding, and with what the change makes of it."""
UNSEEN = FOUND | {
    "pyproject.toml": '[project]\nname = "small"\nversion = "1"\ndependencies = ["alpha"]\n',
    "tests/test_small.py": "import alpha\nimport small\n\n\ndef test_one():\n    assert small.one() == alpha.ONE\n",
}
"""The files of a repository that the box has not seen, with a dependency that its tests need."""
MOVING = ("db", "guard", "keys", "live", "log")
"""What a run changes in a box besides the store, whose files never change: they are linked, not copied."""
RUNS = ("attempts.db*", "epoch.*")
PREPARED = "prepare"
ROLES = ("executor", "guard", "keeper", "rescue")
TRIES = 6
ENDED_S = 20.0
COMMAND_S = 120.0
STEADY_TRIES = 5
SAID = 4000
"""Characters kept of each stream of a command."""
PROCESSES_SAID = 12_000
"""The same of the processes' log."""
KEPT = ("PATH", "HOME", "LANG", "USER", "PYTHONPATH")
"""What a command gets of the suite's own environment."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How one command ended, and the JSON it printed, if any."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The document on stdout."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Stage:
    """A copy of a box and its repository: where it lies, and the change that it is about."""

    place: Path
    change: str


class CrashBox:
    """The box, the person's repository and the copies to begin from, all below `root`."""

    waits = ("needs-approval", "promote-on-request", "queued")
    """The holds of a change that waits for a person, or was not begun."""

    def __init__(self, root: Path, *, idle_s: int = 90) -> None:
        self.root = root
        self.idle_s = idle_s
        self.box = Box(root / "box")
        self.repository = root / "repository"
        self.index = root.with_name(f"{root.name}-index")
        """Beside `root`, which may be closed to the users that the processes become."""
        self.marker = self.box.store / "crash-marker"
        self.change = ""
        self.crash_at = ""
        self.epoch_seconds = ""
        """How long a key lives in what is started from then on, where it is not an hour."""
        self.said: list[str] = []
        """What each command of the case printed, and how it ended."""
        self._log_from = 0
        self.subject = Subject(kind=Kind.WORKSPACE, address=address_of(str(self.repository), "main"))

    # Making the copies.

    def make(self) -> Mapping[str, Stage]:
        """Four places to begin from: a repository that the box has not seen, a fresh finding, a change that waits for
        approval, a change that is live."""
        make_wheel(self.index)
        self.begin_with({})
        self.must("status")
        self.commit(UNSEEN, "Write the readme")
        stages = {"unseen": self._keep("unseen")}
        self.git("reset", "--quiet", "--hard", "HEAD~1")
        self.must("improve", str(self.repository), "--only", "codespell")
        self.commit(FINDING, "Write the readme")
        stages["fresh"] = self._keep("fresh")
        self.must("improve", str(self.repository), "--only", "codespell")
        self.change = self.rows()[0]["id"]
        stages["waiting"] = self._keep("waiting")
        self.must("approve", self.change, "--yes")
        stages["kept"] = self._keep("kept")
        self.change = ""
        return stages

    def begin_with(self, findings: Mapping[str, str]) -> None:
        """A repository and a box."""
        self.repository.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit({**BEFORE, **findings}, "Begin")
        self.must("init", "--no-input")

    def _keep(self, name: str) -> Stage:
        self.down()
        place = self.root / "stages" / name
        for part in MOVING:
            shutil.copytree(self.box.root / part, place / part, symlinks=True)
        shutil.copytree(self.repository, place / "repository", symlinks=True)
        shutil.copytree(self.box.store, place / "store", copy_function=os.link)
        _copy_runs(self.box.keeper, place / "keeper")
        return Stage(place, self.change)

    def begin(self, stage: Stage, crash_at: str = "") -> None:
        """Put the box and the repository back as they were at `stage`; the next processes crash at `crash_at`."""
        self.crash_at = ""
        self.said.clear()
        self.down()
        self._log_from = self._log_size()
        for part in MOVING:
            shutil.rmtree(self.box.root / part)
            shutil.copytree(stage.place / part, self.box.root / part, symlinks=True)
        shutil.rmtree(self.repository)
        shutil.copytree(stage.place / "repository", self.repository, symlinks=True)
        _copy_runs(stage.place / "keeper", self.box.keeper)
        wanted, found = _files(stage.place / "store"), _files(self.box.store)
        for name in found - wanted:
            (self.box.store / name).unlink()
        for name in wanted - found:
            os.link(stage.place / "store" / name, self.box.store / name)
        hand_over(self.box, users_of(self.box))
        self.change = stage.change
        self.crash_at = crash_at
        if crash_at:
            self.marker.touch()
        else:
            self.marker.unlink(missing_ok=True)

    # What a person does.

    def run(self, *words: str) -> Answer:
        """One command with --json."""
        return self.ended(self.start(*words), *words)

    def ended(self, process: subprocess.Popen[str], *words: str) -> Answer:
        """Wait for a command that `start` began; one that hangs is killed, and what it had printed is kept."""
        hung = False
        with process:
            try:
                out, err = process.communicate(timeout=COMMAND_S)
            except subprocess.TimeoutExpired:
                hung = True
                process.kill()
                out, err = process.communicate()
        how = f"hung, killed after {COMMAND_S} s" if hung else f"exit {process.returncode}"
        self.said.append(f"$ greenroom {' '.join(words)}\n{how}\n{out[-SAID:]}{err[-SAID:]}")
        assert not hung, f"{' '.join(words)}: {how}"
        return Answer(process.returncode, out, err)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """The same, not waited for."""
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment |= {"GREENROOM_HOME": str(self.box.root), "GREENROOM_IDLE_SECONDS": str(self.idle_s)}
        environment |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.index), "PIP_CONFIG_FILE": os.devnull}
        if self.epoch_seconds:
            environment["GREENROOM_EPOCH_SECONDS"] = self.epoch_seconds
        if self.crash_at:
            environment["GREENROOM_CRASH_AT"] = f"{self.crash_at}@{self.marker}"
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND, *words, *([] if words == ("down",) else ["--json"])],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def must(self, *words: str) -> Answer:
        """One command that has to end well."""
        answer = self.run(*words)
        assert answer.code == 0, f"{' '.join(words)}: {answer.code}\n{answer.out}{answer.err}{self.processes_log()}"
        return answer

    def resume(self) -> int:
        """`greenroom resume` until nothing is unfinished; how often it took."""
        for number in range(1, TRIES + 1):
            answer = self.run("resume")
            if answer.code == 0 and not self.unfinished():
                return number
        raise AssertionError(f"unfinished after {TRIES} times: {self.unfinished()}\n{answer}{self.processes_log()}")

    def unfinished(self) -> list[str]:
        """Changes that are neither over nor held, and deliveries that did not arrive."""
        left = [f"{row['id']} {row['state']}" for row in self.rows() if not self._rests(row)]
        waits = self.query("SELECT change, pending FROM deliveries WHERE pending != ''")
        return left + [f"delivery of {change or 'import'}: {pending}" for change, pending in waits]

    def rows(self) -> list[Mapping[str, Any]]:
        """Every change, as the board knows it."""
        return list(read_board(self.box.db / "box.db", everything=True))

    def query(self, sql: str) -> list[Any]:
        """Rows of the box database."""
        with contextlib.closing(sqlite3.connect(f"file:{self.box.db / 'box.db'}?mode=ro", uri=True)) as connection:
            return connection.execute(sql).fetchall()

    def ledger(self, sql: str) -> list[Any]:
        """Rows of the guard's ledger."""
        with contextlib.closing(sqlite3.connect(f"file:{self.box.guard / 'guard.db'}?mode=ro", uri=True)) as connection:
            return connection.execute(sql).fetchall()

    @property
    def crashed(self) -> bool:
        """True when a crash was wished and came."""
        return not self.marker.exists()

    def _rests(self, row: Mapping[str, Any]) -> bool:
        """True for a change that nothing is owed: it is over, waits for a person, or was not begun."""
        if row["held"] is not None:
            return row["held"]["rule"] in self.waits
        return row["state"] in ("kept", "aborted", "reverted")

    # Processes.

    def pid(self, role: str) -> int | None:
        """The process of `role`, not the walls around it."""
        if role == "rescue":
            with contextlib.suppress(OSError, ValueError):
                return int((self.box.run / "rescue.lock").read_text())
            return None
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0") if folder.name.isdigit() else []
                ours = words[1:5] == [b"-m", b"greenroom.bootstrap", role.encode(), os.fsencode(self.box.root)]
                if ours and (folder / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    return int(folder.name)
        return None

    def kill(self, role: str) -> bool:
        """SIGKILL from outside; False when the process was not there."""
        pid = self.pid(role)
        if pid is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return True
        return False

    def kill_on_the_way(self, name: str, role: str, seconds: float, words: tuple[str, ...]) -> None:
        """SIGKILL at a moment of the command that no point foresees; the moment is drawn from the case's `name`."""
        self.must("resume")
        moment = random.Random(name).random() * seconds
        process = self.start(*words)
        time.sleep(moment)
        there = self.kill(role)
        self.ended(process, *words)
        assert there, f"{role} was not there"

    def down(self) -> None:
        """End the processes, and see that they are gone."""
        ended = self.run("down")
        assert ended.code == 0, ended
        deadline = time.monotonic() + ENDED_S
        left: list[str] = []
        while time.monotonic() < deadline:
            left = [role for role in ROLES[:3] if self.pid(role) is not None]
            if not left:
                return
            time.sleep(0.02)
        raise AssertionError(f"still there after `down`: {left}")

    def processes_log(self) -> str:
        """The end of what the processes said since `begin`."""
        path = self.box.run / "processes.log"
        if not path.exists():
            return ""
        since = self._log_from if self._log_from <= self._log_size() else 0
        return path.read_bytes()[since:].decode(errors="replace")[-PROCESSES_SAID:]

    def _log_size(self) -> int:
        path = self.box.run / "processes.log"
        return path.stat().st_size if path.exists() else 0

    # What must be true.

    @property
    def release(self) -> RefRelease:
        """The guard's pointers, to look at."""
        store = FileStore(self.box.store)
        return RefRelease(self.box.live, store, StoreTrees(store))

    def live(self) -> Digest:
        """What is live, every byte of it rehashed: never between two trees.

        A run that goes on by itself may move the pointer between the two readings; then they are made again.
        """
        for _ in range(STEADY_TRIES):
            before = self.release.position(self.subject)
            live, found = self.release.live(self.subject), self.release.rehash(self.subject)
            if self.release.position(self.subject) == before:
                assert live == found
                return found
        raise AssertionError(f"live moved {STEADY_TRIES} times while it was read")

    def live_files(self) -> Mapping[str, str]:
        """The text of every live file, as plain git gives it: nothing of ours has a say. Empty before an import."""
        place = str(self.release.git_dir(self.subject))
        if not os.path.lexists(f"{place}/refs/heads/live"):
            return {}
        # The repository is the guard's user's, which git calls dubious where the suite is another user.
        git = ("git", "-c", "safe.directory=*", "--git-dir", place)
        listed = _output(*git, "ls-tree", "-r", "-z", self.release.position(self.subject))
        lines = (line.split("\t", 1) for line in listed.split("\0") if line)
        return {name: _output(*git, "cat-file", "blob", what.split()[2]) for what, name in lines}

    def entries(self) -> list[Mapping[str, Any]]:
        """The log, once it is found whole."""
        public = load_public(self.box.public / "guard.pub")
        kept = KeptCheckpoint(self.box.guard / "checkpoint", walk(self.box.log / CHAIN, (public,)).ring).latest()
        keeper = load_public(self.box.public / "keeper.pub")
        report = check(self.box.log, (public,), kept=kept[1] if kept else None, keeper=keeper)
        assert report.ok, report.findings
        return [load_json(entry) for entry in read_copy(self.box.log, (public,)).entries]

    def verify(self) -> Mapping[str, Any]:
        """What holds after every crash: the log whole, no effect twice, every intent with a result, live as logged.

        The processes must be down. Returns the change's row, if there is one.
        """
        entries = self.entries()
        self._no_effect_twice(entries)
        _every_intent_has_a_result(entries)
        self._live_is_what_the_log_says(entries)
        self._branch_is_what_is_live(entries)
        assert not self.unfinished()
        assert not (self.box.guard / "stop").exists(), "a crash pulled the stop"
        return self.row_of_the_case()

    def row_of_the_case(self) -> Mapping[str, Any]:
        """The one change that the one finding became, if there is one."""
        rows = self.rows()
        assert len(rows) <= 1, "one finding became several changes"
        return rows[0] if rows else {}

    def _no_effect_twice(self, entries: list[Mapping[str, Any]]) -> None:
        done = Counter((e["name"], e["change"]) for e in entries if e["name"] in ONCE)
        assert not {what: times for what, times in done.items() if times > 1}
        given = [e["digests"]["consent"] for e in entries if e["name"] == "consent.given"]
        assert len(given) == len(set(given))
        keys = Counter(e["key"] for e in entries)
        assert not {key: times for key, times in keys.items() if times > 1}
        self._no_generation_twice(Counter(e["name"] for e in entries))
        left = [path.name for path in (self.box.keeper / PREPARED).iterdir() if path.name != "known"]
        assert not left, "half fetched wheels are left"

    def _no_generation_twice(self, moved: Counter[str]) -> None:
        """The guard's ledger has one settled generation, one spent warrant and one count for each logged promotion."""
        promotions = self.ledger('SELECT paper, state FROM generations WHERE "change" IS NOT NULL')
        took = [paper for paper, state in promotions if state != "forgotten"]
        assert Counter(state for _, state in promotions) - Counter(forgotten=len(promotions)) == Counter(
            kept=moved["live.promoted"] - moved["live.reverted"], reverted=moved["live.reverted"]
        ), promotions
        assert len(took) == len(set(took)), promotions
        assert {paper for paper, state in promotions} == {paper for (paper,) in self.ledger(SPENT_WARRANTS)}
        spent = self.ledger("SELECT spent_on FROM nonces WHERE spent_on LIKE 'promoted %'")
        assert len(spent) == moved["live.promoted"], spent
        assert (self.ledger("SELECT sum(changes) FROM days")[0][0] or 0) == moved["live.promoted"]
        adopted = self.ledger('SELECT state FROM generations WHERE "change" IS NULL')
        assert Counter(state for (state,) in adopted)["kept"] == moved["live.adopted"]
        assert {state for (state,) in adopted} <= {"kept", "forgotten"}

    def _live_is_what_the_log_says(self, entries: list[Mapping[str, Any]]) -> None:
        said = [e["digests"][LIVE_AFTER[e["name"]]] for e in entries if e["name"] in LIVE_AFTER]
        assert self.live() == said[-1]

    def _branch_is_what_is_live(self, entries: list[Mapping[str, Any]]) -> None:
        """The person's branch is at the live commit, clean, with one commit for each promote and revert."""
        assert self.git("rev-parse", "main") == self.release.position(self.subject)
        assert self.git("status", "--porcelain", "--untracked-files=all") == ""
        moved = Counter(e["name"] for e in entries)
        subjects = self.git("log", "--format=%B").splitlines()
        assert sum(line.startswith("Greenroom-Warrant:") for line in subjects) == moved["live.promoted"]
        assert sum(line.startswith("Greenroom-Revert:") for line in subjects) == moved["live.reverted"]
        assert int(self.git("rev-list", "--count", "main")) == 2 + moved["live.promoted"] + moved["live.reverted"]
        assert self.working_files() == self.live_files()

    # The person's repository.

    def repository_tree(self) -> Digest:
        """The tree of the person's branch, as the box names trees."""
        return manifest_of_commit(self.repository / ".git", self.git("rev-parse", "main")).digest

    def working_files(self) -> Mapping[str, str]:
        """The text of every file on the person's disk."""
        found = (path for path in self.repository.rglob("*") if path.is_file() and ".git" not in path.parts)
        return {os.fspath(path.relative_to(self.repository)): path.read_text() for path in found}

    def git(self, *words: str) -> str:
        """Git in the repository, as its owner."""
        identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
        argv = ("git", "-C", str(self.repository), *identity, *words)
        return _output(*argv).strip()

    def commit(self, files: Mapping[str, str], words: str) -> None:
        """Write `files` and commit them."""
        for name, text in files.items():
            path = self.repository / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", words)


ONCE = frozenset({"live.promoted", "live.reverted", "live.marked-good", "change.rejected"})
SPENT_WARRANTS = "SELECT digest FROM warrants WHERE spent = 1"
LIVE_AFTER = {"live.adopted": "tree", "live.promoted": "green", "live.reverted": "base"}


def make_wheel(index: Path) -> None:
    """An index that is a folder, with the one wheel that the unseen repository needs."""
    index.mkdir()
    index.chmod(0o755)
    info = "alpha-1.0.dist-info"
    with zipfile.ZipFile(index / "alpha-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("alpha.py", "ONE = 1\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: alpha\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


def _copy_runs(source: Path, target: Path) -> None:
    """The record of runs, with what SQLite keeps beside it, the present key, and what is remembered of dependencies.

    The rest of the keeper's directory never changes but by what is added.
    """
    target.mkdir(exist_ok=True)
    shutil.rmtree(target / PREPARED, ignore_errors=True)
    if (source / PREPARED).is_dir():
        shutil.copytree(source / PREPARED, target / PREPARED)
    for pattern in RUNS:
        for old in target.glob(pattern):
            old.unlink()
        for path in source.glob(pattern):
            shutil.copy2(path, target / path.name)


def _output(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def _files(top: Path) -> set[str]:
    return {os.path.relpath(os.path.join(at, name), top) for at, _, names in os.walk(top) for name in names}


def _every_intent_has_a_result(entries: list[Mapping[str, Any]]) -> None:
    names = {entry["key"]: entry["name"] for entry in entries}
    for key, name in names.items():
        if name.endswith(".intent"):
            assert key.removesuffix("intent") + "result" in names, f"{key} has no result"
    swaps: Mapping[str, Callable[[str], tuple[str, ...]]] = {
        "guard/promoting/": lambda rest: (f"guard/promoted/{rest}", f"guard/not-promoted/{rest}"),
        "guard/reverting/": lambda rest: (f"guard/reverted/{rest}",),
    }
    for key in names:
        for prefix, results in swaps.items():
            if key.startswith(prefix):
                wanted = results(key.removeprefix(prefix))
                assert any(other.startswith(wanted) for other in names), f"{key} has no result"


@contextlib.contextmanager
def opened(kind: type[AnyBox]) -> Iterator[AnyBox]:
    """A new box of `kind`. Its processes are always ended, and its files taken away."""
    root = Path(tempfile.mkdtemp(prefix="greenroom-crash-"))
    box = kind(root)
    try:
        yield box
    finally:
        box.run("down")
        for place in (root, box.index):
            shutil.rmtree(place, ignore_errors=True)


AnyBox = TypeVar("AnyBox", bound=CrashBox)
