"""The flow: policy, intent, stage, result, save; in that order, once each."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from pipeline_cases import STATES_WITH_A_STAGE, FlowBench, a_change

from greenroom.domain.change import PATH, STAGES, Change
from greenroom.domain.errors import Bug, GreenroomError, NotFound, Tampered, Unreachable, Unusable
from greenroom.domain.verdict import Held, Passed, Refused, Verdict
from greenroom.domain.vocabulary import Stage, State
from greenroom.pipeline.flow import Done, settle

NO = Refused(rule="no", where="here", remedy="there")
WAIT = Held(rule="wait", where="here", remedy="later")
BEFORE_LIVE = [state for state in STATES_WITH_A_STAGE if state is not State.PROMOTED]


@pytest.fixture
def bench() -> FlowBench:
    return FlowBench()


def raising(error: GreenroomError) -> Any:
    def answer(change: Change) -> Verdict:
        raise error

    return answer


def test_flow_asks_the_policy_once_before_each_stage(bench: FlowBench) -> None:
    """A change that everything lets pass is kept, and the policy was asked once for each stage, in their order."""
    for stage in (Stage.PLAN, Stage.DEBATE, Stage.SIMULATE, Stage.VERIFY, Stage.APPROVE, Stage.PROMOTE, Stage.WATCH):
        bench.answers(stage, lambda _, stage=stage: Passed())  # type: ignore[misc]
    bench.saved()
    planned = dataclasses.replace(bench.flow.step(bench.changes.get(a_change().id)), plan=bench.plan)
    bench.changes.save(planned)
    done = bench.flow.carry(a_change().id)
    assert done.state is State.KEPT
    assert [stage for _, stage in bench.policy.asked] == list(Stage)
    assert [len(stage.seen) for stage in bench.stages.values()] == [1] * 7


@pytest.mark.parametrize("state", STATES_WITH_A_STAGE)
def test_flow_logs_intent_before_and_result_after_each_stage(bench: FlowBench, state: State) -> None:
    """The intent stands in the log when the stage runs; the result when it is saved."""
    stage = STAGES[state]
    seen: list[list[tuple[str, str]]] = []

    def answer(change: Change) -> Verdict:
        seen.append(bench.logged())
        return Passed()

    bench.answers(stage, answer)
    after = bench.flow.step(bench.saved(state))
    assert seen == [[(f"{stage.value}.intent", "")]]
    assert bench.logged() == [(f"{stage.value}.intent", ""), (f"{stage.value}.result", "passed")]
    assert after.state is PATH[PATH.index(state) + 1]


@pytest.mark.parametrize("state", BEFORE_LIVE)
def test_flow_does_not_run_a_stage_that_the_policy_refuses(bench: FlowBench, state: State) -> None:
    """A refusal ends the change with its rule, place and remedy; the stage never ran; the log names the rule twice."""
    stage = STAGES[state]
    bench.policy.verdicts[stage] = NO
    after = bench.flow.step(bench.saved(state))
    assert (after.state, after.ended, after.refused, after.hold) == (State.ABORTED, "no", NO, None)
    assert bench.stages[stage].seen == []
    assert bench.logged() == [(f"{stage.value}.intent", "no"), (f"{stage.value}.result", "no")]


@pytest.mark.parametrize("state", BEFORE_LIVE)
def test_flow_holds_where_the_policy_holds(bench: FlowBench, state: State) -> None:
    """A hold keeps the state and says why, and how it is tried again; nothing ran."""
    bench.policy.verdicts[STAGES[state]] = WAIT
    after = bench.flow.carry(bench.saved(state).id)
    told = dataclasses.replace(WAIT, remedy=f"later; then `greenroom resume {after.id}` tries it again")
    assert (after.state, after.hold, after.ended) == (state, told, None)
    assert bench.stages[STAGES[state]].seen == []


@pytest.mark.parametrize("state", BEFORE_LIVE)
def test_flow_takes_a_stage_s_refusal_as_a_value(bench: FlowBench, state: State) -> None:
    """What a stage refuses ends the change and is logged as the result."""
    stage = STAGES[state]
    bench.answers(stage, lambda _: NO)
    after = bench.flow.carry(bench.saved(state).id)
    assert (after.state, after.refused) == (State.ABORTED, NO)
    assert bench.logged()[-1] == (f"{stage.value}.result", "no")


@pytest.mark.parametrize(
    "error",
    [
        Unusable("bad-document", "not readable", where="line 1", remedy="mend it"),
        Tampered("wrong-bytes", "the bytes differ", remedy="look"),
        NotFound("not-stored", "gone"),
    ],
)
def test_flow_refuses_on_unusable_input(bench: FlowBench, error: Unusable) -> None:
    """An error about input becomes a refusal with the error's reference and place."""
    bench.answers(Stage.DEBATE, raising(error))
    after = bench.flow.step(bench.saved(State.PLANNED))
    assert after.state is State.ABORTED
    assert after.refused is not None
    assert (after.refused.rule, after.refused.where) == (error.reference, error.where or error.message)
    assert after.refused.remedy == (error.remedy or f"see `greenroom show {after.id}`, then `greenroom improve` again")


