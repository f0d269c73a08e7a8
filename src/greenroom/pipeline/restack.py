"""Restack: a change whose base is live no more goes on as a child, the same patch on what is live. So does one whose
papers are outdated: tried with tools that are signed no more, or weighed and worded by an earlier Greenroom.

Lazily: the one change that somebody asks for, and no other. The child is a change of its own, through every stage
again; the parent ends `superseded`. A person's yes to the parent holds for the child only by the guard's own statement.
A patch that has no place on what is live is held as `restack-conflict`, and both sides can be looked at.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Iterator
from typing import Any

from greenroom.domain import documents
from greenroom.domain.change import Change, advance
from greenroom.domain.digest import Digest
from greenroom.domain.errors import NotFound, Unusable
from greenroom.domain.events import Event
from greenroom.domain.proposal import Proposal
from greenroom.domain.verdict import Held, Refused
from greenroom.domain.vocabulary import ChangeId, Move, State
from greenroom.pipeline.carrying import carry_on, child_only, live_unnoted, outdated, release, row_of, under_stop
from greenroom.pipeline.changes import Line
from greenroom.pipeline.holds import NEEDS_APPROVAL, OUTDATED, OUTSIDE, PROMOTE_LATER, SUPERSEDED, uncarried
from greenroom.pipeline.house import House, Tell
from greenroom.pipeline.moving import conflict, onto
from greenroom.pipeline.narrowing import left_out
from greenroom.pipeline.plain import verdict_plain
from greenroom.pipeline.stages.plan import MAX_PATCH_BYTES, read_proposal
from greenroom.pipeline.stages.promote import dossier_of

ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"


def restack(house: House, change_id: str, *, tell: Tell) -> dict[str, Any]:
    """Carry a change whose base moved on as a child on what is live, up to approval or, with a carried yes, approved.

    The row of the child, with `restacked`: which change it follows, and what became of the yes that was given to that.
    The row of the change itself where it is held. One that is outdated goes on so where its base is live, too. Raises
    Unusable `wrong-state` for a change that can go on itself.
    """
    change = house.changes.get(ChangeId(change_id))
    if child_only(house, change) is None:
        where, remedy = "its base is live", f"greenroom show {change.id}"
        if change.terminal:
            where = f"it is {change.state.value}"
        elif change.hold is not None:
            where, remedy = f"it is held as {change.hold.rule} ({change.hold.where})", change.hold.remedy
        raise Unusable("wrong-state", f"cannot restack {change.id}", where=where, remedy=remedy)
    held = under_stop(house, f"greenroom lift, then greenroom restack {change.id}")
    if held is not None:
        return {**row_of(house, change), "verdict": verdict_plain(held)}
    live = house.guard.live(change.subject)
    behind = outdated(house, change)
    if live is None or (live == change.base and not behind):
        return carry_on(house, release(house, change).id, tell)
    child = _child_of(house, change, live) or _move(house, change, live)
    if isinstance(child, Held):
        return {**row_of(house, house.changes.get(change.id)), "verdict": verdict_plain(child)}
    tell({"event": "restacked", "from": change.id, "to": child.id})
    supersede(house, change, child)
    row = carry_on(house, child.id, tell)
    return _with_consent(house, change, child.id, row, behind=behind)


def follow(house: House, change: Change, tell: Tell) -> dict[str, Any]:
    """Carry a change whose base moved before its turn came: under its own id where nothing of it was tried, else as
    its child. The row of what was carried, or of the change where it is held.
    """
    if not uncarried(change):
        return restack(house, change.id, tell=tell)
    live = house.guard.live(change.subject) or change.base
    placed = _placed(house, change, live)
    if isinstance(placed, Held):
        return {**row_of(house, house.changes.get(change.id)), "verdict": verdict_plain(placed)}
    request = house.store.put("text", documents.encode(placed[0]))
    moved = dataclasses.replace(change, request=request, base=live, golden=placed[1], hold=None)
    saved = house.changes.save(moved)
    house.crash_point("propose.taken")
    return carry_on(house, saved.id, tell)


def carried_yes(house: House, change: Change) -> Change | None:
    """The change approved, by the yes to what it follows, where a crash cut its restack before that was carried.

    None where it waits for no yes, nobody gave one, or the guard does not say that it holds.
    """
    parent = next(ancestors(house, change), None)
    waits = change.hold is not None and change.hold.rule == NEEDS_APPROVAL
    if not waits or parent is None or parent.ended != SUPERSEDED:
        return None
    _with_consent(house, parent, change.id, {}, behind=False)
    found = house.changes.get(change.id)
    return found if found.state is State.APPROVED else None


def supersede(house: House, parent: Change, child: Change) -> None:
    """End `parent`: `child` goes on in its place. One that is over or live stays as it is.

    Whose child it is, is in the log both ways: a lost database is made again from there.
    """
    if parent.state in (State.PROMOTED, State.KEPT) or live_unnoted(house, parent):
        return
    if parent.terminal:
        if parent.ended != SUPERSEDED:
            _log_child(house, "followed", f"{child.id}/followed", parent, child)
        return
    _log_child(house, "superseded", f"{parent.id}/superseded", parent, child)
    house.crash_point("restack.logged")
    why = Refused(rule=SUPERSEDED, where=f"{child.id} goes on in its place", remedy=f"greenroom show {child.id}")
    state = advance(parent.state, Move.ABORT)
    ended = dataclasses.replace(parent, state=state, hold=None, window=None, ended=SUPERSEDED, refused=why)
    house.changes.save(ended)
    house.crash_point("restack.saved")


def _log_child(house: House, word: str, key: str, parent: Change, child: Change) -> None:
    event = Event(
        key=key,
        at=house.clock.now(),
        actor="executor",
        name=f"change.{word}",
        change=parent.id,
        about=child.id,
        digests={"base": child.base},
    )
    house.guard.append(event)


def withdraw_earlier(house: House, change: Change, actor: str) -> None:
    """Void the yes to what `change` follows: it could be carried to the same patch under another name."""
    for earlier in ancestors(house, change):
        if earlier.ended == SUPERSEDED and earlier.consents:
            house.guard.withdraw(earlier.id, actor)


def ancestors(house: House, change: Change) -> Iterator[Change]:
    """What `change` follows, nearest first, as far as it is known.

    Parents may come from entries that anybody could have made: one without a row, or met before, is the end.
    """
    met = {change.id}
    while change.parent is not None and change.parent not in met:
        try:
            change = house.changes.get(change.parent)
        except NotFound:
            return
        met.add(change.id)
        yield change


def new_id() -> ChangeId:
    """An id that nobody has to spell twice."""
    return ChangeId("".join(secrets.choice(ALPHABET) for _ in range(6)))


def _child_of(house: House, change: Change, live: Digest) -> Change | None:
    """The child that a crash kept from taking its parent's place."""
    children = house.changes.list(subject=change.subject, open_only=True, parent=change.id)
    return next((each for each in children if each.base == live and each.state is not State.PROMOTED), None)


