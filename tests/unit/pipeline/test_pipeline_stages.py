"""Each stage by itself: what it learns, what it refuses, and that running it twice is running it once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pipeline_cases import BASE, GREEN, PLAN, RISK, SUBJECT, a_change, a_proposal

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.errors import Bug, Tampered, TooLarge, Unreachable, Unusable
from greenroom.domain.plan import Plan
from greenroom.domain.ports import Dossier, Review, Score
from greenroom.domain.proof import Contribution, Evidence, EvidenceVerdict
from greenroom.domain.proposal import MAX_PROPOSAL_BYTES
from greenroom.domain.verdict import Held, Passed, Refused, Verdict
from greenroom.domain.vocabulary import CONSENT, Agree, ConsentLevel, Mode, State, Trust
from greenroom.pipeline.flow import Done
from greenroom.pipeline.stages.approve import ApproveStage
from greenroom.pipeline.stages.debate import MAX_REVIEW_BYTES, DebateStage
from greenroom.pipeline.stages.plan import PlanStage, read_proposal
from greenroom.pipeline.stages.promote import PromoteStage
from greenroom.pipeline.stages.simulate import SimulateStage
from greenroom.pipeline.stages.verify import VerifyStage
from greenroom.pipeline.stages.watch import WatchStage
from greenroom.policy.judge import judge
from greenroom.testing.clock import ManualClock
from greenroom.testing.house import MemoryHouse
from greenroom.testing.keeper import FakeKeeper, tree_of
from greenroom.testing.log import attestors
from greenroom.testing.policy import FakePolicy
from greenroom.testing.store import MemoryStore

TOOL, WARRANT = digest_of("tool", b"apply_patch_t1"), digest_of("statement", b"warrant")
NO = Refused(rule="no", where="here", remedy="there")
WAIT = Held(rule="wait", where="here", remedy="later")
PATCH = b"diff --git a/README.md b/README.md\n--- a/README.md\n+++ b/README.md\n@@ -1 +1 @@\n-teh\n+the\n"


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def proposed(store: MemoryStore, body: bytes | None = None, **members: Any) -> Change:
    """A change whose request, and the patch it names, are stored."""
    patch = store.put("blob", PATCH)
    request = store.put("text", documents.encode(a_proposal(patch)) if body is None else body)
    return a_change(request=request, **members)


# Plan.


def planner(store: MemoryStore, **tools: Digest) -> PlanStage:
    return PlanStage(store=store, apply_tool="apply_patch_t1", tools=lambda: tools or {"apply_patch_t1": TOOL})


@pytest.mark.parametrize("trust", list(Trust))
def test_plan_binds_base_golden_and_trust(store: MemoryStore, trust: Trust) -> None:
    """The plan is one step over the change's base and golden; the patch is trusted as far as the change's origin."""
    change = proposed(store)
    change = dataclasses.replace(change, origin=dataclasses.replace(change.origin, trust=trust))
    done = planner(store).run(change)
    assert done.change.plan is not None
    plan = documents.decode(Plan, store.get(done.change.plan))
    assert (plan.subject, plan.base, plan.golden) == (change.subject, change.base, change.golden)
    (step,) = plan.steps
    assert step.tool == TOOL
    assert {name: arg.trust for name, arg in step.args.items()} == {"patch": trust}
    assert plan.blobs == (step.args["patch"].value,)
    assert done == planner(store).run(change)


def test_plan_refuses_a_tool_that_nobody_signed(store: MemoryStore) -> None:
    """Without `apply_patch_t1` in the signed policy there is no plan."""
    with pytest.raises(Unusable) as caught:
        planner(store, other=TOOL).run(proposed(store))
    assert caught.value.reference == "unknown-tool"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[1]",
        b"\xff",
        b'{"proposer": 1}',
        documents.encode({**documents.to_plain(a_proposal(digest_of("blob", PATCH))), "extra": 1}),
        documents.encode({**documents.to_plain(a_proposal(digest_of("blob", PATCH))), "patch": "blob:../../etc"}),
        documents.encode({**documents.to_plain(a_proposal(digest_of("blob", PATCH))), "confidence": "high"}),
    ],
)
def test_plan_reads_proposals_strictly(store: MemoryStore, body: bytes) -> None:
    """Bytes of a thinker that are not exactly a proposal are unusable."""
    with pytest.raises(Unusable):
        planner(store).run(proposed(store, body))


def test_plan_bounds_a_proposal(store: MemoryStore) -> None:
    """A proposal that is too long is not read."""
    with pytest.raises(TooLarge):
        read_proposal(store, proposed(store, b" " * (MAX_PROPOSAL_BYTES + 1)))


def test_plan_needs_the_patch_itself(store: MemoryStore) -> None:
    """A proposal that names a patch nobody stored, or whose bytes were spoiled, gives no plan."""
    change = proposed(store)
    store.spoil(digest_of("blob", PATCH), b"something else")
    with pytest.raises(Tampered):
        planner(store).run(change)
    store.erase(digest_of("blob", PATCH))
    with pytest.raises(Unusable):
        planner(store).run(change)


# Debate.


class ToldReviewer:
    """Scores every axis alike, by round."""

    def __init__(self, name: str, *points: int) -> None:
        self.name = name
        self.points = points
        self.heard: list[tuple[Digest, int]] = []

    def debate(self, dossier: Digest, round: int) -> bytes | Held:  # noqa: A002
        self.heard.append((dossier, round))
        points = self.points[min(round, len(self.points)) - 1]
        axes = [Score(axis=axis, points=points, why="so") for axis in ("policy", "tests", "simplicity")]  # type: ignore[arg-type]
        return documents.encode(Review(reviewer=self.name, version="1", round=round, scores=tuple(axes)))


class OddReviewer(ToldReviewer):
    """Answers with what it was given, or raises it."""

    def __init__(self, answer: Any) -> None:
        super().__init__("odd", 90)
        self.answer = answer

    def debate(self, dossier: Digest, round: int) -> bytes | Held:  # noqa: A002
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]


def debated(store: MemoryStore, *reviewers: ToldReviewer) -> tuple[Done, Any]:
    stage = DebateStage(store=store, reviewers=reviewers, judge=judge, history=lambda _: {"passed": 2, "failed": 1})
    done = stage.run(proposed(store, plan=PLAN))
    assert done.change.debate is not None
    return done, documents.load_json(store.get(done.change.debate))


def test_debate_stops_when_all_agree(store: MemoryStore) -> None:
    """Two reviewers of one mind need one round; the transcript has every score and reason."""
    one, other = ToldReviewer("one", 90), ToldReviewer("other", 80)
    done, transcript = debated(store, one, other)
    assert isinstance(done.verdict, Passed)
    assert len(one.heard) == len(other.heard) == 1
    assert [review["reviewer"] for review in transcript["rounds"][0]["reviews"]] == ["one", "other"]
    assert transcript["ruling"] == "ACCEPT"


def test_debate_hears_a_second_round_and_no_third(store: MemoryStore) -> None:
    """Who differs is heard again; a single no in the last round decides."""
    one, other = ToldReviewer("one", 90), ToldReviewer("other", 10)
    done, transcript = debated(store, one, other)
    assert isinstance(done.verdict, Refused)
    assert done.verdict.rule == "debate-rejected"
    assert [held["round"] for held in transcript["rounds"]] == [1, 2]


def test_debate_accepts_who_changes_their_mind(store: MemoryStore) -> None:
    """A no of the first round that became a yes is a yes."""
    done, _ = debated(store, ToldReviewer("one", 90), ToldReviewer("other", 10, 90))
    assert isinstance(done.verdict, Passed)


def test_debate_rejects_together(store: MemoryStore) -> None:
    """All say no: refused after one round."""
    done, transcript = debated(store, ToldReviewer("one", 5), ToldReviewer("other", 5))
    assert isinstance(done.verdict, Refused)
    assert len(transcript["rounds"]) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{}",
        b"x" * (MAX_REVIEW_BYTES + 1),
        WAIT,
        Unusable("bad-dossier", "unreadable"),
        Bug("oops", "oops"),
        documents.encode(Review(reviewer="odd", version="1", round=1, scores=())),
        documents.encode(Review(reviewer="one", version="1", round=1, scores=())),
    ],
)
def test_debate_fails_closed(store: MemoryStore, answer: Any) -> None:
    """An error, a hold, a malformed or incomplete review of one reviewer refuses the change."""
    done, transcript = debated(store, ToldReviewer("one", 90), OddReviewer(answer))
    assert isinstance(done.verdict, Refused)
    assert done.verdict.rule == "debate-error"
    assert transcript["ruling"] == "ERROR"


def test_debate_needs_two(store: MemoryStore) -> None:
    """One reviewer is no debate."""
    done, _ = debated(store, ToldReviewer("one", 90))
    assert isinstance(done.verdict, Refused)
    assert done.verdict.rule == "debate-error"


def test_debate_gives_reviewers_the_papers(store: MemoryStore) -> None:
    """The dossier names plan, patch, files, the number of changed lines, and what is remembered."""
    one = ToldReviewer("one", 90)
    debated(store, one, ToldReviewer("other", 90))
    dossier = documents.load_json(store.get(one.heard[0][0]))
    assert dossier["plan"] == PLAN
    assert dossier["patch"] == digest_of("blob", PATCH)
    assert (dossier["files"], dossier["lines"], dossier["rule"]) == (["README.md"], 2, "typo")
    assert dossier["history"] == {"passed": 2, "failed": 1}


# Simulate.


def simulator(
    store: MemoryStore,
    apply: Callable[[Plan, MutableMapping[bytes, bytes]], Refused | None],
    evaluator: ToldEvaluator | None = None,
) -> Any:
    signers = attestors()
    clock = ManualClock()
    keeper = FakeKeeper(store=store, attestor=signers["keeper"], clock=clock, apply=apply, results=lambda _: None)
    base = tree_of(store, {b"a": b"1"})
    plan = Plan(subject=SUBJECT, intent="i", base=base, golden=keeper.golden(), steps=(), blobs=())
    change = a_change(State.DEBATED, base=base, plan=store.put("plan", documents.encode(plan)))
    stage = SimulateStage(
        store=store,
        keeper=keeper,
        attestor=signers["guard"],
        evaluator=evaluator or ToldEvaluator(),
        policy=lambda: FakePolicy(required=CHECKS),
    )
    return stage, change


def _writes(plan: Plan, files: MutableMapping[bytes, bytes]) -> None:
    del plan
    files[b"a"] = b"2"


def test_simulate_learns_green_from_the_signed_seal(store: MemoryStore) -> None:
    """Green and seal of the change are those that the keeper signed."""
    stage, change = simulator(store, _writes)
    done = stage.run(change)
    assert isinstance(done.verdict, Passed)
    assert done.change.green == tree_of(store, {b"a": b"2"})
    assert done.change.seals == (done.verdict.produced["seal"],)


def test_the_checks_that_need_no_green_begin_before_it_is_built(store: MemoryStore) -> None:
    """Base's tests take longest, and what they say is the same whatever Green becomes."""
    evaluator = ToldEvaluator()
    seen: list[tuple[list[str], bool | None]] = []

    def look(plan: Plan, files: MutableMapping[bytes, bytes]) -> None:
        seen.append((list(evaluator.begun), evaluator.built))
        _writes(plan, files)

    stage, change = simulator(store, look, evaluator)
    assert isinstance(stage.run(change).verdict, Passed)
    assert seen == [(list(CHECKS), False)]


