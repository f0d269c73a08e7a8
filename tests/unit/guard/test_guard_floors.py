"""The floor of a subject: the owner's alone to set, and nobody's revert goes below it; a revert that fails stops."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from guard_cases import told

from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unreachable
from greenroom.domain.verdict import Passed
from greenroom.domain.vocabulary import ChangeId, Mode
from greenroom.guard.papers import FloorOrder, Lift, ModeOrder, sign
from greenroom.testing.papers import SUBJECT, Killed, PaperHouse, Papers, promoted

pytestmark = pytest.mark.slow

FLOOR = ("floor.taken", "floor.logged", "floor.in-force")


def _good(house: PaperHouse, base: Digest | None = None, **how: Any) -> Papers:
    """One more change that is live and marked good."""
    made, _ = promoted(house, base=base, **how)
    assert isinstance(house.guard.mark_good(made.change, made.live_runs()), Passed)
    return made


def _two(house: PaperHouse) -> tuple[Papers, Papers]:
    first = _good(house)
    return first, _good(house, first.green, name="change-2", text=b"other words\n")


def _set(house: PaperHouse, change: str, *, holds: bool = True) -> Any:
    return house.order(FloorOrder, change=ChangeId(change), holds=holds)


@pytest.mark.parametrize("actor", ["ada", "watch", "executor"])
def test_guard_reverts_nothing_below_the_floor(house: PaperHouse, actor: str) -> None:
    """What stands on the floor can be taken back; the floor itself and what is below it cannot, whoever asks."""
    first, second = _two(house)
    assert isinstance(_set(house, first.change), Passed)
    assert isinstance(house.guard.revert(SUBJECT, second.change, actor), Passed)
    refused = house.guard.revert(SUBJECT, first.change, actor)
    told(refused, "below-floor")
    assert str(SUBJECT) in refused.where
    assert f"greenroom floor clear {first.change}" in refused.remedy
    assert house.guard.live(SUBJECT) == first.green


def test_guard_floor_survives_restart_and_stop(house: PaperHouse) -> None:
    """A revert works under a stop, but below the floor neither under a stop nor in another process."""
    made = _good(house)
    _set(house, made.change)
    house.restart()
    house.guard.stop("ada")
    told(house.guard.revert(SUBJECT, made.change, "ada"), "below-floor")
    assert house.guard.floors() == (
        {"subject": str(SUBJECT), "change": made.change, "green": made.green, "at": str(house.clock.now())},
    )


def test_guard_floor_that_the_owner_clears_binds_no_more(house: PaperHouse) -> None:
    """Cleared by its own change only; then what it protected can be taken back."""
    first, second = _two(house)
    _set(house, second.change)
    told(_set(house, first.change, holds=False), "no-floor")
    assert isinstance(_set(house, second.change, holds=False), Passed)
    assert house.guard.floors() == ()
    assert isinstance(house.guard.revert(SUBJECT, second.change, "ada"), Passed)
    assert [name for name in house.names() if name.startswith("floor.")] == ["floor.set", "floor.cleared"]


def test_guard_floor_may_be_set_lower(house: PaperHouse) -> None:
    """The floor that was set last counts."""
    first, second = _two(house)
    _set(house, second.change)
    told(house.guard.revert(SUBJECT, second.change, "ada"), "below-floor")
    _set(house, first.change)
    assert isinstance(house.guard.revert(SUBJECT, second.change, "ada"), Passed)


def test_guard_floor_stands_at_a_good_live_change_only(house: PaperHouse) -> None:
    """An unknown change, one that is still watched and one that was taken back are no place for a floor."""
    told(_set(house, "nobody"), "not-promoted")
    made, _ = promoted(house)
    told(_set(house, made.change), "floor-not-good")
    house.guard.revert(SUBJECT, made.change, "ada")
    told(_set(house, made.change), "not-promoted")
    assert house.guard.floors() == ()


def test_guard_floor_is_the_owners_alone(house: PaperHouse) -> None:
    """Signed by another key, in another paper's envelope, twice, or too late: no floor is set or cleared."""
    made = _good(house)
    order = house.paper(FloorOrder, change=made.change, holds=True)
    for key in (house.keeper, house.signer, house.stranger["owner"]):
        told(house.hand_in(order, key), "statement-forged")
    assert house.guard.set_floor(sign(house.owner, house.paper(ModeOrder, mode=Mode.PROPOSE))).rule == "wrong-predicate"
    assert isinstance(house.hand_in(order), Passed)
    told(house.hand_in(order), "order-spent")
    clear = house.paper(FloorOrder, change=made.change, holds=False)
    house.clock.advance(601)
    told(house.hand_in(clear), "order-expired")
    assert len(house.guard.floors()) == 1


