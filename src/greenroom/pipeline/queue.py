"""The queue: proposals that no run has carried yet, carried cheapest first within bounds of number and time.

All changes of one base share the runs of that base, so which of them goes first does not matter to it. Cheapest is
what is begun already, then words and data before code, then the fewest changed lines, then the fewest files.
"""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from greenroom.domain.change import Change
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unusable
from greenroom.domain.ports import Clock, Store
from greenroom.domain.proposal import Proposal
from greenroom.domain.verdict import Held, Instant
from greenroom.domain.vocabulary import State
from greenroom.pipeline.carrying import carry_on, row_of
from greenroom.pipeline.holds import BASE_MOVED, STOPPED, uncarried
from greenroom.pipeline.house import House, Tell
from greenroom.pipeline.restack import follow
from greenroom.pipeline.stages.plan import MAX_PATCH_BYTES

MOST = 10
"""How many changes one run carries unless it is told otherwise."""
SHORT, FEW = 200, 5
"""Characters of a summary, and files, on a short card."""
WORDS = frozenset({".cfg", ".ini", ".json", ".md", ".rst", ".toml", ".txt", ".yaml", ".yml"})
"""Files that nothing runs, by suffix."""
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """At most `most` changes are carried, and none is begun that would not end within `seconds`; None sets no bound."""

    most: int = MOST
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A change that waits to be carried, with the size of its patch in lines."""

    change: Change
    proposal: Proposal
    added: int
    removed: int

    @property
    def cost(self) -> tuple[bool, bool, int, int]:
        """Sorts the cheapest first."""
        code = any(posixpath.splitext(path)[1].lower() not in WORDS for path in self.proposal.files)
        return self.change.state is State.PROPOSED, code, self.added + self.removed, len(self.proposal.files)


def item_of(store: Store, change: Change, proposal: Proposal) -> Item:
    """The item of a change; the plan stage refuses one whose patch cannot be had, so here it has no size."""
    try:
        added, removed = changed_lines(store.get(proposal.patch, MAX_PATCH_BYTES))
    except Unusable:
        added, removed = 0, 0
    return Item(change=change, proposal=proposal, added=added, removed=removed)


def changed_lines(patch: bytes) -> tuple[int, int]:
    """Lines that a patch in git's format adds and removes; what stands before the first hunk of a file is no line."""
    added = removed = 0
    inside = False
    for line in patch.split(b"\n"):
        if line.startswith(b"diff --git "):
            inside = False
        elif line.startswith(b"@@ "):
            inside = True
        elif inside:
            added += line.startswith(b"+")
            removed += line.startswith(b"-")
    return added, removed


def short_card(item: Item) -> dict[str, Any]:
    """The event that shows a proposal before anything of it is tried."""
    files = item.proposal.files
    return {
        "event": "proposal",
        "id": item.change.id,
        "rule": item.proposal.rule[:SHORT],
        "summary": item.proposal.summary[:SHORT],
        "files": [path[:SHORT] for path in files[:FEW]],
        "more_files": max(0, len(files) - FEW),
        "added": item.added,
        "removed": item.removed,
    }


def take(house: House, change: Change, golden: Digest) -> Change | None:
    """Take a change off the queue, onto the golden of its base; None where another command took it meanwhile."""
    onto = golden if uncarried(change) else change.golden
    try:
        saved = house.changes.save(dataclasses.replace(change, golden=onto, hold=None))
    except Unusable as error:
        if error.reference != "version-conflict":
            raise
        return None
    house.crash_point("propose.taken")
    return saved


def golden_for(house: House, change: Change) -> Digest | Held:
    """What `change` is to be carried on: its own golden, or that of its base where nothing of it was tried yet."""
    if not uncarried(change):
        return change.golden
    prepared = house.prepare(change.base)
    return prepared if isinstance(prepared, Held) else prepared[0]


