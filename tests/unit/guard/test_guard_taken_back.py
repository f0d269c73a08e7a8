"""What a person took away stays away: withdrawals, cancels and reverts hold for whoever keeps the papers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import test_guard_carry as carrying
import test_guard_two_verifies as twice
import test_guard_windows as windowed
from guard_cases import told

from greenroom.domain.digest import Digest
from greenroom.domain.standing import APPLY_WINDOW
from greenroom.domain.verdict import Passed
from greenroom.domain.vocabulary import ChangeId, ConsentLevel, Mode
from greenroom.guard import promote
from greenroom.guard.carried import carry_of
from greenroom.guard.papers import ModeOrder
from greenroom.testing.house import MemoryHouse
from greenroom.testing.papers import Killed, PaperHouse, constitution, papers

pytestmark = pytest.mark.slow


@pytest.fixture
def box(house: PaperHouse) -> PaperHouse:
    """A box in mode supervised with an opt-in to codespell, and windows of ten minutes."""
    house.use(dataclasses.replace(constitution(), apply_window_seconds=windowed.LENGTH))
    house.order(ModeOrder, mode=Mode.SUPERVISED)
    windowed.opt_in(house)
    return house


@pytest.fixture
def home(tmp_path: Path) -> Iterator[MemoryHouse]:
    """A house with a proposer of two changes to one file."""
    made = MemoryHouse(tmp_path, files={"notes.md": carrying.TEXT, "more.md": b"teh\n", "a.py": b"x = 1\n"})
    made.findings[:] = [carrying.FIRST, carrying.SECOND]
    yield made
    made.close()


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Let something happen within each promotion, after its papers were looked at and before its intent."""
    real = promote.check_green

    def arrange(act: Callable[[], Any]) -> None:
        def check(room: Any, tree: Digest) -> None:
            act()
            real(room, tree)

        monkeypatch.setattr(promote, "check_green", check)

    return arrange


def test_a_withdrawal_while_a_warrant_is_signed_voids_it(house: PaperHouse) -> None:
    """The warrant is not in the ledger yet when the withdrawal comes: it is void at the swap."""
    made = papers(house)
    made.approve()
    room = house.guard._room

    def withdraw(point: str) -> None:
        if point == "warrant.signed":
            assert isinstance(house.guard.withdraw(made.change, "ada"), Passed)

    object.__setattr__(room, "crash_point", withdraw)
    warrant = house.guard.warrant(made.dossier())
    assert isinstance(warrant, str)
    told(house.guard.promote(warrant), "approval-withdrawn")
    assert house.guard.live(made.plan.subject) == made.base


def test_a_withdrawal_within_the_promotion_keeps_it_from_the_swap(house: PaperHouse, meanwhile: Any) -> None:
    """It comes after the papers were looked at: nothing is intended."""
    made = papers(house)
    made.approve()
    warrant = house.guard.warrant(made.dossier())
    meanwhile(lambda: house.guard.withdraw(made.change, "ada"))
    told(house.guard.promote(warrant), "approval-withdrawn")
    assert house.guard.live(made.plan.subject) == made.base
    assert "live.promoting" not in house.names()


def test_a_mode_that_is_lowered_within_the_promotion_counts(house: PaperHouse, meanwhile: Any) -> None:
    """What nobody agreed to in person waits for a person from then on."""
    house.use(level=ConsentLevel.REVIEW)
    house.order(ModeOrder, mode=Mode.AUTONOMOUS)
    made = papers(house)
    warrant = twice.ask(house, made, twice.again(made))
    meanwhile(lambda: house.order(ModeOrder, mode=Mode.PROPOSE))
    told(house.guard.promote(warrant), "needs-approval")
    assert house.guard.live(made.plan.subject) == made.base


