"""Children: nothing moves back, so an edit, a retry and a rebase are new changes, which name their parent.

The child is stored before its parent ends: a crash between the two leaves both, and `settle_parents` ends the parent.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from typing import Any

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.diffs import parse, paths
from greenroom.domain.digest import Digest, parse_digest, prefix_of
from greenroom.domain.errors import Unusable
from greenroom.domain.findings import findings
from greenroom.domain.proposal import EDIT_DOOR, Proposal, is_person, origin_of
from greenroom.domain.verdict import Held
from greenroom.domain.vocabulary import ChangeId, Mode, State, Trust
from greenroom.pipeline.carrying import carry_on, live_unnoted, row_of, under_stop
from greenroom.pipeline.changes import Line
from greenroom.pipeline.decisions import findings_of
from greenroom.pipeline.holds import SUPERSEDED
from greenroom.pipeline.house import House, Tell
from greenroom.pipeline.moving import conflict, onto, unfit
from greenroom.pipeline.narrowing import left_out
from greenroom.pipeline.plain import verdict_plain
from greenroom.pipeline.restack import ancestors, new_id, supersede
from greenroom.pipeline.stages.plan import MAX_PATCH_BYTES, read_proposal

EDIT_RULE = EDIT_DOOR
"""The rule of an edited change: what was agreed to by rule was agreed to the proposer's patch, not to another."""
MODES = tuple(Mode)
_JUST_SAVED = 1
"""The version of a child that nothing carried yet: a crash may have kept its parent's entry from the log."""


def edit(house: House, change_id: str, *, patch: str, actor: str, tell: Tell, summary: str = "") -> dict[str, Any]:
    """Carry the stored `patch` in the place of the change's own: a new change of the person `actor`.

    `summary` is its title; without one it is the parent's, marked as edited. Held `stopped` under a stop.
    The patch is one on what is live or, where the base moved, on the base. Held as `restack-conflict`, and nothing
    changed, where one on the base has no place on what is live. Raises Unusable `wrong-state` where it is live,
    `not-a-person`, `bad-patch`, `patch-does-not-apply`, and `no-change` where the patch is the one that the change has.
    """
    parent = house.changes.get(ChangeId(change_id))
    _require_last(house, parent, "edit")
    stopped = under_stop(house, f"greenroom lift, then greenroom edit {parent.id}")
    if stopped is not None:
        return {**row_of(house, parent), "verdict": verdict_plain(stopped)}
    if not is_person(actor):
        raise Unusable("not-a-person", "an edit has a person", where=actor[:80])
    told, digest = read_proposal(house.store, parent), parse_digest(patch)
    if prefix_of(digest) != "blob":
        raise Unusable("bad-patch", "a patch is stored as a blob", where=patch[:80])
    files = paths(parse(house.store.get(digest, MAX_PATCH_BYTES)))
    if not files or digest == told.patch:
        raise Unusable("no-change", "the patch is empty or as it was", where=change_id, remedy="change the patch")
    placed = _fitting(house, parent, digest)
    if isinstance(placed, Held):
        return {**row_of(house, parent), "verdict": verdict_plain(placed)}
    digest = placed
    edited = dataclasses.replace(
        told,
        proposer=actor,
        proposer_version=EDIT_DOOR,
        rule=EDIT_RULE,
        summary=summary or (told.summary if told.rule == EDIT_RULE else f"Edited: {told.summary}"),
        rationale=f"{told.rationale}\n\nEdited by {actor}; proposed by {told.proposer} as {parent.id}.",
        patch=digest,
        files=files,
        fingerprint=fingerprint(EDIT_RULE, house.store.get(digest, MAX_PATCH_BYTES)),
        reproduce="",
    )
    return _carry_child(house, parent, edited, tell)


def retry(house: House, change_id: str, *, tell: Tell) -> dict[str, Any]:
    """Carry the change's proposal again, on what is live: after a refusal, and where its base moved (a rebase).

    Held as `restack-conflict`, and nothing else of it changed, where its patch has no place there; `stopped` under a
    stop. Raises Unusable `wrong-state` for a change that is live or that a person has to reopen first.
    """
    parent = house.changes.get(ChangeId(change_id))
    _require_last(house, parent, "retry")
    stopped = under_stop(house, f"greenroom lift, then greenroom retry {parent.id}")
    if stopped is not None:
        return {**row_of(house, parent), "verdict": verdict_plain(stopped)}
    decided = house.decisions.among(parent.subject, findings_of(house.store, parent))
    said = {one.said for one in decided.values() if one.holds(house.clock.now())}
    if said:
        where, remedy = f"a person {' and '.join(sorted(said))} what it mends", f"greenroom reopen {parent.id}"
        raise Unusable("wrong-state", f"cannot retry {parent.id}", where=where, remedy=remedy)
    proposal, live = read_proposal(house.store, parent), house.guard.live(parent.subject)
    if live is not None and live != parent.base:
        found = onto(house.store, house.store.get(proposal.patch, MAX_PATCH_BYTES), parent.base, live)
        if not isinstance(found, bytes):
            held = conflict(house, parent.subject, parent.id, found)
            return {**row_of(house, parent), "verdict": verdict_plain(held)}
        proposal = dataclasses.replace(proposal, patch=house.store.put("blob", found))
    return _carry_child(house, parent, proposal, tell)


