"""The flow: carries one change from stage to stage until it is terminal or held.

Each stage, in this order:

1. ask the policy (one line, one place);
2. log the intent;
3. run the stage;
4. log the result;
5. save the change in its next state (compare-and-swap of its version).

A crash between any two leaves a stage that runs again: every stage is idempotent by digest, the log by
key, and the save by version.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from greenroom.domain import documents
from greenroom.domain.change import STAGES, Change, advance, move_of
from greenroom.domain.errors import Bug, GreenroomError, Unreachable, Unusable
from greenroom.domain.events import Event
from greenroom.domain.plan import Plan
from greenroom.domain.ports import Changes, Clock, Facts, Guard, Policy, Store
from greenroom.domain.proof import Evidence
from greenroom.domain.refusals import remedy_of
from greenroom.domain.standing import APPLY_WINDOW
from greenroom.domain.verdict import Held, Passed, Refused, Verdict
from greenroom.domain.vocabulary import ChangeId, Stage, State
from greenroom.pipeline.holds import STOPPED, told

Watcher = Callable[[Change, Stage, str, Verdict | None], None]
"""Told of each stage as it begins (`intent`) and ends (`result`)."""
_RUNNING = frozenset({Stage.SIMULATE, Stage.VERIFY})
"""The stages that have things run, which a stop kills. A watch is asked for again instead of judged."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a stage gives back: its verdict, and the change with what the stage learned (not its next state)."""

    verdict: Verdict
    change: Change


class StageRoom(Protocol):
    """One stage. `run` is idempotent: the same change gives the same effect once."""

    def run(self, change: Change) -> Done:
        """The verdict, and the change with what the stage learned."""
        ...


def _no_point(point: str) -> None:
    del point


class Flow:
    """Carries changes. It knows no kind of subject and holds no authority.

    `crash_point` is told each place between two of the five steps, as `stage.place`.
    """

    def __init__(
        self,
        *,
        changes: Changes,
        store: Store,
        guard: Guard,
        policy: Callable[[], Policy],
        stages: Mapping[Stage, StageRoom],
        facts: Callable[[Change], Facts],
        clock: Clock,
        crash_point: Callable[[str], None] = _no_point,
    ) -> None:
        self._changes = changes
        self._store = store
        self._guard = guard
        self._policy = policy
        self._stages = stages
        self._facts = facts
        self._clock = clock
        self._crash_point = crash_point

    def carry(self, change_id: ChangeId, watcher: Watcher | None = None) -> Change:
        """Carry until terminal or held; returns the change as it then stands."""
        while True:
            change = self._changes.get(change_id)
            if self.rests(change):
                return change
            self.step(change, watcher)

    def rests(self, change: Change) -> bool:
        """True when no stage is to run: terminal, held, in its apply window, or promoted under a stop.

        A promoted change whose watch a stop prevents waits unjudged: it is watched again after the lift.
        """
        if change.terminal or change.hold is not None or self._in_window(change):
            return True
        return change.state is State.PROMOTED and self._facts(change).stopped

    def _in_window(self, change: Change) -> bool:
        return change.window is not None and self._clock.now() < change.window

    def step(self, change: Change, watcher: Watcher | None = None) -> Change:
        """One stage of `change`; returns the change as saved."""
        stage = STAGES[change.state]
        tell = watcher or _silent
        self._crash_point(f"{stage.value}.begun")
        verdict = self._policy().may(change, stage, self._plan(change), self._facts(change), self._evidence(change))
        self._crash_point(f"{stage.value}.asked")
        self._log(change, stage, "intent", verdict)
        self._crash_point(f"{stage.value}.intent-logged")
        tell(change, stage, "intent", None)
        done = self._run(change, stage) if isinstance(verdict, Passed) else self._denied(change, stage, verdict)
        done = self._unless_cut(done, stage)
        done = Done(told(done.verdict, done.change, stage), done.change)
        self._crash_point(f"{stage.value}.ran")
        self._log(done.change, stage, "result", done.verdict)
        self._crash_point(f"{stage.value}.result-logged")
        saved = self._save(settle(done))
        self._crash_point(f"{stage.value}.saved")
        tell(saved, stage, "result", done.verdict)
        return saved

    def _save(self, change: Change) -> Change:
        """The change as saved; as it stands where a person ended or held it meanwhile: the stage's end is dropped then.

        That a change is live, or was taken back, is never dropped.
        """
        try:
            return self._changes.save(change)
        except Unusable as error:
            live = change.state in (State.PROMOTED, State.KEPT, State.REVERTED)
            if error.reference != "version-conflict" or live:
                raise
            stands = self._changes.get(change.id)
            if not self.rests(stands):
                raise
            return stands

    def _run(self, change: Change, stage: Stage) -> Done:
        try:
            return self._stages[stage].run(change)
        except Unreachable:
            raise
        except Bug as error:
            held = Held(rule="bug", where=str(error), remedy="this is our mistake: please report it")
            return self._denied(change, stage, held)
        except GreenroomError as error:
            remedy = remedy_of(error, f"see `greenroom show {change.id}`, then `greenroom improve` again")
            refused = Refused(rule=error.reference, where=error.where or error.message, remedy=remedy)
            return self._denied(change, stage, refused)

    def _unless_cut(self, done: Done, stage: Stage) -> Done:
        """A stop that cut into a stage holds the change: it goes on after the lift, it does not end.

        What breaks in a run that is being killed can look like anything. So where a stage has things run, no word but
        a pass is taken under a stop: what was meant is said again after the lift.
        """
        verdict = done.verdict
        if isinstance(verdict, Passed) or done.change.state is State.PROMOTED:
            return done
        if verdict.rule == STOPPED:
            return Done(Held(rule=STOPPED, where=verdict.where, remedy=verdict.remedy), done.change)
        status = self._guard.status() if stage in _RUNNING else None
        if status is None or not status.stopped:
            return done
        where = f"stop set by {status.stopped_by}; {verdict.rule}: {verdict.where}"
        return Done(Held(rule=STOPPED, where=where[:500], remedy="greenroom lift, with the owner's key"), done.change)

    def _denied(self, change: Change, stage: Stage, verdict: Refused | Held) -> Done:
        return take_back(self._guard, change, verdict) if stage is Stage.WATCH else Done(verdict, change)

    def _log(self, change: Change, stage: Stage, phase: str, verdict: Verdict) -> None:
        digests = {
            name: digest
            for name, digest in (("base", change.base), ("plan", change.plan), ("green", change.green))
            if digest is not None
        }
        rule = "passed" if isinstance(verdict, Passed) else verdict.rule
        event = Event(
            key=f"{change.id}/{change.version}/{stage.value}/{phase}",
            at=self._clock.now(),
            actor="executor",
            name=f"{stage.value}.{phase}",
            change=change.id,
            about=rule if phase == "result" or rule != "passed" else "",
            digests=digests,
        )
        self._guard.append(event)

    def _plan(self, change: Change) -> Plan | None:
        return documents.decode(Plan, self._store.get(change.plan)) if change.plan else None

    def _evidence(self, change: Change) -> Sequence[Evidence]:
        return [documents.decode(Evidence, self._store.get(digest)) for digest in change.evidence]


