"""Apply windows in the guard: nothing goes live by an opt-in before its whole window was there to cancel it in."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from greenroom.domain import documents
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unusable
from greenroom.domain.outcomes import DiffClass, FileDiff
from greenroom.domain.proof import Predicate, Warrant
from greenroom.domain.standing import APPLY_WINDOW
from greenroom.domain.verdict import Held, Instant, Passed, Refused
from greenroom.domain.vocabulary import Agree, ChangeId, ConsentLevel, Mode
from greenroom.guard import uptime
from greenroom.guard.papers import Lift, ModeOrder, OptInOrder, OptOutOrder
from greenroom.testing.clock import ManualMachine
from greenroom.testing.papers import SECOND, Killed, PaperHouse, Papers, constitution, papers

pytestmark = pytest.mark.slow

LENGTH = 600


@pytest.fixture
def box(house: PaperHouse) -> PaperHouse:
    """A box in mode supervised with an opt-in to codespell, and windows of ten minutes."""
    house.use(dataclasses.replace(constitution(), apply_window_seconds=LENGTH))
    house.order(ModeOrder, mode=Mode.SUPERVISED)
    opt_in(house)
    return house


def opt_in(house: PaperHouse, rule: str = "codespell", **members: Any) -> Digest:
    """The owner opts in."""
    paper = house.order(OptInOrder, **({"rule": rule, "repository": "", "until": None} | members))
    return Digest(paper.produced["opt-in"])


def typo(house: PaperHouse, rule: str | None = "codespell", **how: Any) -> Papers:
    """A change of words that the keeper made again by `rule`."""
    made = papers(house, **how)
    file = FileDiff(path="README", line_class="docs", added=1, removed=1, why="prose")
    result = DiffClass(files=(file,), reproduced_by=rule)
    request = {"args": {"reproduce": rule} if rule else {}}
    made.receipts["classify"] = made.diff_run("classify", "classify_diff_t0", result, request=request)
    return made


def ask(house: PaperHouse, made: Papers, mode: Mode = Mode.SUPERVISED) -> Any:
    """Hand the papers in."""
    return house.guard.warrant(made.dossier(mode=mode))


def waits(answer: Any, house: PaperHouse, seconds: float) -> None:
    """It is in its window for so long."""
    assert isinstance(answer, Held)
    assert (answer.rule, answer.ask_again) == (APPLY_WINDOW, house.clock.now() + round(seconds * SECOND))


def needs_a_person(answer: Any) -> None:
    """Held for a person, who is told the command."""
    assert isinstance(answer, Held), answer
    assert (answer.rule, answer.remedy) == ("needs-approval", "greenroom approve change-1")


def test_guard_applies_what_was_opted_in_to_after_its_window(box: PaperHouse) -> None:
    """Held as in its window, the same answer until it ends; then the warrant names the opt-in, and it goes live."""
    made = typo(box)
    waits(ask(box, made), box, LENGTH)
    (window,) = box.guard.status().windows
    assert (window.change, window.green, window.ends) == (made.change, made.green, box.clock.now() + LENGTH * SECOND)
    box.clock.advance(LENGTH - 1)
    waits(ask(box, made), box, 1)
    assert box.names().count("window.opened") == 1
    box.clock.advance(1)
    digest = ask(box, made)
    body = box.owner.open(box.store.get(digest), Predicate.WARRANT, "guard").body
    paper = documents.decode(Warrant, body)
    assert (paper.consents, paper.opt_in, paper.mode) == ((), window.opt_in, Mode.SUPERVISED)
    assert isinstance(box.guard.promote(digest), Passed)
    assert box.guard.live(made.plan.subject) == made.green
    assert box.names()[-3:] == ["live.promoting", "live.promoted", "window.applied"]
    promoted = box.log.events()[-2]
    assert (promoted.actor, promoted.digests["opt-in"]) == ("guard", window.opt_in)
    assert box.guard.status().windows == ()


@pytest.mark.parametrize("rule", ["ruff:F401", "codespell:X", "", None])
def test_guard_wants_the_rule_that_the_keeper_made_it_again_by(box: PaperHouse, rule: str | None) -> None:
    """Another rule than the one opted in to, or none: what the executor calls the finding is never asked."""
    needs_a_person(ask(box, typo(box, rule)))
    assert "window.opened" not in box.names()


def test_guard_wants_level_one(box: PaperHouse) -> None:
    """An opt-in lets no logic through, whatever made it."""
    made = typo(box)
    box.use(dataclasses.replace(constitution(), apply_window_seconds=LENGTH), level=ConsentLevel.REVIEW)
    needs_a_person(ask(box, made))


def test_guard_never_goes_above_the_modes(box: PaperHouse) -> None:
    """What a change asks for only lowers; what the owner set is the most."""
    made = typo(box)
    needs_a_person(ask(box, made, Mode.PROPOSE))
    box.order(ModeOrder, mode=Mode.PROPOSE)
    needs_a_person(ask(box, made))


def test_guard_opt_ins_of_another_place_or_time_let_nothing_through(house: PaperHouse) -> None:
    """One of another repository, one that has ended, one that was taken back."""
    house.order(ModeOrder, mode=Mode.SUPERVISED)
    opt_in(house, repository="/home/ada/other")
    opt_in(house, until=Instant(house.clock.now() + SECOND))
    house.order(OptOutOrder, opt_in=opt_in(house))
    house.clock.advance(1)
    needs_a_person(ask(house, typo(house)))


@pytest.mark.parametrize("how", ["expires", "removed", "mode"])
def test_guard_looks_again_when_the_window_is_over(house: PaperHouse, how: str) -> None:
    """Consent that ended meanwhile applies nothing, neither at the warrant nor at the swap."""
    house.use(dataclasses.replace(constitution(), apply_window_seconds=60))
    house.order(ModeOrder, mode=Mode.SUPERVISED)
    given = opt_in(house, until=Instant(house.clock.now() + 120 * SECOND))
    made = typo(house)
    waits(ask(house, made), house, 60)
    house.clock.advance(60)
    warrant = ask(house, made)
    assert isinstance(warrant, str)
    if how == "expires":
        house.clock.advance(60)
    elif how == "removed":
        house.order(OptOutOrder, opt_in=given)
    else:
        house.order(ModeOrder, mode=Mode.PROPOSE)
    needs_a_person(house.guard.promote(Digest(warrant)))
    needs_a_person(ask(house, made))
    assert house.guard.live(made.plan.subject) == made.base


def test_guard_cancelled_is_never_applied(box: PaperHouse) -> None:
    """Not after the window, not with a warrant from before, not under another name, not after a restart."""
    made = typo(box)
    ask(box, made)
    box.clock.advance(LENGTH)
    warrant = ask(box, made)
    assert isinstance(box.guard.cancel_window(made.change, "person:eve"), Passed)
    assert isinstance(box.guard.cancel_window(made.change, "person:eve"), Passed)
    cancelled = [event for event in box.log.events() if event.name == "window.cancelled"]
    assert [(event.change, event.actor) for event in cancelled] == [(made.change, "person:eve")]
    needs_a_person(box.guard.promote(warrant))
    needs_a_person(ask(box, made))
    assert box.guard.status().windows == ()
    box.restart()
    other = box.guard.warrant(made.dossier(change=ChangeId("change-2"), mode=Mode.SUPERVISED))
    assert isinstance(other, Held)
    assert other.where.startswith("its apply window was cancelled")
    assert box.guard.live(made.plan.subject) == made.base


def test_guard_a_person_may_approve_what_waits_or_was_cancelled(box: PaperHouse) -> None:
    """A yes to exactly this change needs no window."""
    made = typo(box)
    ask(box, made)
    box.guard.cancel_window(made.change, "person:eve")
    made.card = box.store.put("card", documents.encode(made.make_card(agree=Agree.STANDING)))
    made.consents = (Digest(box.hand_in(made.consent())),)
    warrant = ask(box, made)
    assert isinstance(warrant, str), warrant
    assert isinstance(box.guard.promote(Digest(warrant)), Passed)
    assert "window.applied" not in box.names()


def test_guard_cancels_only_what_waits(box: PaperHouse) -> None:
    """A change without a window, and one that is live."""
    made = typo(box)
    assert box.guard.cancel_window(made.change, "ada").rule == "no-window"  # type: ignore[union-attr]
    ask(box, made)
    box.clock.advance(LENGTH)
    box.guard.promote(ask(box, made))
    answer = box.guard.cancel_window(made.change, "ada")
    assert isinstance(answer, Refused)
    assert answer.rule == "no-window"


@pytest.mark.parametrize("how", ["off", "suspended", "stopped"])
def test_guard_begins_afresh_where_nobody_could_look(box: PaperHouse, how: str) -> None:
    """The machine was off or suspended, or the box was stopped: the whole window once more, and the log says so."""
    made = typo(box)
    ask(box, made)
    box.clock.advance(LENGTH - 1)
    if how == "off":
        box.machine.off(30)
        box.restart()
    elif how == "suspended":
        box.machine.sleep(30)
    else:
        box.guard.stop("eve")
        box.clock.advance(30)
        assert ask(box, made).rule == "stopped"
        box.order(Lift, stop=box.guard.stop_id())
    waits(ask(box, made), box, LENGTH)
    opened = [event.about for event in box.log.events() if event.name == "window.opened"]
    assert opened == ["", "afresh"]
    box.clock.advance(LENGTH)
    assert isinstance(ask(box, made), str)


def test_guard_processes_may_leave_meanwhile(box: PaperHouse) -> None:
    """An idle guard that left and came back takes nothing from the window: the machine was on."""
    made = typo(box)
    ask(box, made)
    for _ in range(2):
        box.clock.advance(LENGTH / 2)
        box.restart()
    assert isinstance(ask(box, made), str)


def test_guard_window_is_not_shortened_by_a_clock_that_is_set_on(box: PaperHouse) -> None:
    """Both the box's time and a clock that nobody sets must say that it is over."""
    made = typo(box)
    ask(box, made)
    box.machine.set_clock(LENGTH * 5)
    waits(ask(box, made), box, LENGTH)
    box.clock.advance(LENGTH)
    assert isinstance(ask(box, made), str)


