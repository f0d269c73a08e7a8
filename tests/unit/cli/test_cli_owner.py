"""The floor and the look, as a person types them, over a house in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_cli_commands import Door

from greenroom.domain.errors import Exit
from greenroom.testing.house import MemoryHouse
from greenroom.testing.services import MemoryServices

pytestmark = pytest.mark.slow


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Iterator[Door]:
    (tmp_path / "repo").mkdir()
    house = MemoryHouse(tmp_path, path=str(tmp_path / "repo"))
    monkeypatch.setenv("COLUMNS", "200")
    yield Door(MemoryServices(house), monkeypatch, capsys)
    house.close()


@pytest.fixture
def live(door: Door) -> str:
    """A change that is live and good."""
    change = door.waiting()
    assert door("approve", change, "--yes") == Exit.OK
    return change


def test_cli_floor_keeps_a_revert_from_going_below(door: Door, live: str) -> None:
    """Set, shown, in the way of a revert with the way out named, cleared; then the revert goes."""
    assert door("floor", "show") == Exit.OK
    assert door.out == "no floor is set\n"
    assert door("floor", "set", live) == Exit.OK
    assert door("floor", "show") == Exit.OK
    assert live in door.out
    said = door.json("revert", live)
    assert door.code == Exit.REFUSED
    assert said["verdict"]["rule"] == "below-floor"
    assert said["state"] == "kept"
    assert f"greenroom floor clear {live}" in said["verdict"]["remedy"]
    assert door.json("floor", "show")["floors"][0]["change"] == live
    assert door("floor", "clear", live) == Exit.OK
    assert door("revert", live) == Exit.OK


@pytest.mark.parametrize("words", [("set",), ("clear",)])
def test_cli_floor_of_another_change(door: Door, words: tuple[str, ...]) -> None:
    """One that does not exist is not found, before anything is signed; one that waits is refused by a rule."""
    said = door.json("floor", *words, "nobody")
    assert (door.code, said["error"]["reference"]) == (Exit.NOT_FOUND, "no-change-by-that-id")
    said = door.json("floor", *words, door.waiting())
    assert door.code == Exit.REFUSED
    assert said["verdict"]["rule"] in ("not-promoted", "no-floor")
    assert "greenroom" in said["verdict"]["remedy"]


def _unseen(door: Door) -> None:
    """As if the last change had gone live by itself."""
    door.house.guard._room.ledger.set(f"looked {door.house.subject}", "")


def test_cli_looked_shows_and_takes_a_persons_word(door: Door, live: str) -> None:
    """What went live by itself is shown with its weight; the person's word empties the list."""
    assert door("looked") == Exit.OK
    assert "nothing went live" in door.out
    _unseen(door)
    assert door("looked", "--no-input") == Exit.OK
    assert live in door.out
    assert "greenroom diff ID" in door.out
    said = door.json("looked", "--yes")
    assert (door.code, said["looked"], said["unseen"][0]["changes"][0]["change"]) == (Exit.OK, True, live)
    assert door.json("looked", "--yes") == {"looked": False, "unseen": [], "verdicts": []}


def test_cli_looked_wants_a_person(door: Door, live: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal nobody can have looked, unless they say so beforehand; nothing is signed."""
    _unseen(door)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    assert door("looked") == Exit.USAGE
    assert "no-terminal" in door.err
    assert door.json("looked", "--no-input")["unseen"][0]["count"] == 1


def test_cli_looked_of_an_unknown_subject(door: Door, live: str) -> None:
    """A subject that the box has not is named; one with nothing to look at is fine."""
    _unseen(door)
    assert door("looked", "workspace:/nowhere", "--yes") == Exit.NOT_FOUND
    assert "no-such-subject" in door.err
    assert door("looked", str(door.house.subject), "--yes") == Exit.OK
    assert door("looked", str(door.house.subject)) == Exit.OK
