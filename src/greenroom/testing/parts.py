"""The parts of the house in memory: a keeper with chosen results, a person's repository, a place to crash."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import Any, Literal

from greenroom.domain import documents, itself, outcomes
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.outcomes import AGAIN, DiffClass, FileDiff, LineClass, Marks, ScanResult, TestOutcome, TestRun
from greenroom.domain.plan import Plan
from greenroom.domain.ports import Attestor, Changes, CheckRun, Clock, Store
from greenroom.domain.proof import Import, Predicate
from greenroom.domain.proposal import Proposal
from greenroom.domain.settings import Read
from greenroom.domain.testfiles import SuiteFiles
from greenroom.domain.verdict import Refused
from greenroom.domain.vocabulary import ChangeId, Subject, Trust
from greenroom.pipeline.flow import Flow, Watcher
from greenroom.testing import patching
from greenroom.testing.keeper import FakeKeeper, files_of, tree_of
from greenroom.testing.release import MemoryRelease

Behaviour = Literal["pass", "fail", "flaky", "broken-before", "inconclusive"]
LINE_CLASSES: Mapping[str, LineClass] = {".md": "docs", ".txt": "docs", ".py": "logic"}


class Killed(BaseException):
    """The executor is gone at this point."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something worth changing: `old` to `new` in the file `path`, wherever `old` stands there."""

    path: str
    old: bytes
    new: bytes
    rule: str = "typo"
    summary: str = ""
    reproduce: str = "codespell"


@dataclasses.dataclass(slots=True)
class Repository:
    """A person's repository: its files, and the commit its branch is at.

    `dirty`: a tracked file is edited; `in_the_way`: an untracked one lies where a change brings a file.
    `branches` are others than the one that is imported, by name; `merged` says of some how they came into it.
    """

    files: dict[bytes, bytes]
    head: str
    dirty: bool = False
    in_the_way: bool = False
    branches: dict[str, str] = dataclasses.field(default_factory=dict)
    merged: dict[str, str] = dataclasses.field(default_factory=dict)


class CrashPoints:
    """Counts port calls, before and after each; kills at the one that `at` names, once."""

    def __init__(self) -> None:
        self.at: int | None = None
        self.count = 0
        self.passed: list[str] = []

    def tick(self, name: str) -> None:
        """One more point; raises Killed where it is the chosen one."""
        self.count += 1
        self.passed.append(name)
        if self.at is not None and self.count >= self.at:
            self.at = None
            raise Killed(name)

    def wrap(self, name: str, target: Any, methods: Iterable[str]) -> Any:
        """`target` with a point before and after each of its `methods`."""
        return _Wrapped(self, name, target, frozenset(methods))


class _Wrapped:
    def __init__(self, points: CrashPoints, name: str, target: Any, methods: frozenset[str]) -> None:
        self._points, self._name, self._target, self._methods = points, name, target, methods

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name not in self._methods:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._points.tick(f"before {self._name}.{name}")
            answer = found(*args, **kwargs)
            self._points.tick(f"after {self._name}.{name}")
            return answer

        return call


class Workshop:
    """What the keeper's runs do here: patches by the finding they mend, results as `checks` wishes them.

    `settings` is what reading a repository's `greenroom.toml` gives. `alone` is what runs of tests with base beside
    them say of themselves (`TestRun.alone`).
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.patches: dict[Digest, Finding] = {}
        self.checks: dict[str, Behaviour] = {}
        self.settings = Read()
        self.alone = False

    def apply(self, plan: Plan, files: MutableMapping[bytes, bytes]) -> Refused | None:
        """Do to `files` what the plan's patch says."""
        for step in plan.steps:
            patch = Digest(str(step.args["patch"].value))
            finding = self.patches.get(patch)
            if finding is None:
                refused = patching.apply(self._store.get(patch), files)
                if refused is not None:
                    return refused
                continue
            before = files.get(finding.path.encode(), b"")
            if finding.old not in before:
                return Refused(rule="patch-does-not-apply", where=finding.path, remedy="greenroom improve")
            files[finding.path.encode()] = before.replace(finding.old, finding.new)
        return None

    def results(self, run: CheckRun) -> Any:
        """The result document of a run; None where the tool left none."""
        behaviour = self.checks.get(run.check, "pass")
        if behaviour == "inconclusive":
            return None
        if run.check == "settings":
            return self.settings
        if run.check == "classify":
            marks = Marks(base=self._mark(run.trees["base"]), green=self._mark(run.trees["green"]))
            reproduced = str(run.args.get("reproduce", "")) or None
            return DiffClass(files=tuple(self._diff(run)), reproduced_by=reproduced, itself=marks)
        if run.check in ("scan", "loosened"):
            return ScanResult(findings=(BLOCKING,) if behaviour == "fail" else ())
        return dataclasses.replace(_suite(run.role, behaviour), alone=self.alone and "base" in run.trees)

    def _mark(self, tree: Digest) -> str | None:
        files = {path.decode(): data for path, data in files_of(self._store, tree).items()}
        return itself.mark(files, lambda path: files[path][: itself.MAX_METADATA_BYTES + 1])

    def _diff(self, run: CheckRun) -> Iterable[FileDiff]:
        base, green = (files_of(self._store, run.trees[name]) for name in ("base", "green"))
        for path in sorted(base.keys() | green.keys()):
            if base.get(path) != green.get(path):
                name = path.decode()
                kind = LINE_CLASSES.get(Path(name).suffix, "config")
                yield FileDiff(path=name, line_class=kind, added=1, removed=1, why="by its name")


