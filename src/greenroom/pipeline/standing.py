"""Standing consent as the executor sees it: whether an opt-in seems to cover a change, what waits, what is cancelled.

All of it is advice and bookkeeping: the guard matches opt-ins and times windows by itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.errors import Bug, NotFound, Unusable
from greenroom.domain.outcomes import verdict_on
from greenroom.domain.plan import Plan
from greenroom.domain.ports import Changes, Clock, Evaluator, Guard, Store
from greenroom.domain.proof import Evidence
from greenroom.domain.standing import covering, made_again_by
from greenroom.domain.verdict import Held, Instant, Passed
from greenroom.domain.vocabulary import CONSENT, Agree, ChangeId, ConsentLevel, Mode, State, Trust
from greenroom.pipeline.branching import on_its_way
from greenroom.pipeline.carrying import carry_on, live_unnoted, row_of
from greenroom.pipeline.changes import Board
from greenroom.pipeline.decisions import Decisions, findings_of
from greenroom.pipeline.flow import Done
from greenroom.pipeline.holds import BASE_MOVED, NEEDS_APPROVAL, REVERTING
from greenroom.pipeline.house import House, Tell
from greenroom.pipeline.plain import verdict_plain

MODES = tuple(Mode)


class StandingConsent:
    """Tells the approve stage whether something may agree in a person's place.

    `cancelled` says whether a person cancelled a change with one of the same findings before.
    """

    def __init__(
        self,
        *,
        store: Store,
        guard: Guard,
        clock: Clock,
        evaluator: Evaluator,
        checks: Callable[[Plan], Sequence[str]],
        cancelled: Callable[[Change], bool],
    ) -> None:
        self._store = store
        self._guard = guard
        self._clock = clock
        self._evaluator = evaluator
        self._checks = checks
        self._cancelled = cancelled

    def __call__(self, change: Change, agree: Agree) -> Done | None:
        """Passed where an opt-in seems to cover the change, or a second verify came out well; else None or held."""
        if self._cancelled(change):
            return None
        if agree is Agree.TWO_VERIFIES and change.origin.trust is not Trust.UNTRUSTED:
            return self._verify_again(change)
        if agree is Agree.STANDING and covered(change, self._store, self._guard, self._clock):
            return Done(Passed(), change)
        return None

    def _verify_again(self, change: Change) -> Done | None:
        """Every check but the build once more, for the occasion that is Green's digest."""
        if change.plan is None or change.green is None:
            raise Bug("no-green", "a second verify needs a sealed Green")
        plan = documents.decode(Plan, self._store.get(change.plan))
        found: list[Evidence] = []
        stored = []
        for check in self._checks(plan):
            if check == "reseal":
                continue
            green = change.green
            item = self._evaluator.verify(check, plan, change.base, green, change.golden, green, found)
            found.append(item)
            stored.append(self._store.put("output", documents.encode(item)))
            said = verdict_on([item])
            if not isinstance(said, Passed):
                where = f"the second verify did not pass ({said.rule}: {said.where}): a person must agree"
                remedy = f"greenroom approve {change.id}"
                held = Held(rule=NEEDS_APPROVAL, where=where[:500], remedy=remedy)
                return Done(held, dataclasses.replace(change, again=tuple(stored)))
        return Done(Passed(), dataclasses.replace(change, again=tuple(stored)))


def cancelled_before(changes: Changes, board: Board, decisions: Decisions, store: Store, change: Change) -> bool:
    """True where a person cancelled this change, one that it follows, or one that mends any of its findings.

    Only in the same repository. True, too, where it cannot be read what the change mends.
    """
    line = board.line(change.id)
    same = board.known(change.subject, line.fingerprint) if line is not None else ()
    if any(found.cancelled for found in _line_of(changes, change)) or any(changes.get(one).cancelled for one in same):
        return True
    try:
        return decisions.cancelled(change.subject, findings_of(store, change))
    except Unusable:
        return True


def _line_of(changes: Changes, change: Change) -> Iterator[Change]:
    """`change` and those that it follows, each once, as far as they are there."""
    seen = {change.id}
    yield change
    while change.parent is not None and change.parent not in seen:
        try:
            change = changes.get(change.parent)
        except NotFound:
            return
        seen.add(change.id)
        yield change


