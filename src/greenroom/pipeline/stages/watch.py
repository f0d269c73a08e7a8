"""Watch: the required tests once on the live tree; mark-good is explicit, anything else takes it back."""

from __future__ import annotations

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.errors import Bug, GreenroomError, Unreachable
from greenroom.domain.outcomes import verdict_on
from greenroom.domain.plan import Plan
from greenroom.domain.ports import Evaluator, Guard, Store
from greenroom.domain.verdict import Passed, Refused, Verdict
from greenroom.pipeline.flow import Done


class WatchStage:
    """Runs the live check and has the guard mark the promotion good, or take it back."""

    def __init__(self, *, store: Store, evaluator: Evaluator, guard: Guard) -> None:
        self._store = store
        self._evaluator = evaluator
        self._guard = guard

    def run(self, change: Change) -> Done:
        """Passed when the guard marked it good; Refused after it was taken back."""
        verdict = self._judge(change)
        if isinstance(verdict, Passed) or self._guard.status().stopped:
            if isinstance(verdict, Passed):
                return Done(verdict, change)
            raise Unreachable("stopped", "the watch was interrupted by a stop; it runs again after the lift")
        taken = self._guard.revert(change.subject, change.id, "watch")
        if not isinstance(taken, Passed):
            raise Bug("revert-failed", f"{taken.rule}: {taken.where}")
        return Done(Refused(rule=verdict.rule, where=verdict.where, remedy=verdict.remedy), change)

    def _judge(self, change: Change) -> Verdict:
        if change.plan is None or change.green is None:
            raise Bug("no-green", "watch needs a plan and a Green")
        plan = documents.decode(Plan, self._store.get(change.plan))
        try:
            evidence = self._evaluator.verify("live-tests", plan, change.base, change.green, change.golden)
        except Unreachable:
            raise
        except GreenroomError as error:
            return Refused(rule=error.reference, where=error.where or error.message, remedy=error.remedy)
        found = verdict_on([evidence])
        return self._guard.mark_good(change.id, evidence.receipts) if isinstance(found, Passed) else found