def test_flow_holds_on_our_own_mistake(bench: FlowBench) -> None:
    """A bug holds the change and asks for a report; it is never the person's refusal."""
    bench.answers(Stage.VERIFY, raising(Bug("no-green", "verify needs a Green")))
    after = bench.flow.step(bench.saved(State.SIMULATED))
    assert after.state is State.SIMULATED
    assert after.hold is not None
    assert after.hold.rule == "bug"
    assert "report" in after.hold.remedy


def test_flow_lets_an_unreachable_process_through(bench: FlowBench) -> None:
    """A process that does not answer says nothing about the change: nothing is saved, the stage runs again."""
    before = bench.saved(State.DEBATED)
    bench.answers(Stage.SIMULATE, raising(Unreachable("keeper-gone", "no answer")))
    with pytest.raises(Unreachable):
        bench.flow.step(before)
    assert bench.changes.get(before.id) == before
    bench.answers(Stage.SIMULATE, lambda _: Passed())
    assert bench.flow.step(before).state is State.SIMULATED
    assert [name for name, _ in bench.logged()] == ["simulate.intent", "simulate.result"]


def test_flow_raises_what_a_stage_does_not_expect(bench: FlowBench) -> None:
    """An error that is none of the house's is not swallowed."""
    bench.answers(Stage.PLAN, lambda _: 1 / 0)  # type: ignore[arg-type,return-value]
    with pytest.raises(ZeroDivisionError):
        bench.flow.step(bench.saved())


def test_flow_step_saves_by_compare_and_swap(bench: FlowBench) -> None:
    """A step on an old version loses: what was saved meanwhile stays."""
    old = bench.saved()
    bench.flow.step(old)
    with pytest.raises(Unusable) as caught:
        bench.flow.step(old)
    assert caught.value.reference == "version-conflict"


@pytest.mark.parametrize("state", [State.KEPT, State.ABORTED, State.REVERTED])
def test_flow_rests_at_the_end(bench: FlowBench, state: State) -> None:
    """A terminal change is not carried."""
    change = bench.saved(state)
    assert bench.flow.carry(change.id) == change
    assert bench.logged() == []


def test_flow_rests_while_held(bench: FlowBench) -> None:
    """A held change is not carried, and nobody is asked about it."""
    change = bench.saved(State.VERIFIED, hold=WAIT)
    assert bench.flow.carry(change.id) == change
    assert bench.policy.asked == []


def test_flow_leaves_a_promoted_change_unjudged_under_a_stop(bench: FlowBench) -> None:
    """Under a stop a promoted change waits; after it the watch runs."""
    change = bench.saved(State.PROMOTED)
    bench.guard.stop("eve")
    assert bench.flow.carry(change.id) == change
    assert bench.stages[Stage.WATCH].seen == []


def test_flow_does_not_call_a_change_reverted_that_is_live(bench: FlowBench) -> None:
    """A stop between two looks at it must not save `reverted` where the guard took nothing back."""
    change = bench.saved(State.PROMOTED)
    bench.policy.verdicts[Stage.WATCH] = WAIT
    bench.guard.stop("eve")
    with pytest.raises(Unreachable) as caught:
        bench.flow.step(change)
    assert caught.value.reference == "stopped"
    assert bench.changes.get(change.id) == change


STUCK = Unusable("cell-will-not-die", "a process does not end when killed")
CUT: dict[str, Any] = {
    "refused": lambda _: Refused(rule="wall-failed", where="the warden", remedy="doctor"),
    "held": lambda _: Held(rule="inconclusive", where="tests: the run was killed", remedy="look"),
    "unusable": raising(STUCK),
    "bug": raising(Bug("oops", "oops")),
}