@pytest.mark.parametrize("point", FLOOR)
def test_guard_killed_in_a_floor_order(house: PaperHouse, point: str) -> None:
    """After a restart a floor that was taken is in force, logged once, and its order spent."""
    made = _good(house)
    order = house.paper(FloorOrder, change=made.change, holds=True)
    house.crash_at = point
    with pytest.raises(Killed):
        house.hand_in(order)
    house.restart()
    told(house.guard.revert(SUBJECT, made.change, "ada"), "below-floor")
    assert house.names().count("floor.set") == 1
    told(house.hand_in(order), "order-spent")


def test_guard_stops_when_a_revert_fails(house: PaperHouse) -> None:
    """The files of the earlier state are gone: live stays, the box stops, and the log says which revert and why."""
    made, _ = promoted(house)
    house.store.erase(house.base)
    told(house.guard.revert(SUBJECT, made.change, "ada"), "base-lost")
    assert house.guard.live(SUBJECT) == made.green
    assert house.guard.status().stopped_by == "a revert failed"
    (entry,) = [event for event in house.log.events() if event.name == "live.not-reverted"]
    assert (entry.change, entry.about) == (made.change, "base-lost")


@pytest.mark.parametrize(
    "error", [OSError("no space"), Unreachable("git-stuck", "git did not end"), ValueError("ours")]
)
def test_guard_stops_when_a_revert_breaks(house: PaperHouse, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """A broken disk, a stuck git or a mistake of ours in the middle of a revert: stopped; asked again, it is done."""
    made, _ = promoted(house)

    def broken(*args: Any) -> str:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(house.release, "stage", broken)
        with pytest.raises(type(error)):
            house.guard.revert(SUBJECT, made.change, "ada")
    assert house.guard.status().stopped
    assert house.guard.live(SUBJECT) == made.green
    assert isinstance(house.guard.revert(SUBJECT, made.change, "ada"), Passed)
    assert house.guard.live(SUBJECT) == made.base


def test_guard_finishes_a_revert_that_failed_after_its_swap(house: PaperHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log took no entry after the pointer moved: asked again, it is told once and is done."""
    made, _ = promoted(house)
    append = house.log.append

    def full(event: Any) -> int:
        if event.name == "live.reverted":
            raise OSError("no space")
        return int(append(event))

    with monkeypatch.context() as patch:
        patch.setattr(house.log, "append", full)
        with pytest.raises(OSError, match="no space"):
            house.guard.revert(SUBJECT, made.change, "ada")
    assert house.guard.live(SUBJECT) == made.base
    assert house.guard.status().stopped
    assert isinstance(house.guard.revert(SUBJECT, made.change, "ada"), Passed)
    assert house.names().count("live.reverted") == 1


def test_guard_stops_when_the_watch_may_not_take_back(house: PaperHouse) -> None:
    """A refused revert of the watch leaves live what is not good: the box stops. A person's refusal stops nothing."""
    first = _good(house)
    _set(house, first.change)
    told(house.guard.revert(SUBJECT, first.change, "ada"), "below-floor")
    assert not house.guard.status().stopped
    second, _ = promoted(house, base=first.green, name="change-2", text=b"other words\n")
    ledger = house.guard._room.ledger
    ledger.move(ledger.standing(SUBJECT)[-2].id, "baking")
    told(house.guard.revert(SUBJECT, second.change, "watch"), "predecessor-not-good")
    assert house.guard.status().stopped
    assert isinstance(house.order(Lift, stop=house.guard.stop_id()), Passed)
    assert isinstance(house.guard.revert(SUBJECT, second.change, "ada"), Passed)


def test_guard_floor_order_names_what_it_says(house: PaperHouse) -> None:
    """An order to clear is not one to set: each member is under the signature."""
    made = _good(house)
    order = house.paper(FloorOrder, change=made.change, holds=True)
    assert isinstance(order, FloorOrder)
    assert sign(house.owner, order) != sign(house.owner, dataclasses.replace(order, holds=False))
