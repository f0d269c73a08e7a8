"""The end of a change that nobody carries and that is over by what a base says, with its entry in the log."""

from __future__ import annotations

import dataclasses

from greenroom.domain.change import Change, advance
from greenroom.domain.digest import Digest
from greenroom.domain.events import Event
from greenroom.domain.verdict import Refused
from greenroom.domain.vocabulary import Move
from greenroom.pipeline.house import House


def end_on(house: House, change: Change, tree: Digest, name: str, why: Refused) -> Change:
    """End `change` for `why`, as the base `tree` has it; the entry `name` is made once."""
    event = Event(
        key=f"{change.id}/{name.removeprefix('change.')}",
        at=house.clock.now(),
        actor="executor",
        name=name,
        change=change.id,
        about=why.rule,
        digests={"base": tree},
    )
    house.guard.append(event)
    if change.window is not None:
        house.guard.cancel_window(change.id, "executor")
    over = dataclasses.replace(change, state=advance(change.state, Move.ABORT), hold=None, window=None)
    return house.changes.save(dataclasses.replace(over, ended=why.rule, refused=why))
