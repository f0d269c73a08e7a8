"""What improve carries, in which order and within which bounds, and what becomes of what it leaves."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from greenroom.domain.change import Change
from greenroom.domain.verdict import Held
from greenroom.domain.vocabulary import ChangeId, State
from greenroom.pipeline import improving, verbs
from greenroom.pipeline.flow import Watcher
from greenroom.pipeline.queue import Limits, changed_lines
from greenroom.testing.house import MemoryHouse
from greenroom.testing.parts import Finding, patch_of

pytestmark = pytest.mark.slow

FILES = {
    "README.md": b"# Project\n\nteh words\n",
    "a.py": b"x = 1\ny = teh\nz = teh\nteh = 3\n",
    "b.py": b"x = teh\n",
    "notes.md": b"teh\nteh\n\nrecieve\n",
}
FINDINGS = [
    Finding(path="a.py", old=b"teh", new=b"the"),
    Finding(path="b.py", old=b"teh", new=b"the"),
    Finding(path="notes.md", old=b"teh", new=b"the"),
    Finding(path="README.md", old=b"teh", new=b"the"),
]
CHEAPEST_FIRST = ["README.md", "notes.md", "b.py", "a.py"]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[MemoryHouse]:
    made = MemoryHouse(tmp_path, files=FILES)
    made.findings[:] = FINDINGS
    yield made
    made.close()


def about(rows: list[dict[str, Any]]) -> list[str]:
    return [str(row["summary"]).rpartition(" ")[2] for row in rows]


def test_queue_carries_the_cheapest_first_and_no_more_than_it_may(house: MemoryHouse) -> None:
    """Words before code, few lines before many; what is over `most` stays, and says how it goes on."""
    answer = house.improve(limits=Limits(most=2))
    assert about(answer["changes"]) == CHEAPEST_FIRST[:2]
    assert about(answer["left"]) == CHEAPEST_FIRST[2:]
    assert answer["left_because"] == "max"
    for row in answer["left"]:
        assert (row["state"], row["held"]["rule"]) == ("proposed", "queued")
        assert "greenroom improve" in row["held"]["remedy"]


def test_queue_is_shown_before_anything_is_tried(house: MemoryHouse) -> None:
    """Each finding is told with rule, files and lines before the base is prepared and any change is carried."""
    house.improve()
    events = [event["event"] for event in house.told]
    cards = [event for event in house.told if event["event"] == "proposal"]
    assert len(cards) == 4
    assert max(i for i, name in enumerate(events) if name == "proposal") < events.index("prepare")
    (first,) = [card for card in cards if card["files"] == ["a.py"]]
    assert (first["rule"], first["added"], first["removed"], first["more_files"]) == ("typo", 3, 3, 0)


def test_queue_is_carried_by_the_next_run_and_nothing_is_found_twice(house: MemoryHouse) -> None:
    """The changes that were left are carried under the ids that they had."""
    first = house.improve(limits=Limits(most=2))
    second = house.improve()
    assert [row["id"] for row in second["changes"]] == [row["id"] for row in first["left"]]
    assert [row["id"] for row in second["known"]] == [row["id"] for row in first["changes"][::-1]]
    assert second["left"] == []
    assert len(house.changes()) == 4
    assert {change.state for change in house.changes()} == {State.VERIFIED}


def test_queue_without_room_carries_nothing_and_prepares_nothing(house: MemoryHouse) -> None:
    """`most` 0 is a look: all is proposed, no dependency is fetched, no run is made."""
    answer = house.improve(limits=Limits(most=0))
    assert (answer["changes"], len(answer["left"]), answer["verdict"]) == ([], 4, {"is": "passed"})
    assert not [call for call in house.keeper.calls if call.startswith(("prepare", "build", "check"))]


def test_queue_begins_nothing_that_would_not_end_in_time(house: MemoryHouse) -> None:
    """Once the quickest change so far took longer than what is left, the rest stays queued."""
    slow(house, 100)
    answer = house.improve(limits=Limits(seconds=250))
    assert len(answer["changes"]) == 2
    assert (len(answer["left"]), answer["left_because"]) == (2, "budget-time")
    assert 200 <= answer["spent_s"] <= 250
    carried = [event for event in house.told if event["event"] == "carried"]
    assert [round(event["left_s"] / 50) for event in carried] == [3, 1]
    assert all(100 <= event["row"]["seconds"] < 101 for event in carried)


def test_queue_tells_of_none_as_begun_that_is_left(house: MemoryHouse) -> None:
    """Whatever the bound was, each change that is told as begun was carried."""
    answer = house.improve(limits=Limits(most=10, seconds=0.001))
    begun = [event["change"] for event in house.told if event["event"] == "carrying"]
    assert begun == [row["id"] for row in answer["changes"]]
    assert not {row["id"] for row in answer["left"]} & set(begun)


def test_queue_of_an_empty_budget_is_only_shown(house: MemoryHouse) -> None:
    """A budget that the scan used up leaves everything queued."""
    answer = house.improve(limits=Limits(seconds=0))
    assert (answer["changes"], len(answer["left"]), answer["left_because"]) == ([], 4, "budget-time")


class Leaving:
    """Somebody who hangs up at an event."""

    def __init__(self, event: str) -> None:
        self.gone = False
        self._event = event

    def __call__(self, event: Any) -> None:
        self.gone = self.gone or event["event"] == self._event


@pytest.mark.parametrize(("leaves", "carried"), [("prepare", 0), ("stage", 1), ("carried", 1)])
def test_queue_of_one_who_hung_up_ends_after_the_change_under_way(
    house: MemoryHouse, leaves: str, carried: int
) -> None:
    """Nothing is half done: what was begun waits for a person, the rest is queued, and the next run goes on."""
    answer = improve(house, Leaving(leaves))
    assert len(answer["changes"]) == carried
    assert (len(answer["left"]), answer["left_because"]) == (4 - carried, "interrupted")
    rules = [change.hold.rule for change in house.changes() if change.hold is not None]
    assert sorted(rules) == ["needs-approval"] * carried + ["queued"] * (4 - carried)
    assert len(house.improve()["changes"]) == 4 - carried
    assert len(house.changes()) == 4


def test_queue_follows_the_base(house: MemoryHouse) -> None:
    """A proposal that was only queued is brought up to another base; it keeps its id, and there is no second one."""
    (first, *_) = house.improve(limits=Limits(most=0))["left"]
    house.commit({"c.py": b"c = 1\n"})
    answer = house.improve(limits=Limits(most=1))
    (row,) = answer["changes"]
    assert row["id"] == first["id"]
    assert (row["base"], row["held"]["rule"]) == (house.live(), "needs-approval")
    assert {change.base for change in house.changes()} == {house.live()}
    assert len(house.changes()) == 4


def test_queue_drops_what_is_gone(house: MemoryHouse) -> None:
    """A queued proposal whose finding the person mended ends, in the log too; that of a proposer not asked stays."""
    house.improve(limits=Limits(most=0))
    house.commit({"README.md": b"# Project\n\nthe words\n"})
    answer = house.improve(limits=Limits(most=0))
    (ended,) = answer["ended"]
    assert (ended["state"], ended["ended"], about([ended])) == ("aborted", "finding-gone", ["README.md"])
    assert house.names().count("change.gone") == 1
    assert len(answer["left"]) == 3


def test_queue_is_carried_by_id(house: MemoryHouse) -> None:
    """`resume ID` carries one that is queued, on the golden of its base."""
    (row, *_) = house.improve(limits=Limits(most=0))["left"]
    (carried,) = verbs.resume(house.house, change_id=row["id"], tell=house.tell)["resumed"]
    assert carried["held"]["rule"] == "needs-approval"
    assert house.change(row["id"]).golden == house.keeper.prepare(house.change(row["id"]).base)


def test_queue_survives_resume_and_promotions(house: MemoryHouse) -> None:
    """`resume` carries none; a promote holds what is queued as base-moved, its revert queues it again."""
    first = house.improve(limits=Limits(most=1))["changes"][0]["id"]
    house.resume()
    assert held(house) == ["needs-approval", *["queued"] * 3]
    house.approve(first)
    assert held(house) == ["base-moved"] * 3
    house.revert(first)
    assert held(house) == ["queued"] * 3


def test_queue_waits_for_dependencies(house: MemoryHouse) -> None:
    """Where what the base needs cannot be had, the proposals are shown and stay queued; the verdict says why."""
    why = Held(rule="no-wheel", where="numpy==1.0", remedy="pin another one")
    house.house = dataclasses.replace(house.house, prepare=lambda tree: why)
    answer = house.improve()
    assert (answer["verdict"]["rule"], answer["changes"]) == ("no-wheel", [])
    assert (len(answer["left"]), answer["left_because"]) == (4, "no-wheel")
    (row, *_) = answer["left"]
    (resumed,) = verbs.resume(house.house, change_id=row["id"], tell=house.tell)["resumed"]
    assert resumed["verdict"]["rule"] == "no-wheel"


def test_queue_under_a_stop_begins_one_at_most(house: MemoryHouse) -> None:
    """A stop that comes while a change is carried leaves the rest queued; after the lift the next run carries it."""

    def tell(event: Any) -> None:
        if event["event"] == "stage":
            house.stop()

    answer = improve(house, tell)
    assert answer["verdict"]["rule"] == "stopped"
    assert [row["held"]["rule"] for row in answer["changes"]] == ["stopped"]
    assert (len(answer["left"]), answer["left_because"]) == (3, "stopped")
    house.lift()
    house.resume()
    assert len(house.improve()["changes"]) == 3
    assert held(house) == ["needs-approval"] * 4


def test_queue_is_taken_by_one_command_only(house: MemoryHouse) -> None:
    """A change that another command took meanwhile is left to it."""
    house.improve(limits=Limits(most=0))
    queued = house.changes()[0]

    def tell(event: Any) -> None:
        if event["event"] == "prepared":
            house.house.changes.save(dataclasses.replace(queued, hold=None))

    answer = improve(house, tell)
    assert queued.id not in [row["id"] for row in answer["changes"]]
    assert len(answer["changes"]) == 3


def test_queue_counts_lines_as_they_are() -> None:
    """Headers are no lines, whatever they look like; what is taken away may look like a header."""
    patch = patch_of("a.sql", b"-- old\nkeep\n", b"++ new\nkeep\nmore\n") + patch_of("b", b"", b"x\n")
    assert changed_lines(patch) == (3, 1)
    assert changed_lines(b"") == (0, 0)


def improve(house: MemoryHouse, tell: Any) -> dict[str, Any]:
    return improving.improve(house.house, "ticket", path=house.path, branch=house.branch, only=(), mode=None, tell=tell)


def held(house: MemoryHouse) -> list[str]:
    """The rules that hold what is open and not live."""
    return sorted(change.hold.rule for change in house.changes() if change.hold is not None and not change.terminal)


def slow(house: MemoryHouse, seconds: int) -> None:
    """Each change takes so long from here on."""
    runs = house.house.runs

    class Slow:
        def carry(self, change: ChangeId, watcher: Watcher | None = None) -> Change:
            house.clock.advance(seconds)
            return runs.carry(change, watcher)

        def unfinished(self) -> Iterable[ChangeId]:
            return runs.unfinished()

        def close(self) -> None:
            runs.close()

    house.house = dataclasses.replace(house.house, runs=Slow())