def test_simulate_refuses_what_changes_nothing(store: MemoryStore) -> None:
    """Green equal to Blue is no change."""
    stage, change = simulator(store, lambda plan, files: None)
    done = stage.run(change)
    assert isinstance(done.verdict, Refused)
    assert done.verdict.rule == "no-change"
    assert done.change.green is None


def test_simulate_passes_a_refusal_of_the_keeper_on(store: MemoryStore) -> None:
    """What the keeper refuses is refused."""
    stage, change = simulator(store, lambda plan, files: NO)
    assert stage.run(change).verdict == NO


def test_simulate_names_what_ran_until_a_step_broke(store: MemoryStore) -> None:
    """The change keeps the receipts, its verdict does not; a later build that goes well makes them go."""
    stage, change = simulator(store, _writes)
    plan = documents.decode(Plan, store.get(change.plan))
    ran = (digest_of("statement", b"rehearsal"),)
    stage._keeper.build = lambda _: dataclasses.replace(NO, receipts=ran)
    done = stage.run(change)
    assert (done.verdict, done.change.broken, done.change.evidence) == (NO, ran, ())
    again, _ = simulator(store, _writes)
    assert plan.base == change.base
    assert again.run(done.change).change.broken == ()


def test_simulate_believes_no_unsigned_seal(store: MemoryStore) -> None:
    """A seal that another key signed is not taken."""
    stage, change = simulator(store, _writes)
    stage._attestor = attestors()["guard"]
    with pytest.raises(Tampered):
        stage.run(change)


