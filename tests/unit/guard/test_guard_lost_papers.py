"""The guard when papers vanish from the store: what has begun is finished, known and taken back all the same."""

from __future__ import annotations

from typing import Any

import pytest

from greenroom.domain.digest import Digest
from greenroom.domain.errors import NotFound, Unreachable
from greenroom.domain.verdict import Instant, Passed
from greenroom.domain.vocabulary import Mode
from greenroom.guard.papers import ConstitutionOrder, FloorOrder, LookOrder, ModeOrder
from greenroom.guard.room import Rules
from greenroom.testing.papers import SECOND, SUBJECT, Killed, PaperHouse, Papers, papers, promoted


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


@pytest.mark.parametrize("point", ["mode.taken", "mode.logged"])
@pytest.mark.parametrize("restart", [False, True])
def test_guard_finishes_an_order_that_is_gone(house: PaperHouse, point: str, restart: bool) -> None:
    """An order that was taken comes into force, and the next one is taken; the store has its paper again."""
    house.crash_at = point
    with pytest.raises(Killed):
        house.order(ModeOrder, mode=Mode.AUTONOMOUS)
    house.crash_at = None
    ledger = house.guard._room.ledger
    order = Digest((ledger.setting("order-pending") or "").partition(" ")[2])
    house.store.erase(order)
    if restart:
        status = house.restart().status()
        assert (status.stopped, status.mode) == (False, Mode.AUTONOMOUS)
    assert isinstance(house.order(ModeOrder, mode=Mode.SUPERVISED), Passed)
    assert house.guard.status().mode is Mode.SUPERVISED
    assert house.names().count("mode.changed") == 2
    assert house.store.has(order)
    assert house.guard._room.ledger.kept(order) is None


@pytest.mark.parametrize("restart", [False, True])
def test_guard_finishes_an_order_that_only_the_store_has(house: PaperHouse, restart: bool) -> None:
    """A ledger that kept no copy: the order is read from the store."""
    house.crash_at = "mode.taken"
    with pytest.raises(Killed):
        house.order(ModeOrder, mode=Mode.AUTONOMOUS)
    house.crash_at = None
    house.guard._room.ledger.write("DELETE FROM papers")
    if restart:
        assert house.restart().status().mode is Mode.AUTONOMOUS
    assert isinstance(house.order(ModeOrder, mode=Mode.SUPERVISED), Passed)
    assert house.names().count("mode.changed") == 2


def test_guard_finishes_an_order_that_the_store_does_not_take(
    house: PaperHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something else stands in the paper's place and cannot be overwritten: the order comes into force."""
    house.crash_at = "mode.taken"
    with pytest.raises(Killed):
        house.order(ModeOrder, mode=Mode.AUTONOMOUS)

    def full(prefix: str, data: bytes) -> Digest:
        raise IsADirectoryError(prefix, data)

    monkeypatch.setattr(house.store, "put", full)
    assert house.restart().status().mode is Mode.AUTONOMOUS


def test_guard_spends_an_order_that_it_refuses(house: PaperHouse) -> None:
    """Kept back and handed in when it would do something, a refused order does nothing."""
    made, _ = promoted(house)
    early = house.paper(FloorOrder, change=made.change, holds=True)
    none = house.paper(FloorOrder, change=made.change, holds=False)
    unknown = house.paper(LookOrder, subject=SUBJECT, through=made.green)
    long = house.paper(ModeOrder, mode=Mode.AUTONOMOUS, expires=Instant(house.clock.now() + 7200 * SECOND))
    orders = {"floor-not-good": early, "no-floor": none, "not-promoted": unknown, "order-too-long": long}
    for rule, order in orders.items():
        assert house.hand_in(order).rule == rule
    assert isinstance(house.guard.mark_good(made.change, made.live_runs()), Passed)
    assert isinstance(house.order(FloorOrder, change=made.change, holds=True), Passed)
    house.clock.advance(300)
    for order in orders.values():
        assert house.hand_in(order).rule == "order-spent"
    assert house.guard.status().mode is Mode.PROPOSE


@pytest.mark.parametrize("lost", [True, False])
def test_guard_spends_an_order_whose_policy_cannot_be_read(
    house: PaperHouse, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    """A bundle that is not there refuses the order for good; a fault of the moment leaves it as it was."""
    policy = house.policy(b"second")
    order = house.paper(ConstitutionOrder, policy=policy, previous=house.guard.policy())
    error = NotFound("not-stored", "gone") if lost else Unreachable("disk-slow", "later")

    def read(digest: Digest) -> Rules:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(house.guard._room.rules, "read", read)
        if lost:
            assert house.hand_in(order).rule == "not-stored"
        else:
            with pytest.raises(Unreachable):
                house.hand_in(order)
    if lost:
        assert house.hand_in(order).rule == "order-spent"
    else:
        assert isinstance(house.hand_in(order), Passed)


def test_guard_starts_by_its_own_copy_of_the_constitutions_order(house: PaperHouse) -> None:
    """The owner's signed order vanishes from the store: the guard starts all the same, after a second constitution too.

    Only the copy of the order in force is kept.
    """
    ledger = house.guard._room.ledger
    first = Digest(str(ledger.setting("policy-order")))
    house.store.erase(first)
    assert house.restart().status().policy == house.first
    assert isinstance(house.order(ConstitutionOrder, policy=house.policy(b"other"), previous=house.first), Passed)
    ledger = house.guard._room.ledger
    second = Digest(str(ledger.setting("policy-order")))
    house.store.erase(second)
    assert house.restart().status().policy == house.policy(b"other")
    assert house.guard._room.ledger.kept(first) is None


def test_guard_keeps_the_constitutions_order_that_only_the_store_has(house: PaperHouse) -> None:
    """A ledger without the copy gets it at the next start; from then on the store may lose the paper."""
    ledger = house.guard._room.ledger
    order = Digest(str(ledger.setting("policy-order")))
    ledger.let_go(order)
    house.restart()
    house.store.erase(order)
    assert house.restart().status().policy == house.first
