"""Rebuild from a log in memory: what is told of a change, and what an executor that was taken over cannot spoil."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from greenroom.domain.change import Change
from greenroom.domain.digest import Digest
from greenroom.domain.events import Event
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import ChangeId, Mode, State
from greenroom.pipeline import cancelling, deciding, lineage, rebuilding, tables
from greenroom.pipeline.decisions import Decisions, findings_of
from greenroom.pipeline.holds import NEEDS_APPROVAL
from greenroom.testing.clock import SECOND
from greenroom.testing.house import OWNER, MemoryHouse
from greenroom.testing.parts import Finding

pytestmark = pytest.mark.slow

TEXT = b"".join(b"line %d\n" % number for number in range(60))
FINDINGS = [Finding(path="notes.md", old=b"line %d\n" % n, new=b"LINE %d\n" % n) for n in (15, 45)]
LOST = ChangeId("lost22")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[MemoryHouse]:
    made = MemoryHouse(tmp_path, files={"notes.md": TEXT})
    made.findings[:] = FINDINGS
    yield made
    made.close()


def _database() -> sa.Engine:
    """A box database that holds nothing."""
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    tables.METADATA.create_all(engine)
    return engine


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


@pytest.mark.parametrize("ended", ["reject", "cancel"])
def test_a_child_of_what_was_over_already_is_told_with_its_parent(house: MemoryHouse, ended: str) -> None:
    """A no that is taken back and a retry begin a child of what ended before: the log says whose it is, once."""
    change = house.improve()["changes"][0]["id"]
    if ended == "reject":
        deciding.reject(house.house, change, why="", actor=OWNER)
        child = deciding.reopen(house.house, change, actor=OWNER, tell=lambda event: None)["id"]
    else:
        ended_change = dataclasses.replace(house.change(change), state=State.ABORTED, hold=None, ended="cancelled")
        house.house.changes.save(ended_change)
        child = lineage.retry(house.house, change, tell=lambda event: None)["id"]
    assert house.change(child).parent == change
    assert told(house, child).change.parent == change
    assert told(house, change).change.ended != "superseded"
    lineage.settle_parents(house.house)
    assert house.names().count("change.followed") == 1
    assert "change.superseded" not in house.names()


def test_a_clock_that_was_set_back_keeps_no_executor_from_starting(house: MemoryHouse) -> None:
    """What the log does not take at a start is left to the next: children of what was over are as many as there are."""
    change = house.improve()["changes"][0]["id"]
    deciding.reject(house.house, change, why="", actor=OWNER)
    deciding.reopen(house.house, change, actor=OWNER, tell=lambda event: None)
    lost = dataclasses.replace(house.change(change), id=LOST, parent=ChangeId(change), version=0)
    house.house.changes.save(dataclasses.replace(lost, state=State.PROPOSED, ended=None, refused=None))
    before = house.names().count("change.followed")
    house.clock.set(Instant(house.clock.now() - 3600 * SECOND))
    house.restart_guard()
    lineage.settle_parents(house.house)
    assert house.names().count("change.followed") == before
    house.clock.set(Instant(house.clock.now() + 7200 * SECOND))
    lineage.settle_parents(house.house)
    lineage.settle_parents(house.house)
    assert house.names().count("change.followed") == before + 1


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


@pytest.mark.parametrize("version", ["\u00b2", "9" * 200, "-1", "+1", ""])
def test_no_entry_keeps_the_rest_from_being_told(house: MemoryHouse, version: str) -> None:
    """A version that no change of ours has is none: the change is told as if that entry were not there."""
    change = house.improve()["changes"][0]["id"]
    before = told(house, change)
    entry(house, f"{change}/{version}/plan/result", "note.left", change)
    assert told(house, change) == before


def test_an_entry_that_says_what_none_of_ours_would_makes_a_change_unknown(house: MemoryHouse) -> None:
    """An entry in the guard's name without its papers: nothing is told of that change."""
    change = house.improve()["changes"][0]["id"]
    found = records(house)
    forged = Event(key="guard/x", at=house.clock.now(), actor="guard", name="consent.given", change=ChangeId(change))
    found.by_change[ChangeId(change)].append(forged)
    assert rebuilding.rebuild(found, ChangeId(change)) is None