def test_simulate_without_a_plan_is_our_bug(store: MemoryStore) -> None:
    """No plan, no build."""
    stage, change = simulator(store, _writes)
    with pytest.raises(Bug):
        stage.run(dataclasses.replace(change, plan=None))


# Verify.


class ToldEvaluator:
    """Gives each check the verdict it was told, with one receipt; remembers what was asked."""

    def __init__(self, **verdicts: EvidenceVerdict) -> None:
        self.verdicts = verdicts
        self.asked: list[str] = []
        self.occasions: list[Digest | None] = []
        self.beside: list[list[str]] = []
        self.error: Exception | None = None
        self.cut: frozenset[str] = frozenset()
        self.begun: list[str] = []
        self.built: bool | None = None

    def begin(self, checks: Sequence[str], plan: Plan, base: Digest, green: Digest | None, golden: Digest) -> None:
        assert not self.asked
        self.begun += checks
        self.built = green is not None

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
        self.asked.append(check)
        self.occasions.append(occasion)
        self.beside.append([item.check for item in found])
        if self.error is not None:
            raise self.error
        if check in self.cut:
            return Evidence(check=check, about=green, verdict="inconclusive", receipts=(), facts={"rule": "stopped"})
        receipt = digest_of("statement", check.encode())
        verdict = self.verdicts.get(check.replace("-", "_"), "pass")
        found = (Contribution(name="t-broken", points=100, why="test_a"),) if verdict == "fail" else ()
        return Evidence(check=check, about=green, verdict=verdict, receipts=(receipt,), findings=found)


