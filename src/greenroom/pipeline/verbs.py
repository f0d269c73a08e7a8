"""The verbs: what every door may ask of the executor. Doors call these and nothing below.

Answers are plain JSON values, so that each door shows the same thing. A refusal or hold is part of the
answer (`verdict`), never an exception.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from greenroom.domain import documents
from greenroom.domain.card import Card
from greenroom.domain.change import Change, advance
from greenroom.domain.errors import NotFound, Unusable
from greenroom.domain.events import Event
from greenroom.domain.verdict import Held, Passed, Refused
from greenroom.domain.vocabulary import ChangeId, Move, State
from greenroom.pipeline.carrying import (
    carry_on,
    child_only,
    delivery_of,
    live_unnoted,
    outdated,
    reverting,
    row_of,
    settle_siblings,
    under_stop,
    want,
)
from greenroom.pipeline.deciding import reject as reject
from greenroom.pipeline.holds import (
    CONFLICT,
    NEEDS_APPROVAL,
    PROMOTE_LATER,
    REVERTING,
    STOPPED,
    waits_for_condition,
)
from greenroom.pipeline.house import House, Tell
from greenroom.pipeline.moving import conflicts_of
from greenroom.pipeline.offers import NOT_LAST, offers, remedy
from greenroom.pipeline.plain import verdict_plain
from greenroom.pipeline.queue import golden_for
from greenroom.pipeline.restack import carried_yes, restack
from greenroom.pipeline.runs import runs_of
from greenroom.pipeline.stages.plan import read_proposal
from greenroom.pipeline.undone import end_undos


def show(house: House, change_id: str) -> dict[str, Any]:
    """All that is known of one change: its row, its card, the debate and the runs."""
    change = house.changes.get(ChangeId(change_id))
    proposal = read_proposal(house.store, change)
    return {
        **row_of(house, change),
        "change": documents.to_plain(change),
        "proposal": documents.to_plain(proposal),
        "card": documents.to_plain(_card(house, change)) if change.card else None,
        "debate": documents.load_json(house.store.get(change.debate)) if change.debate else None,
        "runs": runs_of(change, house.store, house.attestor),
        "conflicts": _conflicts(house, change),
    }


def diff(house: House, change_id: str) -> dict[str, Any]:
    """The digest of a change's patch in the store, patches being too large for a frame; and what stands against it."""
    change = house.changes.get(ChangeId(change_id))
    proposal = read_proposal(house.store, change)
    return {"change": change_id, "patch": proposal.patch, "conflicts": _conflicts(house, change)}


def offer(house: House, change_id: str) -> dict[str, Any]:
    """What a person is asked to agree to: the papers to sign over, and the card they stand for."""
    change = house.changes.get(ChangeId(change_id))
    held = child_only(house, change)
    if held is not None:
        return {**row_of(house, change), "verdict": verdict_plain(held)}
    _require_approvable(change)
    return {
        "verdict": verdict_plain(Passed()),
        "change": change.id,
        "plan": change.plan,
        "green": change.green,
        "card": change.card,
        "show": show(house, change_id),
    }


def approve(house: House, change_id: str, envelope: bytes, *, promote: bool, tell: Tell) -> dict[str, Any]:
    """Hand the signed consent to the guard and carry the change on; to approved only unless `promote`.

    Held `outdated`, and nothing is handed over, where tools or rules changed since it was offered.
    """
    change = house.changes.get(ChangeId(change_id))
    _require_approvable(change)
    held = child_only(house, change) if outdated(house, change) else None
    if held is None and not promote:
        held = under_stop(house, f"greenroom lift, then greenroom approve {change.id}")
    if held is not None:
        return {**row_of(house, change), "verdict": verdict_plain(held)}
    consent = house.guard.consent(envelope)
    house.crash_point("consent.taken")
    if isinstance(consent, Refused):
        return {**row_of(house, change), "verdict": verdict_plain(consent)}
    agreed = dataclasses.replace(change, consents=(*change.consents, consent), carry=None, hold=None, window=None)
    if promote:
        house.changes.save(agreed)
        house.crash_point("consent.saved")
        return carry_on(house, change.id, tell)
    later = Held(rule=PROMOTE_LATER, where="approved", remedy=f"greenroom promote {change.id}")
    if agreed.state is State.VERIFIED:
        _log(house, change, "approve/result", "passed")
        agreed = dataclasses.replace(agreed, state=advance(agreed.state, Move.PASS))
    house.crash_point("consent.result-logged")
    saved = house.changes.save(dataclasses.replace(agreed, hold=later))
    house.crash_point("consent.saved-for-later")
    return {**row_of(house, saved), "verdict": verdict_plain(Passed())}


