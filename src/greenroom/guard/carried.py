"""Reading a carry statement: whether a yes that was given to an earlier change holds for this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.domain import documents
from greenroom.domain.digest import Digest, prefix_of
from greenroom.domain.errors import Unusable
from greenroom.domain.ports import Dossier
from greenroom.domain.proof import Carry, Consent, Predicate
from greenroom.guard.room import Room

if TYPE_CHECKING:
    from greenroom.guard.consent import Recomputed

MAX_CARRY_BYTES = 64 * 1024


def open_carry(room: Room, digest: Digest) -> Carry:
    """The carry statement that the guard signed as `digest`; raises Tampered when it did not."""
    if prefix_of(digest) != "statement":
        raise Unusable("not-a-statement", "a signed envelope is expected here", where=digest)
    envelope = room.store.get(digest, MAX_CARRY_BYTES)
    return documents.decode(Carry, room.attestor.open(envelope, Predicate.CARRY, "guard").body)


def carried(room: Room, made: Recomputed, consent: Digest) -> bool:
    """True when the dossier's carry statement is for exactly this change and consent, at a risk that is no greater."""
    dossier = made.dossier
    if dossier.carry is None:
        return False
    carry = open_carry(room, dossier.carry)
    said = (carry.change, carry.plan, carry.green, carry.shown, carry.consent)
    if said != (dossier.change, dossier.plan, dossier.green, dossier.card, consent):
        return False
    return made.risk.score <= carry.given_risk and made.risk.level <= carry.given_level


def carry_of(dossier: Dossier, consent: Consent) -> Digest | None:
    """The statement that a warrant has to name; None where the consent was given to the change itself."""
    own = (consent.change, consent.plan, consent.green) == (dossier.change, dossier.plan, dossier.green)
    return None if own else dossier.carry
