"""Stop dominates, survives, and only the owner's key lifts it. Time never goes back. Money is counted."""

from __future__ import annotations

import dataclasses
import os
import stat

import pytest

from greenroom.domain import documents
from greenroom.domain.digest import digest_of
from greenroom.domain.errors import Tampered, Unusable
from greenroom.domain.events import Event
from greenroom.domain.plan import Caps
from greenroom.domain.proof import Predicate
from greenroom.domain.verdict import Held, Instant, Passed, Refused
from greenroom.domain.vocabulary import ChangeId, Mode
from greenroom.guard.journal import tidy
from greenroom.guard.papers import ConstitutionOrder, Lift, ModeOrder
from greenroom.testing.papers import SECOND, SUBJECT, PaperHouse, papers, promoted

CAPS = Caps(
    cpu_s=1, cpu_millicores=1, wall_s=1, memory_bytes=1, disk_bytes=1, processes=1, output_bytes=1, spend_micro=60
)


def _rule(answer: object) -> str:
    return answer.rule if isinstance(answer, Refused | Held) else f"passed: {answer}"


def test_guard_stop_holds_everything_but_revert(house: PaperHouse) -> None:
    """Under stop there is no warrant, no swap, no adoption, no mark and no money; a revert still works."""
    made, _ = promoted(house)
    house.guard.stop("ada")
    assert _rule(house.guard.mark_good(made.change, made.live_runs())) == "stopped"
    assert _rule(house.guard.reserve(ChangeId("c"), SUBJECT, CAPS)) == "stopped"
    assert isinstance(house.guard.revert(SUBJECT, made.change, "ada"), Passed)
    assert house.guard.live(SUBJECT) == made.base
    other = papers(house, name="change-2", text=b"other\n")
    other.approve()
    assert _rule(house.guard.warrant(other.dossier())) == "stopped"
    house.clock.advance(1)
    assert _rule(house.guard.adopt(house.imported(house.tree({"b": b"1"})))) == "stopped"


def test_guard_stop_holds_a_warrant_that_was_given(house: PaperHouse) -> None:
    """A warrant from before the stop promotes nothing until the lift, and then what it says."""
    made = papers(house)
    made.approve()
    warrant = house.guard.warrant(made.dossier())
    assert isinstance(warrant, str)
    house.guard.stop("ada")
    assert _rule(house.guard.promote(warrant)) == "stopped"
    assert house.guard.live(SUBJECT) == made.base
    assert isinstance(house.order(Lift, stop=house.guard.stop_id()), Passed)
    assert isinstance(house.guard.promote(warrant), Passed)


def test_guard_stop_at_the_last_moment_holds_the_swap(house: PaperHouse) -> None:
    """A stop that comes when everything is staged still keeps the pointer where it is."""
    made = papers(house)
    made.approve()
    warrant = house.guard.warrant(made.dossier())
    stage = house.release.stage

    def stage_then_stop(*args: object) -> str:
        staged: str = stage(*args)
        house.guard.stop("ada")
        return staged

    house.release.stage = stage_then_stop
    assert isinstance(warrant, str)
    assert _rule(house.guard.promote(warrant)) == "stopped"
    assert house.guard.live(SUBJECT) == made.base


def test_guard_stop_survives_restarts(house: PaperHouse) -> None:
    """A restarted guard is still stopped, and says by whom."""
    house.guard.stop("ada")
    status = house.restart().status()
    assert status.stopped
    assert status.stopped_by == "ada"
    assert house.names().count("stop.set") == 1


def test_guard_stop_file_of_anybody_counts(house: PaperHouse) -> None:
    """A stop file that another process wrote, whatever is in it, stops the box; its entry is logged at start."""
    (house.directory / "stop").write_bytes(b"\xff not json")
    assert house.guard.status().stopped
    assert house.guard.status().stopped_by == "unknown"
    house.restart()
    assert house.names()[-1] == "stop.set"
    assert isinstance(house.order(Lift, stop=house.guard.stop_id()), Passed)
    assert not house.guard.status().stopped


def test_guard_stop_file_is_private_to_nobody_else(house: PaperHouse) -> None:
    """The stop file is on the disk when stop returns, and no draft of it is left."""
    house.guard.stop("ada")
    assert [name for name in os.listdir(house.directory) if "stop" in name] == ["stop"]
    assert stat.S_ISREG((house.directory / "stop").stat().st_mode)


def test_guard_stop_holds_when_the_log_cannot_be_written(house: PaperHouse) -> None:
    """The stop comes first; a log that fails does not undo it."""

    def broken(event: Event) -> int:
        raise Unusable("log-unwritable", f"no space for {event.name}")

    house.log.append = broken  # type: ignore[method-assign]
    with pytest.raises(Unusable, match="log-unwritable"):
        house.guard.stop("ada")
    assert house.guard.status().stopped


def test_guard_lift_needs_the_owner_and_this_stop(house: PaperHouse) -> None:
    """A lift by another key, of another stop, expired, or signed before a second stop lifts nothing."""
    house.guard.stop("ada")
    first = house.guard.stop_id()
    early = house.paper(Lift, stop=first)
    for lift, owner, rule in (
        (early, house.stranger["owner"], "statement-forged"),
        (house.paper(Lift, stop=digest_of("text", b"?")), None, "lift-names-another-stop"),
        (house.paper(Lift, stop=first, expires=Instant(1)), None, "lift-expired"),
    ):
        assert _rule(house.hand_in(lift, owner)) == rule
    house.guard.stop("eve")
    assert _rule(house.hand_in(early)) == "lift-names-another-stop"
    assert house.guard.status().stopped
    assert isinstance(house.order(Lift, stop=house.guard.stop_id()), Passed)
    assert isinstance(house.order(Lift, stop=first), Passed)
    assert not house.guard.status().stopped