@pytest.mark.parametrize("what", ["change", "plan", "opt-in"])
def test_guard_window_is_of_exactly_this(box: PaperHouse, what: str) -> None:
    """Another name, another plan of the same Green, another opt-in: a window of its own."""
    made = typo(box)
    ask(box, made)
    box.clock.advance(LENGTH)
    if what == "opt-in":
        box.order(OptOutOrder, opt_in=box.guard.status().opt_ins[0].id)
        opt_in(box)
    if what == "plan":
        made.plan = dataclasses.replace(made.plan, intent="Mend it")
        made.plan_digest = box.store.put("plan", documents.encode(made.plan))
        made.seals = (made.seal(), made.seal())
    name = ChangeId("change-2" if what == "change" else "change-1")
    waits(box.guard.warrant(made.dossier(change=name, mode=Mode.SUPERVISED)), box, LENGTH)


def test_guard_windows_of_an_earlier_live_state_are_over(box: PaperHouse) -> None:
    """When another change goes live, what waited on the base before is told no more, and begins afresh on it."""
    first, second = typo(box), typo(box, name="change-2", text=b"other words\n")
    ask(box, first)
    ask(box, second)
    assert len(box.guard.status().windows) == 2
    box.clock.advance(LENGTH)
    warrant = ask(box, first)
    box.guard.promote(warrant)
    assert box.guard.status().windows == ()
    assert ask(box, second).rule == "base-moved"
    assert isinstance(box.guard.mark_good(first.change, first.live_runs()), Passed)
    third = typo(box, base=first.green, name="change-3", text=b"third words\n")
    waits(ask(box, third), box, LENGTH)
    assert [each.change for each in box.guard.status().windows] == ["change-3"]


