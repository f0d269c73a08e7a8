"""Carrying a change on, and what follows for its neighbours and for the person's branch."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unreachable, Unusable
from greenroom.domain.plan import Plan, ToolManifest
from greenroom.domain.verdict import Held, Passed, Refused, Verdict
from greenroom.domain.vocabulary import ChangeId, Stage, State, Subject
from greenroom.pipeline.board import row
from greenroom.pipeline.holds import (
    BASE_MOVED,
    CHILD_ONLY,
    MOVED,
    NEEDS_APPROVAL,
    PROMOTE_LATER,
    REVERTING,
    base_moved,
    outdated_by,
    queued,
    uncarried,
)
from greenroom.pipeline.house import House, Tell
from greenroom.pipeline.narrowing import hold_where_left_out
from greenroom.pipeline.plain import verdict_plain
from greenroom.pipeline.runs import uses_of


def carry_on(house: House, change_id: ChangeId, tell: Tell) -> dict[str, Any]:
    """Run the change's stages until it is over or held; its row with the verdict, and the delivery that waits."""

    def watcher(change: Change, stage: Stage, phase: str, verdict: Verdict | None) -> None:
        event = {"event": "stage", "change": change.id, "stage": stage.value, "phase": phase}
        tell({**event, "verdict": verdict_plain(verdict) if verdict is not None else None})

    _hold_where_base_moved(house, house.changes.get(change_id))
    _hold_where_outdated(house, house.changes.get(change_id))
    hold_where_left_out(house, house.changes.get(change_id))
    change = house.runs.carry(change_id, watcher)
    house.crash_point("carry.ended")
    if change.state in (State.PROMOTED, State.KEPT, State.REVERTED) and change.commit:
        want(house, change.subject)
        house.crash_point("carry.wanted")
        settle_siblings(house, change.subject)
    verdict: Verdict = change.hold or (None if change.state is State.KEPT else cut_short(house)) or Passed()
    if change.state in (State.ABORTED, State.REVERTED):
        asked = Refused(rule=change.ended or "", where=change.state.value, remedy=f"greenroom show {change.id}")
        verdict = change.refused or asked
    answer = {**row_of(house, change), "verdict": verdict_plain(verdict)}
    return answer | {"delivery": delivery_of(house, change.subject), "next": _next(house, change)}


def _next(house: House, change: Change) -> str:
    """The change that has waited longest for what was promoted; empty where none has, or nothing was promoted."""
    if change.state is not State.KEPT:
        return ""
    waiting = house.changes.list(subject=change.subject, open_only=True, held=BASE_MOVED)
    return next((each.id for each in waiting), "")


def _hold_where_base_moved(house: House, change: Change) -> None:
    """Before anything is done for it: another change of the same scan may have gone live by itself meanwhile."""
    live = house.guard.live(change.subject)
    if change.state is State.PROPOSED and change.hold is None and live is not None and change.base != live:
        house.changes.save(dataclasses.replace(change, hold=_base_moved(change, live)))


def _hold_where_outdated(house: House, change: Change) -> None:
    """Before the guard is asked: it would refuse the papers, and the change would end for it."""
    why = _outdated_by(house, change) if change.hold is None else ""
    if why:
        house.changes.save(dataclasses.replace(change, hold=outdated_by(change.id, why), window=None))


def _base_moved(change: Change, live: Digest) -> Held:
    where = f"Blue is {live[:21]}, the change was made against {change.base[:21]}"
    return base_moved(change, where)


def settle_siblings(house: House, subject: Subject) -> None:
    """Hold the waiting changes whose base is no longer live; let those go on whose base is live again.

    What a crash cut, perhaps in the middle of its promotion, is left to `resume`.
    """
    live = house.guard.live(subject)
    for change in house.changes.list(subject=subject, open_only=True):
        cut = (change.hold is None and change.window is None) or live_unnoted(house, change)
        if live is None or change.state is State.PROMOTED or cut:
            continue
        moved = change.hold is not None and change.hold.rule in MOVED
        if change.base != live and not moved:
            house.changes.save(dataclasses.replace(change, hold=_base_moved(change, live), window=None))
        elif moved and change.base == live and uncarried(change):
            house.changes.save(dataclasses.replace(change, hold=queued()))
        elif change.base == live and moved:
            hold_where_left_out(house, release(house, change))
            house.runs.carry(change.id)


