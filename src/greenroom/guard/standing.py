"""Who agrees in a person's place: an opt-in of the owner after its window, or a second verify.

Nothing here is the executor's word. The rule of a change is the one by which the keeper made Green again from base, as
its signed classification says; the level is weighed from signed evidence; opt-ins and windows are the guard's own.
"""

from __future__ import annotations

from dataclasses import dataclass

from greenroom.domain.digest import Digest
from greenroom.domain.proof import Warrant
from greenroom.domain.standing import covering, made_again_by
from greenroom.domain.verdict import Held, Instant
from greenroom.domain.vocabulary import Agree
from greenroom.guard import windows
from greenroom.guard.consent import Recomputed
from greenroom.guard.optins import in_force
from greenroom.guard.room import MODES, Room


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a warrant rests on where no person agreed to exactly this change."""

    opt_in: Digest | None = None


def given(room: Room, made: Recomputed, now: Instant) -> Given | Held | None:
    """Standing consent to this change, held while it is not yet there, None where only a person can agree.

    A test command that was set counts as a person's words, and only a person who saw its card agrees to those.
    """
    if made.found.test_command is not None:
        return None
    if made.agree is Agree.STANDING:
        return _opted_in(room, made, now)
    return None


def lapsed(room: Room, warrant: Warrant, now: Instant) -> Held | None:
    """What a warrant rested on that no longer holds: looked at again under the lock of the swap."""
    if warrant.consents:
        return None
    again = f"greenroom approve {warrant.change}"
    if MODES.index(room.mode) < MODES.index(warrant.mode):
        return Held(
            rule="needs-approval", where=f"the mode is {room.mode.value} now: a person must agree", remedy=again
        )
    if warrant.opt_in is None:
        return None
    counts = any(each.id == warrant.opt_in for each in in_force(room, now))
    if not counts or windows.lapsed(room, warrant.subject, warrant.base, warrant.green, warrant.opt_in):
        where = "its opt-in counts no longer, or its window was cancelled: a person must agree"
        return Held(rule="needs-approval", where=where, remedy=again)
    return None


def _opted_in(room: Room, made: Recomputed, now: Instant) -> Given | Held:
    dossier = made.dossier
    rule = made_again_by(made.found.evidence)
    opt_in = covering(in_force(room, now), dossier.subject, rule, now)
    if opt_in is None:
        where = f"no opt-in counts for {rule}: a person must agree" if rule else "no rule made it: a person must agree"
        return Held(rule="needs-approval", where=where, remedy=f"greenroom approve {dossier.change}")
    return windows.wait(room, dossier, opt_in, now) or Given(opt_in=opt_in.id)
