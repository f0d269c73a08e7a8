"""The security floor of a subject: the promotion that no revert may take back, nor any below it.

The owner sets it at a change that was marked good, and takes it away; both are signed orders. It binds everybody: the
watch and a person alike. Going forward through the gate is no revert, and is not bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from greenroom.domain.digest import Digest
from greenroom.domain.verdict import Refused
from greenroom.domain.vocabulary import ChangeId, Subject
from greenroom.guard.ledger import Generation
from greenroom.guard.order_kind import Entry, OrderKind
from greenroom.guard.papers import FloorOrder
from greenroom.guard.room import Room


def below_floor(room: Room, top: Generation) -> Refused | None:
    """Refused `below-floor` when taking `top` back would bring live to a state from before the subject's floor."""
    floor = floor_of(room, top.subject)
    if floor is None or top.id > floor.id:
        return None
    where = f"the floor of {top.subject} is change {floor.change}"
    remedy = f"undo it by a change; or take the floor away with the owner's key: greenroom floor clear {floor.change}"
    return Refused(rule="below-floor", where=where[:500], remedy=remedy)


def floor_of(room: Room, subject: Subject) -> Generation | None:
    """The generation that is the subject's floor, None without one."""
    held = room.ledger.setting(_setting(subject))
    return room.ledger.generation(int(held)) if held else None


def floors(room: Room) -> tuple[Mapping[str, Any], ...]:
    """Every floor: its subject, the change that it stands at, and what was live then."""
    found = [floor for subject in room.ledger.subjects() if (floor := floor_of(room, subject)) is not None]
    return tuple(
        {"subject": str(floor.subject), "change": floor.change, "green": floor.green, "at": str(floor.at)}
        for floor in found
    )


def subject_of_order(room: Room, order: FloorOrder) -> Subject | None:
    """The subject that the order is about, by what the guard itself promoted."""
    made = room.ledger.of_change(order.change)
    return made[-1].subject if made else None


def _unfit(room: Room, order: FloorOrder) -> Refused | None:
    made = room.ledger.of_change(order.change)
    if not order.holds:
        floor = floor_of(room, made[-1].subject) if made else None
        if floor is None or floor.change != order.change:
            return Refused(rule="no-floor", where=order.change[:128], remedy="greenroom floor show names each floor")
        return None
    if not made or made[-1].state not in ("baking", "kept"):
        remedy = "a floor stands at a promoted change: greenroom list --all"
        return Refused(rule="not-promoted", where=order.change[:128], remedy=remedy)
    if made[-1].state != "kept":
        remedy = "it can still have to be taken back; greenroom resume, then set the floor"
        return Refused(rule="floor-not-good", where=f"change {order.change[:128]} is still watched", remedy=remedy)
    return None


def _entry(room: Room, order: FloorOrder, digest: Digest) -> Entry:
    green = room.ledger.of_change(ChangeId(order.change))[-1].green
    name = "floor.set" if order.holds else "floor.cleared"
    return Entry(name=name, change=order.change, digests={"order": digest, "green": green})


def _apply(room: Room, order: FloorOrder, digest: Digest) -> None:
    del digest
    made = room.ledger.of_change(order.change)[-1]
    room.ledger.set(_setting(made.subject), str(made.id) if order.holds else "")


def _setting(subject: Subject) -> str:
    return f"floor {subject}"


FLOOR = OrderKind(name="floor", unfit=_unfit, entry=_entry, apply=_apply)
