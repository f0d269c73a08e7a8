"""Budget: money set aside and settled, and what a subject may use in a day. One transaction each."""

from __future__ import annotations

import secrets

from greenroom.domain.constitution import DayCaps
from greenroom.domain.errors import Unusable
from greenroom.domain.plan import Caps
from greenroom.domain.ports import Totals
from greenroom.domain.verdict import Held, Instant
from greenroom.domain.vocabulary import ChangeId, Subject
from greenroom.guard.ledger import tomorrow
from greenroom.guard.room import Room

MAX_SPEND = 2**53 - 1
"""The largest amount, in millionths: what a constitution can name."""


def reserve(room: Room, change: ChangeId, subject: Subject, caps: Caps) -> str | Held:
    """Set aside what a run may spend on `subject`; Held `day-cap-spend` when it has no more today, `stopped`.

    Raises Unusable `unknown-subject` where nothing of it is live, `change-of-another-subject` for a change that spent
    on, or was promoted on, another one: which subject a change is about is the caller's word only once.
    """
    _check_amount(caps.spend_micro)
    held = room.stop.held()
    if held is not None:
        return held
    limit = room.rules.current().constitution.caps.spend_micro
    now = room.clock.now()
    reservation = secrets.token_hex(16)
    with room.ledger.transaction():
        _check_subject(room, change, subject)
        spent = room.ledger.spending(subject, now)
        if spent + caps.spend_micro > limit:
            where = f"{spent} of {limit} millionths are spent or set aside today on {subject}"
            remedy = "wait for the next UTC day, or raise caps.spend_micro in the constitution"
            return Held(rule="day-cap-spend", where=where[:500], remedy=remedy, ask_again=tomorrow(now))
        room.ledger.reserve(reservation, change, subject, now, caps.spend_micro)
    room.crash_point("reserve.counted")
    if caps.spend_micro:
        room.journal.write("budget.reserved", f"reserved/{reservation}", change=change)
    return reservation


def settle(room: Room, reservation: str, used: Caps) -> None:
    """Put what was used in the place of what was set aside; more than that is counted and logged as over.

    It counts on the day of its reservation. What is never settled stays counted as set aside. A settlement that a crash
    cut after its entry is settled by asking again.
    """
    _check_amount(used.spend_micro)
    with room.ledger.transaction():
        found = room.ledger.reservation(reservation)
        if found is None:
            raise Unusable("no-reservation", "no open reservation has this name", where=reservation[:64])
        change, reserved = found
        if reserved or used.spend_micro:
            about = "over" if used.spend_micro > reserved else ""
            room.journal.write("budget.settled", f"settled/{reservation}", change=change, about=about)
        room.crash_point("settle.logged")
        room.ledger.settle(reservation, used.spend_micro)


def _check_amount(spend_micro: int) -> None:
    if not 0 <= spend_micro <= MAX_SPEND:
        raise Unusable("bad-caps", f"an amount is from 0 to {MAX_SPEND} millionths", where="spend_micro")


def _check_subject(room: Room, change: ChangeId, subject: Subject) -> None:
    if not room.ledger.standing(subject):
        raise Unusable("unknown-subject", "nothing of this subject is live", where=str(subject)[:500])
    of = room.ledger.spent_on(change) or next((each.subject for each in room.ledger.of_change(change)), None)
    if of not in (None, subject):
        raise Unusable("change-of-another-subject", f"the change is about {of}"[:500], where=str(subject)[:500])


def over_cap(totals: Totals, lines: int, risk: int, caps: DayCaps, now: Instant, *, most: DayCaps) -> Held | None:
    """The first day cap that one more change of so many lines and so much risk would break; asked again tomorrow.

    `caps` are what the change's plan left of the constitution's, which are `most`.
    """
    for name, total, limit in (
        ("changes", totals.changes + 1, caps.changes),
        ("lines", totals.lines + lines, caps.lines),
        ("risk", totals.risk + risk, caps.risk),
    ):
        if total > limit:
            own = limit == getattr(most, name)
            place = "the constitution" if own else "greenroom.toml or the box's config.toml, which lower it"
            remedy = f"wait for the next UTC day, or raise caps.{name} in {place}"
            return Held(
                rule=f"day-cap-{name}", where=f"{total} of {limit} today", remedy=remedy, ask_again=tomorrow(now)
            )
    return None
