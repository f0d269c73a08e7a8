"""What the debate is told of earlier changes: how their tests came out, whatever else became of them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from pipeline_cases import GREEN, a_change, a_proposal, memory_engine

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.digest import digest_of
from greenroom.domain.proof import Evidence, EvidenceVerdict
from greenroom.domain.vocabulary import ChangeId, State
from greenroom.pipeline import history
from greenroom.pipeline.changes import Board, DatabaseChanges, Line
from greenroom.testing.clock import ManualClock
from greenroom.testing.store import MemoryStore

NONE = {"passed": 0, "failed": 0, "others-passed": 0, "others-failed": 0}


class Box:
    """Changes of a box in memory, and what the debate of the next one is told."""

    def __init__(self) -> None:
        self.store, self.clock = MemoryStore(), ManualClock()
        engine = memory_engine()
        self.changes, self.board = DatabaseChanges(engine, self.clock), Board(engine)
        self.at = 0

    def add(self, state: State, rule: str = "typo", *, ended: str | None = None, **verdicts: EvidenceVerdict) -> Change:
        """An earlier change in `state`, with evidence of the checks named."""
        evidence = [
            Evidence(check=check.replace("_", "-"), about=GREEN, verdict=verdict, receipts=())
            for check, verdict in verdicts.items()
        ]
        stored = tuple(self.store.put("output", documents.encode(item)) for item in evidence)
        return self.changes.save(dataclasses.replace(self.next(rule), state=state, ended=ended, evidence=stored))

    def next(self, rule: str = "typo") -> Change:
        """A change that is to be debated."""
        self.at += 1
        self.clock.advance(1)
        proposal = dataclasses.replace(a_proposal(digest_of("blob", b"patch")), rule=rule)
        change = a_change(id=ChangeId(f"change{self.at}"), request=self.store.put("text", documents.encode(proposal)))
        self.board.put(Line(change=change.id, summary=proposal.summary, rule=rule, fingerprint=change.id))
        return change

    def told(self) -> Any:
        """The counts that the next change's reviewers see."""
        return history.counts(self.board, self.store, self.next())


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.mark.parametrize("state", [State.VERIFIED, State.KEPT, State.REVERTED, State.ABORTED])
def test_tests_that_passed_count_as_passed_whatever_became_of_the_change(box: Box, state: State) -> None:
    """A person's no, a withdrawal or a revert is no word on the tests."""
    box.add(state, scan="pass", tests="pass", own_tests="pass")
    assert box.told() == NONE | {"passed": 1}


@pytest.mark.parametrize("verdict", ["fail", "flaky"])
@pytest.mark.parametrize("check", ["tests", "own_tests"])
def test_tests_that_failed_count_as_failed(box: Box, check: str, verdict: EvidenceVerdict) -> None:
    """Either suite can fail; flickering is failing."""
    verdicts: dict[str, EvidenceVerdict] = {"tests": "pass"}
    box.add(State.ABORTED, "other", **(verdicts | {check: verdict}))
    assert box.told() == NONE | {"others-failed": 1}


def test_what_says_nothing_of_the_tests_is_not_counted(box: Box) -> None:
    """Refused before the tests ran, inconclusive, without a runnable suite, superseded: none passed, none failed."""
    box.add(State.ABORTED, scan="fail")
    box.add(State.SIMULATED, tests="inconclusive")
    box.add(State.SIMULATED, tests="pass", own_tests="inconclusive")
    box.add(State.KEPT, tests="broken-before", own_tests="broken-before")
    box.add(State.ABORTED, ended="superseded", tests="pass")
    box.add(State.PLANNED)
    assert box.told() == NONE


def test_erased_evidence_says_nothing(box: Box) -> None:
    """What the store no longer has cannot be counted, and is no reason to end a debate."""
    gone = box.add(State.KEPT, tests="pass", scan="pass")
    box.store.erase(gone.evidence[0])
    assert box.told() == NONE


def test_the_latest_changes_are_remembered(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A box with many changes looks at its latest ones only."""
    monkeypatch.setattr(history, "MAX_REMEMBERED", 3)
    for _ in range(3):
        box.add(State.ABORTED, tests="fail")
    for _ in range(2):
        box.add(State.KEPT, "other", tests="pass")
    assert box.told() == NONE | {"failed": 1, "others-passed": 2}
