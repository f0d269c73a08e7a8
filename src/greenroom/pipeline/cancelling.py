"""Cancel: end the run that carries a change, or withdraw an approval that is not spent."""

from __future__ import annotations

import dataclasses
from typing import Any

from greenroom.domain.change import Change, advance
from greenroom.domain.errors import Unusable
from greenroom.domain.events import Event
from greenroom.domain.verdict import Held, Passed
from greenroom.domain.vocabulary import ChangeId, Move, State
from greenroom.pipeline import standing
from greenroom.pipeline.carrying import live_unnoted, row_of
from greenroom.pipeline.holds import NEEDS_APPROVAL, WITHDRAWN
from greenroom.pipeline.house import House
from greenroom.pipeline.plain import verdict_plain
from greenroom.pipeline.restack import withdraw_earlier

CANCELLED = "cancelled"
TRIES = 5
"""A run saves its change at each stage: a cancel that meets one looks again."""


def cancel(house: House, change_id: str, *, actor: str) -> dict[str, Any]:
    """End the run of a change, which ends aborted, or withdraw its approval, after which it waits for another.

    The stage under way ends by itself; its result is dropped. Raises Unusable `wrong-state` for a change that is over,
    live, or waits unapproved: there is nothing to end or to withdraw.
    """
    for attempt in range(TRIES):
        change = house.changes.get(ChangeId(change_id))
        _require_cancellable(house, change)
        withdraw_earlier(house, change, actor)
        try:
            if change.window is not None:
                return standing.cancel(house, change.id, actor=actor)
            return _withdraw(house, change, actor) if _approved(change) else _end(house, change, actor)
        except Unusable as error:
            if error.reference != "version-conflict" or attempt == TRIES - 1:
                raise
    raise AssertionError("the last try returns or raises")


def _withdraw(house: House, change: Change, actor: str) -> dict[str, Any]:
    verdict = house.guard.withdraw(change.id, actor)
    if not isinstance(verdict, Passed):
        return {**row_of(house, change), "verdict": verdict_plain(verdict)}
    _log(house, change, actor, "approval")
    remedy = f"greenroom approve {change.id}"
    rule = WITHDRAWN if change.state is State.APPROVED else NEEDS_APPROVAL
    hold = Held(rule=rule, where="its approval was withdrawn; a person must agree", remedy=remedy)
    return _answer(house, house.changes.save(dataclasses.replace(change, consents=(), hold=hold)))


def _end(house: House, change: Change, actor: str) -> dict[str, Any]:
    _log(house, change, actor, "run")
    state = advance(change.state, Move.ABORT)
    return _answer(house, house.changes.save(dataclasses.replace(change, state=state, hold=None, ended=CANCELLED)))


def _approved(change: Change) -> bool:
    return change.state is State.APPROVED or bool(change.consents)


def _require_cancellable(house: House, change: Change) -> None:
    why, remedy = "", f"greenroom show {change.id}"
    if change.ended == CANCELLED:
        why, remedy = "it is cancelled already", f"greenroom retry {change.id} carries it again"
    elif change.cancelled and change.window is None and not change.consents and not change.terminal:
        why, remedy = "it is cancelled already: it needs a person", f"greenroom approve {change.id} applies it"
    elif change.hold is not None and change.hold.rule == WITHDRAWN:
        why, remedy = "its approval is withdrawn already", change.hold.remedy
    elif change.terminal or change.state in (State.PROMOTED, State.KEPT) or live_unnoted(house, change):
        why = "it is over or live already; `greenroom revert` takes a live one back"
    elif change.hold is not None and not _approved(change):
        why = "nothing runs and nothing is approved"
        remedy = f"greenroom reject {change.id} is a no, greenroom defer {change.id} --until WHEN a later"
    if why:
        message = f"cannot cancel {change.id}: it is {change.state.value}"
        raise Unusable("wrong-state", message, where=why, remedy=remedy)


def _log(house: House, change: Change, actor: str, what: str) -> None:
    key = f"{change.id}/{change.version}/cancel"
    at = house.clock.now()
    house.guard.append(Event(key=key, at=at, actor=actor, name="change.cancelled", change=change.id, about=what))


def _answer(house: House, change: Change) -> dict[str, Any]:
    return {**row_of(house, change), "verdict": verdict_plain(Passed())}