def _move(house: House, change: Change, live: Digest) -> Change | Held:
    """A child on what is live, saved; or the hold that the change has now."""
    placed = _placed(house, change, live)
    if isinstance(placed, Held):
        return placed
    moved, golden = placed
    child = Change(
        id=new_id(),
        subject=change.subject,
        origin=change.origin,
        request=house.store.put("text", documents.encode(moved)),
        mode=change.mode,
        state=State.PROPOSED,
        base=live,
        golden=golden,
        parent=change.id,
    )
    words = {"summary": moved.summary, "rule": moved.rule, "fingerprint": moved.fingerprint}
    house.board.put(Line(change=child.id, **words))
    saved = house.changes.save(child)
    house.crash_point("restack.child-saved")
    return saved


def _placed(house: House, change: Change, live: Digest) -> tuple[Proposal, Digest] | Held:
    """The proposal of a change at its place on what is live, and the golden of that; or why there is none.

    Where its patch has no place, or the settings there leave it out, the change is held so.
    """
    proposal = read_proposal(house.store, change)
    found = onto(house.store, house.store.get(proposal.patch, MAX_PATCH_BYTES), change.base, live)
    if not isinstance(found, bytes):
        held = conflict(house, change.subject, change.id, found)
        house.changes.save(dataclasses.replace(change, hold=held, window=None))
        return held
    out = left_out(house, change.subject, live, proposal, change.id)
    if out is not None:
        if out.rule == OUTSIDE:
            house.changes.save(dataclasses.replace(change, hold=out, window=None))
        return out
    prepared = house.prepare(live)
    if isinstance(prepared, Held):
        return prepared
    return dataclasses.replace(proposal, patch=house.store.put("blob", found)), prepared[0]


def _with_consent(
    house: House, parent: Change, child_id: ChangeId, row: dict[str, Any], *, behind: bool
) -> dict[str, Any]:
    """The row, after the yes that was given to the parent was carried where the guard says that it holds.

    A yes to papers that are outdated (`behind`) is lost: the guard would work out another card from them.
    """
    told: dict[str, Any] = {"from": parent.id, "consent": None, "outdated": behind}
    given = _agreed_to(house, parent)
    child = house.changes.get(child_id)
    if given is None or child.hold is None or child.hold.rule != NEEDS_APPROVAL:
        return {**row, "restacked": told}
    if behind:
        where = "what you were shown was found with other tools or rules than those of today"
        lost = Refused(rule=OUTDATED, where=where, remedy=f"greenroom approve {child.id}")
        return {**row, "restacked": {**told, "consent": verdict_plain(lost)}}
    answer = house.guard.carry(dossier_of(house.store, given), dossier_of(house.store, child))
    house.crash_point("restack.carried")
    if isinstance(answer, Refused | Held):
        return {**row, "restacked": {**told, "consent": verdict_plain(answer)}}
    later = Held(rule=PROMOTE_LATER, where="approved", remedy=f"greenroom promote {child.id}")
    agreed = dataclasses.replace(
        child, state=advance(child.state, Move.PASS), consents=given.consents, carry=answer, hold=later
    )
    saved = house.changes.save(agreed)
    consent = {"is": "passed", "carry": answer}
    return {**row, **row_of(house, saved), "verdict": {"is": "passed"}, "restacked": {**told, "consent": consent}}


def _agreed_to(house: House, change: Change) -> Change | None:
    """The change that the person agreed to: this one, or the one that its yes was carried from, where it is known."""
    if change.carry is not None and change.parent is not None:
        earlier = (each for each in ancestors(house, change) if each.carry is None or each.parent is None)
        given = next(earlier, None)
    else:
        given = change
    shown = given is not None and given.consents and given.card is not None and given.green is not None
    return given if shown else None