class Spent:
    """Time since an instant, against a bound."""

    def __init__(self, clock: Clock, began: Instant, seconds: float | None) -> None:
        self._clock = clock
        self._began = began
        self._bound = seconds
        self._shortest: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds since it began; none where the clock was set back."""
        return round(max(0, self._clock.now() - self._began) / _NS, 1)

    @property
    def left(self) -> float | None:
        """Seconds until the bound, None without one."""
        return None if self._bound is None else round(max(0.0, self._bound - self.seconds), 1)

    def took(self, seconds: float) -> None:
        """A change took so long."""
        self._shortest = seconds if self._shortest is None else min(seconds, self._shortest)

    def room(self) -> bool:
        """True when another change may be begun: as much time is left as the quickest took."""
        return self.left is None or self.left > (self._shortest or 0.0)


def carry_within(
    house: House, found: Iterable[Item], limits: Limits, began: Instant, answer: dict[str, Any], tell: Tell
) -> Held | None:
    """Carry the cheapest of `found`; `answer` says what came of each, and what is left and why.

    Held where the dependencies of the base cannot be had: then nothing is carried and all stays queued.
    """
    waiting = sorted(found, key=lambda item: item.cost)
    spent = Spent(house.clock, began, limits.seconds)
    number = min(limits.most, len(waiting))
    held = None
    why = "max"
    if number:
        prepared = _prepare(house, waiting[0].change, answer, tell)
        if isinstance(prepared, Held):
            held, why = prepared, prepared.rule
        else:
            why = _carry_each(house, waiting, number, prepared, spent, answer, tell)
    answer["left"].extend(row_of(house, house.changes.get(item.change.id)) for item in waiting)
    answer["left_because"] = why if waiting else ""
    answer["spent_s"] = spent.seconds
    return held


def _prepare(house: House, change: Change, answer: dict[str, Any], tell: Tell) -> Digest | Held:
    """The golden of the base, which all that was found shares."""
    tell({"event": "prepare"})
    prepared = house.prepare(change.base)
    if isinstance(prepared, Held):
        return prepared
    golden, notes = prepared
    house.crash_point("import.prepared")
    answer["notes"].extend(notes)
    tell({"event": "prepared", "golden": golden, "notes": list(notes)})
    return golden


def _carry_each(
    house: House, waiting: list[Item], number: int, golden: Digest, spent: Spent, answer: dict[str, Any], tell: Tell
) -> str:
    """Carry what comes first and take it from `waiting`, until a bound; which one it was."""
    rows = answer["changes"]
    while waiting and len(rows) < number:
        if rows and rows[-1]["held"] and rows[-1]["held"]["rule"] == STOPPED:
            return STOPPED
        if not spent.room():
            return "budget-time"
        tell(_event("carrying", spent) | {"change": waiting[0].change.id, "number": len(rows) + 1, "of": number})
        if getattr(tell, "gone", False):
            return "interrupted"
        before = spent.seconds
        row = _carry(house, waiting.pop(0).change, golden, tell)
        if row is None:
            continue
        row["seconds"] = round(spent.seconds - before, 1)
        spent.took(row["seconds"])
        rows.append(row)
        tell(_event("carried", spent) | {"row": row})
    return "max"


def _carry(house: House, change: Change, golden: Digest, tell: Tell) -> dict[str, Any] | None:
    """The row of the change after its run; None where another command took it meanwhile."""
    stands = house.changes.get(change.id)
    if stands.hold is not None and stands.hold.rule == BASE_MOVED:
        # An earlier one of this run went live by itself.
        try:
            return follow(house, stands, tell)
        except Unusable as error:
            if error.reference != "version-conflict":
                raise
            return None
    taken = take(house, change, golden)
    return carry_on(house, taken.id, tell) if taken is not None else None


def _event(name: str, spent: Spent) -> dict[str, Any]:
    return {"event": name, "spent_s": spent.seconds, "left_s": spent.left}
