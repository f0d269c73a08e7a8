"""Parts for the tests of the pipeline: a change, a database in memory, stages that do as they are told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from greenroom.domain import documents
from greenroom.domain.change import PATH, STAGES, Change
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.ports import Facts
from greenroom.domain.proof import Contribution, Risk
from greenroom.domain.proposal import Proposal
from greenroom.domain.verdict import Passed, Verdict
from greenroom.domain.vocabulary import ChangeId, ConsentLevel, Kind, Mode, Origin, Stage, State, Subject, Trust
from greenroom.pipeline import tables
from greenroom.pipeline.changes import DatabaseChanges
from greenroom.pipeline.flow import Done, Flow
from greenroom.testing.clock import ManualClock
from greenroom.testing.guard import FakeGuard
from greenroom.testing.log import MemoryLog, attestors
from greenroom.testing.policy import FakePolicy
from greenroom.testing.store import MemoryStore

SUBJECT = Subject(kind=Kind.WORKSPACE, address="/home/ada/project#main")
BASE, GREEN = digest_of("tree", b"base"), digest_of("tree", b"green")
PLAN = digest_of("plan", b"plan")
RISK = Risk(contributions=(Contribution(name="few", points=3, why="small"),), level=ConsentLevel.OPT_IN)


def a_change(state: State = State.PROPOSED, **members: Any) -> Change:
    """A change in `state`, with members bent as told."""
    usual: dict[str, Any] = {
        "id": ChangeId("k3f9x2"),
        "subject": SUBJECT,
        "origin": Origin(actor="proposer:typo", door="improve", engine=None, prompt=None, trust=Trust.BOX),
        "request": digest_of("text", b"request"),
        "mode": Mode.PROPOSE,
        "state": state,
        "base": BASE,
        "golden": digest_of("golden", b"golden"),
    }
    return Change(**(usual | members))


def a_proposal(patch: Digest, **members: Any) -> Proposal:
    """A proposal to apply `patch`."""
    usual: dict[str, Any] = {
        "proposer": "typo",
        "proposer_version": "1",
        "rule": "typo",
        "summary": "Mend a word",
        "rationale": "It is misspelt.",
        "expected": "It reads well.",
        "confidence": 90,
        "patch": patch,
        "files": ("README.md",),
        "fingerprint": "teh",
        "reproduce": "codespell",
    }
    return Proposal(**(usual | members))


def memory_engine() -> sa.Engine:
    """The tables of a box in memory."""
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool, connect_args={"check_same_thread": False})
    tables.METADATA.create_all(engine)
    return engine


class ToldStage:
    """A stage that answers what `answer` makes of the change, and remembers whom it saw."""

    def __init__(self, answer: Callable[[Change], Verdict]) -> None:
        self.answer = answer
        self.seen: list[Change] = []

    def run(self, change: Change) -> Done:
        self.seen.append(change)
        return Done(self.answer(change), change)


class FlowBench:
    """A flow over told stages, a scripted policy and a guard in memory."""

    def __init__(self) -> None:
        self.clock, self.store, self.log = ManualClock(), MemoryStore(), MemoryLog()
        self.attestors = attestors()
        self.guard = FakeGuard(
            store=self.store, log=self.log, attestor=self.attestors["guard"], clock=self.clock, agrees=lambda _: True
        )
        self.policy = FakePolicy(required=())
        self.changes = DatabaseChanges(memory_engine(), self.clock)
        self.stages = {stage: ToldStage(lambda _: Passed()) for stage in Stage}
        plan = documents.encode({"subject": documents.to_plain(SUBJECT), "intent": "Mend", "base": BASE} | _REST)
        self.plan = self.store.put("plan", plan)
        self.flow = Flow(
            changes=self.changes,
            store=self.store,
            guard=self.guard,
            policy=lambda: self.policy,
            stages=self.stages,
            facts=self.facts,
            clock=self.clock,
        )

    def facts(self, change: Change) -> Facts:
        return Facts(
            now=self.clock.now(),
            stopped=self.guard.status().stopped,
            mode=change.mode,
            live=None,
            layers={},
            disk_free_bytes=1,
            policy=self.policy.digest,
            health=(),
        )

    def saved(self, state: State = State.PROPOSED, **members: Any) -> Change:
        """A stored change in `state`, with a plan where its state has one."""
        plan = None if state is State.PROPOSED else self.plan
        return self.changes.save(a_change(state, **({"plan": plan} | members)))

    def answers(self, stage: Stage, answer: Callable[[Change], Verdict]) -> ToldStage:
        """From now on `stage` answers so."""
        self.stages[stage].answer = answer
        return self.stages[stage]

    def logged(self) -> list[tuple[str, str]]:
        """Name and word of each log entry."""
        return [(event.name, event.about) for event in self.log.events()]


_REST: Mapping[str, Any] = {"golden": digest_of("golden", b"golden"), "steps": [], "blobs": []}
STATES_WITH_A_STAGE = [state for state in PATH if state in STAGES]
