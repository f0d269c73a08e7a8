"""A guard through any sequence of calls, restarts and kills, beside a model that is one list."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from greenroom.domain.digest import Digest
from greenroom.domain.verdict import Held, Passed, Refused
from greenroom.guard.papers import Lift
from greenroom.testing.papers import SUBJECT, Killed, PaperHouse, Papers, constitution, papers

POINTS = st.sampled_from(
    ["promote.intended", "promote.staged", "promote.swapped", "promote.logged", "revert.intended", "revert.swapped"]
)
NEW = ("promote.swapped", "promote.logged", "revert.swapped")


class GuardMachine(RuleBasedStateMachine):
    """`line` is what should stand: (tree, papers or None for an import, kept)."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.house = PaperHouse(Path(self.folder.name))
        self.house.use(constitution(changes=10**6, lines=10**9, risk=10**9))
        self.line: list[list[Any]] = [[self.house.base, None, True]]
        self.count = 0
        self.stopped = False
        self.spent: list[Digest] = []

    def teardown(self) -> None:
        self.house.guard.close()
        self.folder.cleanup()

    def _made(self, base: Digest) -> Papers:
        self.count += 1
        made = papers(self.house, base, name=f"change-{self.count}", text=b"%d\n" % self.count)
        made.approve()
        return made

    @rule(kill=st.none() | POINTS)
    def promote(self, kill: str | None) -> None:
        """Take a fresh change through the gate, perhaps killed on the way."""
        made = self._made(self.line[-1][0])
        warrant = self.house.guard.warrant(made.dossier())
        if self.stopped or not self.line[-1][2]:
            assert isinstance(warrant, Held)
            return
        assert isinstance(warrant, str)
        self.spent.append(warrant)
        if kill is None or not kill.startswith("promote"):
            assert isinstance(self.house.guard.promote(warrant), Passed)
            self.line.append([made.green, made, False])
            return
        self.house.crash_at = kill
        with pytest.raises(Killed):
            self.house.guard.promote(warrant)
        self.house.restart()
        if kill in NEW:
            self.line.append([made.green, made, False])

    @rule()
    def promote_on_an_old_base(self) -> None:
        """A change of another base never goes live."""
        stale = [tree for tree, _, _ in self.line[:-1] if tree != self.line[-1][0]]
        if stale:
            assert isinstance(self.house.guard.warrant(self._made(stale[0]).dossier()), Refused | Held)

    @precondition(lambda self: self.spent)
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        """A warrant of before never has a second effect."""
        before = self.house.guard.live(SUBJECT)
        self.house.guard.promote(data.draw(st.sampled_from(self.spent)))
        assert self.house.guard.live(SUBJECT) == before

    @rule()
    def watch(self) -> None:
        """Mark the last promotion good."""
        _, made, kept = self.line[-1]
        if made is None:
            return
        verdict = self.house.guard.mark_good(made.change, made.live_runs())
        assert isinstance(verdict, Passed) is (kept or not self.stopped)
        self.line[-1][2] = kept or not self.stopped

    @rule(data=st.data(), kill=st.none() | POINTS)
    def revert(self, data: st.DataObject, kill: str | None) -> None:
        """Take any change back; only the last one goes."""
        changes = [made for _, made, _ in self.line if made is not None]
        if not changes:
            return
        made = data.draw(st.sampled_from(changes))
        last = made is self.line[-1][1]
        if last and kill is not None and kill.startswith("revert"):
            self.house.crash_at = kill
            with pytest.raises(Killed):
                self.house.guard.revert(SUBJECT, made.change, "ada")
            self.house.restart()
            last = kill in NEW
        else:
            assert isinstance(self.house.guard.revert(SUBJECT, made.change, "ada"), Passed) is last
        if last:
            self.line.pop()

    @rule()
    def adopt(self) -> None:
        """The person commits something."""
        self.count += 1
        self.house.clock.advance(1)
        tree = self.house.tree({"mine": b"%d" % self.count})
        answer = self.house.guard.adopt(self.house.imported(tree))
        if self.stopped or not self.line[-1][2]:
            assert isinstance(answer, Refused)
        else:
            assert answer == tree
            self.line.append([tree, None, True])

    @rule()
    def stop(self) -> None:
        """Anyone stops."""
        self.house.guard.stop("eve")
        self.stopped = True

    @precondition(lambda self: self.stopped)
    @rule()
    def lift(self) -> None:
        """The owner lifts."""
        assert isinstance(self.house.order(Lift, stop=self.house.guard.stop_id()), Passed)
        self.stopped = False

    @rule()
    def restart(self) -> None:
        """The guard goes away and comes back."""
        self.house.restart()

    @invariant()
    def live_is_what_stands(self) -> None:
        """Live is the top of the line, to the byte, and nothing else ever is."""
        assert self.house.guard.live(SUBJECT) == self.line[-1][0]
        assert self.house.guard.status().stopped is self.stopped

    @invariant()
    def each_effect_is_logged_once(self) -> None:
        """Promotions less reverts are what stands."""
        names = self.house.names()
        standing = sum(made is not None for _, made, _ in self.line)
        assert names.count("live.promoted") - names.count("live.reverted") == standing


class TestGuardMachine(GuardMachine.TestCase):  # type: ignore[name-defined,misc]
    """The short form."""

    settings = settings(max_examples=8, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.full
class TestGuardMachineFull(GuardMachine.TestCase):  # type: ignore[name-defined,misc]
    """The long form."""

    settings = settings(
        max_examples=300, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
    )