def test_a_withdrawal_of_the_parent_voids_the_warrant_of_its_child(home: MemoryHouse) -> None:
    """The child rests on the yes to its parent, which is void for both."""
    parent = carrying.agreed(home)
    child = carrying.right_child(home, parent)
    carry = home.guard.carry(carrying.papers(home, parent), carrying.papers(home, child))
    assert isinstance(carry, str)
    asked = carrying.papers(home, child, consents=parent.consents, carry=Digest(carry))
    warrant = home.guard.warrant(asked)
    assert isinstance(warrant, str)
    before = home.live()
    assert isinstance(home.guard.withdraw(parent.id, "ada"), Passed)
    told(home.guard.promote(Digest(warrant)), "approval-withdrawn")
    assert home.live() == before


def test_a_revert_voids_a_second_yes_that_was_given_before(house: PaperHouse) -> None:
    """Two consents to one change: the one that is left does not bring it back; a later one does."""
    made = papers(house)
    first, second = made.approve(), made.approve()
    warrant = house.guard.warrant(made.dossier(consents=(first,)))
    assert isinstance(house.guard.promote(warrant), Passed)
    assert isinstance(house.guard.revert(made.plan.subject, made.change, "ada"), Passed)
    told(house.guard.warrant(made.dossier(consents=(second,))), "approval-withdrawn")
    house.clock.advance(1)
    again = house.guard.warrant(made.dossier(consents=(made.approve(),)))
    assert isinstance(house.guard.promote(again), Passed)


def test_what_was_taken_back_needs_a_person_under_any_name(house: PaperHouse) -> None:
    """Neither two verifies nor a level that asks nobody brings the same content back."""
    house.use(level=ConsentLevel.REVIEW)
    house.order(ModeOrder, mode=Mode.AUTONOMOUS)
    made = papers(house)
    assert isinstance(house.guard.promote(twice.ask(house, made, twice.again(made))), Passed)
    assert isinstance(house.guard.revert(made.plan.subject, made.change, "ada"), Passed)
    renamed = ChangeId("change-2")
    told(twice.ask(house, made, twice.again(made), change=renamed), "needs-approval")
    house.use(level=ConsentLevel.INFORM)
    told(house.guard.warrant(made.dossier(mode=Mode.AUTONOMOUS, change=renamed)), "needs-approval")


def test_a_revert_that_a_crash_cut_off_voids_it_too(house: PaperHouse) -> None:
    """What finishes the revert after the restart withdraws as well."""
    made = papers(house)
    first, second = made.approve(), made.approve()
    house.guard.promote(house.guard.warrant(made.dossier(consents=(first,))))
    house.crash_at = "revert.logged"
    with pytest.raises(Killed):
        house.guard.revert(made.plan.subject, made.change, "ada")
    house.crash_at = None
    house.restart()
    told(house.guard.warrant(made.dossier(consents=(second,))), "approval-withdrawn")


def test_a_cancel_holds_for_every_window_of_a_name(box: PaperHouse) -> None:
    """Two contents that wait under one name: neither is applied."""
    first, second = windowed.typo(box), windowed.typo(box, text=b"other words\n")
    assert (first.change, first.green) != (second.change, second.green)
    for made in (first, second):
        told(windowed.ask(box, made), APPLY_WINDOW)
    assert isinstance(box.guard.cancel_window(first.change, "ada"), Passed)
    box.clock.advance(windowed.LENGTH)
    for made in (first, second):
        told(windowed.ask(box, made), "needs-approval")


def test_a_withdrawal_cancels_the_windows_too(box: PaperHouse) -> None:
    """Told once, the guard applies nothing of it, under no name."""
    made = windowed.typo(box)
    told(windowed.ask(box, made), APPLY_WINDOW)
    assert isinstance(box.guard.withdraw(made.change, "ada"), Passed)
    assert box.guard.status().windows == ()
    box.clock.advance(windowed.LENGTH)
    renamed = box.guard.warrant(made.dossier(change=ChangeId("change-2"), mode=Mode.SUPERVISED))
    told(renamed, "needs-approval")
    assert box.names().count("window.cancelled") == 1


