"""The whole flow through any sequence of events, kills and restarts: the promises of the design hold throughout.

The real verbs, flow, stages, policy and guard run over fakes of what needs a machine. What must be true is read
from the log and from the papers that the log names, never from what the code under test says of itself.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Bug, GreenroomError
from greenroom.domain.events import Event
from greenroom.domain.proof import Carry, Consent, Evidence, Predicate, Receipt, Warrant
from greenroom.domain.verdict import Instant, Passed, Refused
from greenroom.domain.vocabulary import State
from greenroom.testing.clock import SECOND
from greenroom.testing.house import MemoryHouse
from greenroom.testing.parts import Finding, Killed

TYPOS = (b"teh", b"recieve", b"adress")
FINDINGS = [Finding(path="README.md", old=typo, new=typo[::-1]) for typo in TYPOS]
FILLED = [word for typo in TYPOS for word in (b"Before " + typo[::-1], typo, b"After " + typo[::-1])]
TEXT = b"\n\n".join((b"# Project", *FILLED, b"%d")) + b"\n"
"""No two typos stand in one hunk: each can be mended after the others."""
KILL = st.none() | st.integers(1, 90)
SHORT_KILL = st.none() | st.integers(1, 40)
BENT = ("right", "right", "right", "stranger", "expired", "replayed", "foreign", "other-green", "other-card")
MOVES = ("live.adopted", "live.promoted", "live.reverted")
STARTS = (*MOVES[:2], "live.promoting", "live.marked-good", "warrant.issued")


class FlowMachine(RuleBasedStateMachine):
    """One person, one repository, one box, and everything that may happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.count = 0
        self.house = MemoryHouse(Path(self.folder.name), files={"README.md": TEXT % 0, "a.py": b"x = 1\n"})
        self.house.findings[:] = FINDINGS
        self.seen: list[Event] = []
        self.envelopes: list[bytes] = []
        self.do(None, self.house.improve)

    def teardown(self) -> None:
        """At the end everything that a crash or a stop cut is finished, and the branch has what is live."""
        try:
            self.house.restart()
            if self.house.guard.status().stopped:
                assert isinstance(self.house.lift(), Passed)
            self.do(None, self.house.resume)
            self.everything_is_finished()
        finally:
            self.house.close()
            self.folder.cleanup()

    def do(self, kill: int | None, verb: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a verb, perhaps killed at a port call; what it refuses or holds says rule, where and remedy."""
        house = self.house
        house.points.count, house.points.at = 0, kill
        try:
            answer = verb(*args, **kwargs)
        except Killed:
            house.restart()
            return None
        except Bug:
            raise
        except GreenroomError as error:
            assert error.reference
            assert error.where or error.message
            assert error.remedy
            return None
        finally:
            house.points.at = None
        for each in (answer, *answer.get("changes", ()), *answer.get("resumed", ())):
            verdict = each.get("verdict", {"is": "passed"})
            assert verdict["is"] == "passed" or (verdict["rule"] and verdict["where"] and verdict["remedy"]), verdict
        return answer

    def any_change(self, data: st.DataObject, *states: State) -> Change | None:
        found = [change for change in self.house.changes() if not states or change.state in states]
        return data.draw(st.sampled_from(found)) if found else None

    def waits(self, change: Change) -> bool:
        return change.state is State.VERIFIED and change.hold is not None and change.hold.rule == "needs-approval"

    # What may happen.

    @rule(kill=KILL)
    def improve(self, kill: int | None) -> None:
        """Take the repository in, and carry a change for each finding."""
        self.do(kill, self.house.improve)

    @rule(data=st.data(), how=st.sampled_from(BENT), promote=st.booleans(), kill=SHORT_KILL)
    def approve(self, data: st.DataObject, how: str, promote: bool, kill: int | None) -> None:
        """A person says yes, or somebody says it in their name."""
        change = self.any_change(data, State.VERIFIED)
        if change is None or not self.waits(change):
            return
        other = self.any_change(data, State.VERIFIED, State.KEPT)
        bent: dict[str, Any] = {}
        if how == "expired":
            bent["expires"] = Instant(self.house.clock.now() - SECOND)
        if how == "other-green":
            bent["green"] = change.base
        if how == "other-card" and other is not None:
            bent["shown"] = other.card
        envelope = self.house.consent(change.id, stranger=how == "stranger", **bent)
        if how == "replayed" and self.envelopes:
            envelope = data.draw(st.sampled_from(self.envelopes))
        if how == "foreign" and other is not None and self.waits(other):
            envelope = self.house.consent(other.id)
        before = self.house.live()
        self.envelopes.append(envelope)
        self.do(kill, self.house.approve, change.id, promote=promote, envelope=envelope)
        if how in ("stranger", "expired", "other-green"):
            assert self.house.live() == before

    @rule(data=st.data(), kill=SHORT_KILL)
    def approve_a_changed_green(self, data: st.DataObject, kill: int | None) -> None:
        """The executor shows one Green and, once a person agreed, hands in another: it never goes live."""
        change = self.any_change(data, State.VERIFIED)
        other = self.any_change(data)
        if change is None or other is None or not self.waits(change):
            return
        if other.green in (None, change.green) or change.base != self.house.live():
            return
        answer = self.do(None, self.house.approve, change.id, promote=False)
        agreed = self.house.change(change.id)
        if answer is None or agreed.state is not State.APPROVED:
            return
        before = self.house.live()
        self.house.house.changes.save(dataclasses.replace(agreed, green=other.green))
        self.do(kill, self.house.promote, change.id)
        assert self.house.live() == before

    @rule(data=st.data(), kill=SHORT_KILL)
    def promote(self, data: st.DataObject, kill: int | None) -> None:
        """Carry on what was approved for later; anything else is told which step is missing."""
        change = self.any_change(data)
        if change is not None:
            self.do(kill, self.house.promote, change.id)

    @rule(data=st.data(), kill=KILL)
    def restack(self, data: st.DataObject, kill: int | None) -> None:
        """Move a change onto what is live; live stays as it is, and any other change is told why not."""
        change = self.any_change(data)
        if change is not None:
            before = self.house.live()
            self.do(kill, self.house.restack, change.id)
            assert self.house.live() == before

    @rule(data=st.data(), kill=KILL)
    def undo(self, data: st.DataObject, kill: int | None) -> None:
        """Propose the opposite of what is live."""
        change = self.any_change(data, State.KEPT)
        if change is not None:
            before = self.house.live()
            self.do(kill, self.house.undo, change.id)
            assert self.house.live() == before

    @rule(data=st.data(), kill=st.none() | st.integers(1, 16))
    def revert_all_after(self, data: st.DataObject, kill: int | None) -> None:
        """Take a change back with all that stand on it."""
        change = self.any_change(data, State.PROMOTED, State.KEPT, State.REVERTED)
        if change is not None:
            self.do(kill, self.house.revert_all_after, change.id)

    @rule(data=st.data(), kill=st.none() | st.integers(1, 6))
    def reject(self, data: st.DataObject, kill: int | None) -> None:
        """A person says no."""
        change = self.any_change(data)
        if change is not None:
            self.do(kill, self.house.reject, change.id)

    @rule(data=st.data(), kill=st.none() | st.integers(1, 8))
    def revert(self, data: st.DataObject, kill: int | None) -> None:
        """Take any change back; only the last one goes."""
        change = self.any_change(data, State.PROMOTED, State.KEPT, State.APPROVED, State.REVERTED)
        if change is not None:
            self.do(kill, self.house.revert, change.id)

    @rule(kill=SHORT_KILL)
    def resume(self, kill: int | None) -> None:
        """Go on after a crash or a lift."""
        self.do(kill, self.house.resume)

    @rule()
    def stop(self) -> None:
        """Anyone stops."""
        self.house.stop()

    @precondition(lambda self: self.house.guard.status().stopped)
    @rule(stranger=st.booleans())
    def lift(self, stranger: bool) -> None:
        """The owner lifts; nobody else can."""
        verdict = self.house.lift(stranger=stranger)
        assert isinstance(verdict, Refused if stranger else Passed)
        assert self.house.guard.status().stopped is stranger

    @rule(where=st.sampled_from(["README.md", "b.py"]))
    def commit(self, where: str) -> None:
        """The person commits something of their own, perhaps with typos."""
        self.count += 1
        self.house.commit({where: TEXT % self.count})

    @rule(dirty=st.booleans())
    def deliver(self, dirty: bool) -> None:
        """A door brings what is live to the person's branch, where it can."""
        self.house.repository.dirty = dirty
        self.house.deliver()

    @rule(
        check=st.sampled_from(["tests", "own-tests", "live-tests", "live-tests", "scan"]),
        behaviour=st.sampled_from(["pass", "pass", "fail", "flaky", "inconclusive", "broken-before"]),
    )
    def checks_come_out(self, check: str, behaviour: Any) -> None:
        """From now on a check comes out so."""
        self.house.checks[check] = behaviour

    @rule(seconds=st.sampled_from([1, 3600, 90_000]))
    def time_passes(self, seconds: int) -> None:
        """Papers expire and days end."""
        self.house.clock.advance(seconds)

    @rule()
    def restart_guard(self) -> None:
        """The guard goes away and comes back."""
        self.house.restart_guard()

    # What must be true.

    @invariant()
    def the_log_only_grows(self) -> None:
        """What was logged stays as it was."""
        events = self.house.log.events()
        assert events[: len(self.seen)] == self.seen
        assert len({event.key for event in events}) == len(events)
        self.seen = events

    @invariant()
    def live_moves_only_by_promote_revert_and_adopt(self) -> None:
        """Live is what the last logged promote, revert or adoption says; its bytes are whole."""
        moves = [event for event in self.house.log.events() if event.name in MOVES]
        last = moves[-1]
        name = {"live.adopted": "tree", "live.promoted": "green", "live.reverted": "base"}[last.name]
        assert self.house.live() == last.digests[name]
        assert self.house.release.rehash(self.house.subject) == self.house.live()

    @invariant()
    def every_promote_had_its_warrant_and_its_consent(self) -> None:
        """A warrant for exactly this change, Green, base, plan and policy; and a person's yes, spent once."""
        events = self.house.log.events()
        issued = {event.digests["warrant"]: event for event in events if event.name == "warrant.issued"}
        used: Counter[Digest] = Counter()
        for event in events:
            if event.name != "live.promoted":
                continue
            paper = self.warrant(event.digests["warrant"])
            for name in ("green", "base", "plan", "policy"):
                assert event.digests[name] == getattr(paper, name) == issued[event.digests["warrant"]].digests[name]
            assert paper.change == event.change
            assert paper.policy == self.house.policy.digest
            (consent,) = (self.consent_paper(digest) for digest in paper.consents)
            assert (consent.change, consent.plan, consent.green) == self.agreed_to(paper)
            used.update(paper.consents)
        assert all(count == 1 for count in used.values())

    @invariant()
    def a_watch_rests_on_runs_of_its_own(self) -> None:
        """What marked a promotion good was run for the warrant of that promotion, and for nothing else."""
        for event in self.house.log.events():
            if event.name != "live.marked-good":
                continue
            found = documents.decode(Evidence, self.house.store.get(event.digests["evidence"]))
            assert found.receipts
            assert {self.receipt(digest).occasion for digest in found.receipts} == {event.digests["warrant"]}

    @invariant()
    def a_stop_dominates(self) -> None:
        """Between a stop and its lift nothing is adopted, warranted, promoted or marked good, and no stage passes."""
        stopped = False
        for event in self.house.log.events():
            if event.name in ("stop.set", "stop.lifted"):
                stopped = event.name == "stop.set"
            elif stopped:
                assert event.name not in STARTS
                assert not (event.name.endswith(".result") and event.about == "passed"), event

    @invariant()
    def every_intent_has_a_result_or_is_to_be_resumed(self) -> None:
        """A stage that began either ended in the log, or its change waits to be carried on, or a person ended it."""
        keys = {event.key for event in self.house.log.events()}
        for key in keys:
            if key.endswith("/intent") and key.removesuffix("intent") + "result" not in keys:
                change_id, version, *_ = key.split("/")
                change = self.house.change(change_id)
                if f"{change_id}/reject" in keys or change.ended == "reverted":
                    continue
                if f"{change_id}/undone" in keys:
                    assert change.terminal  # what it was to undo, a person took back otherwise
                    continue
                if change.hold is not None and change.hold.rule == "reverting":
                    continue  # `resume` ends what began: the change is taken back, whatever its watch would have said
                assert change.version == int(version)
                assert change.hold is None
                assert not change.terminal

    @invariant()
    def the_box_says_of_each_change_what_the_guard_says(self) -> None:
        """A change that is not cut in the middle is promoted or kept exactly where it stands live."""
        standing = self.standing()
        for change in self.house.changes():
            cut = change.hold.rule in ("reverting", "stopped") if change.hold else not change.terminal
            if not cut:
                assert (change.state in (State.PROMOTED, State.KEPT)) is (change.id in standing), change

    @invariant()
    def what_waits_says_why(self) -> None:
        """Each hold names rule, place and remedy; each end names its rule."""
        for change in self.house.changes():
            if change.hold is not None:
                assert change.hold.rule
                assert change.hold.where
                assert change.hold.remedy
            if change.state in (State.ABORTED, State.REVERTED):
                assert change.ended

    def everything_is_finished(self) -> None:
        """After lift and resume nothing is cut, box and guard agree, and the branch can be brought to live."""
        standing = self.standing()
        for change in self.house.changes():
            assert change.terminal or change.hold is not None
            assert (change.state in (State.PROMOTED, State.KEPT)) is (change.id in standing), change
        self.house.repository.dirty = False
        moved = any(row["pending"] == "branch-moved" for row in self.house.deliver())
        if not moved and self.do(None, self.house.improve)["verdict"]["is"] == "passed":
            assert self.house.repository.files == self.house.live_files()

    def standing(self) -> set[str]:
        """The changes that stand live by the log."""
        found: set[str] = set()
        for event in self.house.log.events():
            if event.name == "live.promoted":
                found.add(str(event.change))
            elif event.name == "live.reverted":
                found.discard(str(event.change))
        return found

    def receipt(self, digest: Digest) -> Receipt:
        """A receipt that the keeper signed."""
        body = self.house.signers["owner"].open(self.house.store.get(digest), Predicate.RECEIPT, "keeper").body
        return documents.decode(Receipt, body)

    def warrant(self, digest: Digest) -> Warrant:
        """A warrant that the guard signed."""
        body = self.house.signers["owner"].open(self.house.store.get(digest), Predicate.WARRANT, "guard").body
        return documents.decode(Warrant, body)

    def agreed_to(self, paper: Warrant) -> tuple[object, ...]:
        """Change, plan and Green that the person said yes to: the warrant's own, or those that a carry names."""
        if paper.carry is None:
            return paper.change, paper.plan, paper.green
        body = self.house.signers["owner"].open(self.house.store.get(paper.carry), Predicate.CARRY, "guard").body
        carry = documents.decode(Carry, body)
        assert (carry.change, carry.plan, carry.green) == (paper.change, paper.plan, paper.green)
        assert (carry.consent,) == paper.consents
        assert carry.risk <= carry.given_risk
        return carry.given, carry.given_plan, carry.given_green

    def consent_paper(self, digest: Digest) -> Consent:
        """A consent that the owner signed."""
        body = self.house.signers["guard"].open(self.house.store.get(digest), Predicate.CONSENT, "owner").body
        return documents.decode(Consent, body)


FULL = os.environ.get("GREENROOM_SUITE") == "full"


@pytest.mark.slow
class TestFlowMachine(FlowMachine.TestCase):  # type: ignore[name-defined,misc]
    """A few sequences in CI, many in the full suite."""

    settings = settings(
        max_examples=400 if FULL else 10,
        stateful_step_count=40 if FULL else 20,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
