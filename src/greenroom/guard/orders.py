"""Orders of the owner: constitution, mode, test commands. Signed, single-use, never older than they say."""

from __future__ import annotations

from collections.abc import Mapping

from greenroom.domain.arguments import command_words, has_odd_characters
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.errors import Tampered, Unreachable, Unusable
from greenroom.domain.verdict import Instant, Passed, Refused, Verdict
from greenroom.domain.vocabulary import Subject
from greenroom.guard.journal import tidy
from greenroom.guard.papers import MAX_PAPER_BYTES, CommandOrder, ConstitutionOrder, Lift, ModeOrder, open_paper
from greenroom.guard.room import Room
from greenroom.guard.stop import lift_stop

LONGEST_NS = 3_600_000_000_000
"""An order is signed and handed in at once; one that holds for more than an hour is not taken."""
_PENDING = "order-pending"
"""The setting that names an order between being taken and being in force."""
MAX_COMMAND = 4096
Order = ModeOrder | ConstitutionOrder | CommandOrder
_KINDS: Mapping[str, type[Order]] = {"mode": ModeOrder, "constitution": ConstitutionOrder, "command": CommandOrder}


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


def allow_command(room: Room, envelope: bytes) -> Verdict:
    """Remember the test command of a signed CommandOrder as the owner's, for its subject and for no other."""
    try:
        with room.ordering:
            return _take(room, envelope, open_paper(room.attestor, _bounded(envelope), CommandOrder))
    except Unreachable:
        raise
    except Unusable as error:
        return _refused(error)


def command_allowed(room: Room, subject: Subject, command: str) -> bool:
    """Whether the owner signed for this test command of `subject`; one order is enough for good."""
    return bool(room.ledger.setting(_command_key(subject, command)))


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
    order: Order
    if kind == "mode":
        order = open_paper(room.attestor, envelope, ModeOrder)
    elif kind == "command":
        order = open_paper(room.attestor, envelope, CommandOrder)
    else:
        order = open_paper(room.attestor, envelope, ConstitutionOrder)
    _put_in_force(room, Digest(digest), order)


def _take(room: Room, envelope: bytes, order: Order) -> Verdict:
    kind = _kind(order)
    finish(room)
    refused = _unfit(room, order.nonce, order.expires)
    if refused is None and isinstance(order, ConstitutionOrder):
        refused = _unfit_constitution(room, order)
    if refused is None and isinstance(order, CommandOrder):
        refused = _unfit_command(order)
    if refused is not None:
        return refused
    digest = room.store.put("statement", envelope)
    with room.ledger.transaction():
        room.ledger.spend(order.nonce, kind)
        room.ledger.set(_PENDING, f"{kind} {digest}")
    room.crash_point(f"{kind}.taken")
    return _put_in_force(room, digest, order)


def _put_in_force(room: Room, digest: Digest, order: Order) -> Passed:
    """Log the order, once, then let it count."""
    produced, kind, about = {"order": digest}, _kind(order), ""
    if isinstance(order, ModeOrder):
        name, about = "mode.changed", order.mode.value
    elif isinstance(order, CommandOrder):
        name = "command.allowed"
        produced = {"order": digest, "command": digest_of("text", order.command.encode())}
    else:
        name = "constitution.changed"
        produced = {"policy": order.policy, "order": digest}
        if room.rules.digest is None:
            name = "box.created"
    key = f"{kind}/{order.nonce}"
    room.journal.write(name, key, actor=tidy(order.actor), about=about, digests=produced)
    room.crash_point(f"{kind}.logged")
    with room.ledger.transaction():
        if isinstance(order, ModeOrder):
            room.ledger.set("mode", order.mode.value)
        elif isinstance(order, CommandOrder):
            room.ledger.set(_command_key(order.subject, order.command), digest)
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


def _unfit_command(order: CommandOrder) -> Refused | None:
    odd = has_odd_characters(order.command) or "\n" in order.command
    if odd or len(order.command) > MAX_COMMAND or not command_words(order.command):
        remedy = f"one printable command line of at most {MAX_COMMAND} characters, quotes closed"
        return Refused(rule="order-malformed", where="command", remedy=remedy)
    return None


def _kind(order: Order) -> str:
    return next(kind for kind, paper in _KINDS.items() if isinstance(order, paper))


def _command_key(subject: Subject, command: str) -> str:
    named = digest_of("text", f"{subject}\0{command}".encode())
    return f"command/{named}"


def _bounded(envelope: bytes) -> bytes:
    if len(envelope) > MAX_PAPER_BYTES:
        raise Unusable("order-too-large", f"an order has at most {MAX_PAPER_BYTES} bytes")
    return envelope


def _spent(nonce: str) -> Refused:
    return Refused(rule="order-spent", where=nonce[:128], remedy="sign it again")


def _refused(error: Unusable) -> Refused:
    return Refused(rule=error.reference, where=error.where or error.message, remedy=error.remedy)
