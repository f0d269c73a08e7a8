"""What every Proposer promises, tried on the built-ins over a keeper in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from greenroom.agents.proposers import loader
from greenroom.audit.attest import KeyAttestor
from greenroom.audit.keys import generate
from greenroom.domain import documents
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.errors import GreenroomError
from greenroom.domain.ports import CheckRun, Proposer
from greenroom.domain.proof import Predicate, Receipt, RunOutput, Usage
from greenroom.domain.proposal import Proposal
from greenroom.domain.trees import manifest_of
from greenroom.domain.verdict import Instant, Refused
from greenroom.domain.vocabulary import Kind, Subject
from greenroom.testing.store import MemoryStore

SUBJECT = Subject(kind=Kind.WORKSPACE, address="/r#main")
GOLDEN, TOOL = digest_of("golden", b"g"), digest_of("tool", b"t")
FOUND = {
    "rule": "family:RULE",
    "title": "A title",
    "rationale": "why",
    "expected": "what",
    "confidence": 80,
    "files": ["a.py"],
    "count": 1,
    "patch": "1.patch",
    "fingerprint": "f",
    "reproduce": "",
}


class OneScan:
    """The part of the Keeper port that proposers use."""

    def __init__(self, store: MemoryStore, result: Any) -> None:
        key = generate()
        self.attestor = KeyAttestor("keeper", key, {"keeper": (key.public,)})
        self.store, self.result, self.runs = store, result, 0

    def check(self, run: CheckRun) -> Digest | Refused:
        self.runs += 1
        if isinstance(self.result, Refused):
            return self.result
        empty = self.store.put("text", b"")
        output = RunOutput(
            result=self.store.put("output", json.dumps(self.result).encode()),
            stdout=empty,
            stderr=empty,
            truncated=False,
            artifacts={"1.patch": self.store.put("blob", b"diff --git a/a.py b/a.py\n")},
        )
        receipt = Receipt(
            run=f"r{self.runs}",
            check=run.check,
            role=run.role,
            mounted=dict(run.trees),
            golden=run.golden,
            tool=run.tool,
            args=empty,
            layers={},
            exit=0,
            ended_by="exit",
            output=self.store.put("output", documents.encode(output)),
            usage=Usage(wall_ms=1, cpu_ms=1),
            began=Instant(1),
            ended=Instant(2),
        )
        return self.store.put(
            "statement", self.attestor.sign(Predicate.RECEIPT, receipt.output, documents.encode(receipt))
        )


def made(name: str, result: Any) -> tuple[Proposer, Digest]:
    """The installed proposer `name` and a live tree for it."""
    store = MemoryStore()
    keeper = OneScan(store, result)
    proposer = loader.load(name)(
        keeper=keeper,  # type: ignore[arg-type]
        store=store,
        attestor=keeper.attestor,
        golden=GOLDEN,
        tool=TOOL,
    )
    return proposer, store.put("tree", manifest_of(()).encode())


RESULT: Mapping[str, Any] = {"proposals": [FOUND, FOUND | {"rule": "family:OTHER"}], "tools": {"ruff": "1"}}


@pytest.mark.parametrize("name", loader.available())
def test_the_name_is_the_plug_ins(name: str) -> None:
    """A proposer is called as its entry point is."""
    assert made(name, RESULT)[0].name == name


@pytest.mark.parametrize("name", loader.available())
def test_each_item_is_a_proposal_document(name: str) -> None:
    """Items are canonical bytes of a Proposal that names its proposer."""
    proposer, live = made(name, RESULT)
    items = list(proposer.propose(SUBJECT, live))
    found = [documents.decode(Proposal, item) for item in items]
    assert [item.rule for item in found] == ["family:RULE", "family:OTHER"]
    assert all(
        item.proposer == name and documents.encode(item) == data for item, data in zip(found, items, strict=True)
    )


@pytest.mark.parametrize("name", loader.available())
def test_the_same_live_tree_gives_the_same_proposals(name: str) -> None:
    """Asking twice gives the same bytes, so that a finding is known again."""
    proposer, live = made(name, RESULT)
    assert list(proposer.propose(SUBJECT, live)) == list(proposer.propose(SUBJECT, live))


@pytest.mark.parametrize("name", loader.available())
@pytest.mark.parametrize("result", [Refused(rule="stopped", where="keeper", remedy="lift"), {}, {"proposals": [1]}])
def test_what_cannot_be_had_raises_one_of_our_errors(name: str, result: Any) -> None:
    """A refused or malformed scan raises with a reference and proposes nothing."""
    proposer, live = made(name, result)
    with pytest.raises(GreenroomError) as caught:
        list(proposer.propose(SUBJECT, live))
    assert caught.value.reference
