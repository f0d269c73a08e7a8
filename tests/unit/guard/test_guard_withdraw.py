"""A withdrawal in the guard: void means void for whoever holds the papers."""

from __future__ import annotations

from pathlib import Path

import pytest
from guard_cases import told

from greenroom.domain.verdict import Instant, Passed, Refused
from greenroom.testing.clock import SECOND
from greenroom.testing.papers import PaperHouse, papers


@pytest.fixture
def house(tmp_path: Path) -> PaperHouse:
    return PaperHouse(tmp_path)


def test_a_consent_that_was_kept_back_does_not_outlive_a_withdrawal(house: PaperHouse) -> None:
    """Handed in only after the withdrawal, a yes that was signed before it is refused and logged."""
    made = papers(house)
    made.approve()
    kept_back = made.consent()
    house.clock.advance(1)
    assert isinstance(house.guard.withdraw(made.change, "ada"), Passed)
    told(house.hand_in(kept_back), "approval-withdrawn")
    assert house.names()[-1] == "consent.refused"


def test_a_consent_without_its_time_is_void_after_any_withdrawal(house: PaperHouse) -> None:
    """Consents of earlier releases do not say when they were signed."""
    made = papers(house)
    made.approve()
    house.guard.withdraw(made.change, "ada")
    house.clock.advance(1)
    told(house.hand_in(made.consent(at=None)), "approval-withdrawn")
    assert not isinstance(house.hand_in(made.consent()), Refused)


def test_a_consent_from_the_future_is_refused(house: PaperHouse) -> None:
    """No withdrawal could void it."""
    made = papers(house)
    made.approve()
    late = Instant(house.clock.now() + 60 * SECOND)
    told(house.hand_in(made.consent(at=late)), "consent-from-the-future")


def test_a_withdrawal_outlives_the_guard(house: PaperHouse, tmp_path: Path) -> None:
    """It is in the ledger: another process over the same file knows it."""
    made = papers(house)
    made.approve()
    house.guard.withdraw(made.change, "ada")
    house.restart()
    told(house.guard.warrant(made.dossier()), "approval-withdrawn")


@pytest.mark.parametrize("change", ["", "x" * 129, "a\nb"])
def test_a_withdrawal_names_a_change(house: PaperHouse, change: str) -> None:
    """Words that are no id are refused, and nothing is logged."""
    before = house.names()
    told(house.guard.withdraw(change, "ada"), "bad-change")  # type: ignore[arg-type]
    assert house.names() == before
