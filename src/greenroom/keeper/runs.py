"""One run of one tool between walls: mounts laid out, request in, bounded result out, receipt signed."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from greenroom.domain import documents, failures
from greenroom.domain.conditions import LIMITS
from greenroom.domain.digest import Digest, digest_of, prefix_of
from greenroom.domain.errors import Bug, GreenroomError, NotFound, Tampered, Unreachable, Unusable
from greenroom.domain.events import Event
from greenroom.domain.failures import OUTSIDE, Failure
from greenroom.domain.outcomes import RESULTS
from greenroom.domain.plan import ToolManifest
from greenroom.domain.ports import Attestor, Cell, CheckRun, Clock, Mount, Outcome, Store, Trees, Walls
from greenroom.domain.proof import Predicate, Receipt, RunOutput
from greenroom.domain.refusals import remedy_of
from greenroom.domain.trees import Manifest
from greenroom.domain.verdict import Instant, Refused
from greenroom.keeper import overlay, results, suites
from greenroom.keeper.admission import check_body, missing_layer, refuse_args, refuse_tool
from greenroom.keeper.drafts import Drafts
from greenroom.keeper.golden import ENVIRONMENT, PYTHON, Golden, Goldens
from greenroom.keeper.stop import Gate, Rates

Manifests = Callable[[Digest], tuple[ToolManifest, bytes] | None]
"""The manifest that a digest names in the signed policy, and the tool's body; None for any other digest."""

MAX_INPUT_BYTES = 512 * 1024 * 1024
VARIABLES = "environment"
"""The argument of a tool that names variables of the box's environment, parted by spaces."""
_BAD_RESULT = "bad-result"
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to run. `trees` become throwaway copies at /mnt/<name>.

    `directories` are mounted at /mnt/<name> as they are; `mounted` names what they hold, for the receipt.
    `inputs` are blobs at /in/<name> besides the arguments of type digest. `sealed` names a directory that the tool
    writes below /out and that becomes a tree. A rehearsal (`dry_run`) can write nothing but /out. `occasion` names
    what the run is made for, where a run of another occasion will not do. `suite` is the receipt of the run that tells
    where the tests of an overlay are.
    """

    check: str
    role: str
    tool: Digest
    golden: Digest
    args: Mapping[str, str | int] = field(default_factory=dict)
    trees: Mapping[str, Digest] = field(default_factory=dict)
    overlay: tuple[str, str] | None = None
    directories: Mapping[str, Path] = field(default_factory=dict)
    mounted: Mapping[str, Digest] = field(default_factory=dict)
    inputs: Mapping[str, Digest] = field(default_factory=dict)
    sealed: str | None = None
    dry_run: bool = False
    occasion: Digest | None = None
    suite: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a receipt's `args` names: the stored bytes of this document, with the prefix `text`."""

    args: Mapping[str, str | int]
    dry_run: bool
    overlay: tuple[str, str] | None
    inputs: Mapping[str, Digest]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A run that ended by itself or at a limit. `envelope` is the signed receipt; `result` the tool's document.

    `refused` is set when the tool said no or did not end well: a value for callers that cannot go on then.
    """

    envelope: Digest
    receipt: Receipt
    output: RunOutput
    result: bytes | None
    refused: Refused | None
    sealed: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Papers:
    """What a run leaves in the store: the signed receipt's digest, what the receipt needs to be read, what was said."""

    envelope: Digest
    needed: Mapping[Digest, bytes]
    said: Mapping[Digest, bytes]


class Record(Protocol):
    """What is told of an attempt, and must have it on the disk when the call returns."""

    def begin(self) -> int:
        """It is about to run; its number, from 1."""

    def withdraw(self) -> None:
        """Nothing ran."""

    def fail(self) -> None:
        """It ended, and its receipt could not be made or not be put into the store; not where signing alone failed."""

    def end(self, papers: Papers, *, concluded: bool) -> None:
        """It ended; nothing of it is to be read anywhere yet. `concluded` where its result is an answer."""


class _NoRecord:
    """For the keeper's own runs, which nobody else asks for."""

    def begin(self) -> int:
        return 1

    def withdraw(self) -> None:
        return

    def fail(self) -> None:
        return

    def end(self, papers: Papers, *, concluded: bool) -> None:
        del papers, concluded


