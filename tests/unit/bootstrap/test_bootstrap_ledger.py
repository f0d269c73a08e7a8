"""Whether the guard's ledger has what its log says: one of before is found by whatever it lacks."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from greenroom.bootstrap.ledger import first_missing
from greenroom.bootstrap.parts import has_policy, makes_box
from greenroom.domain.vocabulary import Mode
from greenroom.testing.house import OWNER, MemoryHouse

pytestmark = pytest.mark.slow


@pytest.fixture
def house(tmp_path: Path) -> Iterator[MemoryHouse]:
    """A house where an order, a withdrawal and a cancel came after the first constitution."""
    made = MemoryHouse(tmp_path)
    made.set_mode(Mode.SUPERVISED)
    made.opt_in("codespell")
    change = made.proposed()
    made.cancel_window(change)
    made.guard.withdraw(made.change(change).id, OWNER)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("DELETE FROM nonces WHERE spent_on = 'mode'", "ordered"),
        ("DELETE FROM nonces WHERE spent_on = 'opt-in'", "ordered"),
        ("DELETE FROM withdrawals", "withdrawn"),
        ("UPDATE withdrawals SET at = '5'", "withdrawn"),
        ("DELETE FROM windows", "cancelled"),
        ("UPDATE windows SET cancelled = ''", "cancelled"),
        ("DROP TABLE windows", "cancelled"),
    ],
)
def test_a_ledger_of_before_lacks_what_the_log_has(house: MemoryHouse, damage: str, said: str) -> None:
    """The first entry that it lacks is named; the ledger as it is lacks none."""
    events = house.log.events()
    with closing(sqlite3.connect(house.directory / "guard.db")) as ledger:
        assert first_missing(ledger, events) is None
        ledger.execute(damage)
        found = first_missing(ledger, events)
        ledger.rollback()
    assert found is not None
    assert found[1] == said


def test_an_empty_ledger_has_no_policy(house: MemoryHouse, tmp_path: Path) -> None:
    """A box that was made has one in force; the file of an empty ledger says nothing of it."""
    assert has_policy(house.directory / "guard.db")
    assert any(makes_box(event) for event in house.log.events())
    empty = tmp_path / "empty.db"
    empty.write_bytes(b"")
    assert not has_policy(empty)
    assert empty.read_bytes() == b""
