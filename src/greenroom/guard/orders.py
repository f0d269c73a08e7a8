"""Orders of the owner: the constitution in force and the mode. Signed, single-use, never older than they say."""

from __future__ import annotations

from greenroom.domain.digest import Digest
from greenroom.domain.errors import Tampered, Unreachable, Unusable
from greenroom.domain.verdict import Instant, Passed, Refused, Verdict
from greenroom.guard.journal import tidy
from greenroom.guard.papers import MAX_PAPER_BYTES, ConstitutionOrder, Lift, ModeOrder, open_paper
from greenroom.guard.room import Room
from greenroom.guard.stop import lift_stop

LONGEST_NS = 3_600_000_000_000
"""An order is signed and handed in at once; one that holds for more than an hour is not taken."""
_PENDING = "order-pending"
"""The setting that names an order between being taken and being in force."""


def set_mode(room: Room, envelope: bytes) -> Verdict:
    """Put the mode of a signed ModeOrder in force."""
    try:
        with room.ordering:
            return _take(room, envelope, open_paper(room.attestor, _bounded(envelope), ModeOrder))
    except Unreachable:
        raise
    except Unusable as error:
        return _refused(error)


def set_constitution(room: Room, envelope: bytes) -> Verdict:
    """Put the policy bundle of a signed ConstitutionOrder in force, after reading it whole.

    Every warrant that is not spent is void from then on: it names the earlier policy.
    """
    try:
        with room.ordering:
            return _take(room, envelope, open_paper(room.attestor, _bounded(envelope), ConstitutionOrder))
    except Unreachable:
        raise
    except Unusable as error:
        return _refused(error)


def finish(room: Room) -> None:
    """Put an order in force that was taken, and that a crash or an unwritable log kept from it.

    Nothing is in force before the log has it, and nothing that the log has stays out of force. Run at each start, and
    before each order.
    """
    pending = room.ledger.setting(_PENDING)
    if not pending:
        return
    kind, _, digest = pending.partition(" ")
    envelope = room.store.get(Digest(digest), MAX_PAPER_BYTES)
    if kind == "mode":
        _put_in_force(room, Digest(digest), open_paper(room.attestor, envelope, ModeOrder))
    else:
        _put_in_force(room, Digest(digest), open_paper(room.attestor, envelope, ConstitutionOrder))


def _take(room: Room, envelope: bytes, order: ModeOrder | ConstitutionOrder) -> Verdict:
    kind = "mode" if isinstance(order, ModeOrder) else "constitution"
    finish(room)
    refused = _unfit(room, order.nonce, order.expires)
    if refused is None and isinstance(order, ConstitutionOrder):
        refused = _unfit_constitution(room, order)
    if refused is not None:
        return refused
    digest = room.store.put("statement", envelope)
    with room.ledger.transaction():
        room.ledger.spend(order.nonce, kind)
        room.ledger.set(_PENDING, f"{kind} {digest}")
    room.crash_point(f"{kind}.taken")
    return _put_in_force(room, digest, order)


def _put_in_force(room: Room, digest: Digest, order: ModeOrder | ConstitutionOrder) -> Passed:
    """Log the order, once, then let it count."""
    produced = {"order": digest}
    if isinstance(order, ModeOrder):
        kind, name, about = "mode", "mode.changed", order.mode.value
    else:
        kind, name, about = "constitution", "constitution.changed", ""
        produced = {"policy": order.policy, "order": digest}
        if room.rules.digest is None:
            name = "box.created"
    key = f"{kind}/{order.nonce}"
    room.journal.write(name, key, actor=tidy(order.actor), about=about, digests=produced)
    room.crash_point(f"{kind}.logged")
    with room.ledger.transaction():
        if isinstance(order, ModeOrder):
            room.ledger.set("mode", order.mode.value)
        else:
            room.ledger.set("policy", order.policy)
            room.ledger.set("policy-order", digest)
        room.ledger.set(_PENDING, "")
    room.crash_point(f"{kind}.in-force")
    return Passed(produced=produced)


def check_constitution(room: Room) -> None:
    """At each start: what is in force is what the owner signed. Raises Tampered; nothing then starts."""
    policy = room.rules.digest
    if policy is None:
        return
    order = room.ledger.setting("policy-order")
    envelope = room.store.get(Digest(order or ""), MAX_PAPER_BYTES)
    signed = open_paper(room.attestor, envelope, ConstitutionOrder)
    if signed.policy != policy:
        raise Tampered("policy-differs", "the policy in force is not the one that the owner signed", where=policy)
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


def _unfit(room: Room, nonce: str, expires: Instant) -> Refused | None:
    now = room.clock.now()
    if not 16 <= len(nonce) <= 128 or not nonce.isalnum():
        return Refused(rule="order-malformed", where="nonce", remedy="a nonce has 16 to 128 letters and digits")
    if room.ledger.spent(nonce):
        return _spent(nonce)
    if now >= expires:
        return Refused(rule="order-expired", where=str(expires), remedy="sign it again")
    if expires > now + LONGEST_NS:
        return Refused(rule="order-too-long", where=str(expires), remedy="an order holds for at most an hour")
    return None


def _unfit_constitution(room: Room, order: ConstitutionOrder) -> Refused | None:
    if order.previous != room.rules.digest:
        remedy = "another constitution came in between; edit that one"
        return Refused(rule="constitution-moved", where=str(room.rules.digest), remedy=remedy)
    room.rules.read(order.policy)
    return None


def _bounded(envelope: bytes) -> bytes:
    if len(envelope) > MAX_PAPER_BYTES:
        raise Unusable("order-too-large", f"an order has at most {MAX_PAPER_BYTES} bytes")
    return envelope


def _spent(nonce: str) -> Refused:
    return Refused(rule="order-spent", where=nonce[:128], remedy="sign it again")


def _refused(error: Unusable) -> Refused:
    return Refused(rule=error.reference, where=error.where or error.message, remedy=error.remedy)
