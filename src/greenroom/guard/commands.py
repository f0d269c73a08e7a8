"""Test commands of repositories that the owner signed for: each for its subject, and for no other."""

from __future__ import annotations

from greenroom.domain.arguments import command_words, has_odd_characters
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.verdict import Refused
from greenroom.domain.vocabulary import Subject
from greenroom.guard.order_kind import Entry, OrderKind
from greenroom.guard.papers import CommandOrder
from greenroom.guard.room import Room

MAX_COMMAND = 4096


def command_allowed(room: Room, subject: Subject, command: str) -> bool:
    """Whether the owner signed for this test command of `subject`; one order is enough for good."""
    return bool(room.ledger.setting(_key(subject, command)))


def _unfit(room: Room, order: CommandOrder) -> Refused | None:
    del room
    odd = has_odd_characters(order.command) or "\n" in order.command
    if odd or len(order.command) > MAX_COMMAND or not command_words(order.command):
        remedy = f"one printable command line of at most {MAX_COMMAND} characters, quotes closed"
        return Refused(rule="order-malformed", where="command", remedy=remedy)
    return None


def _entry(room: Room, order: CommandOrder, digest: Digest) -> Entry:
    del room
    papers = {"order": digest, "command": digest_of("text", order.command.encode())}
    return Entry(name="command.allowed", digests=papers)


def _apply(room: Room, order: CommandOrder, digest: Digest) -> None:
    room.ledger.set(_key(order.subject, order.command), digest)


def _key(subject: Subject, command: str) -> str:
    named = digest_of("text", f"{subject}\0{command}".encode())
    return f"command/{named}"


COMMAND = OrderKind(name="command", unfit=_unfit, entry=_entry, apply=_apply)
