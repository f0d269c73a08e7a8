"""Orders of the owner, taken in and put in force: signed, single-use, never older than they say."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from greenroom.domain.digest import Digest
from greenroom.domain.errors import GreenroomError, Tampered, Unreachable, Unusable
from greenroom.domain.refusals import refused_by
from greenroom.domain.verdict import Instant, Passed, Refused, Verdict
from greenroom.guard import commands, floors, looks, optins
from greenroom.guard.journal import tidy
from greenroom.guard.kept import read_paper
from greenroom.guard.order_kind import Entry, Order, OrderKind
from greenroom.guard.papers import (
    MAX_PAPER_BYTES,
    CommandOrder,
    ConstitutionOrder,
    FloorOrder,
    Lift,
    LookOrder,
    ModeOrder,
    OptInOrder,
    OptOutOrder,
    open_paper,
)
from greenroom.guard.room import Room
from greenroom.guard.stop import lift_stop

LONGEST_NS = 3_600_000_000_000
"""An order is signed and handed in at once; one that holds for more than an hour is not taken."""
_PENDING = "order-pending"
"""The setting that names an order between being taken and being in force."""


def set_mode(room: Room, envelope: bytes) -> Verdict:
    """Put the mode of a signed ModeOrder in force."""
    return _hand_in(room, envelope, ModeOrder)


def set_constitution(room: Room, envelope: bytes) -> Verdict:
    """Put the policy bundle of a signed ConstitutionOrder in force, after reading it whole.

    Every warrant that is not spent is void from then on: it names the earlier policy.
    """
    return _hand_in(room, envelope, ConstitutionOrder)


def set_floor(room: Room, envelope: bytes) -> Verdict:
    """Set or take away the floor that a signed FloorOrder names; no revert of the subject is under way meanwhile."""
    return _hand_in(room, envelope, FloorOrder)


def looked(room: Room, envelope: bytes) -> Verdict:
    """Take a person's word, in a signed LookOrder, that they looked at what went live."""
    return _hand_in(room, envelope, LookOrder)


def opt_in(room: Room, envelope: bytes) -> Verdict:
    """Let a signed OptInOrder count."""
    return _hand_in(room, envelope, OptInOrder)


def opt_out(room: Room, envelope: bytes) -> Verdict:
    """End the opt-in that a signed OptOutOrder names."""
    return _hand_in(room, envelope, OptOutOrder)


def allow_command(room: Room, envelope: bytes) -> Verdict:
    """Remember the test command of a signed CommandOrder as the owner's, for its subject and for no other."""
    return _hand_in(room, envelope, CommandOrder)


def finish(room: Room) -> None:
    """Put an order in force that was taken, and that a crash or an unwritable log kept from it.

    Nothing is in force before the log has it, and nothing that the log has stays out of force. Run at each start, and
    before each order. It reads the guard's own copy: deleting the stored one blocks no later order.
    """
    pending = room.ledger.setting(_PENDING)
    if not pending:
        return
    name, _, digest = pending.partition(" ")
    envelope = read_paper(room, Digest(digest), MAX_PAPER_BYTES)
    paper = next(paper for paper, kind in KINDS.items() if kind.name == name)
    # Whoever spoils the store can also keep it from taking the paper: the order counts all the same.
    with contextlib.suppress(GreenroomError, OSError):
        room.store.put("statement", envelope)
    _put_in_force(room, Digest(digest), open_paper(room.attestor, envelope, paper))


def _hand_in(room: Room, envelope: bytes, paper: type[Any]) -> Verdict:
    try:
        with room.ordering:
            order = open_paper(room.attestor, _bounded(envelope), paper)
            with _undisturbed(room, order):
                return _take(room, envelope, order)
    except Unreachable:
        raise
    except Unusable as error:
        return _refused(error)


def _undisturbed(room: Room, order: Order) -> contextlib.AbstractContextManager[Any]:
    """The lock of the subject whose reverts the order binds."""
    subject = floors.subject_of_order(room, order) if isinstance(order, FloorOrder) else None
    return contextlib.nullcontext() if subject is None else room.locks.of(subject)


def _take(room: Room, envelope: bytes, order: Order) -> Verdict:
    """Spend the order and put it in force. One that is refused is spent, too: handed in later it might do something."""
    kind = KINDS[type(order)]
    finish(room)
    refused = _used(room, order.nonce)
    if refused is not None:
        return refused
    refused = _untimely(room, order.expires) or _no_good(room, order)
    if refused is not None:
        room.ledger.spend(order.nonce, "refused")
        return refused
    digest = room.store.put("statement", envelope)
    with room.ledger.transaction():
        room.ledger.spend(order.nonce, kind.name)
        room.ledger.keep(digest, envelope)
        room.ledger.set(_PENDING, f"{kind.name} {digest}")
    room.crash_point(f"{kind.name}.taken")
    return _put_in_force(room, digest, order)


def _no_good(room: Room, order: Order) -> Refused | None:
    """Why this kind of order cannot be taken now, also where what it names cannot be read."""
    try:
        return KINDS[type(order)].unfit(room, order)
    except Unreachable:
        raise
    except Unusable as error:
        return _refused(error)