CHECKS = ("reseal", "classify", "scan", "tests")


def verifier(store: MemoryStore, evaluator: ToldEvaluator, carded: list[tuple[Change, Sequence[Evidence]]]) -> Any:
    def card(change: Change, plan: Plan, evidence: tuple[Evidence, ...], risk: object) -> Digest:
        carded.append((change, evidence))
        return digest_of("card", str(len(evidence)).encode())

    plan = Plan(subject=SUBJECT, intent="i", base=BASE, golden=digest_of("golden", b"golden"), steps=(), blobs=())
    change = a_change(State.SIMULATED, plan=store.put("plan", documents.encode(plan)), green=GREEN, seals=(PLAN,))
    policy = FakePolicy(required=CHECKS)
    return VerifyStage(store=store, evaluator=evaluator, policy=lambda: policy, card=card), change


def test_verify_runs_every_check_and_shows_a_card(store: MemoryStore) -> None:
    """Each check that the policy asks for runs once; evidence, risk, seals and card are the change's."""
    evaluator, carded = ToldEvaluator(), list[tuple[Change, Sequence[Evidence]]]()
    stage, change = verifier(store, evaluator, carded)
    done = stage.run(change)
    assert isinstance(done.verdict, Passed)
    assert evaluator.asked == list(CHECKS)
    assert evaluator.occasions == [None] * len(CHECKS)
    assert evaluator.begun == list(CHECKS)
    assert evaluator.beside == [list(CHECKS[:at]) for at in range(len(CHECKS))]
    stored = [documents.decode(Evidence, store.get(digest)) for digest in done.change.evidence]
    assert [item.check for item in stored] == list(CHECKS)
    assert done.change.seals == (digest_of("statement", b"reseal"),)
    assert done.change.risk is not None
    assert done.change.card == digest_of("card", b"4")
    assert carded[0][0].risk == done.change.risk


