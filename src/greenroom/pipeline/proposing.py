"""Propose: each chosen proposer looks once, and what it finds becomes a queued change, or is known already.

No finding is proposed twice. A queued change whose finding is still there on another base is brought up to that base;
one that was carried there gets a child in its place, also where some of its findings are gone or more came, unless a
person agreed to it; one whose finding is gone ends.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest
from greenroom.domain.errors import TooLarge, Unusable
from greenroom.domain.ports import Proposer
from greenroom.domain.proof import Import
from greenroom.domain.proposal import MAX_PROPOSAL_BYTES, Proposal, is_person, origin_of
from greenroom.domain.refusals import remedy_of
from greenroom.domain.scan import Scan
from greenroom.domain.verdict import Refused
from greenroom.domain.vocabulary import ChangeId, Mode, State, Subject, Trust
from greenroom.pipeline.branching import on_its_way
from greenroom.pipeline.carrying import outdated, row_of
from greenroom.pipeline.changes import Line
from greenroom.pipeline.deciding import note_withheld, sift
from greenroom.pipeline.decisions import names_of
from greenroom.pipeline.ending import end_on
from greenroom.pipeline.holds import GONE, MOVED, QUEUED, RETRIED, queued, uncarried
from greenroom.pipeline.house import House, Tell
from greenroom.pipeline.queue import Item, item_of, short_card
from greenroom.pipeline.restack import new_id, supersede
from greenroom.pipeline.stages.plan import read_proposal

_LEAVE_OUT = "what the others found is not touched by it; scan with others (--only), or report it to its maker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What all proposals of one scan share. `golden` is the toolchain that the scan runs on, without dependencies."""

    subject: Subject
    brought: Import
    golden: Digest
    mode: Mode


def propose(
    house: House,
    chosen: Mapping[str, Callable[[Digest], Proposer]],
    scene: Scene,
    answer: dict[str, Any],
    tell: Tell,
) -> list[Item]:
    """What waits to be carried of all that was found, each told as a short card; `answer` gets the rest."""
    items: list[Item] = []
    moved = [change for change in house.changes.list(subject=scene.subject, open_only=True) if _moved(change)]
    whole: set[str] = set()
    for name, make in chosen.items():
        if getattr(tell, "gone", False):
            break
        tell({"event": "propose", "proposer": name})
        found = _look(name, make(scene.golden), scene, answer, tell)
        if found is None:
            continue
        whole.add(name)
        for body in found:
            item = _take_in(house, name, body, scene, moved, answer)
            if item is not None:
                items.append(item)
                tell(short_card(item))
    _end_what_is_gone(house, whole, scene, {item.change.id for item in items}, answer)
    return items


def _look(name: str, proposer: Proposer, scene: Scene, answer: dict[str, Any], tell: Tell) -> list[bytes] | None:
    """What the proposer says; None where it failed."""
    try:
        found = list(proposer.propose(scene.subject, scene.brought.tree))
    except Unusable as error:
        _failed(answer, name, error)
        return None
    scan = getattr(proposer, "scan", None)
    if isinstance(scan, Scan):
        plain = {"proposer": name, **documents.to_plain(scan)}
        answer["scans"].append(plain)
        tell({"event": "scanned", "scan": plain})
    return found


def _take_in(
    house: House, name: str, body: bytes, scene: Scene, moved: list[Change], answer: dict[str, Any]
) -> Item | None:
    """The queued change for a proposal; None where it is known, or where no change can be made of it."""
    if len(body) > MAX_PROPOSAL_BYTES:
        _failed(answer, name, TooLarge("proposal-too-large", f"a proposal of {len(body)} bytes", remedy=_LEAVE_OUT))
        return None
    change = _draft(house, name, body, scene)
    try:
        proposal = read_proposal(house.store, change)
        if proposal.proposer != name or is_person(name):
            raise Unusable("another-proposer", f"{name} proposed in the name of {proposal.proposer[:80]!r}")
    except Unusable as error:
        _failed(answer, name, error)
        return None
    sifted = sift(house, scene.subject, proposal)
    note_withheld(answer, name, proposal, sifted)
    if sifted.proposal is None:
        return None
    if sifted.withheld:
        proposal = sifted.proposal
        change = dataclasses.replace(change, request=house.store.put("text", documents.encode(proposal)))
    with house.turns.of(str(scene.subject)):
        saved = _settle(house, change, proposal, moved, answer)
    return item_of(house.store, saved, proposal) if saved is not None else None


