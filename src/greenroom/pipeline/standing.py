"""Standing consent as the executor sees it: whether an opt-in seems to cover a change, what waits, what is cancelled.

All of it is advice and bookkeeping: the guard matches opt-ins and times windows by itself.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.ports import Clock, Guard, Store
from greenroom.domain.proof import Evidence
from greenroom.domain.standing import covering, made_again_by
from greenroom.domain.verdict import Held, Instant, Passed
from greenroom.domain.vocabulary import Agree, ChangeId, Mode, State
from greenroom.pipeline.carrying import carry_on, live_unnoted, row_of
from greenroom.pipeline.flow import Done
from greenroom.pipeline.holds import NEEDS_APPROVAL
from greenroom.pipeline.house import House, Tell
from greenroom.pipeline.plain import verdict_plain


class StandingConsent:
    """Tells the approve stage whether something may agree in a person's place."""

    def __init__(self, *, store: Store, guard: Guard, clock: Clock) -> None:
        self._store = store
        self._guard = guard
        self._clock = clock

    def __call__(self, change: Change, agree: Agree) -> Done | None:
        """Passed where an opt-in seems to cover the change; None where only a person can agree."""
        if agree is Agree.STANDING and covered(change, self._store, self._guard, self._clock):
            return Done(Passed(), change)
        return None


def covered(change: Change, store: Store, guard: Guard, clock: Clock) -> bool:
    """True where an opt-in that counts is for the rule that the change was made again by."""
    rule = made_again_by(documents.decode(Evidence, store.get(digest)) for digest in change.evidence)
    return covering(guard.status().opt_ins, change.subject, rule, clock.now()) is not None


def waits(change: Change, now: Instant) -> bool:
    """True while the change is in its window."""
    return change.window is not None and now < change.window


def windows(house: House) -> dict[str, Any]:
    """The changes that were let through by an opt-in: those that still wait, and those whose window is over."""
    now = house.clock.now()
    found = [change for change in house.changes.list(open_only=True) if change.window is not None]
    found.sort(key=lambda change: change.window or 0)
    return {
        "now": str(now),
        "waiting": [row_of(house, change) for change in found if waits(change, now)],
        "over": [row_of(house, change) for change in found if not waits(change, now)],
    }


def reconsider(house: House, tell: Tell) -> dict[str, Any]:
    """After opt-ins changed: what one covers goes on to its window, what none covers any more needs a person."""
    rows = []
    for change in house.changes.list(open_only=True):
        held = change.hold is not None and change.hold.rule == NEEDS_APPROVAL and change.state is State.VERIFIED
        if (not held and change.window is None) or live_unnoted(house, change):
            continue
        fits = covered(change, house.store, house.guard, house.clock)
        if held and fits and change.mode is not Mode.PROPOSE:
            rows.append(carry_on(house, house.changes.save(dataclasses.replace(change, hold=None)).id, tell))
        elif not held and not fits:
            where = "the opt-in that let it through counts no longer: a person must agree"
            rows.append(row_of(house, _hold(house, change, where)))
    return {"changes": rows}


def cancel(house: House, change_id: str, *, actor: str) -> dict[str, Any]:
    """Keep a change that waits in its window from being applied by itself: it then needs a person."""
    change = house.changes.get(ChangeId(change_id))
    verdict = house.guard.cancel_window(change.id, actor)
    house.crash_point("window.withdrawn")
    if not isinstance(verdict, Passed) or change.window is None or live_unnoted(house, change):
        return {**row_of(house, change), "verdict": verdict_plain(verdict)}
    saved = _hold(house, change, "its apply window was cancelled: a person must agree")
    return {**row_of(house, saved), "verdict": verdict_plain(verdict)}


def _hold(house: House, change: Change, where: str) -> Change:
    hold = Held(rule=NEEDS_APPROVAL, where=where, remedy=f"greenroom approve {change.id}")
    return house.changes.save(dataclasses.replace(change, window=None, hold=hold))