@pytest.mark.parametrize(
    ("verdict", "kind", "rule"),
    [("fail", Refused, "t-broken"), ("flaky", Refused, "flaky"), ("inconclusive", Held, "inconclusive")],
)
def test_verify_stops_at_the_first_bad_check(store: MemoryStore, verdict: Any, kind: type, rule: str) -> None:
    """A check that does not pass ends verify, and the card shows what was found so far."""
    evaluator, carded = ToldEvaluator(scan=verdict), list[tuple[Change, Sequence[Evidence]]]()
    stage, change = verifier(store, evaluator, carded)
    done = stage.run(change)
    assert isinstance(done.verdict, kind)
    assert done.verdict.rule == rule  # type: ignore[attr-defined]
    assert evaluator.asked == ["reseal", "classify", "scan"]
    assert done.change.card is not None
    assert len(done.change.evidence) == 3


def test_verify_goes_on_where_tests_were_broken_before(store: MemoryStore) -> None:
    """`broken-before` is the policy's matter, not a refusal."""
    stage, change = verifier(store, ToldEvaluator(tests="broken-before"), [])
    assert isinstance(stage.run(change).verdict, Passed)


def test_verify_keeps_the_seal_of_the_first_build_when_the_second_was_cut(store: MemoryStore) -> None:
    """A stop in the second build takes nothing of the first: its runs can be shown, and it is not built again."""
    evaluator = ToldEvaluator()
    evaluator.cut = frozenset({"reseal"})
    stage, change = verifier(store, evaluator, [])
    done = stage.run(change)
    assert isinstance(done.verdict, Held)
    assert done.change.seals == change.seals == (PLAN,)


def test_verify_without_green_is_our_bug(store: MemoryStore) -> None:
    """No sealed Green, no checks."""
    stage, change = verifier(store, ToldEvaluator(), [])
    with pytest.raises(Bug):
        stage.run(dataclasses.replace(change, green=None))


# Approve.


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("level", list(ConsentLevel))
def test_approve_follows_the_matrix(mode: Mode, level: ConsentLevel) -> None:
    """Without a consent only `nobody` passes; whoever else must agree, the change waits and the remedy says how."""
    stage = ApproveStage(policy=FakePolicy)
    change = a_change(State.VERIFIED, mode=mode, risk=dataclasses.replace(RISK, level=level))
    verdict = stage.run(change).verdict
    if CONSENT[mode][level] is Agree.NOBODY:
        assert isinstance(verdict, Passed)
        return
    assert isinstance(verdict, Held)
    assert (verdict.rule, verdict.remedy) == ("needs-approval", f"greenroom approve {change.id}")
    agreed = dataclasses.replace(change, consents=(digest_of("statement", b"yes"),))
    assert isinstance(stage.run(agreed).verdict, Passed)


def test_approve_without_a_risk_is_our_bug() -> None:
    """What was never weighed cannot be approved."""
    with pytest.raises(Bug):
        ApproveStage(policy=FakePolicy).run(a_change(State.VERIFIED))


# Promote and watch.


class ToldGuard:
    """Answers as told; remembers the calls."""

    def __init__(self, *, warrant: Any = None, promoted: Verdict | None = None, good: Verdict | None = None) -> None:
        self.answers = {
            "warrant": warrant or digest_of("statement", b"warrant"),
            "promote": promoted or Passed(),
            "good": good or Passed(),
            "revert": Passed(),
        }
        self.calls: list[Any] = []
        self.stopped = False
        self.dossier: Dossier | None = None

    def status(self) -> Any:
        return self

    def live(self, subject: object) -> Digest:
        return BASE

    def position(self, subject: object) -> str:
        return "c0ffee"

    def warrant(self, dossier: Dossier) -> Any:
        self.dossier = dossier
        self.calls.append("warrant")
        return self.answers["warrant"]

    def promote(self, warrant: Digest) -> Any:
        self.calls.append("promote")
        return self.answers["promote"]

    def mark_good(self, change: str, receipts: tuple[Digest, ...]) -> Any:
        self.calls.append(("good", receipts))
        return self.answers["good"]

    def revert(self, subject: object, change: str, actor: str) -> Any:
        self.calls.append(("revert", actor))
        return self.answers["revert"]