def _put_in_force(room: Room, digest: Digest, order: Order) -> Passed:
    """Log the order, once, then let it count."""
    kind = KINDS[type(order)]
    entry = kind.entry(room, order, digest)
    room.journal.write(
        entry.name,
        f"{kind.name}/{order.nonce}",
        actor=tidy(order.actor),
        change=entry.change,
        about=entry.about,
        digests=entry.digests,
    )
    room.crash_point(f"{kind.name}.logged")
    with room.ledger.transaction():
        kind.apply(room, order, digest)
        room.ledger.set(_PENDING, "")
        if not kind.stays:
            room.ledger.let_go(digest)
    room.crash_point(f"{kind.name}.in-force")
    return Passed(produced=entry.digests)


def check_constitution(room: Room) -> None:
    """At each start: what is in force is what the owner signed. Raises Tampered; nothing then starts.

    The order is read from the guard's own copy: who can delete in the store cannot keep the guard from starting by it.
    Where there is none, what the store has is kept, once it is found to be the owner's.
    """
    policy = room.rules.digest
    if policy is None:
        return
    order = Digest(room.ledger.setting("policy-order") or "")
    envelope = read_paper(room, order, MAX_PAPER_BYTES)
    signed = open_paper(room.attestor, envelope, ConstitutionOrder)
    if signed.policy != policy:
        raise Tampered("policy-differs", "the policy in force is not the one that the owner signed", where=policy)
    if room.ledger.kept(order) is None:
        room.ledger.keep(order, envelope)
    room.rules.current()


def lift(room: Room, envelope: bytes) -> Verdict:
    """Lift the stop that a signed Lift names."""
    try:
        paper = open_paper(room.attestor, _bounded(envelope), Lift)
        now = room.clock.now()
        digest = room.store.put("statement", envelope)
        return lift_stop(room.stop, room.journal, now, paper, digest, room.crash_point)
    except Unreachable:
        raise
    except Unusable as error:
        return _refused(error)


def _used(room: Room, nonce: str) -> Refused | None:
    if not 16 <= len(nonce) <= 128 or not nonce.isalnum():
        return Refused(rule="order-malformed", where="nonce", remedy="a nonce has 16 to 128 letters and digits")
    if room.ledger.spent(nonce):
        return _spent(nonce)
    return None


def _untimely(room: Room, expires: Instant) -> Refused | None:
    now = room.clock.now()
    if now >= expires:
        return Refused(rule="order-expired", where=str(expires), remedy="sign it again")
    if expires > now + LONGEST_NS:
        return Refused(rule="order-too-long", where=str(expires), remedy="an order holds for at most an hour")
    return None


def _bounded(envelope: bytes) -> bytes:
    if len(envelope) > MAX_PAPER_BYTES:
        raise Unusable("order-too-large", f"an order has at most {MAX_PAPER_BYTES} bytes")
    return envelope


def _spent(nonce: str) -> Refused:
    return Refused(rule="order-spent", where=nonce[:128], remedy="sign it again")


def _refused(error: Unusable) -> Refused:
    return refused_by(error)


def _fit_mode(room: Room, order: ModeOrder) -> None:
    del room, order


def _mode_entry(room: Room, order: ModeOrder, digest: Digest) -> Entry:
    del room
    return Entry(name="mode.changed", about=order.mode.value, digests={"order": digest})


def _apply_mode(room: Room, order: ModeOrder, digest: Digest) -> None:
    del digest
    room.ledger.set("mode", order.mode.value)


def _unfit_constitution(room: Room, order: ConstitutionOrder) -> Refused | None:
    if order.previous != room.rules.digest:
        remedy = "another constitution came in between; edit that one"
        return Refused(rule="constitution-moved", where=str(room.rules.digest), remedy=remedy)
    room.rules.read(order.policy)
    return None


def _constitution_entry(room: Room, order: ConstitutionOrder, digest: Digest) -> Entry:
    name = "box.created" if room.rules.digest is None else "constitution.changed"
    return Entry(name=name, digests={"policy": order.policy, "order": digest})


def _apply_constitution(room: Room, order: ConstitutionOrder, digest: Digest) -> None:
    earlier = room.ledger.setting("policy-order")
    if earlier and earlier != digest:
        room.ledger.let_go(Digest(earlier))
    room.ledger.set("policy", order.policy)
    room.ledger.set("policy-order", digest)


KINDS: Mapping[type[Any], OrderKind[Any]] = {
    ModeOrder: OrderKind(name="mode", unfit=_fit_mode, entry=_mode_entry, apply=_apply_mode),
    ConstitutionOrder: OrderKind(
        name="constitution", unfit=_unfit_constitution, entry=_constitution_entry, apply=_apply_constitution, stays=True
    ),
    CommandOrder: commands.COMMAND,
    FloorOrder: floors.FLOOR,
    LookOrder: looks.LOOK,
    OptInOrder: optins.OPT_IN,
    OptOutOrder: optins.OPT_OUT,
}
"""Every kind of order. The name of one that was taken is kept in the ledger until it is in force."""