def promote(house: House, change_id: str, *, tell: Tell) -> dict[str, Any]:
    """Carry an approved change through promote and watch; otherwise name the missing step.

    One whose base moved or that is outdated is restacked first, and goes on where the person's yes holds for the child;
    so does a child whose restack a crash cut.
    """
    change = house.changes.get(ChangeId(change_id))
    if child_only(house, change) is not None:
        moved = restack(house, change_id, tell=tell)
        change = house.changes.get(ChangeId(moved["id"]))
        if change.state is not State.APPROVED or change.hold is None or change.hold.rule != PROMOTE_LATER:
            return moved
        return {**promote(house, change.id, tell=tell), "restacked": moved.get("restacked")}
    change = carried_yes(house, change) or change
    if change.state is not State.APPROVED or reverting(change):
        raise _wrong_state(change, "promote", *_missing_step(change))
    if change.hold is not None:
        house.changes.save(dataclasses.replace(change, hold=None))
    house.crash_point("release.saved")
    return carry_on(house, change.id, tell)


def revert(house: House, change_id: str, *, actor: str, settle: bool = True) -> dict[str, Any]:
    """Take a promoted or kept change back: a new commit with the earlier tree. Works under a stop.

    One that others stand on is refused `not-last`, with `offers`: both ways to take it back all the same. `settle`
    lets changes go on whose base is live again.
    """
    change = house.changes.get(ChangeId(change_id))
    if change.state is State.REVERTED:
        return {
            **row_of(house, change),
            "verdict": verdict_plain(Passed()),
            "delivery": delivery_of(house, change.subject),
        }
    if change.state not in (State.PROMOTED, State.KEPT) and not live_unnoted(house, change):
        raise _wrong_state(change, "revert", "it is not live")
    begun = Held(rule=REVERTING, where="a revert is under way", remedy=f"greenroom revert {change.id}")
    noted = house.changes.save(dataclasses.replace(change, hold=begun))
    house.crash_point("revert.noted")
    verdict = house.guard.revert(change.subject, change.id, actor)
    house.crash_point("revert.taken-back")
    if not isinstance(verdict, Passed):
        kept = house.changes.save(dataclasses.replace(noted, hold=None if reverting(change) else change.hold))
        if verdict.rule != NOT_LAST:
            return {**row_of(house, kept), "verdict": verdict_plain(verdict)}
        offered = dataclasses.replace(verdict, remedy=remedy(house, change))
        return {**row_of(house, kept), "verdict": verdict_plain(offered), **offers(house, change)}
    commit = house.guard.position(change.subject)
    live = State.PROMOTED if change.state is State.APPROVED else change.state
    state = advance(live, Move.REVERT)
    end_undos(house, change)
    saved = house.changes.save(dataclasses.replace(noted, state=state, hold=None, ended="reverted", commit=commit))
    house.crash_point("revert.saved")
    want(house, saved.subject)
    house.crash_point("revert.wanted")
    if settle:
        settle_siblings(house, change.subject)
    row = {**row_of(house, saved), "verdict": verdict_plain(Passed())}
    return {**row, "delivery": delivery_of(house, change.subject)}


def resume(house: House, *, change_id: str = "", tell: Tell) -> dict[str, Any]:
    """Go on after a crash or a lift: finish reverts, carry each change that was cut or that a stop held, deliver.

    With `change_id` only that change: what held it is tried again. Raises Unusable `wrong-state` when a person has to
    answer its hold, and says how.
    """
    if change_id:
        return {"resumed": [_try_again(house, house.changes.get(ChangeId(change_id)), tell)]}
    reverted = [revert(house, change.id, actor="executor") for change in house.changes.list(held=REVERTING)]
    held = under_stop(house, "greenroom lift, which goes on by itself")
    if held is not None:
        return {"resumed": reverted, "deliveries": pending(house), "verdict": verdict_plain(held)}
    for change in house.changes.list(open_only=True, held=STOPPED):
        house.changes.save(dataclasses.replace(change, hold=None))
    cut = [house.changes.get(change_id) for change_id in house.runs.unfinished()]
    # What waits in its window is carried on by itself, once the person's branch was looked at.
    carried = [carry_on(house, c.id, tell) for c in cut if c.window is None or live_unnoted(house, c)]
    for subject in house.changes.subjects():
        want(house, subject)
    return {"resumed": [*reverted, *carried], "deliveries": pending(house)}