def covered(change: Change, store: Store, guard: Guard, clock: Clock) -> bool:
    """True where an opt-in that counts is for the rule that the change was made again by."""
    rule = made_again_by(documents.decode(Evidence, store.get(digest)) for digest in change.evidence)
    return covering(guard.status().opt_ins, change.subject, rule, clock.now()) is not None


def waits(change: Change, now: Instant) -> bool:
    """True while the change is in its window."""
    return change.window is not None and now < change.window


def windows(house: House) -> dict[str, Any]:
    """The changes that were let through by an opt-in: those that still wait, and those whose window is over.

    `moved` are those that go on without a person once they are restacked, the one that has waited longest first.
    """
    now = house.clock.now()
    unheld = (change for rule in ("", REVERTING) for change in house.changes.list(open_only=True, held=rule))
    found = [change for change in unheld if change.window is not None]
    found.sort(key=lambda change: change.window or 0)
    moved = house.changes.list(open_only=True, held=BASE_MOVED)
    return {
        "now": str(now),
        "waiting": [row_of(house, change) for change in found if waits(change, now)],
        "over": [row_of(house, change) for change in found if not waits(change, now)],
        "moved": [row_of(house, change) for change in moved if follows(house, change)],
    }


def follows(house: House, change: Change) -> bool:
    """True for a change whose base moved and that nobody has to be asked about, as far as the executor knows.

    What a person agreed to for later waits for their `promote`, and what is in a branch for their merge.
    """
    moved = change.hold is not None and change.hold.rule == BASE_MOVED
    if not moved or change.consents or change.risk is None or on_its_way(house, change):
        return False
    mode = min(change.mode, house.guard.status().mode, key=MODES.index)
    agree = CONSENT[mode][change.risk.level]
    if agree is Agree.PERSON or _cancelled(house, change):
        return False
    if agree is Agree.STANDING:
        return covered(change, house.store, house.guard, house.clock)
    return change.state is State.APPROVED


def reconsider(house: House, tell: Tell) -> dict[str, Any]:
    """After opt-ins changed: what one covers goes on to its window, what none covers any more needs a person.

    One whose base moved because another of them went live at once is in `windows`, as `moved`.
    """
    rows = []
    for listed in house.changes.list(open_only=True):
        change = house.changes.get(listed.id)
        held = change.hold is not None and change.hold.rule == NEEDS_APPROVAL and not change.consents
        if (not held and change.window is None) or live_unnoted(house, change):
            continue
        fits = covered(change, house.store, house.guard, house.clock)
        fits = fits and not _cancelled(house, change)
        low = change.risk is not None and change.risk.level is ConsentLevel.OPT_IN
        if held and fits and low and change.mode is not Mode.PROPOSE:
            rows.append(carry_on(house, house.changes.save(dataclasses.replace(change, hold=None)).id, tell))
        elif not held and not fits:
            where = "the opt-in that let it through counts no longer: a person must agree"
            rows.append(row_of(house, _hold(house, change, where)))
    return {"changes": rows}


def cancel(house: House, change_id: str, *, actor: str) -> dict[str, Any]:
    """Keep a change that waits in its window from being applied by itself: it then needs a person."""
    change = house.changes.get(ChangeId(change_id))
    verdict = house.guard.cancel_window(change.id, actor)
    if not isinstance(verdict, Passed) or change.terminal or live_unnoted(house, change):
        return {**row_of(house, change), "verdict": verdict_plain(verdict)}
    _remember(house, change)
    marked = dataclasses.replace(change, cancelled=True)
    where = "its apply window was cancelled: a person must agree"
    saved = house.changes.save(marked) if change.window is None else _hold(house, marked, where)
    return {**row_of(house, saved), "verdict": verdict_plain(verdict)}


def _remember(house: House, change: Change) -> None:
    """Keep the cancel for every finding of `change`. Where they cannot be read, its own mark has to do."""
    with contextlib.suppress(Unusable):
        house.decisions.cancel(change.subject, change.id, findings_of(house.store, change))


def _cancelled(house: House, change: Change) -> bool:
    return cancelled_before(house.changes, house.board, house.decisions, house.store, change)


def _hold(house: House, change: Change, where: str) -> Change:
    hold = Held(rule=NEEDS_APPROVAL, where=where, remedy=f"greenroom approve {change.id}")
    return house.changes.save(dataclasses.replace(change, window=None, hold=hold))
