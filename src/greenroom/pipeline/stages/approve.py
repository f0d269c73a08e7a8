"""Approve: who must agree, by mode and consent level; a person's yes arrives as a signed consent."""

from __future__ import annotations

from collections.abc import Callable

from greenroom.domain.change import Change
from greenroom.domain.errors import Bug
from greenroom.domain.ports import Policy
from greenroom.domain.verdict import Held, Passed
from greenroom.domain.vocabulary import Agree, Mode
from greenroom.pipeline.flow import Done
from greenroom.pipeline.holds import NEEDS_APPROVAL

WHO = {
    Agree.PERSON: "a person must agree",
    Agree.STANDING: "a standing opt-in or a person must agree",
    Agree.TWO_VERIFIES: "two verify runs or a person must agree",
}
ONLY_A_PERSON = "level 3: only a person may agree, and nobody is asked in line"
Standing = Callable[[Change, Agree], Done | None]
"""Whether what is not a person agrees to a change; None where it does not, and nobody knows more."""


def _nobody(change: Change, agree: Agree) -> Done | None:
    del change, agree
    return None


class ApproveStage:
    """Passes what nobody, a recorded consent or `standing` agrees to; everything else waits for a person.

    The guard decides again, from the signed consent itself or from its own opt-ins, before it gives a warrant.
    """

    def __init__(self, *, policy: Callable[[], Policy], standing: Standing = _nobody) -> None:
        self._policy = policy
        self._standing = standing

    def run(self, change: Change) -> Done:
        """Passed with a consent or where nobody needs to agree; else held as `needs-approval`."""
        if change.risk is None:
            raise Bug("no-risk", "approve needs a weighed change")
        agree = self._policy().agree(change.mode, change.risk.level)
        if agree is Agree.NOBODY or change.consents:
            return Done(Passed(), change)
        alone = agree is Agree.PERSON and change.mode is Mode.AUTONOMOUS
        where = ONLY_A_PERSON if alone else WHO[agree]
        held = Held(rule=NEEDS_APPROVAL, where=where, remedy=f"greenroom approve {change.id}")
        return self._standing(change, agree) or Done(held, change)
