"""One run for two checks, from the finding to live: the suite runs twice for a change that leaves its tests alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from greenroom.domain.vocabulary import ChangeId, Mode
from greenroom.testing.house import MemoryHouse
from greenroom.testing.parts import Finding


@pytest.fixture
def house(tmp_path: Path) -> Iterator[MemoryHouse]:
    made = MemoryHouse(tmp_path)
    made.workshop.alone = True
    yield made
    made.close()


def asked(house: MemoryHouse, check: str) -> list[str]:
    """The runs of `check` that were asked of the keeper."""
    return [call for call in house.keeper.calls if call.startswith(f"check {check}/")]


def item(house: MemoryHouse, change: ChangeId, check: str) -> Any:
    """What the card says of `check`."""
    return next(each for each in house.show(change)["card"]["evidence"] if each["check"] == check)


def test_flow_promotes_on_one_run_for_both_checks(house: MemoryHouse) -> None:
    """The card says what own-tests rest on, its runs are told of once, and the guard lets it live and keeps it."""
    change = house.proposed()
    assert asked(house, "own-tests") == []
    own, tests = item(house, change, "own-tests"), item(house, change, "tests")
    assert (own["verdict"], own["receipts"]) == ("pass", tests["receipts"])
    assert own["facts"]["rests-on"].startswith("tests, base-on-green")
    rows = [row["role"] for row in house.show(change)["runs"] if row["check"] == "tests"]
    assert rows == ["base", "base-on-green"]
    assert house.approve(change)["state"] == "kept"


def test_flow_runs_own_tests_where_base_made_a_difference(house: MemoryHouse) -> None:
    """Where the run of base's tests was not as if alone, Green's own are run; they fail, and the change ends."""
    house.workshop.alone = False
    house.checks["own-tests"] = "fail"
    change = house.proposed()
    assert "check own-tests/own" in asked(house, "own-tests")
    assert item(house, change, "own-tests")["verdict"] == "fail"
    assert house.show(change)["state"] == "aborted"


def test_flow_verifies_twice_on_two_runs_each(house: MemoryHouse) -> None:
    """In autonomous the second verify rests on its own runs in the same way."""
    house.set_mode(Mode.AUTONOMOUS)
    house.findings[:] = [Finding(path="a.py", old=b"x = 1", new=b"x = 2")]
    change = house.proposed()
    assert house.show(change)["state"] == "kept"
    assert asked(house, "own-tests") == []
    assert len(asked(house, "tests")) == 4
