"""A real box for the end-to-end suites: real processes, the real command line, and a plug-in proposer of our own."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from greenroom.audit import keys
from greenroom.audit.attest import KeyAttestor
from greenroom.bootstrap import parts
from greenroom.config import Box
from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest, parse_digest
from greenroom.domain.ports import Dossier
from greenroom.domain.proposal import Proposal
from greenroom.domain.verdict import Instant, Passed
from greenroom.domain.vocabulary import ChangeId
from greenroom.guard import papers
from greenroom.guard.client import GuardClient
from greenroom.pipeline import tables
from greenroom.pipeline.changes import DatabaseChanges
from greenroom.pipeline.stages.promote import PromoteStage
from greenroom.policy.bundle import save_policy
from greenroom.policy.manifests import builtin_manifests
from greenroom.release.store import FileStore
from greenroom.wire.rpc import Client

COMMAND = "import sys; from greenroom.bootstrap import main; sys.exit(main())"
PLUGIN = '''
import json
import time
from pathlib import Path

from greenroom.pipeline.stages.plan import PlanStage

WISHES = Path(__file__).with_name("wishes.json")
HOLD = Path(__file__).with_name("hold-plan")
PLAN = PlanStage.run


def held_plan(self, change):
    while HOLD.exists():
        time.sleep(0.02)
    return PLAN(self, change)


PlanStage.run = held_plan


class Wished:
    """Proposes whatever the test wrote down."""

    name = "wished"

    def __init__(self, **parts):
        pass

    def propose(self, subject, live):
        return [bytes.fromhex(wish) for wish in json.loads(WISHES.read_text())]
'''
CALM: Mapping[str, str] = {
    "pyproject.toml": '[project]\nname = "calm"\nversion = "1"\n\n[tool.pytest.ini_options]\ntestpaths = ["tests"]\n',
    "README.md": "# Calm\n\nA small package.\n",
    "calm.py": '"""Calm."""\n\n\ndef double(number):\n    """Twice `number`."""\n    return number * 2\n',
    "tests/test_calm.py": (
        "import calm\n\n\ndef test_double():\n    assert calm.double(2) == 4\n\n\n"
        "def test_zero():\n    assert calm.double(0) == 0\n"
    ),
    "deploy/.env.sample": "REGION=north\n",
}


CODES = {"refused": 3, "held": 4}
"""How `improve` ends when all that it proposed was refused, or held."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one command said and how it ended; `data` is its JSON."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The JSON document on stdout."""
        return json.loads(self.out)

    @property
    def said(self) -> Mapping[str, str]:
        """Rule, place and remedy: of the error, else of the verdict."""
        data = self.data
        if "error" in data:
            error = data["error"]
            assert error["exit"] == self.code
            return {"rule": error["reference"], "where": error["where"] or error["message"], "remedy": error["remedy"]}
        return dict(data["verdict"])


@dataclass(slots=True)
class Evidence:
    """The table of refusals: one line a case, as the commands really answered."""

    home: str
    lines: list[tuple[str, str, str, str, int]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)

    def add(self, case: str, said: Mapping[str, str], code: int) -> str:
        """Record a refusal after checking that it names rule, place and remedy; the rule."""
        shown = {name: self._tidy(str(said.get(name, ""))) for name in ("rule", "where", "remedy")}
        for name, text in shown.items():
            assert text, f"{case}: the answer has no {name}: {said}"
        self.lines.append((case, shown["rule"], shown["where"], shown["remedy"], code))
        return said["rule"]

    def note(self, case: str, notes: Sequence[str]) -> None:
        """Record what a card says about something that is shown, not refused."""
        self.notes += [(case, self._tidy(note)) for note in notes]

    def _tidy(self, text: str) -> str:
        return " ".join(text.replace(self.home, "$TMP").split())


@dataclass(slots=True)
class House:
    """One box and what a person does with it."""

    home: Path
    environment: Mapping[str, str]

    @property
    def box(self) -> Box:
        """The box's directories."""
        return Box(self.home / "box")

    @property
    def store(self) -> FileStore:
        """The box's store."""
        return FileStore(self.box.store)

    @property
    def guard(self) -> GuardClient:
        """The running guard, spoken to without the command line."""
        return GuardClient(Client(str(self.box.socket("guard")), patience_s=10.0).call)

    def opener(self) -> KeyAttestor:
        """Opens what any role of the box signed."""
        return parts.opener_of(self.box)

    @property
    def changes(self) -> DatabaseChanges:
        """The executor's own database, for playing a hostile executor.

        No connection stays open: the last one to close writes to the file.
        """
        engine = tables.open_database(self.box.db / "box.db", pool=sa.NullPool)
        return DatabaseChanges(engine, parts.SystemClock())

    def argv(self, *words: str, before: str = "") -> list[str]:
        """The command line; `before` is Python that runs first, for playing a broken or hostile client."""
        return [sys.executable, "-c", f"{before}\n{COMMAND}", *words]

    def run(self, *words: str, before: str = "") -> Answer:
        """One command, as it is."""
        ended = subprocess.run(
            self.argv(*words, before=before),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert "Traceback" not in ended.stderr, ended.stderr
        return Answer(ended.returncode, ended.stdout, ended.stderr)

    def json(self, *words: str, before: str = "") -> Answer:
        """One command with --json."""
        return self.run(*words, "--json", before=before)

    def ok(self, *words: str, before: str = "") -> Any:
        """The answer of a command that must succeed."""
        answer = self.json(*words, before=before)
        assert answer.code == 0, (words, answer)
        return answer.data

    def log_is_whole(self) -> None:
        """Check the whole log, as a person would."""
        answer = self.json("log", "check")
        assert answer.code == 0, answer
        assert answer.data["ok"] is True

    def repository(self, name: str, files: Mapping[str, str] | None = None) -> Path:
        """A git repository with one commit, in the state the box takes it in."""
        place = self.home / "src" / f"{name}-{secrets.token_hex(2)}"
        write(place, CALM if files is None else files)
        git(place, "init", "-q", "-b", "main")
        commit(place, "first")
        return place

    def take_in(self, place: Path) -> str:
        """Import a repository without proposing anything; the live digest."""
        self.wish()
        answer = self.ok("improve", str(place), "--only", "wished")
        assert answer["failed"] == []
        return str(answer["live"])

    def wish(self, *proposals: Proposal) -> None:
        """What the plug-in proposes from now on."""
        wishes = [documents.encode(proposal).hex() for proposal in proposals]
        (self.box.root / "plugins" / "wishes.json").write_text(json.dumps(wishes))

    def proposal(self, patch: bytes, *files: str) -> Proposal:
        """A proposal that carries `patch`.

        It says that it is a white-space fix, as a hostile proposer would: that wins the reviewers, and nothing else.
        """
        return Proposal(
            proposer="wished",
            proposer_version="1",
            rule=f"ruff:W{secrets.token_hex(4)}",
            summary=f"Change {', '.join(files)}",
            rationale="a test wants it",
            expected="a better world",
            confidence=90,
            patch=self.store.put("blob", patch),
            files=files,
            fingerprint=secrets.token_hex(8),
            reproduce="",
        )

    def propose(self, place: Path, patch: bytes, *files: str) -> Mapping[str, Any]:
        """Carry one proposal as far as it goes; the change with its verdict."""
        self.wish(self.proposal(patch, *files))
        answer = self.json("improve", str(place), "--only", "wished")
        assert len(answer.data["changes"]) == 1, answer
        found: Mapping[str, Any] = answer.data["changes"][0]
        verdict = found["verdict"]
        assert answer.code == (0 if verdict["rule"] == "needs-approval" else CODES[verdict["is"]]), answer
        return found

    def edit(self, place: Path, edits: Mapping[str, str | None]) -> Mapping[str, Any]:
        """Propose that the files have this text; None deletes one."""
        return self.propose(place, patch_of(place, edits), *edits)

    def good(self, place: Path, text: str = "A small and calm package.") -> Mapping[str, Any]:
        """A harmless change that waits for approval."""
        change = self.edit(place, {"README.md": f"# Calm\n\n{text}\n"})
        assert change["verdict"]["rule"] == "needs-approval", change
        return change

    def live(self, place: Path, branch: str = "main") -> str:
        """The live digest of a repository's branch, from the guard."""
        return self.guard.status().live[f"workspace:{place}#{branch}"]

    @contextlib.contextmanager
    def unmoved(self, place: Path) -> Iterator[None]:
        """Inside, nothing may become live, and the person's branch and files may not change; the log stays whole."""
        before = (self.live(place), git(place, "rev-parse", "HEAD"), contents(place))
        yield
        after = (self.live(place), git(place, "rev-parse", "HEAD"), contents(place))
        assert after == before, f"{place} was {before} and is {after}"
        self.log_is_whole()

    def owner(self) -> KeyAttestor:
        """Signs with the owner's key."""
        key = keys.load_private(self.box.keys / "owner.key")
        return KeyAttestor("owner", key, {"owner": (key.public,)})

    @property
    def plan_hold(self) -> Path:
        """While this file is there, the plan stage does not end."""
        return self.box.root / "plugins" / "hold-plan"

    def with_body(self, tool: str, body: bytes) -> Digest:
        """The policy with another body for one tool."""
        bodies = {name: self.store.put("blob", data) for name, data in (parts.tool_bodies() | {tool: body}).items()}
        return save_policy(self.store, self.constitution({}).encode(), builtin_manifests(bodies))

    def tight(self, caps: Mapping[str, int], replace: Mapping[str, str]) -> Digest:
        """A policy with smaller caps for test runs, and with `replace` done to the constitution's text."""
        bodies = {name: self.store.put("blob", body) for name, body in parts.tool_bodies().items()}
        manifests = dict(builtin_manifests(bodies))
        suite = manifests["run_tests_t1"]
        manifests["run_tests_t1"] = dataclasses.replace(suite, caps=dataclasses.replace(suite.caps, **caps))
        return save_policy(self.store, self.constitution(replace).encode(), manifests)

    def enforce(self, policy: Digest | None) -> None:
        """Put a policy in force, with the owner's key."""
        assert policy is not None
        order = papers.ConstitutionOrder(
            policy=policy,
            previous=self.guard.policy(),
            actor="owner",
            expires=in_seconds(300),
            nonce=secrets.token_hex(16),
        )
        verdict = self.guard.set_constitution(papers.sign(self.owner(), order))
        assert isinstance(verdict, Passed), verdict

    def constitution(self, replace: Mapping[str, str]) -> str:
        """The box's constitution with some words replaced."""
        text = self.box.constitution.read_text()
        for old, new in replace.items():
            assert old in text
            text = text.replace(old, new)
        return text

    def dossier(self, change: str) -> Dossier:
        """The papers of a change as the executor hands them to the guard."""
        promote = PromoteStage(store=self.store, guard=self.guard)
        return promote.dossier(self.changes.get(ChangeId(change)))

    def replay(self, envelope: Digest | str) -> str:
        """Python that makes the command line send this stored consent instead of signing one."""
        data = self.store.get(parse_digest(str(envelope)))
        return (
            "from greenroom.bootstrap.local import LocalServices\n"
            f"LocalServices.consents = lambda *_: [bytes.fromhex('{data.hex()}')]"
        )

    def hostile(self, change: str, alter: Callable[[Change], Change]) -> Change:
        """Change a change's papers behind everybody's back, as a hostile executor can."""
        return self.changes.save(alter(self.changes.get(ChangeId(change))))

    def digests_in_log(self, name: str, change: str) -> Mapping[str, str]:
        """The digests of the last log entry called `name` about `change`."""
        return next(e["digests"] for e in reversed(self.logged(name)) if e["change"] == change)

    def logged(self, name: str) -> list[Mapping[str, Any]]:
        """The log's entries called `name`, oldest first."""
        entries = [json.loads(line)["entry"] for line in self.run("log", "export").out.splitlines()]
        return [entry for entry in entries if entry["name"] == name]

    def started(self, *words: str) -> subprocess.Popen[str]:
        """A command that goes on while the test does something else."""
        return subprocess.Popen(
            self.argv(*words),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def open_house(home: Path) -> House:
    """Make a box below `home`, with the plug-in proposer installed beside it."""
    plugins = home / "box" / "plugins"
    write(
        plugins,
        {
            "wished_proposer.py": PLUGIN,
            "wishes.json": "[]",
            "wished-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: wished\nVersion: 1\n",
            "wished-1.dist-info/entry_points.txt": "[greenroom.proposers]\nwished = wished_proposer:Wished\n",
        },
    )
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONPATH") if name in os.environ}
    path = os.pathsep.join([str(plugins), *([kept["PYTHONPATH"]] if "PYTHONPATH" in kept else [])])
    environment = kept | {
        "GREENROOM_HOME": str(home / "box"),
        "PYTHONPATH": path,
        "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "200",
        "TERM": "dumb",
    }
    house = House(home, environment)
    assert house.run("init", "--no-input").code == 0
    return house


def write(place: Path, files: Mapping[str, str | None]) -> None:
    """Files below `place`; None deletes one."""
    for name, text in files.items():
        path = place / name
        if text is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def git(place: Path, *words: str, data: str | None = None, check: bool = True) -> str:
    """Plain git, as the person runs it."""
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
    ended = subprocess.run(
        ["git", *identity, *words], cwd=place, input=data, capture_output=True, text=True, check=False
    )
    assert not check or ended.returncode == 0, (words, ended.stderr)
    return ended.stdout.strip()


def commit(place: Path, message: str) -> str:
    """Commit all that is there; the commit."""
    git(place, "add", "-A")
    git(place, "commit", "-q", "-m", message)
    return git(place, "rev-parse", "HEAD")


def contents(place: Path) -> Mapping[str, bytes]:
    """Every file of the worktree; what links point to is not read."""
    found = {}
    for folder, folders, names in os.walk(place):
        if ".git" in folders:
            folders.remove(".git")
        for name in names:
            path = Path(folder) / name
            found[str(path.relative_to(place))] = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
    return found


def patch_of(place: Path, edits: Mapping[str, str | None]) -> bytes:
    """The patch that gives the files this text; made in a clone, so that the repository stays as it is."""
    clone = place.parent / f"clone-{secrets.token_hex(4)}"
    subprocess.run(["git", "clone", "-q", str(place), str(clone)], check=True)
    write(clone, edits)
    git(clone, "add", "-A", "-f")
    done = subprocess.run(["git", "diff", "--cached", "--binary"], cwd=clone, capture_output=True, check=True)
    return done.stdout


def in_seconds(seconds: float) -> Instant:
    """An instant, from now."""
    return Instant(time.time_ns() + int(seconds * 1_000_000_000))


def processes_with(mark: str) -> Sequence[int]:
    """The processes whose command line has `mark`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return [pid for pid in found if pid != os.getpid()]


def blob_file(house: House, digest: Digest | str) -> Path:
    """Where the store keeps the bytes of a digest."""
    word = str(digest).partition(":")[2]
    found = [
        path for path in house.box.store.rglob("*") if path.is_file() and str(path).replace("/", "").endswith(word)
    ]
    assert len(found) == 1, (digest, found)
    return found[0]
