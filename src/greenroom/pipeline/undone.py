"""The undo of a change that is taken back otherwise: it ends, since its lines are as it wanted them."""

from __future__ import annotations

import dataclasses
import hashlib

from greenroom.domain.change import Change, advance
from greenroom.domain.events import Event
from greenroom.domain.proposal import UNDO
from greenroom.domain.verdict import Refused
from greenroom.domain.vocabulary import Move, State
from greenroom.pipeline.carrying import live_unnoted
from greenroom.pipeline.house import House

UNDONE = "undone"
"""The end of an undo whose change was reverted meanwhile."""


def fingerprint_of(change: Change) -> str:
    """The finding that every undo of `change` has."""
    return hashlib.sha256(f"{UNDO} {change.id}".encode()).hexdigest()


def end_undos(house: House, change: Change) -> None:
    """End the open undos of `change`, which is reverted; one that is live or going live stays."""
    for known in house.board.known(change.subject, fingerprint_of(change)):
        undo = house.changes.get(known)
        if undo.terminal or undo.state in (State.PROMOTED, State.KEPT) or live_unnoted(house, undo):
            continue
        if undo.state is State.APPROVED and isinstance(house.guard.withdraw(undo.id, "executor"), Refused):
            continue
        key = f"{undo.id}/undone"
        house.guard.append(
            Event(
                key=key,
                at=house.clock.now(),
                actor="executor",
                name="change.undone",
                change=undo.id,
                about=change.id,
            )
        )
        why = Refused(rule=UNDONE, where=f"{change.id} was reverted", remedy="nothing is left to be undone")
        state = advance(undo.state, Move.ABORT)
        ended = dataclasses.replace(undo, state=state, hold=None, window=None, ended=UNDONE, refused=why)
        house.changes.save(ended)
