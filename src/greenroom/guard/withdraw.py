"""Withdraw: every yes to a change that is not spent is void from here on; only a later yes of a person counts.

It needs no key: like a stop, it only takes a permission away. The door asks the guard itself, so that an executor that
was taken over can neither keep a withdrawal back nor use what it still holds.
"""

from __future__ import annotations

from greenroom.domain.proof import Consent
from greenroom.domain.verdict import Held, Passed, Refused, Verdict
from greenroom.domain.vocabulary import ChangeId
from greenroom.guard import windows
from greenroom.guard.journal import SLEW_NS, tidy
from greenroom.guard.room import Room

MAX_CHANGE = 128
RULE = "approval-withdrawn"


def withdraw(room: Room, change: ChangeId, actor: str) -> Verdict:
    """Void consents and warrants of `change`, and cancel its windows; a yes that was carried to it is void with them.

    Passed; Refused `already-live` once its promotion has begun: that runs on, what is unspent is void all the same.
    Works under a stop. Logged before it answers.
    """
    if not change or len(change) > MAX_CHANGE or not change.isprintable():
        return Refused(rule="bad-change", where="the id of the change", remedy="name it as `greenroom list` does")
    with room.ledger.transaction():
        live = any(each.state not in ("forgotten", "reverted") for each in room.ledger.of_change(change))
        at = room.clock.floor()
        voided = room.ledger.withdraw(change, at)
    room.crash_point("withdraw.noted")
    for each in voided:
        room.journal.write("consent.withdrawn", f"withdrawn/{each}/{at}", actor=tidy(actor), change=each)
    windows.cancel(room, change, actor)
    if live:
        return Refused(rule="already-live", where=change, remedy=f"greenroom revert {change}")
    return Passed()


def void(room: Room, change: ChangeId, consent: Consent | None) -> Held | None:
    """Held where the yes to `change` was withdrawn after `consent` was signed; None is a yes that no person gave."""
    at = room.ledger.withdrawn(change)
    if at is None or (consent is not None and consent.at is not None and consent.at > at):
        return None
    return Held(rule=RULE, where=f"{change}: its approval was withdrawn", remedy=f"greenroom approve {change}")


def early(room: Room, consent: Consent) -> Refused | None:
    """Refused for a consent that says it was signed later than now: no withdrawal could void it."""
    if consent.at is None or consent.at <= room.clock.now() + SLEW_NS:
        return None
    where, remedy = f"{consent.change}, signed at {consent.at}", "set the clock right, then approve again"
    return Refused(rule="consent-from-the-future", where=where, remedy=remedy)
