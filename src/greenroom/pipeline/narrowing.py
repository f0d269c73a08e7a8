"""What the settings of a base leave of the changes on it: asked again on each base that a change is carried on.

`greenroom.toml` is read from base, so a change that goes on on another one stays within that one's file: its paths, its
proposers, its caps, its author. What is left out is held or ended before anything of it is tried there.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

from greenroom.domain.change import Change
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unreachable, Unusable
from greenroom.domain.proposal import UNDO, Proposal, is_person
from greenroom.domain.refusals import remedy_of
from greenroom.domain.settings import Merged
from greenroom.domain.verdict import Held, Refused
from greenroom.domain.vocabulary import ChangeId, State, Subject
from greenroom.pipeline.board import row
from greenroom.pipeline.ending import end_on
from greenroom.pipeline.holds import OUTSIDE, REVERTING, STOPPED, again, base_moved
from greenroom.pipeline.house import House
from greenroom.pipeline.settings import known_own, settle, settled_at
from greenroom.pipeline.stages.plan import read_proposal

_LIVE = (State.PROMOTED, State.KEPT)


def left_out(house: House, subject: Subject, tree: Digest, proposal: Proposal, change: ChangeId) -> Held | None:
    """What keeps `proposal`, of `change`, from being carried on `tree`; where nothing does, the settings there hold.

    Held as `outside-paths`, or as `settle`. Raises Unusable for a file that cannot be understood. A box whose doors
    have not sent its own settings yet is left as it is.
    """
    own = known_own(house.settings, subject)
    if own is None:
        return None
    if proposal.proposer == UNDO:
        return _taking_back(house, subject, tree, own)
    merged = settle(house, subject, tree, own, _named(proposal))
    if isinstance(merged, Merged):
        return outside(merged, proposal, change)
    return Held(rule=merged.rule, where=merged.where, remedy=merged.remedy) if isinstance(merged, Refused) else merged


def _taking_back(house: House, subject: Subject, tree: Digest, own: Any) -> Held | None:
    """What takes a live change back waits for a stop alone: the settings that held before go on to hold."""
    try:
        merged = settle(house, subject, tree, own, ())
    except Unreachable:
        raise
    except Unusable:
        return None
    if isinstance(merged, Merged) or merged.rule != STOPPED:
        return None
    return Held(rule=merged.rule, where=merged.where, remedy=merged.remedy)


def outside(merged: Merged, proposal: Proposal, change: ChangeId) -> Held | None:
    """The hold of a change that the settings leave out. What takes a live change back is never left out."""
    if proposal.proposer == UNDO:
        return None
    path = merged.permits(proposal.files)
    stranger = bool(_named(proposal)) and proposal.proposer not in merged.list("proposers")
    if not path and not stranger:
        return None
    where = f"the settings leave out {path}" if path else f"the settings leave out the proposer {proposal.proposer}"
    ways = f"with others `greenroom restack {change}` goes on; or `greenroom reject {change}`"
    return Held(rule=OUTSIDE, where=where, remedy=f"`greenroom config show REPO` prints them and their sources; {ways}")


def hold_where_left_out(house: House, change: Change) -> None:
    """Before anything of `change` is carried: hold it where the settings of its base leave it out.

    One that is planned was asked about before, and what it was tried by is in its plan: then only the settings that
    its checks read are made those of its base again.
    """
    if change.hold is not None or change.terminal or house.guard.live(change.subject) != change.base:
        return
    if change.plan is not None:
        _hold_again(house, change)
        return
    try:
        out = left_out(house, change.subject, change.base, read_proposal(house.store, change), change.id)
    except Unreachable:
        raise
    except Unusable as error:
        out = Held(rule=error.reference, where=error.where or error.message, remedy=remedy_of(error))
    if out is None or out.rule == STOPPED:
        return
    if out.rule != OUTSIDE:
        out = dataclasses.replace(out, remedy=f"{out.remedy.rstrip('.')}; then `{again(change.id)}` tries it again")
    house.changes.save(dataclasses.replace(change, hold=out))


def end_left_out(house: House, subject: Subject, tree: Digest) -> list[dict[str, Any]]:
    """End the open changes of `subject` that the settings of `tree` leave out; their rows.

    One that a person wrote or agreed to is held instead, until other settings let it; one that waits as a branch is
    the person's to merge or close.
    """
    ended = []
    for listed in house.changes.list(subject=subject, open_only=True):
        change = house.changes.get(listed.id)
        if not _waits(house, change):
            continue
        proposal = read_proposal(house.store, change)
        out = left_out(house, subject, tree, proposal, change.id)
        if out is None and change.hold is not None and change.hold.rule == OUTSIDE:
            where = f"Blue is {tree[:21]}, the change was made against {change.base[:21]}"
            house.changes.save(dataclasses.replace(change, hold=base_moved(change, where)))
        if out is None or out.rule != OUTSIDE:
            continue
        if change.consents or is_person(proposal.proposer):
            house.changes.save(dataclasses.replace(change, hold=out, window=None))
            continue
        ended.append(_end(house, change, out, tree))
    return ended


def _hold_again(house: House, change: Change) -> None:
    """Make the settings of a planned change's base hold, where those of another base do."""
    own, settled = known_own(house.settings, change.subject), settled_at(house.settings, change.subject)
    if own is None or settled is None or settled.tree == change.base:
        return
    with contextlib.suppress(Unusable):
        settle(house, change.subject, change.base, own, ())


def _named(proposal: Proposal) -> tuple[str, ...]:
    """The proposer, as a person would name it for a scan: what a person wrote, or takes back, is of none."""
    return () if is_person(proposal.proposer) or proposal.proposer == UNDO else (proposal.proposer,)


def _waits(house: House, change: Change) -> bool:
    """True for a change that nobody carries right now and that is not live, nor in a branch."""
    if change.terminal or change.state in _LIVE or (change.hold is None and change.window is None):
        return False
    if change.hold is not None and change.hold.rule == REVERTING:
        return False
    branch = house.branches.get(change.id)
    unnoted = change.state is State.APPROVED and house.guard.live(change.subject) == change.green
    return not unnoted and (branch is None or branch.fate != "open")


def _end(house: House, change: Change, out: Held, tree: Digest) -> dict[str, Any]:
    why = Refused(rule=OUTSIDE, where=out.where, remedy=f"with other settings `greenroom retry {change.id}`")
    saved = end_on(house, change, tree, "change.left-out", why)
    line = house.board.line(change.id)
    return row(saved, line.summary if line else "", line.rule if line else "")
