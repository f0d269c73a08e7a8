"""Restack over a whole house in memory: children on what is live, carried consents, conflicts held."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from greenroom.domain.errors import Unusable
from greenroom.domain.verdict import Held, Refused
from greenroom.domain.vocabulary import ChangeId, State
from greenroom.pipeline import cancelling, deciding, holds, verbs
from greenroom.pipeline.stages.promote import dossier_of
from greenroom.testing.house import MemoryHouse
from greenroom.testing.parts import Finding, Killed

pytestmark = pytest.mark.slow

TEXT = b"".join(b"line %d\n" % number for number in range(60))
FINDINGS = [Finding(path="notes.md", old=b"line %d\n" % n, new=b"LINE %d\n" % n) for n in (15, 30, 45)]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[MemoryHouse]:
    made = MemoryHouse(tmp_path, files={"notes.md": TEXT, "a.py": b"x = 1\n"})
    made.findings[:] = FINDINGS
    yield made
    made.close()


def _dies_at(point: str) -> Callable[[str], None]:
    def kill(here: str) -> None:
        if here == point:
            raise Killed(here)

    return kill


def proposed(house: MemoryHouse) -> list[ChangeId]:
    return [ChangeId(row["id"]) for row in house.improve()["changes"]]


def test_a_delivery_names_no_change_that_was_taken_back(house: MemoryHouse) -> None:
    """After two promotions and two reverts nothing of the box is live, and the waiting delivery says so."""
    first, second, _ = proposed(house)
    house.approve(first)
    child = house.restack(second)["id"]
    assert house.approve(child)["delivery"]["change"] == child
    assert house.revert(child)["delivery"]["change"] == first
    assert house.revert(first)["delivery"]["change"] == ""


def test_a_moved_change_goes_on_as_a_child(house: MemoryHouse) -> None:
    """The child has the same patch on what is live and asks again; its parent ends superseded and names it."""
    first, second, third = proposed(house)
    assert house.approve(first)["next"] == second
    row = house.restack(second)
    child, parent = house.change(row["id"]), house.change(second)
    assert (child.parent, child.base, child.state) == (second, house.live(), State.VERIFIED)
    assert row["held"]["rule"] == holds.NEEDS_APPROVAL
    assert (parent.state, parent.ended) == (State.ABORTED, "superseded")
    assert parent.refused is not None
    assert child.id in parent.refused.where
    assert house.change(third).hold is not None
    assert house.approve(child.id)["next"] == third
    assert house.live_files()[b"notes.md"] == TEXT.replace(b"line 15\n", b"LINE 15\n").replace(
        b"line 30\n", b"LINE 30\n"
    )
    assert house.names().count("change.superseded") == 1


def test_a_yes_holds_for_the_same_patch(house: MemoryHouse) -> None:
    """What was approved for later goes on without another question, by the guard's statement, and spends the yes."""
    first, second, third = proposed(house)
    house.approve(second, promote=False)
    house.approve(third, promote=False)
    house.approve(first)
    answer = house.promote(second)
    assert (answer["state"], answer["verdict"]) == ("kept", {"is": "passed"})
    assert answer["restacked"]["from"] == second
    assert answer["restacked"]["consent"]["is"] == "passed"
    again = house.promote(third)
    assert again["state"] == "kept"
    assert house.names().count("consent.carried") == 2
    assert house.live_files()[b"notes.md"].count(b"LINE") == 3


def test_a_yes_is_carried_from_where_it_was_given(house: MemoryHouse) -> None:
    """A child that is moved again carries the person's own yes, compared with what they were shown."""
    first, second, third = proposed(house)
    house.approve(third, promote=False)
    house.approve(first)
    child = house.restack(third)
    assert child["held"]["rule"] == holds.PROMOTE_LATER
    house.approve(house.restack(second)["id"])
    answer = house.promote(child["id"])
    assert answer["state"] == "kept"
    assert house.change(answer["id"]).parent == child["id"]


def test_an_expired_yes_is_asked_for_again(house: MemoryHouse) -> None:
    """The child waits for a person, and the answer says that the yes expired."""
    first, second, _ = proposed(house)
    house.approve(second, promote=False)
    house.approve(first)
    house.clock.advance(601)
    answer = house.promote(second)
    assert (answer["state"], answer["held"]["rule"]) == ("verified", holds.NEEDS_APPROVAL)
    assert answer["restacked"]["consent"]["rule"] == "consent-expired"
    assert house.approve(answer["id"])["state"] == "kept"


@pytest.mark.parametrize("word", ["cancel", "reject"])
def test_a_no_to_a_child_is_a_no_to_the_yes_that_it_waits_for(house: MemoryHouse, word: str) -> None:
    """A child ended before its parent's yes was carried to it: nobody can carry that yes to another child any more."""
    first, second, _ = proposed(house)
    house.approve(second, promote=False)
    house.approve(first)
    doomed = dataclasses.replace(house.house, crash_point=_dies_at("restack.saved"))
    with pytest.raises(Killed):
        verbs.promote(doomed, second, tell=house.tell)
    (child,) = [change for change in house.changes() if change.parent == second]
    if word == "cancel":
        cancelling.cancel(house.house, child.id, actor="ada")
    else:
        deciding.reject(house.house, child.id, why="", actor="ada")
    assert house.change(child.id).ended is not None
    assert house.names().count("consent.withdrawn") == 1
    parent = house.change(second)
    answer = house.house.guard.carry(
        dossier_of(house.house.store, parent),
        dataclasses.replace(dossier_of(house.house.store, parent), change="other"),
    )
    assert isinstance(answer, Held)
    assert answer.rule == "approval-withdrawn"