_NO_RECORD = _NoRecord()


def tell_nobody(event: Event) -> None:
    """For a keeper without a log."""
    del event


def no_variables(names: Sequence[str]) -> Mapping[str, str]:
    """A box whose owner allows none."""
    del names
    return {}


class Runner:
    """Runs tools of the signed policy. The only place in the house that asks for a sandbox."""

    def __init__(
        self,
        *,
        walls: Walls,
        trees: Trees,
        store: Store,
        attestor: Attestor,
        clock: Clock,
        manifests: Manifests,
        goldens: Goldens,
        drafts: Drafts,
        gate: Gate,
        rates: Rates,
        crash_point: Callable[[str], None],
        variables: Callable[[Sequence[str]], Mapping[str, str]] = no_variables,
        tell: Callable[[Event], object] = tell_nobody,
    ) -> None:
        self.walls = walls
        self.trees = trees
        self.store = store
        self.attestor = attestor
        self.clock = clock
        self.goldens = goldens
        self.drafts = drafts
        self.gate = gate
        self.crash_point = crash_point
        self._variables = variables
        self._manifests = manifests
        self._rates = rates
        self._tell = tell

    def failed(self, failure: Failure, receipt: Digest | None = None) -> None:
        """Have the log tell of a run that gave nothing. Where it cannot, whoever asked for the run hears why of it."""
        with contextlib.suppress(GreenroomError):
            self._tell(failures.told(failure, secrets.token_hex(16), self.clock.now(), receipt))

    def run(self, job: Job, *, counted: bool = True, record: Record = _NO_RECORD) -> Ran | Refused:
        """Run `job`; Refused when nothing ran or a stop ended it.

        `counted` is False for the second half of one use (application after rehearsal), which the rate of the tool
        has counted. `record` is told of the attempt. Raises NotFound or Tampered when the store does not hold what
        the job names, and Unreachable where nobody could sign the receipt: then nothing ran and nothing is counted.
        """
        if (refused := self.gate.refusal()) is not None:
            return refused
        found = self._manifests(job.tool)
        if found is None:
            return Refused(rule="tool-unknown", where=str(job.tool)[:80], remedy="use a tool of the signed policy")
        manifest, body = found
        check_body(manifest, body, digest_of("blob", body))
        refused = refuse_tool(manifest, self.walls.layers()) or refuse_args(manifest, job.args)
        if refused is None:
            self._ready()
        if refused is None and counted:
            refused = self._rates.take(job.tool, manifest)
        if refused is not None:
            return refused
        with ExitStack() as stack:
            waited = stack.enter_context(self.gate.cell())
            if waited is not None:
                return waited
            return self._lay_out(job, manifest, body, stack.enter_context(self.drafts.open()), record)

    def _ready(self) -> None:
        """Raise Unreachable where no receipt can be signed: it says nothing about the run, which can wait."""
        try:
            self.attestor.ready()
        except (Unreachable, Tampered):
            raise
        except (Unusable, OSError) as error:
            why = refusal_of(error)
            raise Unreachable(why.rule, "no receipt could be signed", where=why.where, remedy=why.remedy) from None

    def _lay_out(self, job: Job, manifest: ToolManifest, body: bytes, draft: Path, record: Record) -> Ran | Refused:
        try:
            golden = self.goldens.open(job.golden)
            layout = _Layout(runner=self, job=job, manifest=manifest, draft=draft)
            fixed = (*self.goldens.mounts(golden), self.goldens.tools(golden, manifest.name, body))
            mounts = (*fixed, *layout.mounts())
        except (NotFound, Tampered):
            raise
        except (Unusable, OSError) as error:
            return refusal_of(error)
        attempt = _Attempt(record=record, number=record.begin(), began=self.clock.now(), layout=layout)
        self.crash_point("run.laid-out")
        given = self._variables(str(job.args.get(VARIABLES, "")).split()) if manifest.executes else {}
        outcome = self.walls.run(_cell(job, manifest, golden, mounts, given), self.gate.shut)
        self.crash_point("run.ended")
        if isinstance(outcome, Refused):
            record.withdraw()
            return outcome
        if outcome.ended_by == "stop":
            return self.gate.refusal() or Refused(
                rule="stopped", where=manifest.name, remedy="a person lifts the stop with `greenroom lift`"
            )
        return missing_layer(manifest, outcome.layers) or self._record(job, manifest, outcome, draft, attempt)

    def _record(self, job: Job, manifest: ToolManifest, outcome: Outcome, draft: Path, attempt: _Attempt) -> Ran:
        with _or_failed(attempt.record):
            broken, left, sealed = ended_badly(manifest.name, outcome), results.Left(), None
            refused = broken
            if refused is None:
                try:
                    left = results.read(draft / "out")
                    refused = said_no(left.result)
                    if refused is None and job.sealed is not None:
                        sealed = self.trees.seal(str(draft / "out" / job.sealed))
                except Unusable as error:
                    broken = refused = refusal_of(error)
            needed, said = _Pile(), _Pile()
            output = _output(outcome, left, needed, said)
            receipt = self._receipt(job, outcome, needed.add("output", documents.encode(output)), attempt, needed)
        # A key that cannot sign says nothing about the run: the attempt stays begun, as one that was cut.
        signed = self.attestor.sign(Predicate.RECEIPT, receipt.output, documents.encode(receipt))
        with _or_failed(attempt.record):
            papers = Papers(envelope=needed.add("statement", signed), needed=needed.papers, said=said.papers)
            attempt.record.end(papers, concluded=_concluded(job.check, left.result, refused))
            self.crash_point("run.signed")
            for digest, data in {**papers.said, **papers.needed}.items():
                self.store.put(prefix_of(digest), data)
            if refused is not None and (broken is not None or refused.rule == _BAD_RESULT):
                self._note(job, manifest, refused.rule, papers.envelope)
        return Ran(
            envelope=papers.envelope,
            receipt=receipt,
            output=output,
            result=left.result,
            refused=refused,
            sealed=sealed,
        )

    def _note(self, job: Job, manifest: ToolManifest, rule: str, receipt: Digest) -> None:
        during = OUTSIDE.get(job.check)
        if during is not None:
            self.failed(Failure(during=during, tool=manifest.name, tier=manifest.tier, rule=rule), receipt)

    def _receipt(self, job: Job, outcome: Outcome, output: Digest, attempt: _Attempt, needed: _Pile) -> Receipt:
        request = Request(args=job.args, dry_run=job.dry_run, overlay=job.overlay, inputs=job.inputs)
        return Receipt(
            run=secrets.token_hex(16),
            check=job.check,
            role=job.role,
            mounted={**job.trees, **job.mounted},
            golden=job.golden,
            tool=job.tool,
            args=needed.add("text", documents.encode(request)),
            layers=dict(outcome.layers),
            exit=outcome.exit,
            ended_by=outcome.ended_by,
            output=output,
            usage=outcome.usage,
            began=attempt.began,
            ended=self.clock.now(),
            attempt=attempt.number,
            occasion=job.occasion,
            laid=attempt.layout.laid,
            unproven=attempt.layout.unproven,
            suite=job.suite,
        )


