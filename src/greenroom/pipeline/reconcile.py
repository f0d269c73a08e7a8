"""After a crash, or what happened without the executor: the box database follows the guard's pointers.

The order of truth is pointer, log, box database. A promoted change whose base is live again was taken back.
"""

from __future__ import annotations

import dataclasses

from greenroom.domain.change import Change, advance
from greenroom.domain.vocabulary import Move, State
from greenroom.pipeline.carrying import want
from greenroom.pipeline.house import House

LIVE = (State.PROMOTED, State.KEPT)


def reconcile(house: House) -> tuple[Change, ...]:
    """Mark what was taken back while nobody carried it; the changes that were marked. Run at each start."""
    marked: list[Change] = []
    for subject in house.changes.subjects():
        live = house.guard.live(subject)
        # None would ask for every base.
        suspects = house.changes.list(subject=subject, states=LIVE, base=live) if live is not None else ()
        for change in reversed(suspects):
            if change.green == change.base or _stands(house, change):
                continue
            state = advance(change.state, Move.REVERT)
            saved = house.changes.save(dataclasses.replace(change, state=state, hold=None, ended="reverted"))
            want(house, saved.subject)
            marked.append(saved)
    return tuple(marked)


def _stands(house: House, change: Change) -> bool:
    """True when a later promotion that is still live made the base's digest live again by itself."""
    if change.green is None:
        return False
    later = house.changes.list(subject=change.subject, states=LIVE, base=change.green)
    return any(other.green == change.base for other in later)
