"""A change whose base moved, and one that others stand on, at the command line over a house in memory."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_cli_commands import Door

from greenroom.domain.errors import Exit
from greenroom.testing.house import MemoryHouse
from greenroom.testing.parts import Finding
from greenroom.testing.services import MemoryServices

pytestmark = pytest.mark.slow

TEXT = b"".join(b"line %d\n" % number for number in range(40))


class Terminal(io.StringIO):
    """A keyboard with a person at it."""

    def isatty(self) -> bool:
        """Yes."""
        return True


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Iterator[Door]:
    (tmp_path / "repo").mkdir()
    house = MemoryHouse(tmp_path, files={"notes.md": TEXT}, path=str(tmp_path / "repo"))
    house.findings[:] = [Finding(path="notes.md", old=b"line %d\n" % n, new=b"LINE %d\n" % n) for n in (5, 20, 35)]
    monkeypatch.setenv("COLUMNS", "200")
    yield Door(MemoryServices(house), monkeypatch, capsys)
    house.close()


def proposed(door: Door) -> list[str]:
    return [row["id"] for row in door.json("improve", door.repo)["changes"]]


def promoted(door: Door) -> list[str]:
    """Three changes of one base, promoted by their first ids."""
    return [door.json("approve", change, "--yes")["id"] for change in proposed(door)]


def test_cli_approve_moves_a_change_and_asks_for_the_child(door: Door) -> None:
    """The child's card is shown; the list names parent and child, the promotion the change that is next."""
    first = proposed(door)[0]
    second, third = (row["id"] for row in door.json("list")["changes"] if row["id"] != first)
    assert door("approve", first, "--yes") == Exit.OK
    assert f"next: greenroom approve {second}" in door.out
    assert door("approve", second, "--yes") == Exit.OK
    child = next(change.id for change in door.house.changes() if change.parent == second)
    assert f"restacked: {child} is {second} on what is live now" in door.out
    assert f"{child} is kept" in door.out
    assert f"next: greenroom approve {third}" in door.out
    assert door("list", "--all") == Exit.OK
    assert f"child of {second}" in door.out
    assert "(superseded)" in door.out
    door("show", second)
    assert f"{child} goes on in its place" in door.out


def test_cli_approve_of_a_moved_change_needs_a_terminal(door: Door) -> None:
    """Nobody agrees to a child unasked: it waits, with its card."""
    first, second, _ = proposed(door)
    door("approve", first, "--yes")
    assert door("approve", second) == Exit.USAGE
    assert "no-terminal" in door.err
    (row,) = (row for row in door.json("list")["changes"] if row["parent"] == second)
    assert row["held"]["rule"] == "needs-approval"


@pytest.mark.parametrize("verb", ["approve", "promote"])
def test_cli_an_earlier_yes_holds(door: Door, verb: str) -> None:
    """What was approved for later is promoted without another question, and the answer says by which yes."""
    first, second, _ = proposed(door)
    door("approve", second, "--yes", "--no-promote")
    door("approve", first, "--yes")
    assert door(verb, second) == Exit.OK
    assert f"your yes to {second} holds for it" in door.out
    assert b"LINE 20\n" in door.house.live_files()[b"notes.md"]


def test_cli_an_earlier_yes_that_does_not_hold_is_told(door: Door) -> None:
    """The reason stands before the question."""
    first, second, _ = proposed(door)
    door("approve", second, "--yes", "--no-promote")
    door("approve", first, "--yes")
    door.house.clock.advance(100_000)
    assert door("promote", second) == Exit.HELD
    assert f"your yes to {second} does not hold for it: consent-expired" in door.out
    assert door("restack", second) == Exit.USAGE
    assert "cannot restack" in door.err


def test_cli_restack_stops_at_approved(door: Door) -> None:
    """Nothing goes live by it."""
    first, second, third = proposed(door)
    door("approve", second, "--yes", "--no-promote")
    door("approve", first, "--yes")
    before = door.house.live()
    assert door.json("restack", second)["state"] == "approved"
    assert door("restack", third) == Exit.HELD
    assert "needs-approval" in door.out
    assert door.house.live() == before


def test_cli_both_sides_of_a_conflict_are_shown_and_escaped(door: Door) -> None:
    """`diff` and `show` print base, ours and theirs; what a file says cannot write on the screen."""
    first, *_ = proposed(door)
    evil = TEXT.replace(b"line 5\n", b"row \x1b[31m5\n")
    door.house.commit({"notes.md": evil})
    door.json("improve", door.repo)
    assert door("approve", first, "--yes") == Exit.HELD
    assert "restack-conflict" in door.out
    for command in ("diff", "show"):
        assert door(command, first) == Exit.OK
        for words in ("conflict: notes.md, line 3", "base: what it was made on", "theirs: what is live"):
            assert words in door.out
        assert "    | LINE 5" in door.out
        assert "\x1b[31m" not in door.out
    assert door.json("diff", first)["conflicts"][0]["path"] == "notes.md"


def test_cli_revert_offers_both_ways(door: Door) -> None:
    """Without a terminal the lines to type; each of them does what it says."""
    one, two, three = promoted(door)
    assert door("revert", two) == Exit.REFUSED
    assert f"greenroom revert {two} --all-after" in door.out.replace("\n", " ")
    assert door("revert", one, "--as-change") == Exit.HELD
    assert door("revert", two, "--all-after") == Exit.OK
    assert [line for line in door.out.splitlines() if line.startswith("reverted: ")] == [
        f"reverted: {three}",
        f"reverted: {two}",
    ]
    assert door("revert", one, "--all-after", "--as-change") == Exit.USAGE


@pytest.mark.parametrize(("said", "code"), [("1\n", Exit.OK), ("2\n", Exit.HELD), ("\n", Exit.REFUSED), ("9\n", 3)])
def test_cli_revert_asks_which_at_a_terminal(door: Door, monkeypatch: pytest.MonkeyPatch, said: str, code: int) -> None:
    """A number takes that offer; anything else leaves everything live."""
    one, *_ = promoted(door)
    before = door.house.live()
    monkeypatch.setattr(sys, "stdin", Terminal(said))
    assert door("revert", one) == code
    assert "Which?" in door.err
    assert (door.house.live() == before) is (code != Exit.OK)