def approved(store: MemoryStore) -> Change:
    evidence = [
        Evidence(check=check, about=GREEN, verdict="pass", receipts=(digest_of("statement", check.encode()),))
        for check in ("reseal", "scan", "tests")
    ]
    plan = Plan(subject=SUBJECT, intent="i", base=BASE, golden=digest_of("golden", b"golden"), steps=(), blobs=())
    return a_change(
        State.APPROVED,
        plan=store.put("plan", documents.encode(plan)),
        green=GREEN,
        seals=(digest_of("statement", b"seal"),),
        evidence=tuple(store.put("output", documents.encode(item)) for item in evidence),
        consents=(digest_of("statement", b"yes"),),
        card=digest_of("card", b"card"),
    )


def test_promote_hands_in_the_papers_and_spends_the_warrant(store: MemoryStore) -> None:
    """The dossier has the receipts of the checks, the seals apart; warrant and position become the change's."""
    guard: Any = ToldGuard()
    change = approved(store)
    done = PromoteStage(store=store, guard=guard).run(change)
    assert isinstance(done.verdict, Passed)
    assert guard.calls == ["warrant", "promote"]
    assert (done.change.warrant, done.change.commit) == (digest_of("statement", b"warrant"), "c0ffee")
    assert guard.dossier is not None
    assert guard.dossier.receipts == tuple(digest_of("statement", name) for name in (b"scan", b"tests"))
    assert (guard.dossier.seals, guard.dossier.consents) == (change.seals, change.consents)
    assert (guard.dossier.base, guard.dossier.green, guard.dossier.card) == (BASE, GREEN, change.card)


@pytest.mark.parametrize("answer", [NO, WAIT])
def test_promote_passes_the_guard_s_no_on(store: MemoryStore, answer: Any) -> None:
    """Without a warrant nothing is promoted; a warrant that cannot be spent leaves nothing on the change."""
    guard: Any = ToldGuard(warrant=answer)
    assert PromoteStage(store=store, guard=guard).run(approved(store)).verdict == answer
    assert guard.calls == ["warrant"]
    guard = ToldGuard(promoted=answer)
    done = PromoteStage(store=store, guard=guard).run(approved(store))
    assert done.verdict == answer
    assert (done.change.warrant, done.change.commit) == (None, None)


def test_promote_without_green_is_our_bug(store: MemoryStore) -> None:
    """No Green, no dossier."""
    with pytest.raises(Bug):
        PromoteStage(store=store, guard=ToldGuard()).run(a_change(State.APPROVED))  # type: ignore[arg-type]


def watching(store: MemoryStore, guard: ToldGuard, evaluator: ToldEvaluator) -> Done:
    stage = WatchStage(store=store, evaluator=evaluator, guard=guard)  # type: ignore[arg-type]
    return stage.run(dataclasses.replace(approved(store), state=State.PROMOTED, warrant=WARRANT))


def test_watch_marks_good_explicitly(store: MemoryStore) -> None:
    """Passing live tests go to the guard, with their receipts; its word passes the change."""
    guard, evaluator = ToldGuard(), ToldEvaluator()
    assert isinstance(watching(store, guard, evaluator).verdict, Passed)
    assert (evaluator.asked, evaluator.occasions) == (["live-tests"], [WARRANT])
    assert guard.calls == [("good", (digest_of("statement", b"live-tests"),))]


@pytest.mark.parametrize("verdict", ["fail", "flaky", "inconclusive"])
def test_watch_takes_back_what_is_not_good(store: MemoryStore, verdict: Any) -> None:
    """A bad, flaky or missing verdict reverts through the guard and ends the change with the reason."""
    guard = ToldGuard()
    done = watching(store, guard, ToldEvaluator(live_tests=verdict))
    assert isinstance(done.verdict, Refused)
    assert guard.calls == [("revert", "watch")]


@pytest.mark.parametrize("answer", [NO, WAIT])
def test_watch_takes_back_what_the_guard_does_not_mark(store: MemoryStore, answer: Any) -> None:
    """Passing tests that the guard does not accept revert too."""
    guard = ToldGuard(good=answer)
    done = watching(store, guard, ToldEvaluator())
    assert done.verdict == NO if answer is NO else isinstance(done.verdict, Refused)
    assert guard.calls[-1] == ("revert", "watch")