@contextlib.contextmanager
def _or_failed(record: Record) -> Iterator[None]:
    try:
        yield
    except Exception:
        record.fail()
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    record: Record
    number: int
    began: Instant
    layout: _Layout


class _Pile:
    """Papers that have their digests and are in no store yet."""

    def __init__(self) -> None:
        self.papers: dict[Digest, bytes] = {}

    def add(self, prefix: str, data: bytes) -> Digest:
        """Lay `data` on the pile; its digest."""
        digest = digest_of(prefix, data)
        self.papers[digest] = data
        return digest


def _output(outcome: Outcome, left: results.Left, needed: _Pile, said: _Pile) -> RunOutput:
    return RunOutput(
        result=needed.add("output", left.result) if left.result is not None else None,
        stdout=said.add("text", outcome.stdout),
        stderr=said.add("text", outcome.stderr),
        truncated=outcome.truncated,
        artifacts={name: needed.add("blob", data) for name, data in left.artifacts.items()},
    )


class _Layout:
    """The directories of one run, and the mounts that show them to the cell; `laid` are the trees in them.

    `unproven` is what the receipt says of the overlay.
    """

    def __init__(self, *, runner: Runner, job: Job, manifest: ToolManifest, draft: Path) -> None:
        self._runner = runner
        self._job = job
        self._manifest = manifest
        self._draft = draft
        self.laid: dict[str, Digest] = {}
        self.unproven: tuple[str, ...] | None = None
        self._singly: tuple[bytes, ...] = ()

    def mounts(self) -> tuple[Mount, ...]:
        """Every mount but golden's, outer ones first."""
        out = self._runner.drafts.give(self._draft / "out")
        return (
            Mount(source=str(self._files("in", self._inputs())), target="/in"),
            Mount(source=str(out), target="/out", writable=True),
            *self._trees(),
            *(self._mount(name, path) for name, path in sorted(self._job.directories.items())),
        )

    def _inputs(self) -> Mapping[str, bytes]:
        rules = self._manifest.args
        named = {n: Digest(str(v)) for n, v in self._job.args.items() if rules[n].type == "digest"}
        return {n: self._runner.store.get(d, MAX_INPUT_BYTES) for n, d in {**self._job.inputs, **named}.items()}

    def _files(self, folder: str, files: Mapping[str, bytes]) -> Path:
        place = self._draft / folder
        place.mkdir()
        place.chmod(0o755)
        for name, data in files.items():
            if name != Path(name).name or name.startswith("."):
                raise Bug("bad-input-name", f"not a file name: {name[:80]!r}")
            (place / name).write_bytes(data)
            (place / name).chmod(0o444)
        return place

    def _trees(self) -> Iterator[Mount]:
        trees = {name: self._runner.trees.manifest(tree) for name, tree in self._job.trees.items()}
        if self._job.overlay is not None:
            source, onto = self._job.overlay
            if source not in trees or onto not in trees or source == onto:
                raise Unusable("bad-overlay", "an overlay names two mounted trees", where=f"{source[:40]}, {onto[:40]}")
            known = suites.told(self._runner.store, self._runner.attestor, _asked(self._job))
            self._singly = overlay.singly(trees[source], trees[onto], known or overlay.BY_NAME)
            self.unproven = overlay.unproven(trees[source], trees[onto], known) if known is not None else None
            trees[onto] = overlay.overlaid(trees[source], trees[onto], known or overlay.BY_NAME)
        if trees:
            (self._draft / "mnt").mkdir()
            (self._draft / "mnt").chmod(0o711)
        for name, manifest in sorted(trees.items()):
            yield from self._copy(name, manifest)

    def _copy(self, name: str, manifest: Manifest) -> Iterator[Mount]:
        """One throwaway copy. Code that the tool executes may write in it, but not where its tests are.

        That holds for every tree, overlaid or not, so that all runs of a suite are under the same conditions.
        Where tests lie by their names in too many places to protect one by one, the whole copy is read-only. Beyond
        names single files of an overlay are protected, and never what lies beside them.
        """
        check_mount_name(name)
        path = self._draft / "mnt" / name
        tree = self._runner.store.put("tree", manifest.encode())
        self.laid[name] = tree
        self._runner.trees.materialise(tree, str(path), uid=self._runner.drafts.uid)
        protects = self._manifest.executes and self._writable(name)
        roots = overlay.read_only(manifest) if protects else ()
        if len(roots) > overlay.MAX_PROTECTED:
            yield Mount(source=str(path), target=f"/mnt/{name}")
            return
        yield self._mount(name, path)
        laid = self._job.overlay is not None and name == self._job.overlay[1]
        singly = self._singly if protects and laid else ()
        for root in map(os.fsdecode, (*roots, *singly)):
            yield Mount(source=str(path / root), target=f"/mnt/{name}/{root}")

    def _mount(self, name: str, path: Path) -> Mount:
        check_mount_name(name)
        return Mount(source=str(path), target=f"/mnt/{name}", writable=self._writable(name))

    def _writable(self, name: str) -> bool:
        return name in self._manifest.roots and not self._job.dry_run


