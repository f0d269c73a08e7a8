"""What went live by itself since a person last looked at a subject, and when that is enough.

A person looks by the owner's signature only: a consent that is spent on exactly the change it was given to, or an order
that names the last promotion that was shown. Neither can be kept back and used later: the consent is bound to a base
that must still be live, the order to what was live by then. A consent that the guard carries over to another change
is no look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from greenroom.domain.constitution import DayCaps
from greenroom.domain.digest import Digest
from greenroom.domain.proof import Consent, Warrant
from greenroom.domain.verdict import Held, Refused
from greenroom.domain.vocabulary import Subject
from greenroom.guard.ledger import Generation, Promotion
from greenroom.guard.order_kind import Entry, OrderKind
from greenroom.guard.papers import LookOrder
from greenroom.guard.room import Room

_SHOWN = 200


def not_looked_at(room: Room, subject: Subject, lines: int, risk: int, caps: DayCaps) -> Held | None:
    """Held `not-looked-at` when one more change that nobody agreed to in person would be too much.

    What may go live by itself until a person looks is what the constitution allows in one day, however many days pass.
    """
    unseen = unseen_of(room, subject)
    for name, total, limit in (
        ("changes", len(unseen) + 1, caps.changes),
        ("lines", sum(each.lines for each in unseen) + lines, caps.lines),
        ("risk", sum(each.risk for each in unseen) + risk, caps.risk),
    ):
        if total > limit:
            where = f"{name}: {total} of {limit} since a person last looked at {subject}"
            remedy = "greenroom looked shows them and takes your word, with the owner's key"
            return Held(rule="not-looked-at", where=where[:500], remedy=remedy)
    return None


def in_person(warrant: Warrant, consents: Sequence[object]) -> bool:
    """True when one of the warrant's consents is a person's, to exactly this change, plan and Green."""
    return any(
        isinstance(each, Consent)
        and (each.change, each.plan, each.green) == (warrant.change, warrant.plan, warrant.green)
        for each in consents
    )


def saw(room: Room, subject: Subject, generation: int) -> None:
    """Remember that a person looked at what had been promoted up to `generation`. It never goes back."""
    if generation > _last_seen(room, subject):
        room.ledger.set(_setting(subject), str(generation))


def unseen_of(room: Room, subject: Subject) -> Sequence[Promotion]:
    """The promotions of `subject` since a person last looked, oldest first; those taken back since count, too."""
    return room.ledger.promotions(subject, _last_seen(room, subject))


def unseen(room: Room) -> tuple[Mapping[str, Any], ...]:
    """What a person is to look at, by subject: each change with its weight, and the warrant that an order names.

    `count` says how many there are, of which `changes` are the last ones: an answer has to fit a frame.
    """
    found = [(subject, unseen_of(room, subject)) for subject in room.ledger.subjects()]
    return tuple(
        {
            "subject": str(subject),
            "through": promotions[-1].generation.paper,
            "count": len(promotions),
            "changes": [_plain(each) for each in promotions[-_SHOWN:]],
        }
        for subject, promotions in found
        if promotions
    )


def _plain(promotion: Promotion) -> Mapping[str, Any]:
    generation = promotion.generation
    return {
        "change": generation.change,
        "state": generation.state,
        "green": generation.green,
        "lines": promotion.lines,
        "risk": promotion.risk,
        "at": str(generation.at),
    }


def _unfit(room: Room, order: LookOrder) -> Refused | None:
    if _through(room, order) is not None:
        return None
    return Refused(rule="not-promoted", where=order.through, remedy="greenroom looked shows what is to be looked at")


def _entry(room: Room, order: LookOrder, digest: Digest) -> Entry:
    generation = _through(room, order)
    change = None if generation is None else generation.change
    return Entry(name="person.looked", change=change, digests={"order": digest, "warrant": order.through})


def _apply(room: Room, order: LookOrder, digest: Digest) -> None:
    del digest
    generation = _through(room, order)
    if generation is not None:
        saw(room, order.subject, generation.id)


def _through(room: Room, order: LookOrder) -> Generation | None:
    made = room.ledger.promotions(order.subject, 0)
    return next((each.generation for each in reversed(made) if each.generation.paper == order.through), None)


def _last_seen(room: Room, subject: Subject) -> int:
    return int(room.ledger.setting(_setting(subject)) or 0)


def _setting(subject: Subject) -> str:
    return f"looked {subject}"


LOOK = OrderKind(name="look", unfit=_unfit, entry=_entry, apply=_apply)
