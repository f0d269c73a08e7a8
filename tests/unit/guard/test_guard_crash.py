"""The guard killed at each named point: the old live or the new live, the log tells which, no effect twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import pytest

from greenroom.domain.digest import Digest
from greenroom.domain.verdict import Passed
from greenroom.domain.vocabulary import Mode
from greenroom.guard.papers import CommandOrder, ConstitutionOrder, Lift, ModeOrder
from greenroom.guard.stop import StopSwitch
from greenroom.testing.papers import SUBJECT, Killed, PaperHouse, papers, promoted

pytestmark = pytest.mark.slow

PROMOTE_OLD = ("promote.noted", "promote.intended", "promote.staged")
PROMOTE_NEW = ("promote.swapped", "promote.logged", "promote.finished")
REVERT_OLD = ("revert.marked", "revert.intended", "revert.staged")
REVERT_NEW = ("revert.swapped", "revert.logged", "revert.finished")
PAPERS = ("consent.stored", "consent.logged", "warrant.signed", "warrant.issued")
ADOPT_OLD = ("adopt.intended",)
ADOPT_NEW = ("adopt.begun", "adopt.logged", "adopt.finished")
WATCH = ("watch.logged", "watch.finished")
MODE = ("mode.taken", "mode.logged", "mode.in-force")
CONSTITUTION = ("constitution.taken", "constitution.logged", "constitution.in-force")
STOP = ("stop.pulled", "stop.logged")
LIFT = ("lift.logged", "lift.released")
ORDERS = (*MODE, *CONSTITUTION, *STOP, *LIFT)


@pytest.mark.parametrize("point", [*PROMOTE_OLD, *PROMOTE_NEW])
def test_guard_killed_in_promote(house: PaperHouse, point: str) -> None:
    """After a restart the change is live and known, or not live and forgotten; asking again carries on."""
    made = papers(house)
    made.approve()
    warrant = house.guard.warrant(made.dossier())
    assert isinstance(warrant, str)
    house.crash_at = point
    with pytest.raises(Killed):
        house.guard.promote(warrant)
    guard = house.restart()
    swapped = point in PROMOTE_NEW
    assert guard.live(SUBJECT) == (made.green if swapped else made.base)
    again = guard.warrant(made.dossier())
    assert (again == warrant) is swapped
    assert isinstance(again, str)
    assert isinstance(guard.promote(again), Passed)
    assert house.names().count("live.promoted") == 1
    assert guard._room.ledger.totals(SUBJECT, house.clock.now()).changes == 1
    assert isinstance(guard.mark_good(made.change, made.live_runs()), Passed)


@pytest.mark.parametrize("point", [*REVERT_OLD, *REVERT_NEW])
@pytest.mark.parametrize("kept", [False, True])
def test_guard_killed_in_revert(house: PaperHouse, point: str, kept: bool) -> None:
    """After a restart the change is taken back, or stands as it stood; asking again takes it back once."""
    made, _ = promoted(house)
    if kept:
        house.guard.mark_good(made.change, made.live_runs())
    house.crash_at = point
    with pytest.raises(Killed):
        house.guard.revert(SUBJECT, made.change, "ada")
    guard = house.restart()
    swapped = point in REVERT_NEW
    assert guard.live(SUBJECT) == (made.base if swapped else made.green)
    if not swapped:
        state = guard._room.ledger.standing(SUBJECT)[-1].state
        assert state == ("kept" if kept else "baking")
    assert isinstance(guard.revert(SUBJECT, made.change, "ada"), Passed)
    assert guard.live(SUBJECT) == made.base
    assert house.names().count("live.reverted") == 1


@pytest.mark.parametrize("point", [*ADOPT_OLD, *ADOPT_NEW])
def test_guard_killed_in_adopt(house: PaperHouse, point: str) -> None:
    """After a restart the commit is taken in, or it is not; taking it in again does it once."""
    house.clock.advance(1)
    tree = house.tree({"b": b"1"})
    imported = house.imported(tree)
    house.crash_at = point
    with pytest.raises(Killed):
        house.guard.adopt(imported)
    guard = house.restart()
    assert guard.live(SUBJECT) == (tree if point in ADOPT_NEW else house.base)
    assert guard.adopt(imported) == tree
    assert house.names().count("live.adopted") == 2
    assert guard._room.ledger.standing(SUBJECT)[-1].state == "kept"


@pytest.mark.parametrize("point", WATCH)
def test_guard_killed_in_watch(house: PaperHouse, point: str) -> None:
    """After a restart the change is marked good, or waits to be; marking it again does it once."""
    made, _ = promoted(house)
    house.crash_at = point
    with pytest.raises(Killed):
        house.guard.mark_good(made.change, made.live_runs())
    guard = house.restart()
    assert guard.live(SUBJECT) == made.green
    assert isinstance(guard.mark_good(made.change, made.live_runs()), Passed)
    assert guard._room.ledger.standing(SUBJECT)[-1].state == "kept"
    assert house.names().count("live.marked-good") == 1


@pytest.mark.parametrize("point", MODE)
def test_guard_killed_in_a_mode_order(house: PaperHouse, point: str) -> None:
    """After a restart an order that was taken is in force, logged once, and spent."""
    order = house.paper(ModeOrder, mode=Mode.AUTONOMOUS)
    house.crash_at = point
    with pytest.raises(Killed):
        house.hand_in(order)
    assert house.restart().status().mode is Mode.AUTONOMOUS
    assert house.names().count("mode.changed") == 1
    assert house.hand_in(order).rule == "order-spent"


@pytest.mark.parametrize("point", ["command.taken", "command.logged", "command.in-force"])
def test_guard_killed_in_a_command_order(house: PaperHouse, point: str) -> None:
    """After a restart a test command that was taken is allowed, logged once, and its order is spent."""
    order = house.paper(CommandOrder, subject=SUBJECT, command="pytest -q")
    house.crash_at = point
    with pytest.raises(Killed):
        house.hand_in(order)
    assert house.restart().command_allowed(SUBJECT, "pytest -q")
    assert house.names().count("command.allowed") == 1
    assert house.hand_in(order).rule == "order-spent"


@pytest.mark.parametrize("point", CONSTITUTION)
def test_guard_killed_in_a_constitution_order(house: PaperHouse, point: str) -> None:
    """After a restart the policy that was taken is in force, logged once; the next order names it."""
    digest = house.policy(b"another")
    order = house.paper(ConstitutionOrder, policy=digest, previous=house.guard.policy())
    house.crash_at = point
    with pytest.raises(Killed):
        house.hand_in(order)
    assert house.restart().policy() == digest
    assert house.names().count("constitution.changed") == 1
    assert house.hand_in(order).rule == "order-spent"
    house.use()
    assert house.names().count("constitution.changed") == 2


@pytest.mark.parametrize("point", ["mode.taken", "mode.logged"])
def test_guard_takes_no_order_before_the_one_that_was_cut(house: PaperHouse, point: str) -> None:
    """Without a restart, too, the log and what is in force have one order of things."""
    house.crash_at = point
    with pytest.raises(Killed):
        house.order(ModeOrder, mode=Mode.AUTONOMOUS)
    assert house.guard.status().mode is Mode.PROPOSE
    house.crash_at = None
    assert isinstance(house.order(ModeOrder, mode=Mode.SUPERVISED), Passed)
    assert house.guard.status().mode is Mode.SUPERVISED
    assert house.names().count("mode.changed") == 2


def test_guard_stops_when_an_order_that_was_cut_is_gone(house: PaperHouse) -> None:
    """What the owner signed can be read nowhere: the guard starts, stopped, with what was in force."""
    house.crash_at = "mode.taken"
    with pytest.raises(Killed):
        house.order(ModeOrder, mode=Mode.AUTONOMOUS)
    pending = house.guard._room.ledger.setting("order-pending") or ""
    house.store.erase(Digest(pending.partition(" ")[2]))
    house.guard._room.ledger.write("DELETE FROM papers")
    status = house.restart().status()
    assert (status.stopped, status.mode) == (True, Mode.PROPOSE)


@pytest.mark.parametrize("point", STOP)
def test_guard_killed_in_a_stop(house: PaperHouse, point: str) -> None:
    """The stop holds after a restart, and the log tells of it once."""
    house.crash_at = point
    with pytest.raises(Killed):
        house.guard.stop("ada")
    assert house.restart().status().stopped
    assert house.names().count("stop.set") == 1


@pytest.mark.parametrize("point", LIFT)
def test_guard_killed_in_a_lift(house: PaperHouse, point: str) -> None:
    """After a restart the box is stopped or not; the same lift ends the stop, and is logged once."""
    house.guard.stop("ada")
    lift = house.paper(Lift, stop=house.guard.stop_id())
    house.crash_at = point
    with pytest.raises(Killed):
        house.hand_in(lift)
    assert house.restart().status().stopped is (point == "lift.logged")
    assert isinstance(house.hand_in(lift), Passed)
    assert not house.guard.status().stopped
    assert house.names().count("stop.lifted") == 1


def test_guard_killed_twice_in_recovery(house: PaperHouse) -> None:
    """A crash while recovering is recovered from as well."""
    made = papers(house)
    made.approve()
    warrant = house.guard.warrant(made.dossier())
    assert isinstance(warrant, str)
    house.crash_at = "promote.swapped"
    with pytest.raises(Killed):
        house.guard.promote(warrant)
    house.guard.close()
    house.crash_at = "promote.logged"
    with pytest.raises(Killed):
        house.start()
    guard = house.restart()
    assert guard.live(SUBJECT) == made.green
    assert house.names().count("live.promoted") == 1


def test_guard_names_every_crash_point(house: PaperHouse) -> None:
    """The points that the tests kill at are the points that there are."""
    made, _ = promoted(house)
    house.guard.mark_good(made.change, made.live_runs())
    house.guard.revert(SUBJECT, made.change, "ada")
    house.order(ModeOrder, mode=Mode.PROPOSE)
    house.guard.stop("ada")
    house.order(Lift, stop=house.guard.stop_id())
    named = {*ORDERS, *PAPERS, *PROMOTE_OLD, *PROMOTE_NEW, *WATCH, *REVERT_OLD, *REVERT_NEW, *ADOPT_OLD, *ADOPT_NEW}
    assert set(house.points) == named


def test_guard_stops_when_live_moved_outside_the_gate(house: PaperHouse) -> None:
    """A pointer that is not where the guard left it stops the box at the next start."""
    promoted(house)
    house.release.begin(SUBJECT, house.tree({"evil": b"1"}), {}, b"x")
    assert house.restart().status().stopped


def test_guard_stops_when_it_cannot_recover(house: PaperHouse) -> None:
    """When the papers of an unsettled swap are gone, the guard's own too, it starts, stopped, and moves nothing."""
    made = papers(house)
    made.approve()
    warrant = house.guard.warrant(made.dossier())
    assert isinstance(warrant, str)
    house.crash_at = "promote.staged"
    with pytest.raises(Killed):
        house.guard.promote(warrant)
    house.store.erase(warrant)
    house.guard._room.ledger.write("DELETE FROM papers")
    assert house.restart().status().stopped
    assert house.guard.live(SUBJECT) == made.base


