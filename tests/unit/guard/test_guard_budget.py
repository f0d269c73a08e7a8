"""Money: set aside and settled for each subject and day, never negative, never lost by a crash."""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
from pathlib import Path

import pytest

from greenroom.domain.errors import Unusable
from greenroom.domain.plan import Caps
from greenroom.domain.verdict import Held, Refused
from greenroom.domain.vocabulary import ChangeId, Kind, Subject
from greenroom.guard.budget import MAX_SPEND
from greenroom.guard.ledger import Ledger
from greenroom.testing.papers import SUBJECT, Killed, PaperHouse, promoted

CAPS = Caps(
    cpu_s=1, cpu_millicores=1, wall_s=1, memory_bytes=1, disk_bytes=1, processes=1, output_bytes=1, spend_micro=60
)
OTHER = Subject(kind=Kind.WORKSPACE, address="/home/ada/other")
DAY = 24 * 60 * 60


def _caps(spend_micro: int) -> Caps:
    return dataclasses.replace(CAPS, spend_micro=spend_micro)


def _another(house: PaperHouse) -> Subject:
    """A second subject of the box."""
    tree = house.tree({"b.py": b"y = 2\n"})
    assert not isinstance(house.guard.adopt(house.imported(tree, subject=OTHER, source=OTHER.address)), Refused)
    return OTHER


def test_guard_budget_is_counted_and_capped(house: PaperHouse) -> None:
    """What is reserved counts at once, what is settled replaces it, and beyond the cap it is held till tomorrow."""
    first = house.guard.reserve(ChangeId("a"), SUBJECT, CAPS)
    assert isinstance(first, str)
    held = house.guard.reserve(ChangeId("b"), SUBJECT, CAPS)
    assert isinstance(held, Held)
    assert held.rule == "day-cap-spend"
    house.guard.settle(first, dataclasses.replace(CAPS, spend_micro=10))
    second = house.guard.reserve(ChangeId("b"), SUBJECT, CAPS)
    assert isinstance(second, str)
    with pytest.raises(Unusable, match="no-reservation"):
        house.guard.settle(first, CAPS)
    with pytest.raises(Unusable, match="no-reservation"):
        house.guard.settle("unknown", CAPS)
    house.guard.settle(second, dataclasses.replace(CAPS, spend_micro=61))
    assert [e.about for e in house.log.events() if e.name == "budget.settled"] == ["", "over"]


def test_guard_budget_takes_nothing_negative(house: PaperHouse) -> None:
    """A negative reservation or use would make money; both are refused."""
    with pytest.raises(Unusable, match="bad-caps"):
        house.guard.reserve(ChangeId("a"), SUBJECT, dataclasses.replace(CAPS, spend_micro=-1))
    kept = house.guard.reserve(ChangeId("a"), SUBJECT, CAPS)
    assert isinstance(kept, str)
    with pytest.raises(Unusable, match="bad-caps"):
        house.guard.settle(kept, dataclasses.replace(CAPS, spend_micro=-1))


def test_guard_budget_is_of_each_subject_and_day(house: PaperHouse) -> None:
    """What one subject used leaves another's alone; the next day both have theirs whole."""
    other = _another(house)
    assert isinstance(house.guard.reserve(ChangeId("a"), SUBJECT, _caps(100)), str)
    held = house.guard.reserve(ChangeId("b"), SUBJECT, _caps(1))
    assert isinstance(held, Held)
    assert (held.rule, str(SUBJECT) in held.where) == ("day-cap-spend", True)
    assert isinstance(house.guard.reserve(ChangeId("c"), other, _caps(100)), str)
    assert isinstance(house.guard.reserve(ChangeId("d"), other, _caps(1)), Held)
    totals = house.guard._room.ledger.totals
    assert [totals(each, house.clock.now()).spend_micro for each in (SUBJECT, other)] == [100, 100]
    assert held.ask_again is not None
    house.clock.advance(DAY)
    assert house.clock.now() >= held.ask_again
    assert isinstance(house.guard.reserve(ChangeId("b"), SUBJECT, _caps(100)), str)


