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


def set_mode(room: Room, envelope: bytes) -> Verdict:
    """Put the mode of a signed ModeOrder in force."""
    try:
        with room.ledger.transaction():
            return _mode(room, envelope, open_paper(room.attestor, _bounded(envelope), ModeOrder))
    except Unreachable:
        raise
    except Unusable as error:
        return _refused(error)


def _mode(room: Room, envelope: bytes, order: ModeOrder) -> Verdict:
    refused = _unfit(room, order.nonce, order.expires)
    if refused is not None:
        return refused
    digest = room.store.put("statement", envelope)
    room.journal.write(
        "mode.changed",
        f"mode/{order.nonce}",
        actor=tidy(order.actor),
        about=order.mode.value,
        digests={"order": digest},
    )
    room.ledger.spend(order.nonce, "mode")
    room.ledger.set("mode", order.mode.value)
    return Passed(produced={"order": digest})


def set_constitution(room: Room, envelope: bytes) -> Verdict:
    """Put the policy bundle of a signed ConstitutionOrder in force, after reading it whole.

    Every warrant that is not spent is void from then on: it names the earlier policy.
    """
    try:
        with room.ledger.transaction():
            return _constitution(room, envelope, open_paper(room.attestor, _bounded(envelope), ConstitutionOrder))
    except Unreachable:
        raise
    except Unusable as error:
        return _refused(error)


def _constitution(room: Room, envelope: bytes, order: ConstitutionOrder) -> Verdict:
    refused = _unfit(room, order.nonce, order.expires) or _unfit_constitution(room, order)
    if refused is not None:
        return refused
    digest = room.store.put("statement", envelope)
    first = room.rules.digest is None
    papers = {"policy": order.policy, "order": digest}
    room.journal.write(
        "box.created" if first else "constitution.changed",
        f"constitution/{order.nonce}",
        actor=tidy(order.actor),
        digests=papers,
    )
    room.ledger.spend(order.nonce, "constitution")
    room.ledger.set("policy", order.policy)
    room.ledger.set("policy-order", digest)
    return Passed(produced=papers)


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
        return lift_stop(room.stop, room.journal, now, paper, room.store.put("statement", envelope))
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
