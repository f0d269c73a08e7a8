"""Taking back what others stand on: all of them, or the opposite patch through the gate."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.domain.errors import Unusable
from greenroom.domain.vocabulary import ChangeId, State
from greenroom.pipeline import desk, holds, undoing
from greenroom.testing.house import MemoryHouse
from greenroom.testing.parts import Finding, Killed

pytestmark = pytest.mark.slow

TEXT = b"".join(b"line %d\n" % number for number in range(80))
AT = (10, 25, 40, 55, 70)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[MemoryHouse]:
    made = MemoryHouse(tmp_path, files={"notes.md": TEXT, "a.py": b"x = 1\n"})
    made.findings[:] = [Finding(path="notes.md", old=b"line %d\n" % n, new=b"LINE %d\n" % n) for n in AT]
    yield made
    made.close()


def promoted(house: MemoryHouse) -> list[ChangeId]:
    """Five changes of one base, promoted one after the other."""
    first, *rest = (ChangeId(row["id"]) for row in house.improve()["changes"])
    done = [first]
    house.approve(first)
    for change in rest:
        child = house.restack(change)["id"]
        assert house.approve(child)["state"] == "kept"
        done.append(child)
    return done


def text_with(*numbers: int) -> bytes:
    text = TEXT
    for number in numbers:
        text = text.replace(b"line %d\n" % number, b"LINE %d\n" % number)
    return text


def test_what_others_stand_on_is_offered_both_ways(house: MemoryHouse) -> None:
    """Refused, with the exact lines of both offers and what each takes back; nothing moves."""
    changes = promoted(house)
    before = house.live()
    answer = house.revert(changes[2])
    assert answer["verdict"]["rule"] == "not-last"
    assert [offer["line"] for offer in answer["offers"]] == [
        f"greenroom revert {changes[2]} --all-after",
        f"greenroom revert {changes[2]} --as-change",
    ]
    assert answer["above"] == [changes[4], changes[3]]
    for offer in answer["offers"]:
        assert offer["line"] in answer["verdict"]["remedy"]
    assert house.live() == before
    assert house.change(changes[2]).hold is None


def test_all_after_takes_back_the_newest_first(house: MemoryHouse) -> None:
    """Each is a logged revert of its own; what stood below stays live."""
    changes = promoted(house)
    answer = house.revert_all_after(changes[2])
    assert answer["verdict"] == {"is": "passed"}
    assert answer["reverted"] == [changes[4], changes[3], changes[2]]
    taken = [str(event.change) for event in house.log.events() if event.name == "live.reverted"]
    assert taken == answer["reverted"]
    assert house.live_files()[b"notes.md"] == text_with(*AT[:2])
    assert house.change(changes[1]).state is State.KEPT


def test_an_undo_goes_through_the_gate(house: MemoryHouse) -> None:
    """The opposite patch on what is live asks for approval, and takes back that change alone."""
    changes = promoted(house)
    row = house.undo(changes[2])
    assert (row["held"]["rule"], row["parent"]) == (holds.NEEDS_APPROVAL, changes[2])
    assert house.live_files()[b"notes.md"] == text_with(*AT)
    assert house.undo(changes[2])["id"] == row["id"]
    assert house.approve(row["id"])["state"] == "kept"
    assert house.live_files()[b"notes.md"] == text_with(*(number for number in AT if number != AT[2]))
    assert all(house.change(change).state is State.KEPT for change in changes)


@pytest.mark.parametrize("approved", [False, True])
def test_an_undo_ends_when_its_change_is_reverted(house: MemoryHouse, approved: bool) -> None:
    """Taken back otherwise, nothing is left to be undone: aborted with the reason, a yes to it void, and logged."""
    changes = promoted(house)
    undo = house.undo(changes[2])["id"]
    if approved:
        house.approve(undo, promote=False)
    assert house.revert_all_after(changes[2])["state"] == "reverted"
    ended = house.change(undo)
    assert (ended.state, ended.ended, ended.hold) == (State.ABORTED, "undone", None)
    assert ended.refused is not None
    assert changes[2] in ended.refused.where
    assert house.names().count("change.undone") == 1
    assert house.names().count("consent.withdrawn") == approved


def test_an_undo_that_has_no_place_is_held(house: MemoryHouse) -> None:
    """Lines that a person wrote over since: held with both sides; once they are back, the same undo goes on."""
    changes = promoted(house)
    house.deliver()
    house.commit({"notes.md": text_with(*AT).replace(b"LINE 40", b"row 40")})
    house.improve()
    row = house.undo(changes[2])
    assert row["verdict"]["rule"] == "restack-conflict"
    (conflict,) = house.show(row["id"])["conflicts"]
    assert "LINE 40" in conflict["base"]
    assert "line 40" in conflict["ours"]
    assert "row 40" in conflict["theirs"]
    assert house.undo(changes[2])["id"] == row["id"]
    house.commit({"notes.md": text_with(*AT) + b"more\n"})
    house.improve()
    again = house.undo(changes[2])
    assert again["held"]["rule"] == holds.NEEDS_APPROVAL
    assert house.approve(again["id"])["state"] == "kept"
    assert b"line 40\n" in house.live_files()[b"notes.md"]


def test_the_persons_own_commits_are_not_taken_back(house: MemoryHouse) -> None:
    """All-after is refused before anything moves; the undo is what is offered."""
    changes = promoted(house)
    house.deliver()
    house.commit({"b.py": b"y = 1\n"})
    house.improve()
    before = house.live()
    assert [offer["how"] for offer in house.revert(changes[4])["offers"]] == ["as-change"]
    answer = house.revert_all_after(changes[2])
    assert (answer["verdict"]["rule"], answer["reverted"]) == ("own-commits-above", [])
    assert "--as-change" in answer["verdict"]["remedy"]
    assert house.live() == before
    row = house.undo(changes[4])
    assert house.approve(row["id"])["state"] == "kept"
    assert house.live_files()[b"b.py"] == b"y = 1\n"


def test_all_after_works_under_a_stop_and_an_undo_waits(house: MemoryHouse) -> None:
    """Taking back is always possible; what goes through the gate waits for the lift."""
    changes = promoted(house)
    house.stop()
    assert house.undo(changes[2])["verdict"]["rule"] == "stopped"
    assert house.revert_all_after(changes[3])["verdict"] == {"is": "passed"}
    assert house.live_files()[b"notes.md"] == text_with(*AT[:3])


@pytest.mark.parametrize("at", range(1, 24, 4))
def test_all_after_goes_on_after_a_crash(house: MemoryHouse, at: int) -> None:
    """Killed anywhere and asked again, each change is taken back once, and no other."""
    changes = promoted(house)
    house.points.count, house.points.at = 0, at
    try:
        house.revert_all_after(changes[2])
    except Killed:
        house.restart()
        house.resume()
        house.revert_all_after(changes[2])
    taken = [str(event.change) for event in house.log.events() if event.name == "live.reverted"]
    assert taken == [changes[4], changes[3], changes[2]]
    assert house.live_files()[b"notes.md"] == text_with(*AT[:2])


def test_an_undo_that_is_cut_is_gone_on_with(house: MemoryHouse) -> None:
    """Killed as soon as it is saved and asked again, it is the same undo."""
    changes = promoted(house)

    def kill(point: str) -> None:
        if point == "undo.saved":
            raise Killed(point)

    doomed = dataclasses.replace(house.house, crash_point=kill)
    with pytest.raises(Killed):
        undoing.as_change(doomed, changes[2], tell=house.tell)
    house.restart()
    row = house.undo(changes[2])
    assert row["held"]["rule"] == holds.NEEDS_APPROVAL
    assert [change.id for change in house.changes() if change.parent == changes[2]] == [row["id"]]


def test_only_what_is_live_can_be_undone(house: MemoryHouse) -> None:
    """A waiting change is rejected, not undone; a way that is none is no call."""
    change = ChangeId(house.improve()["changes"][0]["id"])
    with pytest.raises(Unusable, match="cannot undo"):
        house.undo(change)
    wish = {"change": change, "actor": "a", "how": "sideways"}
    with pytest.raises(Unusable, match="taken back"):
        desk.handlers(house.house)["revert"](wish, (), lambda _: None, 0)