def test_a_cancel_holds_in_every_mode(box: PaperHouse) -> None:
    """Two verifies, and a level that asks nobody, do not stand in for the person; a warrant of before is void."""
    made = windowed.typo(box)
    windowed.ask(box, made)
    box.order(ModeOrder, mode=Mode.AUTONOMOUS)
    box.use(level=ConsentLevel.REVIEW)
    warrant = twice.ask(box, made, twice.again(made))
    assert isinstance(warrant, str)
    assert isinstance(box.guard.cancel_window(made.change, "ada"), Passed)
    told(box.guard.promote(Digest(warrant)), "needs-approval")
    told(twice.ask(box, made, twice.again(made)), "needs-approval")
    box.use(level=ConsentLevel.INFORM)
    told(box.guard.warrant(made.dossier(mode=Mode.AUTONOMOUS)), "needs-approval")
    assert box.guard.live(made.plan.subject) == made.base


def test_a_withdrawal_of_a_live_change_counts_for_what_is_unspent(house: PaperHouse) -> None:
    """It says already-live; a second warrant of the same name over what is live is void."""
    first = papers(house)
    first.approve()
    assert isinstance(house.guard.promote(house.guard.warrant(first.dossier())), Passed)
    assert isinstance(house.guard.mark_good(first.change, first.live_runs()), Passed)
    second = papers(house, base=first.green, text=b"other words\n")
    second.approve()
    warrant = house.guard.warrant(second.dossier())
    assert isinstance(warrant, str)
    told(house.guard.withdraw(first.change, "ada"), "already-live")
    told(house.guard.promote(warrant), "approval-withdrawn")
    told(house.guard.warrant(second.dossier()), "approval-withdrawn")


def test_a_withdrawal_during_the_swap_leaves_what_it_counts_for(house: PaperHouse) -> None:
    """Its promotion has begun: it is already live, and counts against the day."""
    made = papers(house)
    made.approve()
    warrant = house.guard.warrant(made.dossier())
    house.crash_at = "promote.swapped"
    with pytest.raises(Killed):
        house.guard.promote(warrant)
    house.crash_at = None
    told(house.guard.withdraw(made.change, "ada"), "already-live")
    house.restart()
    room = house.guard._room
    totals = room.ledger.totals(made.plan.subject, house.clock.now())
    assert (totals.changes, totals.lines) == (1, 2)


def test_a_withdrawal_of_a_child_takes_the_yes_that_was_carried_to_it(home: MemoryHouse) -> None:
    """The same yes is carried to no other child afterwards, and nothing of the parent counts."""
    parent = carrying.agreed(home)
    child, other = carrying.right_child(home, parent), carrying.right_child(home, parent)
    asked = carrying.papers(home, parent)
    assert isinstance(home.guard.carry(asked, carrying.papers(home, child)), str)
    carried = home.guard.carry(asked, carrying.papers(home, other))
    assert isinstance(carried, str)
    assert isinstance(home.guard.withdraw(child.id, "ada"), Passed)
    told(home.guard.carry(asked, carrying.papers(home, other)), "approval-withdrawn")
    rests = carrying.papers(home, other, consents=parent.consents, carry=Digest(carried))
    told(home.guard.warrant(rests), "approval-withdrawn")
    withdrawn = [event.change for event in home.log.events() if event.name == "consent.withdrawn"]
    assert withdrawn == [child.id, parent.id]


def test_a_yes_is_not_carried_to_a_change_that_was_withdrawn(home: MemoryHouse) -> None:
    """The withdrawal came first: a carry to that very change is held."""
    parent = carrying.agreed(home)
    child = carrying.right_child(home, parent)
    assert isinstance(home.guard.withdraw(child.id, "ada"), Passed)
    told(home.guard.carry(carrying.papers(home, parent), carrying.papers(home, child)), "approval-withdrawn")


def test_a_yes_to_another_plan_is_no_look(house: PaperHouse) -> None:
    """The statement is named wherever change, plan or Green of the consent is another than the warrant's."""
    made = papers(house)
    made.approve()
    consent, asked = made.consent(), made.dossier(carry=made.seals[0])
    assert carry_of(asked, consent) is None
    for bent in ({"change": ChangeId("change-2")}, {"plan": made.seals[0]}, {"green": made.base}):
        assert carry_of(asked, dataclasses.replace(consent, **bent)) == made.seals[0]
