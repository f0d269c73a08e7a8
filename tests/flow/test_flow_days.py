"""Simulated days: two that are written down and shown as evidence, and any others that Hypothesis thinks of.

What must be true is read from the log, from the papers that it names, and from what the test itself did to the machine.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Bug, GreenroomError
from greenroom.domain.events import Event
from greenroom.domain.outcomes import verdict_on
from greenroom.domain.ports import Dossier
from greenroom.domain.proof import Consent, Evidence, Predicate, Warrant
from greenroom.domain.verdict import Instant, Passed, Refused
from greenroom.domain.vocabulary import Mode, State
from greenroom.guard.papers import OptInOrder
from greenroom.guard.room import MODES
from greenroom.pipeline import standing
from greenroom.pipeline.stages.promote import PromoteStage
from greenroom.testing.clock import SECOND
from greenroom.testing.house import MemoryHouse, shipped_constitution
from greenroom.testing.parts import Finding, Killed

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import evidence_everyday_days as script

WINDOW = 3600 * SECOND
CAP = 6
RULES = ("codespell", "ruff:W291", "ruff:F401")
GUARDED = ".github/ci.yml"
FINDINGS = [
    Finding(path="a.py", old=b"x = 1", new=b"x = 2", reproduce="ruff:F401"),
    Finding(path="a.md", old=b"teh", new=b"the"),
    Finding(path="b.md", old=b"adress", new=b"address"),
    Finding(path="c.md", old=b"end ", new=b"end", reproduce="ruff:W291"),
    Finding(path=GUARDED, old=b"push", new=b"pull", reproduce="codespell"),
]
FILES = {f.path: f.old + b"\n" for f in FINDINGS}
KILL = st.none() | st.none() | st.integers(1, 60)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["supervised", "autonomous"])
def test_day_comes_out_line_by_line(tmp_path: Path, name: str) -> None:
    """The days of the evidence: windows, cancels, caps, ended and revoked opt-ins, the machine off in between."""
    day = script.played(getattr(script, name), tmp_path)
    assert day.wrong == []
    assert len(day.rows) > 15


class DayMachine(RuleBasedStateMachine):
    """One box that may do things by itself, its owner, and a machine that is not always on."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.house = MemoryHouse(Path(self.folder.name), files=FILES)
        self.house.constitute(shipped_constitution().replace(b"changes: 50", f"changes: {CAP}".encode()))
        self.house.findings[:] = FINDINGS
        self.count = 0
        self.papers: list[bytes] = []
        self.off: list[int] = []
        self.checked = 0
        self.set_mode(Mode.SUPERVISED)
        self.house.opt_in("codespell")

    def teardown(self) -> None:
        """Close the box."""
        self.house.close()
        self.folder.cleanup()

    def do(self, kill: int | None, verb: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a verb, perhaps killed at a port call; what it cannot do it says."""
        house = self.house
        house.points.count, house.points.at = 0, kill
        try:
            return verb(*args, **kwargs)
        except Killed:
            house.restart()
        except Bug:
            raise
        except GreenroomError as error:
            assert error.remedy
        finally:
            house.points.at = None
        return None

    def any_change(self, data: st.DataObject, wanted: Callable[[Change], bool]) -> Change | None:
        found = [change for change in self.house.changes() if wanted(change)]
        return data.draw(st.sampled_from(found)) if found else None

    # What may happen.

    @rule(mode=st.sampled_from([Mode.SUPERVISED, Mode.AUTONOMOUS, Mode.AUTONOMOUS, Mode.PROPOSE]))
    def set_mode(self, mode: Mode) -> None:
        """The owner sets the mode."""
        self.house.set_mode(mode)

    @rule(name=st.sampled_from(RULES), hours=st.none() | st.sampled_from([0.5, 2, 30]))
    def opt_in(self, name: str, hours: float | None) -> None:
        """The owner agrees beforehand."""
        until = None if hours is None else Instant(self.house.clock.now() + round(hours * 3600 * SECOND))
        paper = self.house.opt_in_paper(name, until=until)
        self.papers.append(paper)
        self.house.opt_in("", envelope=paper)
        self.do(None, standing.reconsider, self.house.house, self.house.tell)

    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        """Somebody hands an earlier opt-in in once more: refused for good."""
        if self.papers:
            before = self.house.guard.status().opt_ins
            answer = self.house.opt_in("", envelope=data.draw(st.sampled_from(self.papers)))
            assert isinstance(answer, Refused)
            assert self.house.guard.status().opt_ins == before

    @rule(data=st.data())
    def opt_out(self, data: st.DataObject) -> None:
        """The owner takes one back."""
        counting = self.house.guard.status().opt_ins
        if counting:
            self.house.opt_out(data.draw(st.sampled_from(counting)).id)

    @rule(kill=KILL)
    def improve(self, kill: int | None) -> None:
        """Scan; each finding goes as far as it goes by itself."""
        self.house.deliver()
        self.do(kill, self.house.improve)

    @rule(kill=KILL)
    def apply(self, kill: int | None) -> None:
        """A command comes by that applies what is due, and goes on with what was cut."""
        self.do(kill, self.house.apply_windows)
        self.do(None, self.house.resume)

    @rule(data=st.data(), kill=st.none() | st.integers(1, 6))
    def cancel(self, data: st.DataObject, kill: int | None) -> None:
        """A person cancels what waits in its window."""
        change = self.any_change(data, lambda change: change.window is not None)
        if change is not None:
            self.do(kill, self.house.cancel_window, change.id)

    @rule(data=st.data())
    def approve(self, data: st.DataObject) -> None:
        """A person says yes, perhaps to what waits in its window."""
        change = self.any_change(data, _waits)
        if change is not None:
            self.do(None, self.house.approve, change.id)

    @rule(data=st.data())
    def revert(self, data: st.DataObject) -> None:
        """A person takes something back; it is found again and may come again, as another change."""
        change = self.any_change(data, lambda change: change.state is State.KEPT)
        if change is not None:
            self.do(None, self.house.revert, change.id)

    @rule(minutes=st.sampled_from([1, 29, 61, 61, 1500]))
    def time_passes(self, minutes: int) -> None:
        """The machine is on."""
        self.house.clock.advance(60 * minutes)

    @rule(minutes=st.sampled_from([1, 61, 1500]), how=st.sampled_from(["off", "asleep"]))
    def machine_is_off(self, minutes: int, how: str) -> None:
        """It is switched off, or suspended; the processes come back afterwards."""
        self.off.append(self.house.clock.now())
        (self.house.machine.off if how == "off" else self.house.machine.sleep)(60 * minutes)
        self.house.restart_guard()

    @rule()
    def stop_and_lift(self) -> None:
        """Anyone stops; the owner lifts."""
        self.house.stop()
        assert self.house.apply_windows() == [] or not self.house.repository.dirty
        self.house.lift()

    @rule(check=st.sampled_from(["tests", "live-tests"]), behaviour=st.sampled_from(["pass", "pass", "fail", "flaky"]))
    def checks_come_out(self, check: str, behaviour: Any) -> None:
        """From now on a check comes out so."""
        self.house.checks[check] = behaviour

    @rule(data=st.data())
    def executor_forces_it(self, data: st.DataObject) -> None:
        """A taken-over executor calls any change approved, in the highest mode, and hands it in."""
        change = self.any_change(data, lambda change: change.green is not None and not change.terminal)
        if change is not None and change.state in (State.VERIFIED, State.APPROVED):
            mode = Mode.AUTONOMOUS if data.draw(st.booleans()) else change.mode
            self.do(None, self._forced, self._dossier(change, mode))

    def _forced(self, dossier: Dossier) -> None:
        warrant = self.house.guard.warrant(dossier)
        if isinstance(warrant, str):
            self.house.guard.promote(Digest(warrant))

    def _dossier(self, change: Change, mode: Mode) -> Dossier:
        stage = PromoteStage(store=self.house.store, guard=self.house.guard)
        return dataclasses.replace(stage.dossier(change), mode=mode)

    # What must be true.

    @invariant()
    def every_promotion_had_its_consent(self) -> None:
        """A person's yes; an opt-in that counted, after a whole window; or two verifies, in a mode that allows it."""
        events = self.house.log.events()
        for at in range(self.checked, len(events)):
            if events[at].name == "live.promoted":
                self._check(events[: at + 1])
        self.checked = len(events)

    def _check(self, events: list[Event]) -> None:
        paper = self._open(Warrant, events[-1].digests["warrant"], Predicate.WARRANT, "guard")
        change = self.house.change(str(events[-1].change))
        assert sum(event.name == "live.promoted" and event.change == change.id for event in events) == 1
        if paper.consents:
            (digest,) = paper.consents
            consent = self._open(Consent, digest, Predicate.CONSENT, "owner")
            assert (consent.change, consent.green) == (paper.change, paper.green)
            return
        modes = [Mode(event.about) for event in events if event.name == "mode.changed"]
        assert MODES.index(paper.mode) <= MODES.index(modes[-1])
        assert paper.mode is not Mode.PROPOSE
        assert change.risk is not None
        assert change.risk.level < 3
        if paper.opt_in is None:
            assert (paper.mode, int(change.risk.level)) == (Mode.AUTONOMOUS, 2)
            self._twice(paper)
            return
        assert change.risk.level == 1
        self._opted_in(paper, events)

    def _opted_in(self, paper: Warrant, events: list[Event]) -> None:
        at = events[-1].at
        opt_in = Digest(str(paper.opt_in))
        order = self._open(OptInOrder, opt_in, Predicate.OPT_IN, "owner")
        assert order.until is None or at < order.until
        assert not any(event.name == "opt-in.removed" and event.digests["opt-in"] == opt_in for event in events)
        evidence = [documents.decode(Evidence, self.house.store.get(digest)) for digest in paper.evidence]
        (rule_of,) = (item.facts["reproduced-by"] for item in evidence if item.check == "classify")
        assert rule_of == order.rule
        same = [e for e in events if e.digests.get("green") == paper.green and e.digests.get("base") == paper.base]
        assert not any(event.name == "window.cancelled" for event in same)
        if paper.mode is Mode.AUTONOMOUS:
            return
        opened = [event for event in same if event.name == "window.opened"][-1]
        assert (opened.change, opened.digests["opt-in"]) == (paper.change, opt_in)
        assert at - opened.at >= WINDOW
        assert not any(opened.at < off for off in self.off)
        assert not any(event.name == "stop.lifted" and event.at > opened.at for event in events)

    def _twice(self, paper: Warrant) -> None:
        found = []
        for digests in (paper.evidence, paper.again):
            evidence = [documents.decode(Evidence, self.house.store.get(digest)) for digest in digests]
            assert isinstance(verdict_on(evidence), Passed)
            found.append({item.check: item for item in evidence})
        first, second = found
        assert set(second) == set(first) - {"reseal"}
        assert int(first["reseal"].facts["builds"]) >= 2
        assert first["tests"].verdict == second["tests"].verdict == "pass"
        assert all(not set(first[name].receipts) & set(second[name].receipts) for name in second)

    def _open(self, kind: Any, digest: Digest, predicate: Predicate, role: Any) -> Any:
        body = self.house.signers["keeper"].open(self.house.store.get(digest), predicate, role).body
        return documents.decode(kind, body)

    @invariant()
    def live_is_what_the_log_says(self) -> None:
        """By promote, revert and adopt, and by nothing else."""
        moves = {"live.adopted": "tree", "live.promoted": "green", "live.reverted": "base"}
        last = [event for event in self.house.log.events() if event.name in moves]
        assert not last or self.house.live() == last[-1].digests[moves[last[-1].name]]

    @invariant()
    def the_guarded_file_never_changes_by_itself(self) -> None:
        """Level 3 goes live by a person's yes to exactly it, and not otherwise."""
        for event in self.house.log.events():
            if event.name == "live.promoted" and "consent-0" not in event.digests:
                card = self.house.show(str(event.change))["card"]
                assert GUARDED not in [file["path"] for file in card["files"]]

    @invariant()
    def a_window_is_no_hold(self) -> None:
        """What waits in its window is approved, and the guard knows of it."""
        for change in self.house.changes():
            if change.window is not None:
                assert change.state is State.APPROVED
                assert change.hold is None


def _waits(change: Change) -> bool:
    """It waits for a person, or in its window."""
    return change.window is not None or (change.hold is not None and change.hold.rule == "needs-approval")


FULL = os.environ.get("GREENROOM_SUITE") == "full"


@pytest.mark.slow
class TestDayMachine(DayMachine.TestCase):  # type: ignore[name-defined,misc]
    """A few days in CI, many in the full suite."""

    settings = settings(
        max_examples=300 if FULL else 12,
        stateful_step_count=40 if FULL else 25,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
