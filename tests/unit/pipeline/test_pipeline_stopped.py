"""What doors may ask for under a stop, in a whole house in memory: nothing starts, and each answer says what helps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import ChangeId
from greenroom.pipeline import branching, deciding, desk, lineage
from greenroom.testing.clock import SECOND
from greenroom.testing.house import BRANCH, OWNER, PATH, MemoryHouse
from greenroom.testing.parts import Finding, patch_of

STARTS = frozenset(
    {"approve", "branch_offer", "edit", "improve", "promote", "reopen", "restack", "resume", "retry", "run_tests"}
    | {"settings"}
)
ELSE = {
    "tells what is": frozenset(
        {"board", "tally", "show", "diff", "offer", "branch", "branches", "windows", "outdated", "pending", "layers"}
        | {"lay_out"}
    ),
    "says no, later, or takes back": frozenset({"reject", "cancel", "defer", "revert"}),
    "notes what a door did, or that consent counts": frozenset({"delivered", "branched", "reconsider", "confirm"}),
}
WORDS = ("one", "two", "three", "four")
TEXT = b"".join(f"teh {word}\n\n\n\n\n\n".encode() for word in WORDS)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[MemoryHouse]:
    made = MemoryHouse(tmp_path, files={"notes.md": TEXT})
    made.findings = [Finding(path="notes.md", old=f"teh {word}".encode(), new=f"the {word}".encode()) for word in WORDS]
    yield made
    made.close()


def is_at(house: MemoryHouse) -> tuple[Any, ...]:
    """What starting something would move: the changes there are, what is live, what the log says was begun."""
    begun = ("change.reopened", "change.branched", "change.superseded", "live.promoting", "live.adopted")
    starts = [name for name in house.names() if name in begun]
    return sorted(each.id for each in house.changes()), house.live(), starts


def test_every_call_of_a_door_is_known_to_start_something_or_nothing(house: MemoryHouse) -> None:
    """A call that is added has to be sorted here, and where it starts something, to be tried below."""
    assert set(desk.handlers(house.house)) == STARTS.union(*ELSE.values())


@pytest.mark.slow
def test_under_a_stop_no_call_of_a_door_starts_anything(house: MemoryHouse) -> None:
    """Each is answered with `stopped` and with what helps; afterwards all is as it was."""
    waiting, later, rejected, approved = (ChangeId(row["id"]) for row in house.improve()["changes"])
    until = Instant(house.clock.now() + SECOND)
    deciding.defer(house.house, later, until=until, actor=OWNER)
    house.reject(rejected)
    house.approve(approved, promote=False)
    patch = house.store.put("blob", patch_of("notes.md", TEXT, TEXT.replace(b"teh one", b"thy one")))
    consent = house.consent(waiting).hex()
    house.stop()
    before = is_at(house)
    who = {"actor": OWNER}
    place = {"path": PATH, "branch": BRANCH}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("branch_offer", {"change": waiting}),
        ("edit", {"change": waiting, "patch": patch, "summary": "", **who}),
        ("retry", {"change": waiting}),
        ("reopen", {"change": later, **who}),
        ("reopen", {"change": rejected, **who}),
        ("promote", {"change": approved}),
        ("approve", {"change": waiting, "envelope": consent, "promote": False}),
        ("improve", {**place, "ticket": house.house.keeper.present(PATH, BRANCH, 0)}),
        ("settings", {**place, "ticket": house.house.keeper.present(PATH, BRANCH, 0)}),
        ("run_tests", {**place, **who, "ticket": house.house.keeper.present(PATH, BRANCH, 0)}),
        ("resume", {}),
    ]
    assert {name for name, _ in calls} == STARTS - {"restack"}
    for name, asked in calls:
        answer = desk.handlers(house.house)[name](asked, (), house.tell, 0)
        assert (name, answer["verdict"]["rule"]) == (name, "stopped")
        assert (name, "greenroom lift" in answer["verdict"]["remedy"]) == (name, True)
        assert is_at(house) == before, name


@pytest.mark.slow
def test_a_branch_that_was_made_as_the_stop_came_is_noted_and_not_pushed(house: MemoryHouse) -> None:
    """What a door did is on record; the answer keeps it from going further, and after the lift it can."""
    change = ChangeId(house.improve()["changes"][0]["id"])
    offer = branching.branch_offer(house.house, change)
    house.stop()
    made = {"branch": f"greenroom/{change}", "onto": offer["onto"], "made": "e" * 40, "at": Instant(int(offer["at"]))}
    answer = branching.branched(house.house, change, **made)
    assert (answer["verdict"]["rule"], "--push" in answer["verdict"]["remedy"]) == ("stopped", True)
    assert house.names().count("change.branched") == 1
    house.lift()
    assert branching.branched(house.house, change, **made)["verdict"] == {"is": "passed"}
    assert "parent" in lineage.retry(house.house, change, tell=house.tell)
