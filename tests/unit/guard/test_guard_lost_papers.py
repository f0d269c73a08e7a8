"""The guard when papers vanish from the store: what has begun is finished, known and taken back all the same."""

from __future__ import annotations

from typing import Any

import pytest

from greenroom.domain.digest import Digest
from greenroom.domain.verdict import Passed
from greenroom.testing.papers import SUBJECT, Killed, PaperHouse, Papers, papers


def _ready(house: PaperHouse) -> tuple[Papers, Digest]:
    made = papers(house)
    made.approve()
    warrant = house.guard.warrant(made.dossier())
    assert isinstance(warrant, str)
    return made, Digest(warrant)


def _lose(house: PaperHouse, made: Papers, warrant: Digest) -> None:
    """Delete what an executor can of the papers that stand behind the change."""
    promoted = [event for event in house.log.events() if event.name == "warrant.issued"]
    for paper in (*made.consents, warrant, promoted[-1].digests["undo"], made.plan_digest, made.green):
        house.store.erase(paper)


def _finished(house: PaperHouse, made: Papers) -> None:
    assert house.guard.live(SUBJECT) == made.green
    (entry,) = [event for event in house.log.events() if event.name == "live.promoted"]
    assert (entry.actor, entry.change, entry.digests["consent-0"]) == ("ada", made.change, made.consents[0])
    ledger = house.guard._room.ledger
    assert ledger.totals(SUBJECT, house.clock.now()).changes == 1
    assert ledger.rows("SELECT COUNT(*) FROM nonces WHERE spent_on = ?", f"promoted {made.change}") == [(1,)]
    assert isinstance(house.guard.revert(SUBJECT, made.change, "ada"), Passed)
    assert house.guard.live(SUBJECT) == made.base


@pytest.mark.parametrize("point", ["promote.swapped", "promote.logged"])
def test_guard_finishes_a_swap_whose_papers_are_gone(house: PaperHouse, point: str) -> None:
    """A crash after the swap, and every paper deleted meanwhile: the restart logs, spends and counts it."""
    made, warrant = _ready(house)
    house.crash_at = point
    with pytest.raises(Killed):
        house.guard.promote(warrant)
    _lose(house, made, warrant)
    assert not house.restart().status().stopped
    _finished(house, made)


def test_guard_finishes_a_swap_whose_consent_goes_meanwhile(house: PaperHouse) -> None:
    """A consent that is deleted between the swap and its result changes nothing."""
    made, warrant = _ready(house)

    def lose(point: str) -> None:
        if point == "promote.swapped":
            house.store.erase(made.consents[0])

    object.__setattr__(house.guard._room, "crash_point", lose)
    assert isinstance(house.guard.promote(warrant), Passed)
    assert not house.guard.status().stopped
    _finished(house, made)


def test_guard_swaps_nothing_whose_papers_are_gone(house: PaperHouse) -> None:
    """A paper that is missing before the swap refuses it: nothing moves, nothing is spent."""
    made, warrant = _ready(house)
    house.store.erase(made.consents[0])
    verdict: Any = house.guard.promote(warrant)
    assert verdict.rule == "not-stored"
    assert house.guard.live(SUBJECT) == made.base
    assert "live.promoting" not in house.names()
