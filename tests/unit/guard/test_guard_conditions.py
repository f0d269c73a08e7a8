"""What must be so before the act, each broken alone: with the real policy, and facts that the guard gathers itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from greenroom.domain import documents, vocabulary
from greenroom.domain.digest import digest_of
from greenroom.domain.plan import Arg, Step
from greenroom.domain.verdict import Held, Passed, Refused, Verdict
from greenroom.domain.vocabulary import Trust
from greenroom.policy.decide import CedarPolicy
from greenroom.policy.manifests import BUILTIN, builtin_manifests, manifest_digest
from greenroom.testing.papers import LAYERS, SUBJECT, PaperHouse, Papers, constitution, papers, promoted

MANIFESTS = builtin_manifests({name: digest_of("blob", name.encode()) for name in BUILTIN})
BY_DIGEST = {manifest_digest(manifest): manifest for manifest in MANIFESTS.values()}
TOOLS = {manifest.name: digest for digest, manifest in BY_DIGEST.items()}


class LawfulHouse(PaperHouse):
    """A paper house whose policy is Cedar's, over the built-in tools."""

    def policy(self, name: bytes = b"first", rules: Any = None, **fake: Any) -> Any:
        digest = super().policy(name, rules, **fake)
        found = self.policies[digest]
        law = CedarPolicy(digest, found.constitution, BY_DIGEST)
        self.policies[digest] = dataclasses.replace(found, policy=law)
        return digest


@pytest.fixture
def lawful(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PaperHouse]:
    for layer in vocabulary.LAYERS:
        monkeypatch.setitem(LAYERS, layer, True)
    made = LawfulHouse(tmp_path, tools=TOOLS)
    yield made
    made.guard.close()


def _system(house: PaperHouse) -> Papers:
    """A good change whose one step is of tier 2."""
    made = papers(house)
    values = {"file": "system/a.json", "key": "theme", "value": "dark"}
    args = {name: Arg(value=value, trust=Trust.BOX) for name, value in values.items()}
    made.plan = dataclasses.replace(made.plan, steps=(Step(id="apply", tool=TOOLS["config_update_t2"], args=args),))
    made.plan_digest = house.store.put("plan", documents.encode(made.plan))
    made.seals = (made.seal(), made.seal())
    classified = made.receipts["classify"]
    run = made.diff_run("classify", "classify_diff_t0", _result(made, classified), artifacts={"diff": made.patch})
    made.receipts["classify"] = run
    return made


def _result(made: Papers, receipt: Any) -> Any:
    (run,) = made.opened({"classify": receipt})
    return run.result


def _warrant(house: PaperHouse, made: Papers) -> Any:
    made.approve()
    return house.guard.warrant(made.dossier())


def _told(answer: Verdict | str, rule: str) -> None:
    """Refused or held, by the rule, with a place and a remedy."""
    assert isinstance(answer, Refused | Held), answer
    assert answer.rule == rule
    assert answer.where
    assert answer.remedy


def test_guard_all_conditions_hold(lawful: PaperHouse) -> None:
    """The same papers with nothing broken give a warrant, for a step of each tier."""
    assert isinstance(_warrant(lawful, papers(lawful)), str)
    assert isinstance(_warrant(lawful, _system(lawful)), str)


def test_guard_health_live_is_what_the_ledger_says(lawful: PaperHouse) -> None:
    """A pointer that moved outside the gate holds everything: base is then not what was promoted or taken in."""
    made = papers(lawful)
    made.approve()
    ledger = lawful.guard._room.ledger
    ledger.move(ledger.intend(SUBJECT, None, None, made.green, made.plan_digest, lawful.clock.now()), "kept")
    _told(lawful.guard.warrant(made.dossier()), "live-differs")


