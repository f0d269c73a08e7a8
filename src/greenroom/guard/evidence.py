"""Evidence, recomputed from what the keeper signed and from nothing else.

Every receipt is opened, and must be what its check asks for: the right tool of the signed policy, the right
trees at the right mounts, the right overlay, the plan's golden, and no argument that narrows what runs.
A caller may leave receipts out: then the check is inconclusive. It cannot bend one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from greenroom.domain import conditions, documents, outcomes
from greenroom.domain.arguments import unfit
from greenroom.domain.digest import Digest, prefix_of
from greenroom.domain.errors import TooLarge, Unusable
from greenroom.domain.outcomes import RESULTS, Run
from greenroom.domain.plan import Arg, Plan, ToolManifest
from greenroom.domain.ports import Attestor, Policy, Store
from greenroom.domain.proof import Evidence, Predicate, Receipt, RunOutput, Seal
from greenroom.domain.vocabulary import Trust
from greenroom.guard import steps as steps_room
from greenroom.guard.golden import check_golden

TEST_ENVIRONMENT = "environment"
"""The argument of a test run that names variables; it is what the plan says, so the card shows it."""
MAX_RECEIPTS = 128
MAX_SEALS = 8
MAX_RESULT_BYTES = 8 * 1024 * 1024
AGAIN = "-again"
TEST_COMMAND = "argv"
"""The one argument of a test run that a person may have set; the card must show it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the runs of one check must be: tool, for each role the trees by mount name, overlays, arguments."""

    tool: str
    mounts: Mapping[str, Mapping[str, str]]
    overlay: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    args: frozenset[str] = frozenset()


_BOTH = {"diff": {"base": "base", "green": "green"}}
_COMPARED = {"base": {"work": "base"}, "base-on-green": {"work": "green", "base": "base"}}
_OVER = {"base-on-green": ("base", "work")}
_COMMAND = frozenset({TEST_COMMAND, TEST_ENVIRONMENT})

SHAPES: Mapping[str, Shape] = {
    "classify": Shape(tool="classify_diff_t0", mounts=_BOTH, args=frozenset({"reproduce"})),
    "scan": Shape(tool="scan_diff_t0", mounts=_BOTH),
    "loosened": Shape(tool="compare_tests_t0", mounts=_BOTH),
    "tests": Shape(tool="run_tests_t1", mounts=_COMPARED, overlay=_OVER, args=_COMMAND),
    "live-tests": Shape(tool="run_tests_t1", mounts=_COMPARED, overlay=_OVER, args=_COMMAND),
    "own-tests": Shape(tool="run_tests_t1", mounts={"own": {"work": "green"}, "base": {"work": "base"}}, args=_COMMAND),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What the evidence must be about.

    `trust` is the most that words of the subject's proposers may claim. `occasion` is what its runs were made for: a
    spent warrant, for a watch.
    """

    plan_digest: Digest
    plan: Plan
    green: Digest
    policy: Policy
    min_share: int
    trust: Trust
    occasion: Digest | None = None

    @property
    def trees(self) -> Mapping[str, Digest]:
        """The two trees by the names that SHAPES uses."""
        return {"base": self.plan.base, "green": self.green}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the papers prove: evidence for each check, the walls that every run had, the test command, the diffs that
    the classifier left, the steps before which every build kept Green, where a wall ended a run."""

    evidence: tuple[Evidence, ...]
    runs: tuple[Run, ...]
    layers: Mapping[str, bool]
    test_command: str | None
    diffs: frozenset[Digest]
    snapshots: frozenset[str]
    violations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Opened:
    run: Run
    output: RunOutput
    request: Mapping[str, Any]


class EvidenceRoom:
    """Opens the keeper's papers."""

    def __init__(self, store: Store, attestor: Attestor) -> None:
        self._store = store
        self._attestor = attestor

    def recompute(
        self, case: Case, checks: Sequence[str], receipts: Sequence[Digest], seals: Sequence[Digest]
    ) -> Found:
        """Evidence for each of `checks`.

        Raises Unusable (`receipt-...`, `seal-...`, `golden-...`), Tampered for a signature or digest that does not
        hold, NotFound.
        """
        check_golden(self._store, case.plan)
        opened = self._receipts(case, receipts)
        evidence = []
        steps: list[Receipt] = []
        kept: frozenset[str] = frozenset()
        for check in checks:
            if check == "reseal":
                pairs, steps, kept = self._seals(case, seals)
                evidence.append(outcomes.conclude_reseal(case.green, case.plan_digest, pairs))
                continue
            runs = outcomes.runs_of(check, case.green, [item.run for item in opened])
            evidence.append(outcomes.conclude(check, case.green, runs, min_share=case.min_share))
        every = [*(item.run.receipt for item in opened), *steps]
        return Found(
            evidence=tuple(evidence),
            runs=tuple(item.run for item in opened),
            layers=_enforced_by_all(every),
            test_command=_command(opened),
            diffs=frozenset(
                digest
                for item in opened
                if item.run.receipt.check == "classify"
                for digest in item.output.artifacts.values()
            ),
            snapshots=kept,
            violations=conditions.violations(every),
        )

    def _receipts(self, case: Case, receipts: Sequence[Digest]) -> list[_Opened]:
        if len(receipts) > MAX_RECEIPTS:
            raise TooLarge("too-many-receipts", f"a dossier has at most {MAX_RECEIPTS} receipts")
        found = [self._open(digest) for digest in dict.fromkeys(receipts)]
        if len({item.run.receipt.run for item in found}) != len(found):
            raise Unusable("receipt-repeated", "two receipts are of one run", remedy=_RERUN)
        _check_one_each(found)
        for item in found:
            _check_shape(case, item)
            _check_occasion(case, item)
        _check_suites(found)
        return sorted(found, key=lambda item: (item.run.receipt.began, item.run.receipt.run))

    def _open(self, digest: Digest) -> _Opened:
        receipt = self._receipt(digest)
        output = documents.decode(RunOutput, self._store.get(receipt.output))
        run = Run(digest=digest, receipt=receipt, result=self._result(receipt, output))
        return _Opened(run, output, self._request(receipt))

    def _receipt(self, digest: Digest) -> Receipt:
        return documents.decode(Receipt, self._envelope(digest, Predicate.RECEIPT))

    def _envelope(self, digest: Digest, predicate: Predicate) -> bytes:
        if prefix_of(digest) != "statement":
            raise Unusable("not-a-statement", "a signed envelope is expected here", where=digest)
        return self._attestor.open(self._store.get(digest), predicate, "keeper").body

    def _result(self, receipt: Receipt, output: RunOutput) -> Any:
        kind = RESULTS.get(receipt.check)
        if kind is None or output.result is None:
            return None
        try:
            return documents.decode(kind, self._store.get(output.result, MAX_RESULT_BYTES), limit=MAX_RESULT_BYTES)
        except Unusable as error:
            # What a tool left malformed is no result: the rules then call the run inconclusive.
            if error.reference in ("bad-json", "bad-document", "bad-digest", "document-too-deep", "blob-too-large"):
                return None
            raise

    def _request(self, receipt: Receipt) -> Mapping[str, Any]:
        """What the run was asked: `args`, `overlay`, `inputs` and `dry_run`, as the keeper stored it."""
        plain = documents.load_json(self._store.get(receipt.args))
        if not isinstance(plain, dict) or not isinstance(plain.get("args"), dict):
            raise Unusable("receipt-without-request", "the receipt names no readable request", where=receipt.run)
        return plain

    def _seals(
        self, case: Case, seals: Sequence[Digest]
    ) -> tuple[list[tuple[Digest, Seal]], list[Receipt], frozenset[str]]:
        if len(seals) > MAX_SEALS:
            raise TooLarge("too-many-seals", f"a dossier has at most {MAX_SEALS} seals")
        pairs, steps, kept = [], list[Receipt](), list[frozenset[str]]()
        for digest in dict.fromkeys(seals):
            seal = documents.decode(Seal, self._envelope(digest, Predicate.SEAL))
            if (seal.plan, seal.base, seal.golden) != (case.plan_digest, case.plan.base, case.plan.golden):
                raise Unusable("seal-of-another-plan", "a seal is of another plan or base", where=digest, remedy=_RERUN)
            pairs.append((digest, seal))
            runs = self._steps(case, digest, seal)
            steps += [run.receipt for run in runs]
            kept.append(steps_room.kept(self._store, case.plan, seal, runs))
        return pairs, steps, kept[0].intersection(*kept) if kept else frozenset()

    def _steps(self, case: Case, digest: Digest, seal: Seal) -> list[steps_room.Ran]:
        """Each step of the plan was rehearsed and applied with its own tool, and ended well."""
        if len(seal.steps) > 2 * len(case.plan.steps):
            raise Unusable("seal-steps", "a seal names more runs than the plan has steps", where=digest, remedy=_RERUN)
        runs = [self._step(step) for step in seal.steps]
        steps_room.check_steps(case.plan, digest, runs)
        return runs

    def _step(self, digest: Digest) -> steps_room.Ran:
        receipt = self._receipt(digest)
        output = documents.decode(RunOutput, self._store.get(receipt.output))
        return steps_room.Ran(receipt=receipt, request=self._request(receipt), told=output.result is not None)


