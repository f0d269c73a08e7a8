"""A Keeper in memory: signs like the real one, applies plans with a Python function, and runs nothing."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import replace
from typing import Any

from greenroom.domain import documents, vocabulary
from greenroom.domain.digest import Digest, digest_of, prefix_of
from greenroom.domain.errors import NotFound, Tampered, Unusable
from greenroom.domain.plan import Plan, Step
from greenroom.domain.ports import Attestor, CheckRun, Clock, Store
from greenroom.domain.proof import Import, Predicate, Receipt, RunOutput, Seal, Usage
from greenroom.domain.trees import Entry, File, Link, manifest_of, parse_manifest
from greenroom.domain.verdict import Held, Refused
from greenroom.domain.vocabulary import Subject, Trust
from greenroom.keeper import suites
from greenroom.keeper.attempts import Tally
from greenroom.keeper.golden import ENVIRONMENT, Golden
from greenroom.keeper.once import exhausted, key_of
from greenroom.keeper.overlay import BY_NAME, overlaid, unproven
from greenroom.keeper.runs import refusal_of

Files = Mapping[bytes, bytes]
Apply = Callable[[Plan, MutableMapping[bytes, bytes]], Refused | None]
"""Changes the files (path to content) as the plan says, or refuses."""
Results = Callable[[CheckRun], Any]
"""The result document of a run (a dataclass or plain JSON), or Refused."""

LAYERS: Mapping[str, bool] = dict.fromkeys(vocabulary.LAYERS, True)
"""Every wall, enforced."""
GOLDEN = Golden(
    interpreter="/usr/bin/python3",
    interpreter_sha256="0" * 64,
    python="3.11.2",
    host={"id": "debian"},
    toolchain=digest_of("tree", b"a toolchain that nobody mounts"),
    packages={"pytest": "8"},
    helpers={},
    launcher_sha256="0" * 64,
    notes=("one optional dependency is missing",),
    environment=ENVIRONMENT,
)
"""The golden of no tree."""


class FakeKeeper:
    """The Keeper port. `repositories` says what `bring` finds: files by subject address, with the branch.

    `stopped` is asked before anything; then everything is Refused `stopped`. `calls` lists what was asked for.
    `prints` is what the runs of a check print on stdout, `walls` the layers that every run has.
    """

    def __init__(
        self,
        *,
        store: Store,
        attestor: Attestor,
        clock: Clock,
        apply: Apply,
        results: Results,
        repositories: Mapping[str, tuple[Files, str]] | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._attestor = attestor
        self._clock = clock
        self._apply = apply
        self._results = results
        self._stopped = stopped
        self.repositories = dict(repositories or {})
        self.calls: list[str] = []
        self.prints: dict[str, bytes] = {}
        self.walls = LAYERS
        self._tallies: dict[str, Tally] = {}
        self._kept: dict[str, Mapping[Digest, bytes]] = {}

    def golden(self) -> Digest:
        """A golden that never changes, of no tree."""
        return self._store.put("golden", documents.encode(GOLDEN))

    def layers(self) -> Mapping[str, bool]:
        """See `walls`."""
        return self.walls

    def present(self, path: str, branch: str, directory: int) -> str:
        """A ticket; the directory is not looked at."""
        del path, branch, directory
        return "ticket"

    def bring(self, subject: Subject, ticket: str, branch: str | None) -> Digest | Refused:
        """The Import of what `repositories` has for the subject; the ticket is not looked at."""
        del ticket
        self.calls.append("bring")
        if (refused := self._refusal()) is not None:
            return refused
        found = self.repositories.get(subject.address)
        if found is None or branch not in (None, found[1]):
            return Refused(rule="not-a-repository", where=subject.address, remedy="name a repository")
        files, name = found
        commit = documents.encode({"files": sorted(path.hex() for path in files), "branch": name}) if name else b""
        record = Import(
            subject=subject,
            source=subject.address,
            branch=name,
            commit=digest_of("blob", commit).partition(":")[2][:40] if name else "",
            commit_bytes=self._store.put("blob", commit),
            tree=tree_of(self._store, files),
            trust=int(Trust.PERSON if name else Trust.UNTRUSTED),
            at=self._clock.now(),
        )
        return self._sign(Predicate.IMPORT, record.tree, record)

    def prepare(self, tree: Digest) -> Digest | Held:
        """The golden of the tree; no tree here has dependencies."""
        self.calls.append("prepare")
        if (refused := self._refusal()) is not None:
            return Held(rule=refused.rule, where=refused.where, remedy=refused.remedy)
        return golden_of(self._store, tree)

    def build(self, plan: Digest) -> Digest | Refused:
        """The Seal of base with `apply` done to it; Refused where the real one refuses a plan."""
        self.calls.append("build")
        if (refused := self._refusal()) is not None:
            return refused
        parsed = documents.decode(Plan, self._store.get(plan))
        files = files_of(self._store, parsed.base)
        if (refused := self._apply(parsed, files)) is not None:
            said = {"refused": {"rule": refused.rule, "where": refused.where, "remedy": refused.remedy}}
            broken = tuple(self._step(parsed, step, "rehearsal", said) for step in parsed.steps[:1])
            return replace(refused, receipts=broken)
        green = tree_of(self._store, files, like=parsed.base)
        steps = tuple(
            self._step(parsed, step, role, {"applied": role == "application"})
            for step in parsed.steps
            for role in ("rehearsal", "application")
        )
        seal = Seal(
            build=secrets.token_hex(16),
            plan=plan,
            base=parsed.base,
            golden=parsed.golden,
            green=green,
            steps=steps,
            at=self._clock.now(),
            snapshots={step.id: parsed.base for step in parsed.steps},
        )
        return self._sign(Predicate.SEAL, green, seal)

    def _step(self, plan: Plan, step: Step, role: str, result: Mapping[str, Any]) -> Digest:
        args = {name: arg.value for name, arg in step.args.items()}
        return self._receipt(
            "build", f"{step.id}/{role}", step.tool, plan.golden, {"work": plan.base}, {"args": args}, result
        )

    def check(self, run: CheckRun) -> Digest | Refused:
        """The Receipt of a run with the result document that `results` gives; made once, as the real keeper does it.

        Where `results` gives None the run ended badly; where it refuses, nothing ran.
        """
        self.calls.append(f"check {run.check}/{run.role}")
        if (refused := self._refusal()) is not None:
            return refused
        telling = suites.telling(run)
        answered = self._tallies.get(key_of(telling), Tally()).concluded if telling is not None else None
        if (refused := suites.unfit(run, answered)) is not None:
            return refused
        key = key_of(run)
        tally = self._tallies.get(key, Tally())
        if tally.concluded is not None:
            self._put_back(self._kept[key])
            return tally.concluded
        if (refused := exhausted(run, tally)) is not None:
            return refused
        result = self._results(run)
        if isinstance(result, Refused):
            return result
        request = {"args": dict(run.args), "overlay": run.overlay}
        try:
            laid = self._laid(run)
        except (NotFound, Tampered):
            raise
        except Unusable as error:
            return refusal_of(error)
        ended: dict[str, Any] = {"occasion": run.occasion, "attempt": 1 + tally.bad, "suite": run.suite, **laid}
        if result is None:
            ended |= {"ended_by": "wall", "exit": 137}
        receipt = self._receipt(run.check, run.role, run.tool, run.golden, run.trees, request, result, **ended)
        concluded = None if result is None else receipt
        if concluded is not None:
            self._kept[key] = self._papers(concluded)
        self._tallies[key] = Tally(bad=tally.bad + (result is None), concluded=concluded)
        return receipt

    def _laid(self, run: CheckRun) -> Mapping[str, Any]:
        """What the real keeper says of the trees that it lays; as they are where the store does not have them."""
        if run.overlay is None:
            return {"laid": dict(run.trees)}
        source, onto = run.overlay
        try:
            trees = {name: parse_manifest(self._store.get(run.trees[name])) for name in run.overlay}
        except NotFound:
            return {"laid": dict(run.trees)}
        told = suites.told(self._store, self._attestor, run)
        tree = self._store.put("tree", overlaid(trees[source], trees[onto], told or BY_NAME).encode())
        known = None if told is None else unproven(trees[source], trees[onto], told)
        return {"laid": {**run.trees, onto: tree}, "unproven": known}

    def _papers(self, envelope: Digest) -> Mapping[Digest, bytes]:
        signed = self._attestor.open(self._store.get(envelope), Predicate.RECEIPT, "keeper")
        receipt = documents.decode(Receipt, signed.body)
        output = documents.decode(RunOutput, self._store.get(receipt.output))
        named = (envelope, receipt.args, receipt.output, output.stdout, output.stderr, output.result)
        return {digest: self._store.get(digest) for digest in named if digest is not None}

    def _put_back(self, papers: Mapping[Digest, bytes]) -> None:
        for digest, data in papers.items():
            try:
                self._store.get(digest)
            except (NotFound, Tampered):
                self._store.erase(digest)
                self._store.put(prefix_of(digest), data)

    def _receipt(
        self,
        check: str,
        role: str,
        tool: Digest,
        golden: Digest,
        trees: Mapping[str, Digest],
        request: Mapping[str, Any],
        result: Any,
        **ended: Any,
    ) -> Digest:
        empty = self._store.put("text", b"")
        output = RunOutput(
            result=None if result is None else self._store.put("output", documents.encode(result)),
            stdout=self._store.put("text", self.prints.get(check, b"")),
            stderr=empty,
            truncated=False,
        )
        asked = {"args": {}, "dry_run": role.endswith("/rehearsal"), "overlay": None, "inputs": {}, **request}
        usual: dict[str, Any] = {
            "run": secrets.token_hex(16),
            "check": check,
            "role": role,
            "mounted": dict(trees),
            "golden": golden,
            "tool": tool,
            "args": self._store.put("text", documents.encode(asked)),
            "layers": self.walls,
            "exit": 0,
            "ended_by": "exit",
            "output": self._store.put("output", documents.encode(output)),
            "usage": Usage(wall_ms=1, cpu_ms=1),
            "began": self._clock.now(),
            "ended": self._clock.now(),
        }
        receipt = Receipt(**(usual | ended))
        return self._sign(Predicate.RECEIPT, receipt.output, receipt)

    def _sign(self, predicate: Predicate, about: Digest, document: Any) -> Digest:
        return self._store.put("statement", self._attestor.sign(predicate, about, documents.encode(document)))

    def _refusal(self) -> Refused | None:
        if not self._stopped():
            return None
        return Refused(rule="stopped", where="keeper", remedy="a person lifts the stop with `greenroom lift`")


def golden_of(store: Store, tree: Digest) -> Digest:
    """The golden that the fake keeper prepares from `tree`, in the store."""
    return store.put("golden", documents.encode(replace(GOLDEN, tree=tree)))


def files_of(store: Store, tree: Digest) -> dict[bytes, bytes]:
    """The regular files of a stored tree, path to content."""
    entries = parse_manifest(store.get(tree)).entries
    return {entry.path: store.get(entry.blob) for entry in entries if isinstance(entry, File)}


def tree_of(store: Store, files: Files, *, like: Digest | None = None) -> Digest:
    """Store `files` as a tree; links and executable bits are those of the tree `like`."""
    before = parse_manifest(store.get(like)).by_path() if like is not None else {}
    entries: list[Entry] = [entry for entry in before.values() if isinstance(entry, Link)]
    for path, data in files.items():
        old = before.get(path)
        executable = isinstance(old, File) and old.executable
        entries.append(File(path=path, executable=executable, size=len(data), blob=store.put("blob", data)))
    return store.put("tree", manifest_of(entries).encode())