@pytest.mark.parametrize("key", ["x", "delivery", "delivery/x/done", f"delivery/{'a' * 40}/branch-moved", "a/b/done"])
def test_only_a_commit_was_delivered(key: str) -> None:
    """A key that names no commit says nothing of a delivery; one of ours does."""
    event = Event(key=key, at=Instant(0), actor="executor", name="delivery.done")
    assert rebuilding.delivered_by(event) is None
    ours = dataclasses.replace(event, key=f"delivery/{'a' * 40}/done")
    assert rebuilding.delivered_by(ours) == "a" * 40


def test_a_cancelled_window_stays_cancelled(house: MemoryHouse) -> None:
    """The guard's entry is enough: the change needs a person, and a database of before is behind."""
    house.findings[1:] = []
    house.set_mode(Mode.SUPERVISED)
    house.opt_in("codespell")
    change = house.proposed()
    waiting = house.change(change)
    house.cancel_window(change)
    row, found = house.change(change), told(house, change)
    assert (row.cancelled, found.change.cancelled) == (True, True)
    assert found.change.hold is not None
    assert row.hold is not None
    assert (found.change.hold.rule, row.hold.rule) == (NEEDS_APPROVAL, NEEDS_APPROVAL)
    now = house.clock.now()
    assert not rebuilding.behind(row, found, now)
    assert rebuilding.behind(dataclasses.replace(waiting, version=found.change.version), found, now)
    again = rebuilding.merged(waiting, found)
    assert (again.cancelled, again.window) == (True, None)


def test_a_cancel_is_found_again_for_each_finding(house: MemoryHouse) -> None:
    """Log and proposal tell what was cancelled: another change that mends the same needs a person, too."""
    house.findings[1:] = []
    house.set_mode(Mode.SUPERVISED)
    house.opt_in("codespell")
    change = house.proposed()
    other = dataclasses.replace(house.change(change), id=LOST)
    house.cancel_window(change)
    engine = _database()
    lost = Decisions(engine)
    assert not lost.cancelled(house.subject, findings_of(house.store, other))
    rebuilding.put_words(lost, house.store, told(house, change))
    assert lost.cancelled(house.subject, findings_of(house.store, other))
    assert not lost.among(house.subject, findings_of(house.store, other)), "a cancel is no rejection"
    engine.dispose()


def test_what_only_the_database_knew_stays_with_a_change(house: MemoryHouse) -> None:
    """A cancel, what broke and an open window are kept where the log has the change in the same state."""
    change = house.improve()["changes"][0]["id"]
    found, row = told(house, change), house.change(change)
    open_still = dataclasses.replace(found, change=dataclasses.replace(found.change, hold=None))
    row = dataclasses.replace(row, window=Instant(5), broken=(row.request,), cancelled=False)
    kept = rebuilding.merged(row, open_still)
    assert (kept.window, kept.broken, kept.cancelled) == (Instant(5), (row.request,), False)
    assert rebuilding.merged(dataclasses.replace(row, cancelled=True), found).cancelled
    moved = rebuilding.merged(dataclasses.replace(row, state=State.PLANNED), open_still)
    assert (moved.window, moved.broken) == (None, ())


def test_a_deferral_that_ran_out_leaves_nothing_behind(house: MemoryHouse) -> None:
    """What was put off and went on since is in no log: a database that has it so is whole."""
    change = house.improve()["changes"][0]["id"]
    before = house.change(change)
    until = Instant(house.clock.now() // SECOND * SECOND + 60 * SECOND)
    deciding.defer(house.house, change, until=until, actor=OWNER)
    found = told(house, change)
    row = dataclasses.replace(before, version=house.change(change).version)
    assert rebuilding.behind(row, found, Instant(until - 1))
    assert not rebuilding.behind(row, found, until)
