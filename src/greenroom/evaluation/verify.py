"""Verify: asks the keeper for the runs of one check, opens its receipts, and lets the rules conclude.

How each check runs (mount names, roles) is the table `ASKS`; what its runs mean is `domain.outcomes`.
Tests that come out different on Green run again on both codes: that tells flaky from broken.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from greenroom.domain import documents, outcomes
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.errors import Unusable
from greenroom.domain.outcomes import Run, TestRun
from greenroom.domain.plan import Plan
from greenroom.domain.ports import Attestor, CheckRun, Keeper, Store
from greenroom.domain.proof import Evidence
from greenroom.domain.verdict import Refused
from greenroom.domain.vocabulary import Subject
from greenroom.evaluation.runs import open_run, open_seal

AGAIN = "-again"
MAX_EARLY = 256
"""How many early runs are remembered; of those that nobody came for, the oldest are forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """How one check is run: its tool, and for each role which tree (`base` or `green`) each mount name holds."""

    tool: str
    mounts: Mapping[str, Mapping[str, str]]
    overlay: Mapping[str, tuple[str, str]] = field(default_factory=dict)


_BOTH = {"diff": {"base": "base", "green": "green"}}
_COMPARED = {"base": {"work": "base"}, "base-on-green": {"work": "green", "base": "base"}}
_OVER = {"base-on-green": ("base", "work")}

ASKS: Mapping[str, Ask] = {
    "classify": Ask(tool="classify_diff_t0", mounts=_BOTH),
    "scan": Ask(tool="scan_diff_t0", mounts=_BOTH),
    "loosened": Ask(tool="compare_tests_t0", mounts=_BOTH),
    "tests": Ask(tool="run_tests_t1", mounts=_COMPARED, overlay=_OVER),
    "live-tests": Ask(tool="run_tests_t1", mounts=_COMPARED, overlay=_OVER),
    "own-tests": Ask(tool="run_tests_t1", mounts={"own": {"work": "green"}, "base": {"work": "base"}}),
}
EARLY: Mapping[str, str] = {"tests": "base", "classify": "diff", "scan": "diff", "loosened": "diff"}
"""The runs, by check and role, that may begin before the checks that stand in front of them are through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the executor remembers of a plan: how its patch is made again, and the seals of earlier builds."""

    reproduce: str = ""
    seals: tuple[Digest, ...] = ()


def _nothing_known(plan: Digest) -> Known:
    del plan
    return Known()


def _no_test_args(subject: Subject) -> Mapping[str, str | int]:
    del subject
    return {}