_RERUN = steps_room.REMEDY


def _check_shape(case: Case, item: _Opened) -> None:
    receipt = item.run.receipt
    shape = SHAPES.get(receipt.check)
    role = receipt.role.removesuffix(AGAIN)
    if shape is None or role not in shape.mounts:
        raise _bent("receipt-unknown-role", receipt, "no check has such a run")
    manifest = case.policy.manifest(receipt.tool)
    if manifest is None or manifest.name != shape.tool:
        raise _bent("receipt-wrong-tool", receipt, f"the check runs {shape.tool} of the signed policy")
    if receipt.mounted != {name: case.trees[which] for name, which in shape.mounts[role].items()}:
        raise _bent("receipt-wrong-trees", receipt, "the run was not on this base and this Green")
    if receipt.golden != case.plan.golden:
        raise _bent("receipt-wrong-golden", receipt, "the run used another toolchain than the plan names")
    wanted = shape.overlay.get(role)
    if item.request.get("overlay") != (None if wanted is None else list(wanted)):
        raise _bent("receipt-wrong-overlay", receipt, "the run did not lay base's tests over the code as it must")
    narrowed = item.request.get("dry_run") is not False or item.request.get("inputs") not in ({}, None)
    if narrowed or not set(item.request["args"]) <= shape.args:
        raise _bent("receipt-wrong-args", receipt, "the run had arguments that this check does not take")
    names = case.plan.terms.environment if case.plan.terms is not None else ()
    if shape.args == _COMMAND and item.request["args"].get(TEST_ENVIRONMENT, "") != " ".join(names):
        raise _bent("receipt-wrong-args", receipt, "the tests were given other variables than the plan names")
    _check_args(case, item, manifest)


