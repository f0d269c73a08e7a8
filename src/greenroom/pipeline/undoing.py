"""Taking back what others stand on: all of them, the newest first; or the opposite patch as a change of its own."""

from __future__ import annotations

import dataclasses
from typing import Any

from greenroom.domain import documents, patches
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unusable
from greenroom.domain.proposal import UNDO, Proposal, origin_of
from greenroom.domain.verdict import Held, Refused
from greenroom.domain.vocabulary import ChangeId, State
from greenroom.pipeline.carrying import carry_on, delivery_of, row_of, settle_siblings, under_stop
from greenroom.pipeline.changes import Line
from greenroom.pipeline.holds import MOVED
from greenroom.pipeline.house import House, Tell
from greenroom.pipeline.moving import conflict, onto
from greenroom.pipeline.offers import above
from greenroom.pipeline.plain import verdict_plain
from greenroom.pipeline.restack import new_id, restack
from greenroom.pipeline.stages.plan import MAX_PATCH_BYTES, read_proposal
from greenroom.pipeline.undone import fingerprint_of
from greenroom.pipeline.verbs import revert

_VERSION = "1"


def all_after(house: House, change_id: str, *, actor: str) -> dict[str, Any]:
    """Take back every change that stands on this one, the newest first, and it; each is a revert of its own.

    The row of the last one tried, with `reverted`: what was taken back. Refused `own-commits-above` before anything
    moves where the person's own commits stand on it. Works under a stop; asked again after a crash it goes on.
    """
    change = house.changes.get(ChangeId(change_id))
    ids, own = above(house, change)
    if own:
        refused = Refused(
            rule="own-commits-above",
            where=f"{own} import(s) of your own commits stand on {change.id}: they are not taken back",
            remedy=f"greenroom revert {change.id} --as-change",
        )
        return {**row_of(house, change), "verdict": verdict_plain(refused), "reverted": []}
    done: list[str] = []
    row: dict[str, Any] = {}
    for each in (*ids, change.id):
        row = revert(house, each, actor=actor, settle=False)
        if row["verdict"]["is"] != "passed":
            break
        done.append(each)
    settle_siblings(house, change.subject)
    return {**row, "reverted": done, "delivery": delivery_of(house, change.subject)}


def as_change(house: House, change_id: str, *, tell: Tell) -> dict[str, Any]:
    """Propose the opposite of a live change as a change of its own, on what is live, and carry it up to approval.

    Its row; held as `restack-conflict` where the lines are others by now. Asked twice it is the same change. Raises
    Unusable `wrong-state` for a change that is not live, `bad-patch` for one whose patch has no opposite.
    """
    change = house.changes.get(ChangeId(change_id))
    live = house.guard.live(change.subject)
    if change.state is not State.KEPT or change.green is None or live is None:
        why = f"it is {change.state.value}: only a change that is live and marked good can be undone by a change"
        remedy = f"greenroom show {change.id}"
        raise Unusable("wrong-state", f"cannot undo {change.id}", where=why, remedy=remedy)
    held = under_stop(house, f"greenroom lift, then greenroom revert {change.id} --as-change")
    if held is not None:
        return {**row_of(house, change), "verdict": verdict_plain(held)}
    proposal = _opposite(house, change)
    found = _open(house, change, proposal)
    if found is not None:
        moved = found.hold is not None and found.hold.rule in MOVED
        return restack(house, found.id, tell=tell) if moved else carry_on(house, found.id, tell)
    made = _make(house, change, change.green, live, proposal)
    return made if isinstance(made, dict) else carry_on(house, made.id, tell)


def _opposite(house: House, change: Change) -> Proposal:
    """The proposal of the inverse patch, as it stands on the change's own Green."""
    given = read_proposal(house.store, change)
    patch = patches.inverse(house.store.get(given.patch, MAX_PATCH_BYTES))
    return Proposal(
        proposer=UNDO,
        proposer_version=_VERSION,
        rule=f"{UNDO}:{given.rule}",
        summary=f"Take back {change.id}: {given.summary}",
        rationale=f"A person asked to undo {change.id}, which other changes stand on.",
        expected="Its lines are as they were before it; everything else stays.",
        confidence=100,
        patch=house.store.put("blob", patch),
        files=given.files,
        fingerprint=fingerprint_of(change),
        reproduce="",
        suggested_tests=given.suggested_tests,
    )


def _open(house: House, change: Change, proposal: Proposal) -> Change | None:
    """The undo that was begun and is neither over nor live."""
    known = [house.changes.get(each) for each in house.board.known(change.subject, proposal.fingerprint)]
    return next((each for each in known if not each.terminal and each.state is not State.KEPT), None)


def _make(house: House, change: Change, green: Digest, live: Digest, proposal: Proposal) -> Change | dict[str, Any]:
    """The undo, saved: on what is live, or held on the change's own Green where it has no place there."""
    found = onto(house.store, house.store.get(proposal.patch, MAX_PATCH_BYTES), green, live)
    hold: Held | None = None
    base, golden = green, change.golden
    if isinstance(found, bytes):
        prepared = house.prepare(live)
        if isinstance(prepared, Held):
            return {**row_of(house, change), "verdict": verdict_plain(prepared)}
        base, golden = live, prepared[0]
        proposal = dataclasses.replace(proposal, patch=house.store.put("blob", found))
    undo = Change(
        id=new_id(),
        subject=change.subject,
        origin=origin_of(UNDO, change.origin.trust),
        request=house.store.put("text", documents.encode(proposal)),
        mode=change.mode,
        state=State.PROPOSED,
        base=base,
        golden=golden,
        parent=change.id,
    )
    if not isinstance(found, bytes):
        hold = conflict(house, undo.subject, undo.id, found)
    words = {"summary": proposal.summary, "rule": proposal.rule, "fingerprint": proposal.fingerprint}
    house.board.put(Line(change=undo.id, **words))
    saved = house.changes.save(dataclasses.replace(undo, hold=hold))
    house.crash_point("undo.saved")
    return saved