class _Denied(Exception):
    """The keeper refused a run: there is no receipt, so the check cannot conclude."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.rule)
        self.refused = refused


@dataclass(frozen=True, slots=True)
class _Case:
    check: str
    base: Digest
    green: Digest
    golden: Digest
    args: Mapping[str, str | int]
    occasion: Digest | None


class KeeperEvaluator:
    """The Evaluator port over a keeper.

    `tools` gives manifest digests by tool name; `min_share` is the percentage of base's tests that must pass;
    `known` tells what is remembered of a plan digest; `test_args` gives a subject's arguments of `run_tests_t1`
    (a test command that the owner set). The keeper makes each run once, so many changes of one base share its runs.
    `side_by_side` is True where the keeper runs more than one cell at a time.
    """

    def __init__(
        self,
        *,
        keeper: Keeper,
        store: Store,
        attestor: Attestor,
        tools: Callable[[], Mapping[str, Digest]],
        min_share: Callable[[], int],
        known: Callable[[Digest], Known] = _nothing_known,
        test_args: Callable[[Subject], Mapping[str, str | int]] = _no_test_args,
        side_by_side: bool = False,
    ) -> None:
        self._keeper = keeper
        self._store = store
        self._attestor = attestor
        self._tools = tools
        self._min_share = min_share
        self._known = known
        self._test_args = test_args
        self._side_by_side = side_by_side
        self._early: dict[tuple[Digest, bytes], Future[Digest | Refused]] = {}
        self._lock = threading.Lock()

    def begin(self, checks: Sequence[str], plan: Plan, base: Digest, green: Digest | None, golden: Digest) -> None:
        """Have those runs of `checks` begin that wait for nothing: each is then there, or on its way, when it is due.

        They are base's tests and what only reads the trees: no code of Green runs before its diff was looked at.
        Without a Green, while it is built, base's tests alone; the next `begin` of the same plan takes them over.
        Nothing where the keeper has one cell, which base's tests would keep from all others.
        """
        if not self._side_by_side:
            return
        digest = digest_of("plan", documents.encode(plan))
        known = self._known(digest)
        for check in (check for check in EARLY if check in checks and (green or _of_base(check))):
            case = _Case(check, base, green or base, golden, self._args(check, plan, known), None)
            run = self._asked(case, EARLY[check])
            early = self._remember(green or digest, run, digest)
            if early is not None:
                threading.Thread(target=self._make, args=(run, early), name=f"early-{check}", daemon=True).start()

    def _remember(self, whose: Digest, run: CheckRun, plan: Digest) -> Future[Digest | Refused] | None:
        """What will hold the answer of an early run; None where that run is under way for the same Green.

        `whose` is that Green, or the plan of one that is being built. Green takes over what began for its plan, also
        where it has ended: to ask for that again would be another attempt.
        """
        key, earlier = (whose, documents.encode(run)), (plan, documents.encode(run))
        with self._lock:
            begun = self._early.pop(earlier, None) if key != earlier else None
            under_way = self._early.pop(key, None)
            if begun is None and under_way is not None and not under_way.done():
                begun = under_way
            if begun is not None:
                self._early[key] = begun
                return None
            self._early[key] = early = Future[Digest | Refused]()
            while len(self._early) > MAX_EARLY:
                self._early.pop(next(iter(self._early)))
            return early

    def _make(self, run: CheckRun, early: Future[Digest | Refused]) -> None:
        """Whatever comes of it is said to whoever asks for the run when it is due."""
        try:
            early.set_result(self._keeper.check(run))
        except BaseException as error:
            early.set_exception(error)

    def _answer(self, green: Digest, run: CheckRun) -> Digest | Refused:
        """The keeper's answer: that of the early run, whatever its receipt says, since asking again is another attempt.

        Where that one gave no receipt, the keeper is asked: what kept it from running may be over.
        """
        with self._lock:
            early = self._early.pop((green, documents.encode(run)), None)
        if early is not None and early.exception() is None and not isinstance(early.result(), Refused):
            return early.result()
        return self._keeper.check(run)

    def verify(
        self,
        check: str,
        plan: Plan,
        base: Digest,
        green: Digest,
        golden: Digest,
        occasion: Digest | None = None,
        found: Sequence[Evidence] = (),
    ) -> Evidence:
        """Evidence of `check` about `green`, from runs made for `occasion` where one is given.

        `found` are checks of the same Green on the same occasion: where their runs prove this one too, none is made.
        Inconclusive, with the keeper's rule and remedy as facts, and the receipts of a build that broke off, when the
        keeper refused a run. Raises Unusable `unknown-check` or `unknown-tool`, Tampered for a receipt that the keeper
        did not sign.
        """
        encoded = documents.encode(plan)
        known = self._known(digest_of("plan", encoded))
        try:
            if check == "reseal":
                return self._reseal(self._store.put("plan", encoded), green, known)
            lent = self._lent(check, green, found)
            if lent is not None:
                return lent
            case = _Case(check, base, green, golden, self._args(check, plan, known), occasion)
            runs = self._runs(case)
        except _Denied as denied:
            return _not_run(check, green, denied.refused)
        return outcomes.conclude(check, green, runs, min_share=self._min_share())

    def _lent(self, check: str, green: Digest, found: Sequence[Evidence]) -> Evidence | None:
        """What runs that were made for `tests` say of `own-tests`, where they say that nothing is wrong."""
        tests = next((item for item in found if item.check == "tests" and item.about == green), None)
        if check != outcomes.OWN or tests is None:
            return None
        runs = [open_run(self._store, self._attestor, digest) for digest in tests.receipts]
        counted = outcomes.runs_of(check, green, runs)
        said = outcomes.conclude(check, green, counted, min_share=self._min_share()) if counted else None
        return said if said is not None and said.verdict in ("pass", "broken-before") else None

    def _args(self, check: str, plan: Plan, known: Known) -> Mapping[str, str | int]:
        if check == "classify":
            return {"reproduce": known.reproduce} if known.reproduce else {}
        if _ask(check).tool != "run_tests_t1":
            return {}
        names = plan.terms.environment if plan.terms is not None else ()
        return {**self._test_args(plan.subject), **({"environment": " ".join(names)} if names else {})}

    def _runs(self, case: _Case) -> Sequence[Run]:
        if case.check in ("tests", "live-tests"):
            return self._compared(case)
        if case.check == "own-tests":
            return self._own(case)
        return [self._run(case, "diff")]

    def _compared(self, case: _Case) -> Sequence[Run]:
        base = self._run(case, "base")
        if not _ended(base):
            return [base]
        runs = [base, self._run(case, "base-on-green", suite=base.digest)]
        if all(_ended(run) for run in runs) and _differ(runs[0], runs[1]):
            runs += [self._run(case, "base", AGAIN), self._run(case, "base-on-green", AGAIN, suite=base.digest)]
        return runs

    def _own(self, case: _Case) -> Sequence[Run]:
        runs = [self._run(case, "own")]
        if _ended(runs[0]) and _failing(runs[0]):
            runs += [self._run(case, "base"), self._run(case, "own", AGAIN)]
        return runs

    def _asked(self, case: _Case, role: str, suffix: str = "", suite: Digest | None = None) -> CheckRun:
        ask = _ask(case.check)
        trees = {"base": case.base, "green": case.green}
        return CheckRun(
            check=case.check,
            role=role + suffix,
            tool=self._tool(case.check),
            args=case.args,
            trees={name: trees[which] for name, which in ask.mounts[role].items()},
            golden=case.golden,
            overlay=ask.overlay.get(role),
            occasion=case.occasion,
            suite=suite,
        )

    def _run(self, case: _Case, role: str, suffix: str = "", suite: Digest | None = None) -> Run:
        answer = self._answer(case.green, self._asked(case, role, suffix, suite))
        if isinstance(answer, Refused):
            raise _Denied(answer)
        return open_run(self._store, self._attestor, answer)

    def _reseal(self, plan: Digest, green: Digest, known: Known) -> Evidence:
        seals = {
            digest: open_seal(self._store, self._attestor, digest) for digest in known.seals if self._store.has(digest)
        }
        seals = {digest: seal for digest, seal in seals.items() if seal.plan == plan}
        while len(seals) < 2:
            answer = self._keeper.build(plan)
            if isinstance(answer, Refused):
                raise _Denied(answer)
            if answer in seals:
                raise Unusable("seal-repeated", "the keeper gave the same seal for two builds", where=answer)
            seals[answer] = open_seal(self._store, self._attestor, answer)
        return outcomes.conclude_reseal(green, plan, tuple(seals.items()))

    def _tool(self, check: str) -> Digest:
        name = _ask(check).tool
        tool = self._tools().get(name)
        if tool is None:
            raise Unusable("unknown-tool", f"the signed policy has no tool {name!r}", where=check)
        return tool


def _of_base(check: str) -> bool:
    """True where the early run of `check` sees base only."""
    return set(_ask(check).mounts[EARLY[check]].values()) == {"base"}


def _ask(check: str) -> Ask:
    ask = ASKS.get(check)
    if ask is None:
        raise Unusable("unknown-check", f"no rule for the check {check!r}")
    return ask


def _ended(run: Run) -> bool:
    return run.receipt.ended_by == "exit" and isinstance(run.result, TestRun)


def _differ(base: Run, green: Run) -> bool:
    """True when a test that passes on base does not on Green, or is not there."""
    if not isinstance(base.result, TestRun) or not isinstance(green.result, TestRun):
        return False
    on_green = green.result.outcomes
    return any(
        test not in on_green or (outcome == "passed" and on_green[test] != "passed")
        for test, outcome in base.result.outcomes.items()
    )


def _failing(run: Run) -> bool:
    return isinstance(run.result, TestRun) and any(o in ("failed", "error") for o in run.result.outcomes.values())


def _not_run(check: str, green: Digest, refused: Refused) -> Evidence:
    why = f"{refused.rule}: {refused.where}"
    facts = {"why": why, "rule": refused.rule, "remedy": refused.remedy}
    if refused.receipts:
        facts[outcomes.BROKEN] = " ".join(refused.receipts)
    return Evidence(check=check, about=green, verdict="inconclusive", receipts=(), facts=facts)