def _try_again(house: House, change: Change, tell: Tell) -> dict[str, Any]:
    if change.hold is not None and change.hold.rule == REVERTING:
        return revert(house, change.id, actor="executor")
    if child_only(house, change) is not None:
        return restack(house, change.id, tell=tell)
    if change.terminal or change.state is State.KEPT:
        raise _wrong_state(change, "resume", "it is over: nothing is left to do")
    if change.hold is not None and not waits_for_condition(change.hold):
        why, remedy = f"it is held as {change.hold.rule} ({change.hold.where})", change.hold.remedy
        raise _wrong_state(change, "resume", why, remedy)
    if change.hold is not None:
        golden = golden_for(house, change)
        if isinstance(golden, Held):
            return {**row_of(house, change), "verdict": verdict_plain(golden)}
        house.changes.save(dataclasses.replace(change, golden=golden, hold=None))
    house.crash_point("again.saved")
    return carry_on(house, change.id, tell)


def delivered(house: House, subject: str, *, commit: str, pending: str) -> dict[str, Any]:
    """Record what became of a delivery: `pending` is the rule that keeps it waiting, empty when it arrived."""
    found = next((known for known in house.changes.subjects() if str(known) == subject), None)
    delivery = house.deliveries.get(found) if found else None
    if found is None or delivery is None or delivery.wanted != commit:
        raise NotFound("no-such-delivery", f"nothing is to be delivered to {subject}")
    event = Event(
        key=f"delivery/{commit}/{pending or 'done'}",
        at=house.clock.now(),
        actor="executor",
        name="delivery.pending" if pending else "delivery.done",
        change=ChangeId(delivery.change) if delivery.change else None,
        about=pending,
    )
    house.guard.append(event)
    house.crash_point("delivery.logged")
    done = dataclasses.replace(delivery, delivered=delivery.delivered if pending else commit, pending=pending)
    house.deliveries.put(done)
    house.crash_point("delivery.noted")
    return dataclasses.asdict(done)


def branch_of(house: House, change_id: str) -> dict[str, Any] | None:
    """The person's branch that a change is to be delivered to, and the trees it goes from and to.

    None for a release, which has no branch.
    """
    change = house.changes.get(ChangeId(change_id))
    delivery = house.deliveries.get(change.subject)
    if delivery is None or not delivery.branch:
        return None
    return {**dataclasses.asdict(delivery), "base": change.base, "green": change.green}


def outdated_changes(house: House) -> list[str]:
    """The changes that wait and whose papers the guard would refuse, by the tools and rules of today."""
    return [change.id for change in house.changes.list(open_only=True) if outdated(house, change)]


def pending(house: House) -> list[dict[str, Any]]:
    """The deliveries that wait for the person's branch."""
    return [dataclasses.asdict(delivery) for delivery in house.deliveries.pending()]


def _conflicts(house: House, change: Change) -> list[dict[str, Any]]:
    held = change.hold is not None and change.hold.rule == CONFLICT
    return conflicts_of(house, change) if held else []


def _card(house: House, change: Change) -> Card:
    if change.card is None:
        raise Unusable("no-card", f"change {change.id} has no card yet")
    return documents.decode(Card, house.store.get(change.card))


def _require_approvable(change: Change) -> None:
    """A verified change that waits for a yes, or an approved one whose yes has to be given again."""
    waits = (change.hold is not None or change.window is not None) and change.card is not None
    rule = change.hold.rule if change.hold is not None else ""
    if waits and (change.state is State.APPROVED or (change.state is State.VERIFIED and rule == NEEDS_APPROVAL)):
        return
    why = "only a verified change that waits for approval can be approved"
    remedy = ""
    if change.hold is not None and rule != NEEDS_APPROVAL:
        why, remedy = f"it is held as {rule} ({change.hold.where})", change.hold.remedy
    raise _wrong_state(change, "approve", why, remedy)


def _missing_step(change: Change) -> tuple[str, str]:
    """What keeps a change from being promoted, and the step that is missing; empty where there is none."""
    if change.state is State.VERIFIED:
        return "it is not approved", f"greenroom approve {change.id}"
    if change.terminal or change.state in (State.PROMOTED, State.KEPT):
        return f"it is {change.state.value} already", ""
    if change.hold is None:
        return f"it is only {change.state.value}", ""
    return f"it is only {change.state.value}, held as {change.hold.rule} ({change.hold.where})", change.hold.remedy


def _wrong_state(change: Change, verb: str, why: str, remedy: str = "") -> Unusable:
    return Unusable(
        "wrong-state",
        f"cannot {verb} {change.id}: it is {change.state.value}",
        where=why,
        remedy=remedy or f"greenroom show {change.id}",
    )


def _log(house: House, change: Change, stage_and_phase: str, about: str) -> None:
    """An entry of a stage that a verb takes itself; its key is the one that the flow would give it."""
    event = Event(
        key=f"{change.id}/{change.version}/{stage_and_phase}",
        at=house.clock.now(),
        actor="executor",
        name=stage_and_phase.replace("/", "."),
        change=change.id,
        about=about,
    )
    house.guard.append(event)