def test_guard_counts_what_it_applies_against_the_day(box: PaperHouse) -> None:
    """The caps hold for what nobody was asked about."""
    box.use(dataclasses.replace(constitution(changes=0), apply_window_seconds=LENGTH))
    made = typo(box)
    ask(box, made)
    box.clock.advance(LENGTH)
    assert ask(box, made).rule == "day-cap-changes"


def test_guard_test_command_needs_a_person(box: PaperHouse) -> None:
    """Words that a test command came from are agreed to by who saw them."""
    made = typo(box)
    for name, role, check in (
        ("base", "base", "tests"),
        ("green", "base-on-green", "tests"),
        ("own", "own", "own-tests"),
    ):
        over = ["base", "work"] if role == "base-on-green" else None
        request = {"args": {"argv": "python -m pytest"}, "overlay": over}
        made.receipts[name] = made.test_run(role, check=check, request=request)
    answer = ask(box, made)
    assert (answer.rule, answer.where) == ("needs-approval", "a person must agree")


@pytest.mark.parametrize("point", ["window.logged", "window.opened"])
def test_guard_killed_as_a_window_opens(box: PaperHouse, point: str) -> None:
    """After a restart it waits its whole length from then on, or from the moment that was logged."""
    made = typo(box)
    box.crash_at = point
    with pytest.raises(Killed):
        ask(box, made)
    box.restart()
    waits(ask(box, made), box, LENGTH)
    box.clock.advance(LENGTH - 1)
    assert isinstance(ask(box, made), Held)