@pytest.mark.parametrize("how", CUT)
@pytest.mark.parametrize("state", [State.DEBATED, State.SIMULATED])
def test_flow_holds_whatever_a_stop_broke(bench: FlowBench, state: State, how: str) -> None:
    """However a run that a stop kills breaks, the change waits as stopped, with what was said, and goes on after."""
    stage = STAGES[state]

    def broken(change: Change) -> Any:
        bench.guard.stop("eve")
        return CUT[how](change)

    bench.answers(stage, broken)
    after = bench.flow.step(bench.saved(state))
    assert after.state is state
    assert after.hold is not None
    assert (after.hold.rule, "stop set by eve; " in after.hold.where) == ("stopped", True)
    assert after.hold.remedy


def test_flow_takes_a_pass_under_a_stop(bench: FlowBench) -> None:
    """What ended well before the stop could cut it is done."""

    def passed(change: Change) -> Verdict:
        bench.guard.stop("eve")
        return Passed()

    bench.answers(Stage.VERIFY, passed)
    assert bench.flow.step(bench.saved(State.SIMULATED)).state is State.VERIFIED


def test_flow_keeps_the_word_of_a_promotion_under_a_stop(bench: FlowBench) -> None:
    """That live differs from Green is what the person has to know; the guard pulled the stop for it."""

    def differs(change: Change) -> Verdict:
        bench.guard.stop("guard")
        return Held(rule="live-differs", where="tree", remedy="revert")

    bench.answers(Stage.PROMOTE, differs)
    after = bench.flow.step(bench.saved(State.APPROVED))
    assert after.hold is not None
    assert after.hold.rule == "live-differs"


@pytest.mark.parametrize("denied", ["policy", "bug", "unusable"])
def test_flow_takes_back_what_cannot_be_watched(bench: FlowBench, denied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing verdict of the watch reverts, through the guard, and only its word makes the change reverted."""
    asked: list[str] = []

    def revert(subject: object, change: str, actor: str) -> Verdict:
        asked.append(f"{change} by {actor}")
        return Passed()

    monkeypatch.setattr(bench.guard, "revert", revert)
    if denied == "policy":
        bench.policy.verdicts[Stage.WATCH] = NO
    error = Bug("oops", "oops") if denied == "bug" else Unusable("bad", "bad")
    bench.answers(Stage.WATCH, raising(error))
    after = bench.flow.step(bench.saved(State.PROMOTED))
    assert after.state is State.REVERTED
    assert asked == [f"{after.id} by watch"]


def test_flow_keeps_a_change_promoted_when_the_guard_cannot_take_it_back(bench: FlowBench) -> None:
    """A revert that the guard refuses leaves the change as it is, with the reason."""
    change = bench.saved(State.PROMOTED)
    bench.policy.verdicts[Stage.WATCH] = NO
    with pytest.raises(Unreachable) as caught:
        bench.flow.step(change)
    assert caught.value.reference == "revert-failed"
    assert bench.changes.get(change.id) == change


def test_flow_tells_a_watcher_of_both_ends(bench: FlowBench) -> None:
    """A watcher hears of the intent with the old change and of the result with the saved one."""
    heard: list[tuple[str, str, int]] = []

    def watcher(change: Change, stage: Stage, phase: str, verdict: Verdict | None) -> None:
        heard.append((stage.value, phase, change.version))

    bench.flow.step(bench.saved(), watcher)
    assert heard == [("plan", "intent", 1), ("plan", "result", 2)]


def test_flow_logs_digests_only(bench: FlowBench) -> None:
    """An entry names base, plan and Green; no content of the change is in the log."""
    bench.flow.step(bench.saved(State.SIMULATED, green=a_change().base))
    for event in bench.log.events():
        assert set(event.digests) == {"base", "plan", "green"}
        assert event.actor == "executor"


@pytest.mark.parametrize("state", STATES_WITH_A_STAGE)
@pytest.mark.parametrize("verdict", [Passed(), NO, WAIT])
def test_settle_says_why_whatever_comes(state: State, verdict: Verdict) -> None:
    """Every verdict in every state gives a state of the table; an end has a reason, a hold has one too."""
    after = settle(Done(verdict, a_change(state)))
    if isinstance(verdict, Passed):
        assert (after.hold, after.ended, after.refused) == (None, None, None)
    elif after.state is state:
        assert after.hold == verdict
    else:
        assert after.refused is not None
        assert after.ended == after.refused.rule == verdict.rule
        assert after.refused.remedy == verdict.remedy
