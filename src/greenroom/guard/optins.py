"""Opt-ins: the owner's standing yes by rule, as the guard holds it. Expired and removed ones count for nothing."""

from __future__ import annotations

import re

from greenroom.domain.digest import Digest
from greenroom.domain.standing import OptIn, counts
from greenroom.domain.verdict import Instant, Refused
from greenroom.guard.journal import tidy
from greenroom.guard.order_kind import Entry, OrderKind
from greenroom.guard.papers import OptInOrder, OptOutOrder
from greenroom.guard.room import Room

MOST = 256
MAX_REPOSITORY = 4096
_RULE = re.compile(r"[a-z][a-z0-9-]{0,39}(:[A-Za-z0-9.-]{1,40})?")


def in_force(room: Room, now: Instant) -> tuple[OptIn, ...]:
    """The opt-ins that count at `now`, oldest first."""
    query = "SELECT id, rule, repository, until, added, actor FROM opt_ins ORDER BY rowid"
    found = (
        OptIn(
            id=Digest(str(row[0])),
            rule=str(row[1]),
            repository=str(row[2]),
            until=None if row[3] is None else Instant(int(row[3])),
            added=Instant(int(row[4])),
            actor=str(row[5]),
        )
        for row in room.ledger.rows(query)
    )
    return tuple(each for each in found if counts(each, now))


def _unfit_in(room: Room, order: OptInOrder) -> Refused | None:
    """A malformed one, one that changes nothing, one too many."""
    now, place = room.clock.now(), order.repository
    present = in_force(room, now)
    if _RULE.fullmatch(order.rule) is None:
        return _no("opt-in-malformed", "rule", "name the rule of a finding, such as ruff:F401 or codespell")
    if place and not (place.startswith("/") and place.isprintable() and len(place) <= MAX_REPOSITORY):
        return _no("opt-in-malformed", "repository", "name the repository by its absolute path, of printable words")
    if order.until is not None and order.until <= now:
        return _no("opt-in-expired", str(order.until), "let it end in the future, or leave --expires out")
    if any((each.rule, each.repository, each.until) == (order.rule, place, order.until) for each in present):
        return _no("opt-in-known", order.rule, "it counts already: see `greenroom opt-in list`")
    if len(present) >= MOST:
        return _no("too-many-opt-ins", f"{len(present)} count", "remove some: `greenroom opt-in remove RULE`")
    return None


def _entry_in(room: Room, order: OptInOrder, digest: Digest) -> Entry:
    del room
    return Entry(name="opt-in.added", about=order.rule, digests={"opt-in": digest})


def _apply_in(room: Room, order: OptInOrder, digest: Digest) -> None:
    now = room.clock.floor()
    room.ledger.write("DELETE FROM opt_ins WHERE CAST(until AS INTEGER) <= ?", now)
    until = None if order.until is None else str(order.until)
    values = (digest, order.rule, order.repository, until, str(now), tidy(order.actor))
    room.ledger.write("INSERT INTO opt_ins VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", *values)


def _unfit_out(room: Room, order: OptOutOrder) -> Refused | None:
    if any(each.id == order.opt_in for each in in_force(room, room.clock.now())):
        return None
    return _no("no-such-opt-in", order.opt_in, "see `greenroom opt-in list`")


def _entry_out(room: Room, order: OptOutOrder, digest: Digest) -> Entry:
    rules = room.ledger.rows("SELECT rule FROM opt_ins WHERE id = ?", order.opt_in)
    papers = {"opt-in": order.opt_in, "order": digest}
    return Entry(name="opt-in.removed", about=str(rules[0][0]) if rules else "", digests=papers)


def _apply_out(room: Room, order: OptOutOrder, digest: Digest) -> None:
    del digest
    room.ledger.write("DELETE FROM opt_ins WHERE id = ?", order.opt_in)


def _no(rule: str, where: str, remedy: str) -> Refused:
    return Refused(rule=rule, where=where[:300], remedy=remedy)


OPT_IN = OrderKind(name="opt-in", unfit=_unfit_in, entry=_entry_in, apply=_apply_in)
OPT_OUT = OrderKind(name="opt-out", unfit=_unfit_out, entry=_entry_out, apply=_apply_out)