def _settle(
    house: House, draft: Change, proposal: Proposal, moved: list[Change], answer: dict[str, Any]
) -> Change | None:
    """The change that stands for the finding from here on and waits to be carried; None where none does."""
    same = [house.changes.get(found) for found in house.board.known(draft.subject, proposal.fingerprint)]
    earlier = next((found for found in reversed(same) if uncarried(found) and found.base != draft.base), None)
    if earlier is not None:
        return house.changes.save(dataclasses.replace(draft, id=earlier.id, version=earlier.version))
    known = [found for found in same if (found.base == draft.base and _settled(found)) or _stays(house, found)]
    behind = known.pop() if known and outdated(house, known[-1]) and not _taken_further(house, known[-1]) else None
    if known and uncarried(known[-1]) and known[-1].mode is not draft.mode:
        return house.changes.save(dataclasses.replace(known[-1], mode=draft.mode))
    if known and known[-1].hold is not None and known[-1].hold.rule in (QUEUED, *RETRIED):
        return known[-1]
    if known:
        answer["known"].append(row_of(house, known[-1]))
        return None
    line = Line(change=draft.id, summary=proposal.summary, rule=proposal.rule, fingerprint=proposal.fingerprint)
    house.board.put(line)
    house.crash_point("propose.lined")
    parent = behind or next((found for found in reversed(same) if _moved(found)), None)
    parent = parent or _overtaken(house, draft, proposal, moved)
    saved = house.changes.save(dataclasses.replace(draft, parent=parent.id if parent is not None else None))
    house.crash_point("propose.saved")
    if parent is not None:
        supersede(house, parent, saved)
    if behind is not None:
        answer["ended"].append(row_of(house, house.changes.get(behind.id)))
    return saved


def _draft(house: House, name: str, body: bytes, scene: Scene) -> Change:
    """A change as it waits in the queue; its golden is the one of its base when it is carried."""
    return Change(
        id=new_id(),
        subject=scene.subject,
        origin=origin_of(name, min(Trust.BOX, Trust(scene.brought.trust))),
        request=house.store.put("text", body),
        mode=scene.mode,
        state=State.PROPOSED,
        base=scene.brought.tree,
        golden=scene.golden,
        hold=queued(),
    )


def _overtaken(house: House, draft: Change, proposal: Proposal, moved: list[Change]) -> Change | None:
    """The waiting change of an earlier base that mended some of the same findings by the same rule, and more or fewer
    besides: the proposal stands in its place. None of those that a person took further.
    """
    named = set(names_of(house.store, proposal))
    for listed in reversed(moved):
        change = house.changes.get(listed.id)
        if change.origin.actor != draft.origin.actor or not _moved(change) or uncarried(change):
            continue
        told = read_proposal(house.store, change)
        if told.rule == proposal.rule and not _stays(house, change) and named & set(names_of(house.store, told)):
            return change
    return None


def _settled(change: Change) -> bool:
    """True when a finding is not proposed again on the same base: it is open, live, or a person said no to it."""
    return not change.terminal or change.state is State.KEPT or change.ended in ("rejected", "reverted")


def _moved(change: Change) -> bool:
    return change.hold is not None and change.hold.rule in MOVED


def _stays(house: House, change: Change) -> bool:
    """True for a change of an earlier base that a person took further: its yes may be carried, its branch be merged."""
    return _moved(change) and _taken_further(house, change)


def _taken_further(house: House, change: Change) -> bool:
    """True for a change that a person agreed to, or that is in a branch for a merge."""
    return bool(change.consents) or on_its_way(house, change)


def _end_what_is_gone(
    house: House, whole: set[str], scene: Scene, found: set[ChangeId], answer: dict[str, Any]
) -> None:
    """End what was never carried and what its proposer, having looked at everything, finds no longer."""
    actors = {f"proposer:{name}": name for name in whole}
    for change in house.changes.list(subject=scene.subject, open_only=True):
        name = actors.get(change.origin.actor)
        if name is None or change.id in found or not uncarried(change):
            continue
        why = Refused(rule=GONE, where=f"{name} on {scene.brought.tree[:21]}", remedy="nothing is left to be done")
        answer["ended"].append(row_of(house, end_on(house, change, scene.brought.tree, "change.gone", why)))


def _failed(answer: dict[str, Any], name: str, error: Unusable) -> None:
    told = {"where": error.where, "remedy": remedy_of(error, _LEAVE_OUT)}
    answer["failed"].append({"proposer": name, "reference": error.reference, "message": str(error), **told})