def _asked(job: Job) -> CheckRun:
    """What a check asked for, of which `job` was made."""
    return CheckRun(
        check=job.check,
        role=job.role,
        tool=job.tool,
        args=job.args,
        trees=job.trees,
        golden=job.golden,
        overlay=job.overlay,
        occasion=job.occasion,
        suite=job.suite,
    )


def check_mount_name(name: str) -> None:
    """Raise Unusable `bad-mount-name` unless `name` is a short lower-case word."""
    if not (name.isascii() and name.isalpha() and name.islower() and len(name) <= 16):
        raise Unusable("bad-mount-name", "a tree is mounted under a lower-case word", where=name[:40])


def refusal_of(error: Unusable | OSError) -> Refused:
    """Unusable output of hostile code as a refusal: the same rule, place and remedy. A full disk is one, too.

    Raises any other OSError again.
    """
    if isinstance(error, OSError):
        if error.errno not in _FULL:
            raise error
        return Refused(rule="disk-full", where=str(error.filename or "the keeper's directory"), remedy="free space")
    where = f"{error.where}: {error.message}" if error.where else error.message
    return Refused(
        rule=error.reference, where=where[:500], remedy=remedy_of(error, "mend what is named, then try again")
    )


def ended_badly(name: str, outcome: Outcome) -> Refused | None:
    """How a run ended, as a refusal; None when the tool ended by itself with exit code 0."""
    rule, remedy = _ENDINGS.get(outcome.ended_by, _CRASH)
    if outcome.ended_by == "exit":
        if outcome.exit == 0:
            return None
        rule, remedy = _CRASH
    tail = outcome.stderr[-300:].decode("utf-8", "replace").strip()
    shown = "".join(c if c.isprintable() else " " for c in tail)
    return Refused(rule=rule, where=f"{name}: ended by {outcome.ended_by}, exit {outcome.exit}: {shown}", remedy=remedy)


