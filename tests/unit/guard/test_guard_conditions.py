"""What must be so before the act, each broken alone: with the real policy, and facts that the guard gathers itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from guard_cases import TOOLS, LawfulHouse, one_step, told, warrant

from greenroom.domain import vocabulary
from greenroom.domain.verdict import Held, Passed
from greenroom.testing.papers import LAYERS, SUBJECT, PaperHouse, Papers, constitution, papers, promoted


@pytest.fixture
def lawful(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PaperHouse]:
    for layer in vocabulary.LAYERS:
        monkeypatch.setitem(LAYERS, layer, True)
    made = LawfulHouse(tmp_path, tools=TOOLS)
    yield made
    made.guard.close()


def _system(house: PaperHouse) -> Papers:
    """A good change whose one step is of tier 2."""
    return one_step(house, TOOLS["config_update_t2"], file="system/a.json", key="theme", value="dark")


def test_guard_all_conditions_hold(lawful: PaperHouse) -> None:
    """The same papers with nothing broken give a warrant, for a step of each tier."""
    assert isinstance(warrant(lawful, papers(lawful)), str)
    assert isinstance(warrant(lawful, _system(lawful)), str)


def test_guard_health_live_is_what_the_ledger_says(lawful: PaperHouse) -> None:
    """A pointer that moved outside the gate holds everything: base is then not what was promoted or taken in."""
    made = papers(lawful)
    made.approve()
    ledger = lawful.guard._room.ledger
    ledger.move(ledger.intend(SUBJECT, None, None, made.green, made.plan_digest, lawful.clock.now()), "kept")
    told(lawful.guard.warrant(made.dossier()), "live-differs")


def test_guard_health_the_last_promotion_is_good(lawful: PaperHouse) -> None:
    """While the last promotion is watched nothing else goes live; once it is good, the next may."""
    first, _ = promoted(lawful)
    second = papers(lawful, first.green, name="change-2", text=b"other words\n")
    told(warrant(lawful, second), "change-baking")
    assert isinstance(lawful.guard.mark_good(first.change, first.live_runs()), Passed)
    assert isinstance(lawful.guard.warrant(second.dossier()), str)


def test_guard_health_nothing_is_half_done(lawful: PaperHouse) -> None:
    """A swap of the subject of which only the intent is known is settled first."""
    made = papers(lawful)
    made.approve()
    lawful.guard._room.ledger.intend(SUBJECT, made.change, made.base, made.green, made.plan_digest, lawful.clock.now())
    told(lawful.guard.warrant(made.dossier()), "swap-unsettled")


@pytest.mark.parametrize("late", [False, True])
def test_guard_health_the_log_takes_entries(lawful: PaperHouse, late: bool) -> None:
    """Without a log that can be written there is no warrant, and a warrant from before is not spent."""
    made = papers(lawful)
    made.approve()
    first = lawful.guard.warrant(made.dossier())
    lawful.log_writable = False
    told(lawful.guard.promote(first) if late else lawful.guard.warrant(made.dossier()), "log-unwritable")
    assert lawful.guard.live(SUBJECT) == made.base
    lawful.log_writable = True
    assert isinstance(lawful.guard.promote(first), Passed)


def test_guard_disk_headroom(lawful: PaperHouse) -> None:
    """Where the guard's own disk is fuller than the constitution allows, the change waits."""
    rules = constitution()
    sandbox = dataclasses.replace(rules.sandbox, min_disk_free_bytes=1 << 50)
    lawful.use(dataclasses.replace(rules, sandbox=sandbox))
    told(warrant(lawful, papers(lawful)), "disk-low")


REHEARSALS: dict[str, Callable[[Papers], Any]] = {
    "only applied": lambda m: (m.step_run("application"),),
    "applied twice": lambda m: (m.step_run("application"), m.step_run("application")),
    "written in the rehearsal": lambda m: (
        m.step_run("rehearsal", request={"args": {"patch": m.patch}, "dry_run": False}),
        m.step_run("application"),
    ),
    "rehearsed without a result": lambda m: (m.step_run("rehearsal", result=None), m.step_run("application")),
    "rehearsed with other arguments": lambda m: (
        m.step_run("rehearsal", request={"args": {"patch": m.plan_digest}, "dry_run": True}),
        m.step_run("application"),
    ),
    "rehearsed on another tree": lambda m: (
        m.step_run("rehearsal", mounted={"work": m.green}),
        m.step_run("application"),
    ),
}


@pytest.mark.parametrize("name", REHEARSALS)
def test_guard_wants_a_rehearsal_with_something_to_show(lawful: PaperHouse, name: str) -> None:
    """Each step was rehearsed on the draft, with the plan's arguments, and left a result; then it was applied."""
    made = papers(lawful)
    made.approve()
    made.seals = (made.seals[0], made.seal(steps=REHEARSALS[name](made)))
    told(lawful.guard.warrant(made.dossier()), "seal-steps")


SNAPSHOTS: dict[str, Callable[[Papers], dict[str, Any]]] = {
    "a seal that names none": lambda m: {"snapshots": {}},
    "a snapshot of another step": lambda m: {"snapshots": {"other": m.base}},
    "another tree than the step ran on": lambda m: {"snapshots": {"apply": m.green}},
}


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_guard_wants_a_snapshot_before_a_step_of_the_system(lawful: PaperHouse, name: str) -> None:
    """A step of tier 2 without a proven snapshot of Green before it, in every build, gives no warrant."""
    made = _system(lawful)
    made.seals = (made.seals[0], made.seal(**SNAPSHOTS[name](made)))
    told(warrant(lawful, made), "snapshot-missing")


def test_guard_wants_no_snapshot_below_that_tier(lawful: PaperHouse) -> None:
    """A step of tier 1 writes Green's workspace only, and base is kept anyway."""
    made = papers(lawful)
    made.seals = (made.seals[0], made.seal(snapshots={}))
    assert isinstance(warrant(lawful, made), str)


@pytest.mark.parametrize("ended", [{"ended_by": "memory", "exit": 137}, {"ended_by": "signal", "exit": 159}])
def test_guard_sees_a_violation(lawful: PaperHouse, ended: dict[str, Any]) -> None:
    """A run that a limit or the system call filter ended holds the change, and the run is named."""
    made = papers(lawful)
    made.receipts["own"] = made.test_run("own", check="own-tests", **ended)
    answer = warrant(lawful, made)
    told(answer, "violation-seen")
    assert "own-tests/own" in answer.where


def test_guard_marks_good_what_its_constitution_asks(lawful: PaperHouse) -> None:
    """The postconditions of the kind are the constitution's: with a probe among them, passing tests are not enough."""
    made, _ = promoted(lawful)
    rules = constitution()
    probed = dict.fromkeys(rules.postconditions, ("live-tests", "probe"))
    lawful.use(dataclasses.replace(rules, postconditions=probed))
    told(lawful.guard.mark_good(made.change, made.live_runs()), "probe-short")
    lawful.use(rules)
    assert isinstance(lawful.guard.mark_good(made.change, made.live_runs()), Passed)


def test_guard_watch_sees_a_violation(lawful: PaperHouse) -> None:
    """A run on what is live that a wall ended does not mark it good."""
    made, warrant = promoted(lawful)
    base, _ = made.live_runs()
    ended = made.test_run("base-on-green", check="live-tests", ended_by="memory", exit=137, occasion=warrant)
    assert isinstance(lawful.guard.mark_good(made.change, (base, ended)), Held)
    assert "live.marked-good" not in lawful.names()