def test_guard_health_the_last_promotion_is_good(lawful: PaperHouse) -> None:
    """While the last promotion is watched nothing else goes live; once it is good, the next may."""
    first, _ = promoted(lawful)
    second = papers(lawful, first.green, name="change-2", text=b"other words\n")
    _told(_warrant(lawful, second), "change-baking")
    assert isinstance(lawful.guard.mark_good(first.change, first.live_runs()), Passed)
    assert isinstance(lawful.guard.warrant(second.dossier()), str)


def test_guard_health_nothing_is_half_done(lawful: PaperHouse) -> None:
    """A swap of the subject of which only the intent is known is settled first."""
    made = papers(lawful)
    made.approve()
    lawful.guard._room.ledger.intend(SUBJECT, made.change, made.base, made.green, made.plan_digest, lawful.clock.now())
    _told(lawful.guard.warrant(made.dossier()), "swap-unsettled")


@pytest.mark.parametrize("late", [False, True])
def test_guard_health_the_log_takes_entries(lawful: PaperHouse, late: bool) -> None:
    """Without a log that can be written there is no warrant, and a warrant from before is not spent."""
    made = papers(lawful)
    made.approve()
    warrant = lawful.guard.warrant(made.dossier())
    lawful.log_writable = False
    _told(lawful.guard.promote(warrant) if late else lawful.guard.warrant(made.dossier()), "log-unwritable")
    assert lawful.guard.live(SUBJECT) == made.base
    lawful.log_writable = True
    assert isinstance(lawful.guard.promote(warrant), Passed)


def test_guard_disk_headroom(lawful: PaperHouse) -> None:
    """Where the guard's own disk is fuller than the constitution allows, the change waits."""
    rules = constitution()
    sandbox = dataclasses.replace(rules.sandbox, min_disk_free_bytes=1 << 50)
    lawful.use(dataclasses.replace(rules, sandbox=sandbox))
    _told(_warrant(lawful, papers(lawful)), "disk-low")


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
    _told(lawful.guard.warrant(made.dossier()), "seal-steps")


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
    _told(_warrant(lawful, made), "snapshot-missing")


def test_guard_wants_no_snapshot_below_that_tier(lawful: PaperHouse) -> None:
    """A step of tier 1 writes Green's workspace only, and base is kept anyway."""
    made = papers(lawful)
    made.seals = (made.seals[0], made.seal(snapshots={}))
    assert isinstance(_warrant(lawful, made), str)


@pytest.mark.parametrize("ended", [{"ended_by": "memory", "exit": 137}, {"ended_by": "signal", "exit": 159}])
def test_guard_sees_a_violation(lawful: PaperHouse, ended: dict[str, Any]) -> None:
    """A run that a limit or the system call filter ended holds the change, and the run is named."""
    made = papers(lawful)
    made.receipts["own"] = made.test_run("own", check="own-tests", **ended)
    answer = _warrant(lawful, made)
    _told(answer, "violation-seen")
    assert "own-tests/own" in answer.where


def test_guard_marks_good_what_its_constitution_asks(lawful: PaperHouse) -> None:
    """The postconditions of the kind are the constitution's: with a probe among them, passing tests are not enough."""
    made, _ = promoted(lawful)
    rules = constitution()
    probed = dict.fromkeys(rules.postconditions, ("live-tests", "probe"))
    lawful.use(dataclasses.replace(rules, postconditions=probed))
    _told(lawful.guard.mark_good(made.change, made.live_runs()), "probe-short")
    lawful.use(rules)
    assert isinstance(lawful.guard.mark_good(made.change, made.live_runs()), Passed)


def test_guard_watch_sees_a_violation(lawful: PaperHouse) -> None:
    """A run on what is live that a wall ended does not mark it good."""
    made, _ = promoted(lawful)
    base, _ = made.live_runs()
    ended = made.test_run("base-on-green", check="live-tests", ended_by="memory", exit=137)
    assert isinstance(lawful.guard.mark_good(made.change, (base, ended)), Held)
    assert "live.marked-good" not in lawful.names()