def test_the_persons_own_commits_move_the_base(house: MemoryHouse) -> None:
    """After an adoption what was agreed to waits for its restack, above or below the person's lines; what waited for a
    yes goes on as a child."""
    first, *others = proposed(house)
    house.approve(first, promote=False)
    house.deliver()
    house.commit({"notes.md": b"a head\n" + TEXT + b"a tail\n"})
    again = house.improve()
    assert [row["id"] for row in again["known"]] == [first]
    assert [house.change(row["id"]).parent for row in again["changes"]] == others
    answer = house.promote(first)
    assert answer["state"] == "kept"
    assert house.live_files()[b"notes.md"] == b"a head\n" + TEXT.replace(b"line 15", b"LINE 15") + b"a tail\n"


def test_a_conflict_is_held_with_both_sides(house: MemoryHouse) -> None:
    """A hunk whose lines are others there: held, live unmoved, both sides and the base shown; reject ends it."""
    first, *_ = proposed(house)
    house.findings.clear()
    house.commit({"notes.md": TEXT.replace(b"line 15", b"row 15")})
    house.improve()
    before = house.live()
    answer = house.restack(first)
    assert (answer["id"], answer["verdict"]["rule"]) == (first, "restack-conflict")
    assert answer["verdict"]["where"].startswith("notes.md, line 13: ")
    (conflict,) = house.show(first)["conflicts"]
    assert verbs.diff(house.house, first)["conflicts"] == [conflict]
    assert "line 15" in conflict["base"]
    assert "LINE 15" in conflict["ours"]
    assert "row 15" in conflict["theirs"]
    assert house.live() == before
    assert house.promote(first)["verdict"]["rule"] == "restack-conflict"
    house.commit({"notes.md": TEXT + b"more\n"})
    house.improve()
    assert house.restack(first)["held"]["rule"] == holds.NEEDS_APPROVAL
    assert house.change(first).ended == "superseded"


def test_a_base_that_is_live_again_is_not_moved(house: MemoryHouse) -> None:
    """A revert lets an approved change wait for `promote` as before: nothing is promoted unasked."""
    first, second, _ = proposed(house)
    house.approve(second, promote=False)
    house.approve(first)
    house.revert(first)
    waiting = house.change(second)
    assert waiting.hold is not None
    assert (waiting.state, waiting.hold.rule) == (State.APPROVED, holds.PROMOTE_LATER)
    with pytest.raises(Unusable, match="cannot restack"):
        house.restack(second)
    assert house.promote(second)["state"] == "kept"


@pytest.mark.parametrize("ends", [State.KEPT, State.REVERTED])
def test_a_spent_yes_is_not_carried(house: MemoryHouse, ends: State) -> None:
    """The yes that a child was promoted by allows nothing more, to its parent or to another child."""
    first, second, _ = proposed(house)
    house.approve(second, promote=False)
    house.approve(first)
    child = house.change(house.restack(second)["id"])
    given, other = (dossier_of(house.store, change) for change in (house.change(second), child))
    house.promote(child.id)
    if ends is State.REVERTED:
        house.revert(child.id)
    answer = house.guard.carry(given, other)
    assert isinstance(answer, Refused)
    assert answer.rule == "consent-spent"


def test_a_stop_restacks_nothing(house: MemoryHouse) -> None:
    """Under a stop the change stays as it is held, and the answer says what would help."""
    first, second, _ = proposed(house)
    house.approve(first)
    house.stop()
    answer = house.restack(second)
    assert answer["verdict"]["rule"] == "stopped"
    held = house.change(second).hold
    assert held is not None
    assert held.rule == "base-moved"
    assert len(house.changes()) == 3


POINTS = (
    "restack.child-saved",
    "restack.logged",
    "restack.saved",
    "restack.carried",
    "carry.signed",
    "carry.logged",
)


@pytest.mark.parametrize("point", POINTS)
def test_a_restack_that_is_cut_is_gone_on_with(house: MemoryHouse, point: str) -> None:
    """Killed at a named point, of the executor or the guard, and asked again: one child, and it is promoted once."""
    first, second, _ = proposed(house)
    house.approve(second, promote=False)
    house.approve(first)
    passed: list[str] = []

    def kill(here: str) -> None:
        passed.append(here)
        if here == point:
            raise Killed(here)

    house.at_guard_point = kill
    doomed = dataclasses.replace(house.house, crash_point=kill)
    with pytest.raises(Killed):
        verbs.promote(doomed, second, tell=house.tell)
    assert passed[-1] == point
    house.at_guard_point = passed.append
    house.restart_guard()
    house.resume()
    again = next(c for c in house.changes() if second in (c.id, c.parent) and c.hold is not None)
    assert house.promote(again.id)["state"] == "kept", "the yes is not asked for again"
    assert len([change for change in house.changes() if change.parent == second]) == 1
    assert house.change(second).ended == "superseded"
    assert house.names().count("change.superseded") == 1
    assert house.names().count("live.promoted") == 2


@pytest.mark.parametrize("at", range(1, 64, 3))
def test_a_killed_restack_is_done_once(house: MemoryHouse, at: int) -> None:
    """Killed at any port call and asked again, there is one child that stands, and one promotion."""
    first, second, _ = proposed(house)
    house.approve(second, promote=False)
    house.approve(first)
    house.points.count, house.points.at = 0, at
    try:
        house.promote(second)
    except Killed:
        house.restart()
        house.resume()
        waits = (holds.PROMOTE_LATER, holds.BASE_MOVED)
        for change in house.changes():
            if second in (change.id, change.parent) and change.hold is not None and change.hold.rule in waits:
                house.promote(change.id)
    children = [change for change in house.changes() if change.parent == second]
    assert len(children) == 1
    assert house.change(second).ended == "superseded"
    promoted = [event for event in house.log.events() if event.name == "live.promoted"]
    assert len(promoted) <= 2
