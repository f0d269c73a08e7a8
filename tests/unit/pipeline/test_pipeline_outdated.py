"""An upgrade of Greenroom while changes wait: the owner signs other tools, and the changes go on as children."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.domain import card
from greenroom.domain.errors import Unusable
from greenroom.domain.vocabulary import ChangeId, Mode, State
from greenroom.pipeline import holds, lineage, verbs
from greenroom.testing.house import MemoryHouse, shipped_constitution
from greenroom.testing.parts import Killed

pytestmark = pytest.mark.slow

CHECK, STEP = "run_tests_t1", "apply_patch_t1"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[MemoryHouse]:
    made = MemoryHouse(tmp_path)
    yield made
    made.close()


def upgrade(house: MemoryHouse, *changed: str, release: str = "next") -> None:
    """Sign tools of which these have another body."""
    house.constitute(shipped_constitution(), release=release, changed=frozenset(changed))


def cut(house: MemoryHouse, change: str, point: str) -> None:
    """Approve `change`; a crash ends the executor at `point`."""

    def tick(name: str) -> None:
        if name == point:
            raise Killed(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(house.points, "tick", tick)
        with pytest.raises(Killed):
            house.approve(change)


@pytest.mark.parametrize("changed", [CHECK, STEP, "scan_diff_t0"])
def test_a_held_change_survives_one_changed_tool(house: MemoryHouse, changed: str) -> None:
    """Before a signature is asked for the change is verified again, as a child, and that one is approved and kept."""
    change = house.proposed()
    upgrade(house, changed)
    assert verbs.outdated_changes(house.house) == [change]
    offer = verbs.offer(house.house, change)
    assert (offer["verdict"]["is"], offer["verdict"]["rule"]) == ("held", holds.OUTDATED)
    assert changed in offer["verdict"]["where"]
    assert "plan" not in offer
    row = house.restack(change)
    assert (row["held"]["rule"], row["restacked"]["outdated"]) == (holds.NEEDS_APPROVAL, True)
    assert (house.change(change).ended, house.change(row["id"]).parent) == ("superseded", change)
    assert house.change(row["id"]).base == house.live()
    assert verbs.outdated_changes(house.house) == []
    assert house.approve(row["id"])["state"] == "kept"
    assert "warrant.refused" not in house.names()


def test_a_tool_that_a_change_does_not_rest_on_changes_nothing(house: MemoryHouse) -> None:
    """Only the tools of the change's own plan and runs count."""
    change = house.proposed()
    upgrade(house, "db_migrate_t2")
    assert verbs.outdated_changes(house.house) == []
    assert house.approve(change)["state"] == "kept"


def test_a_yes_signed_before_the_tools_changed_is_not_taken(house: MemoryHouse) -> None:
    """The consent is not handed to the guard, and the change neither ends nor goes live."""
    change = house.proposed()
    envelope = house.consent(change)
    upgrade(house, CHECK)
    for promote in (True, False):
        answer = house.approve(change, promote=promote, envelope=envelope)
        assert (answer["verdict"]["rule"], answer["state"]) == (holds.OUTDATED, "verified")
    assert house.change(change).consents == ()
    assert "consent.accepted" not in house.names()
    assert "warrant.refused" not in house.names()


def test_an_approved_change_is_asked_about_again(house: MemoryHouse) -> None:
    """What was approved for later is verified again; the yes to what the earlier tools found is lost, which is said."""
    change = house.proposed()
    house.approve(change, promote=False)
    upgrade(house, CHECK)
    before = house.live()
    row = house.promote(change)
    assert (row["state"], row["held"]["rule"]) == ("verified", holds.NEEDS_APPROVAL)
    consent = row["restacked"]["consent"]
    assert (consent["is"], consent["rule"]) == ("refused", holds.OUTDATED)
    assert consent["remedy"] == f"greenroom approve {row['id']}"
    assert house.live() == before
    assert house.approve(row["id"])["state"] == "kept"


def test_resume_and_retry_carry_it_as_a_child_too(house: MemoryHouse) -> None:
    """Whichever command a person types for it, the change is tried with the tools that are signed now."""
    change = house.proposed()
    upgrade(house, CHECK)
    (row,) = verbs.resume(house.house, change_id=change, tell=house.tell)["resumed"]
    assert (row["held"]["rule"], house.change(row["id"]).parent) == (holds.NEEDS_APPROVAL, change)
    upgrade(house, CHECK, release="after that")
    again = lineage.retry(house.house, row["id"], tell=house.tell)
    assert (again["parent"], again["held"]["rule"]) == (row["id"], holds.NEEDS_APPROVAL)


def test_a_change_in_its_apply_window_goes_on_as_a_child_with_a_window_of_its_own(house: MemoryHouse) -> None:
    """Nobody is asked where an opt-in covers it; nothing is promoted on papers of the earlier tools."""
    house.set_mode(Mode.SUPERVISED)
    house.opt_in("codespell")
    change = house.proposed()
    assert house.change(change).window is not None
    upgrade(house, CHECK)
    house.clock.advance(4000)
    (row,) = house.apply_windows()
    child = house.change(row["id"])
    assert (child.parent, child.window is not None) == (change, True)
    house.clock.advance(4000)
    (row,) = house.apply_windows()
    assert (row["id"], row["state"]) == (child.id, "kept")