BLOCKING = outcomes.Finding(rule="secret", path="a.py", line=1, message="a key stands here", points=50, blocks=True)


def _suite(role: str, behaviour: Behaviour) -> TestRun:
    if behaviour == "broken-before":
        return TestRun(framework="none", python="3.11", outcomes={}, sentinel="missing")
    on_green = role.removesuffix(AGAIN) in ("base-on-green", "own")
    breaks = behaviour == "fail" or (behaviour == "flaky" and not role.endswith(AGAIN))
    found: TestOutcome = "failed" if on_green and breaks else "passed"
    return TestRun(
        framework="pytest",
        python="3.11",
        outcomes={"test_a.py::a": found, "test_a.py::b": "passed"},
        sentinel="failed",
        suite=SuiteFiles(),
    )


class HouseKeeper(FakeKeeper):
    """A FakeKeeper that imports `repository` with the commit it is at; an unpacked release has none."""

    def __init__(
        self,
        *,
        repository: Repository,
        workshop: Workshop,
        store: Store,
        attestor: Attestor,
        clock: Clock,
        stopped: Callable[[], bool],
    ) -> None:
        super().__init__(
            store=store,
            attestor=attestor,
            clock=clock,
            apply=workshop.apply,
            results=workshop.results,
            stopped=stopped,
        )
        self._repository = repository

    def bring(self, subject: Subject, ticket: str, branch: str | None) -> Digest | Refused:
        """The Import of the repository; the ticket is not looked at."""
        del ticket
        self.calls.append("bring")
        if (refused := self._refusal()) is not None:
            return refused
        source, _, named = subject.address.partition("#")
        head = self._repository.head if named else ""
        record = Import(
            subject=subject,
            source=source,
            branch=named,
            commit=head,
            commit_bytes=self._store.put("blob", head.encode()),
            tree=tree_of(self._store, self._repository.files),
            trust=int(Trust.PERSON if branch else Trust.UNTRUSTED),
            at=self._clock.now(),
        )
        return self._sign(Predicate.IMPORT, record.tree, record)


class PositionRelease(MemoryRelease):
    """A MemoryRelease that stands at the commit it took in, as git does."""

    def begin(self, subject: Subject, tree: Digest, origin: Mapping[str, str], parent_bytes: bytes) -> Digest:
        """Make the imported `tree` live; its position is the person's commit where there is one."""
        live = super().begin(subject, tree, origin, parent_bytes)
        commit = origin.get("commit")
        if commit:
            self._staged[commit] = self._staged[self._live[subject]]
            self._live[subject] = commit
        return live


class PlainRuns:
    """The runs of the house without a database of their own: a change is carried where it is asked for."""

    def __init__(self, flow: Flow, changes: Changes) -> None:
        self._flow, self._changes = flow, changes

    def carry(self, change: ChangeId, watcher: Watcher | None = None) -> Change:
        """Carry until terminal or held."""
        return self._flow.carry(change, watcher)

    def unfinished(self) -> Iterable[ChangeId]:
        """Changes that are neither terminal nor held."""
        return [change.id for change in self._changes.list(open_only=True, held="")]

    def close(self) -> None:
        """Nothing to let go of."""


class FindingProposer:
    """Proposes each of the findings that the live tree has."""

    name = "typo"

    def __init__(self, store: Store, findings: Iterable[Finding], workshop: Workshop) -> None:
        self._store, self._findings, self._workshop = store, findings, workshop

    def propose(self, subject: Subject, live: Digest) -> Iterable[bytes]:
        """One proposal a finding, its patch in the store."""
        del subject
        files = files_of(self._store, live)
        for finding in self._findings:
            before = files.get(finding.path.encode(), b"")
            if finding.old in before:
                yield documents.encode(self._proposal(finding, before))

    def _proposal(self, finding: Finding, before: bytes) -> Proposal:
        after = before.replace(finding.old, finding.new)
        patch = self._store.put("blob", patch_of(finding.path, before, after))
        self._workshop.patches[patch] = finding
        return Proposal(
            proposer=self.name,
            proposer_version="1",
            rule=finding.rule,
            summary=finding.summary or f"Mend {finding.old.decode(errors='replace')!r} in {finding.path}",
            rationale="It is written otherwise.",
            expected="The words read well.",
            confidence=90,
            patch=patch,
            files=(finding.path,),
            fingerprint=digest_of("text", repr(finding).encode()),
            reproduce=finding.reproduce,
        )


def patch_of(path: str, before: bytes, after: bytes) -> bytes:
    """A unified diff in git's format between two contents of a text file."""
    lines = difflib.unified_diff(
        before.decode().splitlines(keepends=True),
        after.decode().splitlines(keepends=True),
        f"a/{path}",
        f"b/{path}",
    )
    return f"diff --git a/{path} b/{path}\n{''.join(lines)}".encode()