def test_guard_budget_of_a_change_is_of_one_subject(house: PaperHouse) -> None:
    """A change cannot be charged to the subject that has money left: its first reservation, or its promotion, binds."""
    other = _another(house)
    house.guard.reserve(ChangeId("a"), SUBJECT, _caps(1))
    with pytest.raises(Unusable, match="change-of-another-subject"):
        house.guard.reserve(ChangeId("a"), other, _caps(1))
    made, _ = promoted(house)
    with pytest.raises(Unusable, match="change-of-another-subject"):
        house.guard.reserve(made.change, other, _caps(1))
    with pytest.raises(Unusable, match="unknown-subject"):
        house.guard.reserve(ChangeId("b"), Subject(kind=Kind.WORKSPACE, address="/nowhere"), _caps(1))


def test_guard_budget_counts_a_settlement_on_the_day_of_its_reservation(house: PaperHouse) -> None:
    """Settled after midnight, it takes nothing from the next day."""
    kept = house.guard.reserve(ChangeId("a"), SUBJECT, _caps(10))
    assert isinstance(kept, str)
    before = house.clock.now()
    house.clock.advance(DAY)
    house.guard.settle(kept, _caps(90))
    totals = house.guard._room.ledger.totals
    assert (totals(SUBJECT, before).spend_micro, totals(SUBJECT, house.clock.now()).spend_micro) == (90, 0)


@pytest.mark.parametrize("amount", [-1, MAX_SPEND + 1, 2**200])
def test_guard_budget_takes_no_amount_that_is_none(house: PaperHouse, amount: int) -> None:
    """Too large for any constitution to name, or below nothing: unusable, and nothing is counted."""
    with pytest.raises(Unusable, match="bad-caps"):
        house.guard.reserve(ChangeId("a"), SUBJECT, _caps(amount))
    kept = house.guard.reserve(ChangeId("a"), SUBJECT, _caps(5))
    assert isinstance(kept, str)
    with pytest.raises(Unusable, match="bad-caps"):
        house.guard.settle(kept, _caps(amount))
    assert house.guard._room.ledger.totals(SUBJECT, house.clock.now()).spend_micro == 5


def test_guard_killed_in_a_reservation(house: PaperHouse) -> None:
    """What nobody was told of stays counted: money is never set aside twice over."""
    house.crash_at = "reserve.counted"
    with pytest.raises(Killed):
        house.guard.reserve(ChangeId("a"), SUBJECT, _caps(60))
    house.restart()
    assert isinstance(house.guard.reserve(ChangeId("a"), SUBJECT, _caps(60)), Held)
    assert isinstance(house.guard.reserve(ChangeId("a"), SUBJECT, _caps(40)), str)


def test_guard_killed_in_a_settlement(house: PaperHouse) -> None:
    """Asked again after a restart it is settled, and logged once."""
    kept = house.guard.reserve(ChangeId("a"), SUBJECT, _caps(60))
    assert isinstance(kept, str)
    house.crash_at = "settle.logged"
    with pytest.raises(Killed):
        house.guard.settle(kept, _caps(70))
    house.restart()
    assert house.guard._room.ledger.totals(SUBJECT, house.clock.now()).spend_micro == 60
    house.guard.settle(kept, _caps(70))
    assert house.guard._room.ledger.totals(SUBJECT, house.clock.now()).spend_micro == 70
    assert [e.about for e in house.log.events() if e.name == "budget.settled"] == ["over"]


EARLIER = """
CREATE TABLE spends (
  reservation TEXT PRIMARY KEY, change TEXT NOT NULL, day INTEGER NOT NULL, spend_micro INTEGER NOT NULL,
  settled INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO spends VALUES ('r', 'c', 0, 7, 0);
"""


def test_guard_ledger_of_before_subjects_is_opened(tmp_path: Path, house: PaperHouse) -> None:
    """Money of a ledger that did not name subjects counts for each of them, and can be settled."""
    path = tmp_path / "earlier.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(EARLIER)
    for _ in range(2):
        ledger = Ledger(path)
        at = type(house.clock.now())(1)
        assert [ledger.spending(each, at) for each in (SUBJECT, OTHER)] == [7, 7]
        assert ledger.reservation("r") == ("c", 7)
        assert ledger.spent_on(ChangeId("c")) is None
        ledger.close()