@pytest.mark.parametrize("point", ["window.cancelled", "window.cancel-logged"])
def test_guard_killed_as_a_window_is_cancelled(box: PaperHouse, point: str) -> None:
    """What was cancelled stays so, and the log says it once."""
    made = typo(box)
    ask(box, made)
    box.crash_at = point
    with pytest.raises(Killed):
        box.guard.cancel_window(made.change, "person:eve")
    box.restart()
    box.clock.advance(LENGTH)
    needs_a_person(ask(box, made))
    assert box.names().count("window.cancelled") == 1
    assert box.log.events()[-1].actor == "person:eve"


@pytest.mark.parametrize("point", ["promote.swapped", "promote.logged", "promote.finished"])
def test_guard_killed_as_it_applies(box: PaperHouse, point: str) -> None:
    """Applied once, by one warrant, and told once."""
    made = typo(box)
    ask(box, made)
    box.clock.advance(LENGTH)
    warrant = ask(box, made)
    box.crash_at = point
    with pytest.raises(Killed):
        box.guard.promote(warrant)
    box.restart()
    assert isinstance(box.guard.promote(warrant), Passed)
    assert box.guard.live(made.plan.subject) == made.green
    assert (box.names().count("live.promoted"), box.names().count("window.applied")) == (1, 1)


def test_uptime_of_this_machine() -> None:
    """The kernel's word: the same start, time that goes on, and no sleep between two readings."""
    first, second = uptime.read(), uptime.read()
    assert first.boot == second.boot != ""
    assert first.awake_ns <= second.awake_ns
    assert second.on_since(first)


def test_uptime_that_cannot_be_told_lets_nothing_through(box: PaperHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel does not say whether it was off, a person is needed."""
    monkeypatch.setattr(uptime, "_BOOT_ID", box.directory / "none")
    with pytest.raises(Unusable, match="no-boot-id"):
        uptime.read()
    monkeypatch.setattr(ManualMachine, "__call__", lambda self: uptime.read())
    needs_a_person(ask(box, typo(box)))
