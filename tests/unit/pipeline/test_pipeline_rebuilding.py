"""Rebuild from a log in memory: what is told of a change, and what an executor that was taken over cannot spoil."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.domain.change import Change
from greenroom.domain.digest import Digest
from greenroom.domain.events import Event
from greenroom.domain.vocabulary import ChangeId, State
from greenroom.pipeline import cancelling, deciding, lineage, rebuilding
from greenroom.testing.house import OWNER, MemoryHouse
from greenroom.testing.parts import Finding

TEXT = b"".join(b"line %d\n" % number for number in range(60))
FINDINGS = [Finding(path="notes.md", old=b"line %d\n" % n, new=b"LINE %d\n" % n) for n in (15, 45)]
LOST = ChangeId("lost22")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[MemoryHouse]:
    made = MemoryHouse(tmp_path, files={"notes.md": TEXT})
    made.findings[:] = FINDINGS
    yield made
    made.close()


def entry(house: MemoryHouse, key: str, name: str, change: str, **members: str) -> None:
    """An entry that an executor may hand in."""
    event = Event(key=key, at=house.clock.now(), actor="executor", name=name, change=ChangeId(change), **members)  # type: ignore[arg-type]
    house.guard.append(event)


def records(house: MemoryHouse) -> rebuilding.Records:
    """What the house has beside its database."""
    digests: list[Digest] = [each for change in house.changes() for each in (change.card, change.request) if each]
    return rebuilding.Records(
        events=house.log.events(),
        generations=(),
        live={str(house.subject): house.live() or Digest("")},
        store=house.store,
        cards=rebuilding.index_cards(house.store, digests),
        proposals=rebuilding.index_proposals(house.store, digests),
    )


def told(house: MemoryHouse, change: str) -> rebuilding.Rebuilt:
    """What the log tells of a change."""
    found = rebuilding.rebuild(records(house), ChangeId(change))
    assert found is not None
    return found


def follows(house: MemoryHouse, change: str, parent: str) -> Change:
    """The row of `change` with `parent`, whatever that is."""
    row = dataclasses.replace(house.change(change), parent=ChangeId(parent))
    return house.house.changes.save(row)


def test_a_parent_that_nothing_tells_of_is_kept_by_no_child(house: MemoryHouse) -> None:
    """A proposal that was queued has no plan in the log: its child stands alone, and the parent is named."""
    first, _ = (row["id"] for row in house.improve()["changes"])
    entry(house, f"{LOST}/superseded", "change.superseded", LOST, about=first)
    change = told(house, first).change
    assert change.parent == LOST
    alone, unknown = rebuilding.without_lost_parent(change, {ChangeId(first)})
    assert (alone.parent, unknown) == (None, LOST)
    assert rebuilding.without_lost_parent(change, {ChangeId(first), LOST}) == (change, None)


def test_an_executor_starts_beside_a_parent_that_is_lost(house: MemoryHouse) -> None:
    """A child whose parent has no row goes on; a no to it works."""
    first, second = (row["id"] for row in house.improve()["changes"])
    follows(house, first, LOST)
    follows(house, second, second)
    lineage.settle_parents(house.house)
    assert {house.change(name).state for name in (first, second)} == {State.VERIFIED}
    deciding.reject(house.house, first, why="", actor=OWNER)
    assert house.change(first).ended == "rejected"


def test_parents_in_a_circle_end_no_command_late(house: MemoryHouse) -> None:
    """Two changes that follow each other, as entries of a taken-over executor have it: each is looked at once."""
    first, second = (row["id"] for row in house.improve()["changes"])
    house.approve(first, promote=False)
    follows(house, first, second)
    follows(house, second, first)
    cancelling.cancel(house.house, first, actor=OWNER)
    assert house.names().count("consent.withdrawn") == 1
    deciding.reject(house.house, second, why="", actor=OWNER)
    assert house.change(second).ended == "rejected"
