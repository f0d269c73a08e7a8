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
from greenroom.domain.verdict import Passed
from greenroom.domain.vocabulary import ConsentLevel, Mode
from greenroom.guard import promote
from greenroom.guard.papers import ModeOrder
from greenroom.testing.house import MemoryHouse
from greenroom.testing.papers import PaperHouse, constitution, papers


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
