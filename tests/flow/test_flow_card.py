"""What a card says of its tests and of the walls, through the whole house: the guard makes the same card."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.domain.outcomes import TestRun
from greenroom.domain.vocabulary import CGROUP_LAYERS, LAYERS
from greenroom.testing import parts
from greenroom.testing.house import MemoryHouse

HOW = 'greenroom improve REPO --test-command "'


@pytest.fixture
def house(tmp_path: Path) -> Iterator[MemoryHouse]:
    made = MemoryHouse(tmp_path)
    yield made
    made.close()


def notes(house: MemoryHouse, change: str) -> str:
    """All notes of the change's card."""
    return "\n".join(house.show(change)["card"]["notes"])


def test_card_names_the_layers_that_were_not_enforced(house: MemoryHouse) -> None:
    """Where no cgroup is delegated, the card says which bounds are missing; it can be approved."""
    house.keeper.walls = dict.fromkeys(LAYERS, True) | dict.fromkeys((*CGROUP_LAYERS, "landlock"), False)
    change = house.proposed()
    said = notes(house, change)
    assert "not enforced: cgroup-cpu, cgroup-memory, cgroup-pids, landlock; " in said
    assert "not in total" in said
    assert house.approve(change)["state"] == "kept"


def test_card_is_silent_where_every_layer_was_enforced(house: MemoryHouse) -> None:
    """No note of layers where nothing is missing."""
    assert "not enforced" not in notes(house, house.proposed())


def test_card_without_tests_says_the_level_and_how_to_set_the_command(house: MemoryHouse) -> None:
    """Where no test can be run, a person reads the diff, and is told the command that sets the tests."""
    house.checks["tests"] = "broken-before"
    change = house.proposed()
    said = notes(house, change)
    assert "it is level 2" in said
    assert HOW in said
    assert house.show(change)["card"]["risk"]["level"] == 2
    assert house.approve(change)["state"] == "kept"


def test_card_with_too_few_tests_says_the_level_and_how_to_set_the_command(
    house: MemoryHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where fewer than the policy's share pass on base, the same, with the share."""

    def few(role: str, behaviour: str) -> TestRun:
        del role, behaviour
        outcomes = {f"test_a.py::{name}": "failed" for name in "abc"} | {"test_a.py::d": "passed"}
        return TestRun(framework="pytest", python="3.11", outcomes=outcomes, sentinel="failed")  # type: ignore[arg-type]

    monkeypatch.setattr(parts, "_suite", few)
    house.checks["own-tests"] = "broken-before"
    change = house.proposed()
    said = notes(house, change)
    assert "too few of base's tests pass here (25 %, too-few-tests-pass-on-base)" in said
    assert "it is level 2" in said
    assert HOW in said
    assert house.show(change)["card"]["risk"]["level"] == 2
    assert house.approve(change)["state"] == "kept"
