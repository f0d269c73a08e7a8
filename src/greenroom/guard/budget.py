"""Budget: money set aside and settled, and what a subject may use in a day. One transaction each."""

from __future__ import annotations

import secrets

from greenroom.domain.constitution import DayCaps
from greenroom.domain.errors import Unusable
from greenroom.domain.plan import Caps
from greenroom.domain.ports import Totals
from greenroom.domain.verdict import Held, Instant
from greenroom.domain.vocabulary import ChangeId
from greenroom.guard.ledger import tomorrow
from greenroom.guard.room import Room


def reserve(room: Room, change: ChangeId, caps: Caps) -> str | Held:
    """Set aside what a run may spend; Held `day-cap-spend` when the box has no more today, `stopped` under a stop.

    Which subject a change is about is only the caller's word here, so the day's cap holds for the whole box.
    """
    if caps.spend_micro < 0:
        raise Unusable("bad-caps", "a reservation cannot be negative", where="spend_micro")
    held = room.stop.held()
    if held is not None:
        return held
    limit = room.rules.current().constitution.caps.spend_micro
    now = room.clock.now()
    reservation = secrets.token_hex(16)
    with room.ledger.transaction():
        if room.ledger.spending(now) + caps.spend_micro > limit:
            where = f"{room.ledger.spending(now)} of {limit} millionths are spent or set aside"
            remedy = "wait for the next UTC day, or raise caps.spend_micro in the constitution"
            return Held(rule="day-cap-spend", where=where, remedy=remedy, ask_again=tomorrow(now))
        room.ledger.reserve(reservation, change, now, caps.spend_micro)
    if caps.spend_micro:
        room.journal.write("budget.reserved", f"reserved/{reservation}", change=change)
    return reservation


def settle(room: Room, reservation: str, used: Caps) -> None:
    """Put what was used in the place of what was set aside; more than that is counted and logged as over."""
    with room.ledger.transaction():
        found = room.ledger.reservation(reservation)
        if found is None:
            raise Unusable("no-reservation", "no open reservation has this name", where=reservation[:64])
        change, reserved = found
        if used.spend_micro < 0:
            raise Unusable("bad-caps", "what was used cannot be negative", where="spend_micro")
        room.ledger.settle(reservation, used.spend_micro)
    if reserved or used.spend_micro:
        about = "over" if used.spend_micro > reserved else ""
        room.journal.write("budget.settled", f"settled/{reservation}", change=change, about=about)


def over_cap(totals: Totals, lines: int, risk: int, caps: DayCaps, now: Instant) -> Held | None:
    """The first day cap that one more change of so many lines and so much risk would break; asked again tomorrow."""
    for name, total, limit in (
        ("changes", totals.changes + 1, caps.changes),
        ("lines", totals.lines + lines, caps.lines),
        ("risk", totals.risk + risk, caps.risk),
    ):
        if total > limit:
            remedy = f"wait for the next UTC day, or raise caps.{name} in the constitution"
            return Held(
                rule=f"day-cap-{name}", where=f"{total} of {limit} today", remedy=remedy, ask_again=tomorrow(now)
            )
    return None