def _check_args(case: Case, item: _Opened, manifest: ToolManifest) -> None:
    """Each argument keeps the manifest's rule for it, by the trust that is known here.

    A test command counts as a person's words: no warrant goes without a consent whose card shows it.
    """
    labelled = {
        name: Arg(value=value, trust=Trust.PERSON if name == TEST_COMMAND else case.trust)
        for name, value in item.request["args"].items()
    }
    for problem in unfit("the run", labelled, manifest, case.plan.blobs):
        raise _bent("receipt-wrong-args", item.run.receipt, f"{problem.rule}: {problem.where}: {problem.remedy}"[:300])


def _check_one_each(found: Sequence[_Opened]) -> None:
    """The keeper makes each run once: two receipts for one role are two draws, and nobody may choose."""
    seen: set[tuple[str, str]] = set()
    for item in found:
        role = (item.run.receipt.check, item.run.receipt.role)
        if role in seen:
            raise _bent("receipt-of-a-second-draw", item.run.receipt, "there are two receipts for this run")
        seen.add(role)


def _check_suites(found: Sequence[_Opened]) -> None:
    """Where base's tests are is told by the very run on base that the dossier has; earlier versions name none."""
    told = {item.run.receipt.check: item.run.digest for item in found if item.run.receipt.role == "base"}
    for item in found:
        suite = item.run.receipt.suite
        if suite is not None and told.get(item.run.receipt.check, suite) != suite:
            raise _bent("receipt-of-another-suite", item.run.receipt, "another run told where the tests are")


def _check_occasion(case: Case, item: _Opened) -> None:
    if item.run.receipt.occasion != case.occasion:
        raise _bent("receipt-of-another-occasion", item.run.receipt, "the run was not made for this")


def _bent(rule: str, receipt: Receipt, why: str) -> Unusable:
    where = f"{receipt.check}/{receipt.role}, run {receipt.run}"[:200]
    return Unusable(rule, why, where=where, remedy=_RERUN)


def _command(opened: Sequence[_Opened]) -> str | None:
    """The test command of every test run, None for the detected one; all must be alike."""
    tests = [item for item in opened if SHAPES[item.run.receipt.check].args == _COMMAND]
    commands = {str(item.request["args"].get(TEST_COMMAND, "")) for item in tests}
    if len(commands) > 1:
        raise Unusable("receipt-wrong-args", "the test runs were not made with one command", remedy=_RERUN)
    return (commands.pop() if commands else "") or None


def _enforced_by_all(receipts: Sequence[Receipt]) -> Mapping[str, bool]:
    names = {name for receipt in receipts for name in receipt.layers}
    return {name: all(receipt.layers.get(name) is True for receipt in receipts) for name in sorted(names)}