def test_guard_promotes_once_for_many_callers(house: PaperHouse) -> None:
    """Callers that spend one warrant at the same time get the same answer and one swap."""
    made = papers(house)
    made.approve()
    warrant = house.guard.warrant(made.dossier())
    assert isinstance(warrant, str)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(house.guard.promote, [warrant] * 4))
    assert all(isinstance(answer, Passed) for answer in answers)
    assert house.names().count("live.promoted") == 1


def test_guard_stop_waits_for_a_swap_but_counts_at_once(house: PaperHouse) -> None:
    """A stop during a swap is on the disk before the swap ends, and answered after it."""
    made = papers(house)
    made.approve()
    warrant = house.guard.warrant(made.dossier())
    assert isinstance(warrant, str)
    swap, seen = house.release.swap, []

    def swap_while_stopped(*args: object) -> bool:
        stopping = Thread(target=house.guard.stop, args=("ada",))
        stopping.start()
        while not house.guard.status().stopped:
            stopping.join(0.01)
        seen.append(stopping.is_alive())
        done: bool = swap(*args)
        threads.append(stopping)
        return done

    threads: list[Thread] = []
    house.release.swap = swap_while_stopped
    assert isinstance(house.guard.promote(warrant), Passed)
    threads[0].join()
    assert seen == [True]
    assert house.guard.status().stopped


def test_guard_stop_half_written_is_no_stop_and_no_harm(house: PaperHouse) -> None:
    """A draft of a stop file that a crash left is not a stop; the next stop is one."""
    (house.directory / ".stop.0000").write_bytes(b"{")
    switch = StopSwitch(house.directory / "stop")
    assert not switch.pulled
    house.guard.stop("ada")
    assert switch.pulled