_CRASH = ("tool-crash", "`greenroom show ID --runs` prints what it said before it broke down")
_ENDINGS: Mapping[str, tuple[str, str]] = {
    "signal": _CRASH,
    "wall": (LIMITS["wall"], "it ran past its time; make the step smaller or raise the tool's wall time in the policy"),
    "memory": (LIMITS["memory"], "make the step smaller or raise the tool's memory in the policy"),
    "output": (LIMITS["output"], "make the step quieter or raise the tool's output in the policy"),
    "disk": (LIMITS["disk"], "free space, or raise the tool's write volume in the policy"),
    "processes": (LIMITS["processes"], "start fewer processes, or raise the tool's limit in the policy"),
}


def said_no(result: bytes | None) -> Refused | None:
    """The refusal in a tool's result (`{"refused": {"rule", "where", "remedy"}}`), if there is one.

    A tool that ended with 0 and left no result, or none that is JSON, broke its promise: `bad-result`.
    """
    if result is None:
        return Refused(rule=_BAD_RESULT, where="the tool left no result.json", remedy="mend the tool")
    try:
        plain = documents.load_json(result, limit=results.MAX_RESULT_BYTES)
        if not isinstance(plain, dict) or plain.get("refused") is None:
            return None
        found = documents.from_plain(Refused, plain["refused"], "$.refused")
    except Unusable as error:
        return Refused(rule=_BAD_RESULT, where=error.message[:300], remedy="mend the tool")
    if not isinstance(found, Refused):
        raise Bug("bad-refusal", "a refusal was read as something else")
    return Refused(rule=found.rule[:60], where=found.where[:500], remedy=found.remedy[:500])


def _concluded(check: str, result: bytes | None, refused: Refused | None) -> bool:
    """Whether the run is an answer: it left a result that its check can read, or the tool said no for a reason."""
    if result is None or refused is not None:
        return result is not None and refused is not None and refused.rule != _BAD_RESULT
    kind = RESULTS.get(check)
    if kind is None:
        return True
    try:
        documents.decode(kind, result)
    except Unusable:
        return False
    return True


def words_of(tool: str) -> tuple[str, ...]:
    """The command that runs a tool's body in its cell; what it is to do comes by stdin."""
    return (PYTHON, "-I", "-B", f"/tools/{tool}.py")


def _cell(
    job: Job, manifest: ToolManifest, golden: Golden, mounts: tuple[Mount, ...], given: Mapping[str, str]
) -> Cell:
    names = sorted({*job.trees, *job.directories})
    request = {
        "args": dict(job.args),
        "mounts": {name: f"/mnt/{name}" for name in names},
        "dry_run": job.dry_run,
        "golden": "/golden",
        "deps": "/deps" if golden.deps is not None else None,
    }
    return Cell(
        argv=words_of(manifest.name),
        mounts=mounts,
        caps=manifest.caps,
        env={**given, **(golden.environment or ENVIRONMENT)},
        stdin=documents.encode(request),
    )