def test_watch_takes_back_when_the_checks_cannot_run(store: MemoryStore) -> None:
    """A check that raises is a missing verdict."""
    guard, evaluator = ToldGuard(), ToldEvaluator()
    evaluator.error = Unusable("unknown-tool", "no such tool", remedy="sign it")
    done = watching(store, guard, evaluator)
    assert isinstance(done.verdict, Refused)
    assert done.verdict.rule == "unknown-tool"
    assert guard.calls == [("revert", "watch")]


def test_watch_waits_for_an_unreachable_keeper(store: MemoryStore) -> None:
    """A keeper that does not answer says nothing: nothing is taken back yet."""
    guard, evaluator = ToldGuard(), ToldEvaluator()
    evaluator.error = Unreachable("keeper-gone", "no answer")
    with pytest.raises(Unreachable):
        watching(store, guard, evaluator)
    assert guard.calls == []


def test_watch_takes_nothing_back_under_a_stop(store: MemoryStore) -> None:
    """A run that a stop cut is no verdict: the watch runs again after the lift."""
    guard = ToldGuard()
    guard.stopped = True
    with pytest.raises(Unreachable) as caught:
        watching(store, guard, ToldEvaluator(live_tests="inconclusive"))
    assert caught.value.reference == "stopped"
    assert guard.calls == []


def test_watch_says_so_when_the_revert_fails(store: MemoryStore) -> None:
    """A change that cannot be taken back is not called reverted."""
    guard = ToldGuard()
    guard.answers["revert"] = NO
    with pytest.raises(Unreachable) as caught:
        watching(store, guard, ToldEvaluator(live_tests="fail"))
    assert caught.value.reference == "revert-failed"


# The card.


@pytest.mark.parametrize("check", ["classify", "scan", "loosened", "tests", "own-tests"])
def test_card_is_made_without_a_malformed_result(tmp_path: Path, check: str) -> None:
    """A tool that leaves nonsense makes its check inconclusive: the change is held, and its card says so."""
    house = MemoryHouse(tmp_path)
    results = house.workshop.results
    house.keeper._results = lambda run: {"odd": 1} if run.check == check else results(run)
    change = house.change(house.proposed())
    assert change.state is State.SIMULATED, change.refused
    assert change.hold is not None
    assert (change.hold.rule, change.hold.where.partition(":")[0]) == ("inconclusive", check)
    assert house.show(change.id)["card"]["evidence"][-1]["verdict"] == "inconclusive"
    house.close()


def test_card_tells_what_a_person_needs(tmp_path: Path) -> None:
    """Why, what, files, checks, risk, who must agree, where it comes from, and by which tools it was made."""
    house = MemoryHouse(tmp_path)
    change = house.change(house.proposed())
    card = house.show(change.id)["card"]
    assert card["summary"] == "Mend 'teh' in README.md"
    assert [file["path"] for file in card["files"]] == ["README.md"]
    assert [item["check"] for item in card["evidence"]] == list(house.policy.checks(Plan(**NO_PLAN)))
    assert (card["agree"], card["risk"]["level"]) == ("person", 1)
    assert (card["plan"], card["base"], card["green"]) == (change.plan, change.base, change.green)
    assert set(card["tools"]) == {"plan step apply", "proposer typo"}
    house.close()


@pytest.mark.parametrize("said", ["broken-before", "pass"])
def test_card_says_when_no_test_could_run(tmp_path: Path, said: Any) -> None:
    """Tests that say nothing are named as such, and the change needs a person's eye."""
    house = MemoryHouse(tmp_path)
    house.checks["tests"] = said
    card = house.show(house.proposed())["card"]
    none = said == "broken-before"
    assert any("no test of this repository" in note for note in card["notes"]) is none
    assert card["risk"]["level"] == (2 if none else 1)
    house.close()


NO_PLAN: Any = {"subject": SUBJECT, "intent": "", "base": BASE, "golden": BASE, "steps": (), "blobs": ()}