def take_back(guard: Guard, change: Change, why: Refused | Held) -> Done:
    """Take a promoted change back because of `why`; only the guard's word makes it reverted.

    Raises Unreachable where it stays live unjudged: under a stop (`stopped`), or when the guard could not take it
    back (`revert-failed`). The change is then saved by nobody, and its watch runs again.
    """
    if guard.status().stopped:
        remedy = "greenroom lift, which goes on; `greenroom revert` works under the stop"
        raise Unreachable("stopped", "the watch was interrupted by a stop", where=change.id, remedy=remedy)
    taken = guard.revert(change.subject, change.id, "watch")
    if not isinstance(taken, Passed):
        message = f"{why.rule} called for a revert, but {taken.rule}: {taken.where}"
        raise Unreachable("revert-failed", message, where=change.id, remedy=taken.remedy)
    return Done(Refused(rule=why.rule, where=why.where, remedy=why.remedy), change)


def settle(done: Done) -> Change:
    """The change in the state that the verdict leads to; a hold keeps it and says why, a window says until when."""
    move = move_of(done.verdict)
    state = advance(done.change.state, move)
    verdict = done.verdict
    if isinstance(verdict, Passed):
        return dataclasses.replace(done.change, state=state, hold=None, window=None, ended=None, refused=None)
    if isinstance(verdict, Held) and verdict.rule == APPLY_WINDOW and state == done.change.state:
        return dataclasses.replace(done.change, hold=None, window=verdict.ask_again, ended=None, refused=None)
    if isinstance(verdict, Held) and state == done.change.state:
        return dataclasses.replace(done.change, state=state, hold=verdict, window=None, ended=None, refused=None)
    why = Refused(rule=verdict.rule, where=verdict.where, remedy=verdict.remedy)
    return dataclasses.replace(done.change, state=state, hold=None, window=None, ended=why.rule, refused=why)


def _silent(change: Change, stage: Stage, phase: str, verdict: Verdict | None) -> None:
    del change, stage, phase, verdict