def test_what_a_crash_cut_is_held_for_its_tools(house: MemoryHouse) -> None:
    """Approved and cut before its warrant, then upgraded: it waits, with the command that goes on; it does not end."""
    change = house.proposed()
    cut(house, change, "before guard.warrant")
    upgrade(house, CHECK)
    house.restart()
    (row,) = house.resume()["resumed"]
    assert (row["state"], row["held"]["rule"]) == ("approved", holds.OUTDATED)
    assert row["held"]["remedy"].startswith(f"`greenroom approve {change}`")
    anew = house.promote(change)
    assert house.approve(anew["id"])["state"] == "kept"


def test_what_was_cut_after_its_promotion_is_not_held_for_its_tools(house: MemoryHouse) -> None:
    """It is live already: only its watch is left, which the tools of today make."""
    change = house.proposed()
    cut(house, change, "after guard.promote")
    upgrade(house, CHECK)
    house.restart()
    (row,) = house.resume()["resumed"]
    assert (row["id"], row["state"]) == (change, "kept")


def test_the_earlier_tools_signed_again_let_the_change_go_on_itself(house: MemoryHouse) -> None:
    """A held change whose tools are signed once more needs no child."""
    change = house.proposed()
    cut(house, change, "before guard.warrant")
    upgrade(house, CHECK)
    house.restart()
    house.resume()
    house.constitute(shipped_constitution())
    row = house.promote(change)
    assert (row["id"], row["state"]) == (change, "kept")


def test_a_change_whose_card_would_be_another_one_now_goes_on_as_a_child(
    house: MemoryHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard makes the card again and would refuse the yes; so nobody is asked for it before a child has its own."""
    house.checks["tests"] = "broken-before"
    change = house.proposed()
    assert verbs.outdated_changes(house.house) == []
    monkeypatch.setattr(card, "NO_TESTS", "the tests say nothing; in other words")
    offer = verbs.offer(house.house, change)
    assert (offer["verdict"]["rule"], "notes" in offer["verdict"]["where"]) == (holds.OUTDATED, True)
    row = house.restack(change)
    assert house.approve(row["id"])["state"] == "kept"
    assert "warrant.refused" not in house.names()


def test_a_yes_to_a_card_that_would_be_another_one_now_is_asked_for_again(
    house: MemoryHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was approved for later under the earlier words does not end at its promotion."""
    house.checks["tests"] = "broken-before"
    change = house.proposed()
    house.approve(change, promote=False)
    monkeypatch.setattr(card, "NO_TESTS", "the tests say nothing; in other words")
    row = house.promote(change)
    assert (row["held"]["rule"], row["restacked"]["consent"]["rule"]) == (holds.NEEDS_APPROVAL, holds.OUTDATED)
    assert house.approve(row["id"])["state"] == "kept"


def test_a_card_of_another_form_is_made_again(house: MemoryHouse) -> None:
    """A stored card that this version cannot read is no reason to end the change."""
    change = house.change(house.proposed())
    form = house.store.put("card", b"{}")
    house.house.changes.save(dataclasses.replace(change, card=form))
    assert "its form" in verbs.offer(house.house, change.id)["verdict"]["where"]


def test_improve_leaves_what_a_person_agreed_to(house: MemoryHouse) -> None:
    """An approved change stays for its `promote`; the finding is not proposed a second time."""
    change = house.proposed()
    house.approve(change, promote=False)
    upgrade(house, CHECK)
    answer = house.improve()
    assert ([row["id"] for row in answer["known"]], answer["changes"]) == ([change], [])
    assert house.change(change).state is State.APPROVED


def test_a_change_that_is_live_is_not_outdated(house: MemoryHouse) -> None:
    """What is promoted rests on a spent warrant, whatever tools are signed later."""
    change = house.proposed()
    house.approve(change)
    upgrade(house, CHECK)
    assert verbs.outdated_changes(house.house) == []
    with pytest.raises(Unusable, match="wrong-state"):
        house.restack(ChangeId(change))


def test_papers_that_are_gone_or_of_another_change_are_no_upgrades_doing(house: MemoryHouse) -> None:
    """They reach the guard, which refuses them by name; and the list of what is outdated still comes."""
    change = house.change(house.proposed())
    house.approve(change.id, promote=False)
    agreed = house.change(change.id)
    other = house.house.changes.save(dataclasses.replace(agreed, green=agreed.base))
    assert verbs.outdated_changes(house.house) == []
    house.house.changes.save(dataclasses.replace(agreed, version=other.version))
    house.store.erase(house.show(change.id)["card"]["evidence"][1]["receipts"][0])
    assert verbs.outdated_changes(house.house) == []
    answer = house.promote(change.id)
    assert (answer["id"], answer["verdict"]["is"], answer["verdict"]["rule"]) == (change.id, "refused", "not-stored")