def child_of(house: House, parent: Change, proposal: Proposal) -> Change | Held:
    """A stored change that carries `proposal` on what is live, as a child of `parent`, which ends superseded.

    Held where what the live tree needs to be tried cannot be had, or where its settings leave the proposal out. Raises
    Unusable `no-live`, and `open-already` where an open change does the same.
    """
    live = house.guard.live(parent.subject)
    if live is None:
        raise Unusable("no-live", "nothing of this subject is live", remedy="greenroom improve REPO")
    for known in house.board.known(parent.subject, proposal.fingerprint):
        other = house.changes.get(known)
        if other.id != parent.id and not other.terminal and other.base == live and other.hold is not None:
            remedy = f"greenroom show {other.id}"
            raise Unusable("open-already", f"change {other.id} does the same", where=parent.id, remedy=remedy)
    out = left_out(house, parent.subject, live, proposal, parent.id)
    if out is not None:
        return out
    golden = parent.golden
    if live != parent.base or parent.plan is None:
        prepared = house.prepare(live)
        if isinstance(prepared, Held):
            return prepared
        golden = prepared[0]
    child = Change(
        id=new_id(),
        subject=parent.subject,
        origin=origin_of(proposal.proposer, min(Trust.BOX, parent.origin.trust)),
        request=house.store.put("text", documents.encode(proposal)),
        mode=min(parent.mode, house.guard.status().mode, key=MODES.index),
        state=State.PROPOSED,
        base=live,
        golden=golden,
        parent=parent.id,
    )
    house.board.put(
        Line(change=child.id, summary=proposal.summary, rule=proposal.rule, fingerprint=proposal.fingerprint)
    )
    saved = house.changes.save(child)
    house.crash_point("child.saved")
    supersede(house, parent, saved)
    return saved


def settle_parents(house: House) -> None:
    """End the parents that a crash left open beside their child. Run at each start.

    A log that takes no entry keeps no executor from starting: the next start tries again.
    """
    for child in house.changes.list(open_only=True, children=True):
        parent = next(ancestors(house, child), None)
        if parent is not None and (not parent.terminal or child.version <= _JUST_SAVED):
            with contextlib.suppress(Unusable):
                supersede(house, parent, child)


def fingerprint(rule: str, patch: bytes) -> str:
    """One name of all findings of a patch, whatever their order."""
    return hashlib.sha256("\n".join(sorted(findings(rule, patch))).encode()).hexdigest()


def _fitting(house: House, parent: Change, digest: Digest) -> Digest | Held:
    """The edited patch as it stands on what is live, in the store: known to fit before the parent ends for it."""
    live, patch = house.guard.live(parent.subject), house.store.get(digest, MAX_PATCH_BYTES)
    wrong = unfit(house.store, patch, live) if live is not None else ""
    if not wrong:
        return digest
    if live is None or live == parent.base:
        remedy = f"mend the patch, which is against what is live; nothing was changed, `greenroom edit {parent.id}`"
        raise Unusable("patch-does-not-apply", "the edited patch does not fit", where=wrong, remedy=remedy)
    found = onto(house.store, patch, parent.base, live)
    if isinstance(found, bytes):
        return house.store.put("blob", found)
    held = conflict(house, parent.subject, parent.id, found)
    return dataclasses.replace(held, remedy=f"nothing was changed; {held.remedy}")


def _carry_child(house: House, parent: Change, proposal: Proposal, tell: Tell) -> dict[str, Any]:
    child = child_of(house, parent, proposal)
    if isinstance(child, Held):
        return {"id": parent.id, "state": parent.state.value, "commit": None, "verdict": verdict_plain(child)}
    return {**carry_on(house, child.id, tell), "parent": parent.id}


def _require_last(house: House, change: Change, verb: str) -> None:
    """Raise Unusable `wrong-state` for a change that is live, or whose place another one has."""
    if change.state in (State.PROMOTED, State.KEPT) or live_unnoted(house, change):
        where, remedy = "it is live", f"greenroom revert {change.id}"
    elif change.ended == SUPERSEDED:
        child = next((one.id for one in house.changes.list(subject=change.subject, parent=change.id)), "")
        where, remedy = f"{child} took its place", f"greenroom {verb} {child}"
    else:
        return
    message = f"cannot {verb} {change.id}: it is {change.ended or change.state.value}"
    raise Unusable("wrong-state", message, where=where, remedy=remedy)
