"""What a person took back: the same content over the same base goes live again only with a person's word.

A name does not matter here: whoever hands the content in again may give it another one.
"""

from __future__ import annotations

from greenroom.domain.ports import Dossier
from greenroom.domain.proof import Warrant
from greenroom.domain.verdict import Held
from greenroom.guard import windows
from greenroom.guard.room import Room


def taken_back(room: Room, asked: Dossier | Warrant) -> Held | None:
    """Held for a person where this Green over this base was cancelled in its window, or was live and taken back."""
    cancelled = windows.cancelled(room, asked)
    if cancelled is not None:
        return cancelled
    if not room.ledger.reverted(asked.subject, asked.base, asked.green):
        return None
    where = "it was live before and was taken back: a person must agree"
    return Held(rule="needs-approval", where=where, remedy=f"greenroom approve {asked.change}")
