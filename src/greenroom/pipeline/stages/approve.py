"""Approve: who must agree, by mode and consent level; a person's yes arrives as a signed consent."""

from __future__ import annotations

from collections.abc import Callable

from greenroom.domain.change import Change
from greenroom.domain.errors import Bug
from greenroom.domain.ports import Policy
from greenroom.domain.verdict import Held, Passed
from greenroom.domain.vocabulary import Agree
from greenroom.pipeline.flow import Done
from greenroom.pipeline.holds import NEEDS_APPROVAL


class ApproveStage:
    """Passes what nobody or a recorded consent agrees to; everything else waits for a person.

    The guard decides again, from the signed consent itself, before it gives a warrant.
    """

    def __init__(self, *, policy: Callable[[], Policy]) -> None:
        self._policy = policy

    def run(self, change: Change) -> Done:
        """Passed with a consent or where nobody needs to agree; else held as `needs-approval`."""
        if change.risk is None:
            raise Bug("no-risk", "approve needs a weighed change")
        agree = self._policy().agree(change.mode, change.risk.level)
        if agree is Agree.NOBODY or change.consents:
            return Done(Passed(), change)
        who = {
            Agree.PERSON: "a person must agree",
            Agree.STANDING: "a standing opt-in or a person must agree",
            Agree.TWO_VERIFIES: "two verify runs or a person must agree",
        }[agree]
        held = Held(rule=NEEDS_APPROVAL, where=who, remedy=f"greenroom approve {change.id}")
        return Done(held, change)