def test_guard_mode_is_the_owners(house: PaperHouse) -> None:
    """Only a fresh order with the owner's signature sets the mode; a replay does nothing."""
    order = house.paper(ModeOrder, mode=Mode.SUPERVISED)
    assert _rule(house.hand_in(order, house.stranger["owner"])) == "statement-forged"
    assert isinstance(house.hand_in(order), Passed)
    assert house.guard.status().mode is Mode.SUPERVISED
    assert _rule(house.hand_in(order)) == "order-spent"
    assert _rule(house.order(ModeOrder, mode=Mode.AUTONOMOUS, expires=Instant(1))) == "order-expired"
    late = Instant(house.clock.now() + 7200 * SECOND)
    assert _rule(house.order(ModeOrder, mode=Mode.AUTONOMOUS, expires=late)) == "order-too-long"
    assert _rule(house.order(ModeOrder, mode=Mode.AUTONOMOUS, nonce="-" * 20)) == "order-malformed"
    assert house.restart().status().mode is Mode.SUPERVISED


def test_guard_mode_of_a_change_can_only_lower(house: PaperHouse) -> None:
    """A change that asks for less than the owner set is judged by what it asks for, never by more."""
    house.order(ModeOrder, mode=Mode.SUPERVISED)
    house.use(level=0)
    made = papers(house)
    assert _rule(house.guard.warrant(made.dossier(mode=Mode.PROPOSE))) == "needs-approval"
    assert isinstance(house.guard.warrant(made.dossier(mode=Mode.AUTONOMOUS)), str)


def test_guard_standing_and_two_verifies_need_a_person_here(house: PaperHouse) -> None:
    """Where a standing opt-in or a second verify would do, this guard has neither and waits for a person."""
    house.order(ModeOrder, mode=Mode.AUTONOMOUS)
    for level in (1, 2, 3):
        house.use(level=level)
        answer = house.guard.warrant(papers(house).dossier(mode=Mode.AUTONOMOUS))
        assert _rule(answer) == "needs-approval"


def test_guard_constitution_is_the_owners(house: PaperHouse) -> None:
    """A constitution by another key, over another predecessor, replayed, or unreadable is not put in force."""
    other = house.policy(b"other")
    order = house.paper(ConstitutionOrder, policy=other, previous=house.first)
    assert _rule(house.hand_in(order, house.stranger["owner"])) == "statement-forged"
    moved = house.paper(ConstitutionOrder, policy=other, previous=None)
    assert _rule(house.hand_in(moved)) == "constitution-moved"
    lying = digest_of("policy", b"lying")
    house.policies[lying] = house.policies[other]
    assert _rule(house.order(ConstitutionOrder, policy=lying, previous=house.first)) == "policy-differs"
    assert isinstance(house.hand_in(order), Passed)
    assert _rule(house.hand_in(order)) == "order-spent"
    assert house.guard.status().policy == other
    assert house.names().count("constitution.changed") == 1


def test_guard_starts_on_nothing_but_the_signed_constitution(house: PaperHouse) -> None:
    """A policy that somebody wrote into the guard's database is found at the start."""
    house.guard._room.ledger.set("policy", house.policy(b"planted"))
    with pytest.raises(Tampered, match="policy-differs"):
        house.restart()


def test_guard_without_a_constitution_says_so(tmp_path: object) -> None:
    """Before the first constitution nothing is decided."""
    bare = PaperHouse(tmp_path, adopted=False)  # type: ignore[arg-type]
    with pytest.raises(Unusable, match="no-constitution"):
        bare.guard.status()
    bare.guard.close()


def test_guard_refuses_a_clock_that_was_set_back(house: PaperHouse) -> None:
    """Nothing is warranted, adopted or relayed at a time before the last entry; stop and revert still work."""
    made, _ = promoted(house)
    house.clock.advance(-60)
    other = papers(house, name="change-2")
    assert _rule(house.guard.warrant(dataclasses.replace(other.dossier(), base=made.green))) == "clock-set-back"
    with pytest.raises(Unusable, match="clock-set-back"):
        house.guard.append(Event(key="k", at=Instant(1), actor="executor", name="plan.intent"))
    assert isinstance(house.guard.revert(SUBJECT, made.change, "ada"), Passed)
    house.guard.stop("ada")
    times = [event.at for event in house.log.events()]
    assert times == sorted(times)


def test_guard_knows_the_last_time_after_a_restart(house: PaperHouse) -> None:
    """The last entry's time is read from the log, so a restart does not forget it."""
    house.clock.advance(-60)
    house.restart()
    assert _rule(house.guard.warrant(papers(house).dossier())) == "clock-set-back"


def test_guard_rides_out_a_nudged_clock(house: PaperHouse) -> None:
    """A clock that is corrected by a second is not one that was set back."""
    house.clock.advance(-1)
    assert house.guard.append(Event(key="k", at=Instant(1), actor="executor", name="plan.intent")) >= 0


@pytest.mark.parametrize(
    ("word", "shown"), [("ada", "ada"), ("owner", "caller owner"), ("a\x1b[2Jb", "a[2Jb"), ("\n", "caller ")]
)
def test_guard_tidies_actors(word: str, shown: str) -> None:
    """A caller's name in the log is printable and never that of a process of the box."""
    assert tidy(word) == shown


def test_guard_undo_is_signed_and_linked(house: PaperHouse) -> None:
    """The undo record is signed before the act and named by warrant and log entry."""
    made, _ = promoted(house)
    undo = next(e.digests["undo"] for e in house.log.events() if e.name == "live.promoted")
    opened = house.owner.open(house.store.get(undo), Predicate.UNDO, "guard")
    assert opened.about == made.base
    assert documents.load_json(opened.body)["live"] == made.base
