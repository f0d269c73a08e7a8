"""Watch: the required tests once on the live tree; mark-good is explicit, anything else takes it back."""

from __future__ import annotations

import dataclasses

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.errors import Bug, GreenroomError, Unreachable
from greenroom.domain.outcomes import verdict_on
from greenroom.domain.plan import Plan
from greenroom.domain.ports import Evaluator, Guard, Store
from greenroom.domain.refusals import refused_by
from greenroom.domain.verdict import Passed, Verdict
from greenroom.pipeline.flow import Done, take_back


class WatchStage:
    """Runs the live check and has the guard mark the promotion good, or take it back."""

    def __init__(self, *, store: Store, evaluator: Evaluator, guard: Guard) -> None:
        self._store = store
        self._evaluator = evaluator
        self._guard = guard

    def run(self, change: Change) -> Done:
        """Passed when the guard marked it good; Refused after it was taken back."""
        verdict, watched = self._judge(change)
        return Done(verdict, watched) if isinstance(verdict, Passed) else take_back(self._guard, watched, verdict)

    def _judge(self, change: Change) -> tuple[Verdict, Change]:
        """What the live check says, and the change with its evidence, so that a person can look at the runs."""
        if change.plan is None or change.green is None or change.warrant is None:
            raise Bug("no-green", "watch needs a plan, a Green and the warrant that was spent")
        plan = documents.decode(Plan, self._store.get(change.plan))
        try:
            evidence = self._evaluator.verify(
                "live-tests", plan, change.base, change.green, change.golden, change.warrant
            )
        except Unreachable:
            raise
        except GreenroomError as error:
            return refused_by(error), change
        stored = self._store.put("output", documents.encode(evidence))
        watched = dataclasses.replace(change, evidence=(*change.evidence, stored))
        found = verdict_on([evidence])
        passed = isinstance(found, Passed)
        return self._guard.mark_good(change.id, evidence.receipts) if passed else found, watched