def release(house: House, change: Change) -> Change:
    """The change, held no more for its base, which is live again; one that was approved still waits for `promote`."""
    later = Held(rule=PROMOTE_LATER, where="approved", remedy=f"greenroom promote {change.id}")
    hold = later if change.state is State.APPROVED else None
    return house.changes.save(dataclasses.replace(change, hold=hold))


def want(house: House, subject: Subject) -> None:
    """The branch should have what is live; a delivery that a crash forgot is found here again."""
    delivery = house.deliveries.get(subject)
    if delivery is None or not delivery.branch:
        return
    wanted = house.guard.position(subject)
    if delivery.wanted != wanted:
        change = last_live(house, subject)
        waits = dataclasses.replace(delivery, change=change, wanted=wanted, pending="delivery-pending")
        house.deliveries.put(waits)


def delivery_of(house: House, subject: Subject) -> dict[str, Any] | None:
    """The delivery to the subject's branch that waits; None when none does."""
    delivery = house.deliveries.get(subject)
    return dataclasses.asdict(delivery) if delivery is not None and delivery.pending else None


def last_live(house: House, subject: Subject) -> str:
    """The change that was promoted last and is live, empty when none is."""
    newest = house.changes.newest(subject)
    return next((change.id for change in newest if change.commit and change.state is not State.REVERTED), "")


def live_unnoted(house: House, change: Change) -> bool:
    """True when the guard may have promoted an approved change that a crash kept from being saved as promoted."""
    return change.state is State.APPROVED and (reverting(change) or house.guard.live(change.subject) == change.green)


def child_only(house: House, change: Change) -> Held | None:
    """Why a change that waits can go on only as a child, tried anew; None where it can go on itself.

    Its base moved, or it is outdated.
    """
    if change.hold is None and change.window is None:
        return None
    if change.hold is not None and change.hold.rule in CHILD_ONLY:
        return change.hold
    why = _outdated_by(house, change)
    return outdated_by(change.id, why) if why else None


def outdated(house: House, change: Change) -> bool:
    """True for a change that waits and whose papers the guard would refuse, by the tools and rules of today."""
    return (change.hold is not None or change.window is not None) and bool(_outdated_by(house, change))


def _outdated_by(house: House, change: Change) -> str:
    """What makes an open change's papers those of an earlier Greenroom or constitution, in words; empty where nothing.

    A tool that they rest on is signed no more; or the card that a person is, or was, asked about would be another now.
    """
    if change.terminal or change.state in (State.PROMOTED, State.KEPT) or change.plan is None:
        return ""
    asked = bool(change.consents) or (change.hold is not None and change.hold.rule == NEEDS_APPROVAL)
    why = ""
    try:
        if tools := _unsigned(house, change):
            why = f"tried with tools that are signed no more: {', '.join(tools)}"
        elif asked and (members := house.stale(change)):
            why = f"its card would be another one now: {', '.join(members)}"
    except Unreachable:
        raise
    except Unusable:
        # What cannot be read or believed is no upgrade's doing: the guard says what it is.
        why = ""
    return why if why and not live_unnoted(house, change) else ""


def _unsigned(house: House, change: Change) -> Sequence[str]:
    """The tools, by name, that are signed no more and that a planned change's papers rest on."""
    if change.plan is None:
        return []
    plan = documents.decode(Plan, house.store.get(change.plan))
    used = {step.tool for step in plan.steps}
    if change.state in (State.VERIFIED, State.APPROVED):
        # Before that, verify makes all of its runs anew.
        used |= {tool for tool, _ in uses_of(change, house.store, house.attestor)}
    gone = used - set(house.tools().values())
    return sorted(documents.decode(ToolManifest, house.store.get(tool)).name for tool in gone)


def reverting(change: Change) -> bool:
    """True when a revert of the change began and did not end."""
    return change.hold is not None and change.hold.rule == REVERTING


def cut_short(house: House) -> Held | None:
    """A stop that is set at the end of a scan cut it, wherever it was."""
    remedy = "the owner lifts the stop with `greenroom lift`, which goes on; then greenroom improve again"
    return under_stop(house, remedy)


def under_stop(house: House, remedy: str) -> Held | None:
    """Held `stopped` with this remedy while a stop is set."""
    status = house.guard.status()
    if not status.stopped:
        return None
    return Held(rule="stopped", where=f"stop set by {status.stopped_by}", remedy=remedy)


def row_of(house: House, change: Change) -> dict[str, Any]:
    """One change at a glance, as the board shows it."""
    line = house.board.line(change.id)
    return row(change, line.summary if line else "", line.rule if line else "")
