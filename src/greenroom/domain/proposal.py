"""A proposal: what a proposer found, as untrusted bytes until the plan stage has parsed them."""

from __future__ import annotations

from dataclasses import dataclass

from greenroom.domain import documents
from greenroom.domain.digest import Digest
from greenroom.domain.ports import Store
from greenroom.domain.vocabulary import Origin, Trust

MAX_PROPOSAL_BYTES = 256 * 1024
DOOR = "improve"
"""The door that what a proposer suggests comes in by."""
EDIT_DOOR = "edit"
"""The door that what a person writes comes in by."""
UNDO = "undo"
"""Who proposes the opposite of a live change."""
_PERSON = "person:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One small, atomic change that a proposer suggests.

    `patch` is the digest of a unified diff in the store (git's format); `rule` the family (`ruff:F401`);
    `fingerprint` stays the same while the finding does, so that repeated runs update instead of repeating;
    `reproduce` is the argument of `codegen_t0` that gives the same patch again, empty when none does.
    """

    proposer: str
    proposer_version: str
    rule: str
    summary: str
    rationale: str
    expected: str
    confidence: int
    patch: Digest
    files: tuple[str, ...]
    fingerprint: str
    reproduce: str
    suggested_tests: tuple[str, ...] = ()


def read(store: Store, digest: Digest) -> Proposal:
    """The proposal that is stored as `digest`, strictly parsed; raises Unusable, NotFound or Tampered."""
    return documents.decode(Proposal, store.get(digest, MAX_PROPOSAL_BYTES), limit=MAX_PROPOSAL_BYTES)


def is_person(actor: str) -> bool:
    """True for a name that a person is known by in the log; no proposer may have one."""
    return actor.startswith(_PERSON) and len(actor) > len(_PERSON) and len(actor) <= 80 and actor.isprintable()


def origin_of(proposer: str, trust: Trust) -> Origin:
    """Where a change comes from that `proposer` suggested, or that a person wrote; none has an engine or a prompt."""
    if is_person(proposer):
        return Origin(actor=proposer, door=EDIT_DOOR, engine=None, prompt=None, trust=trust)
    return Origin(actor=f"proposer:{proposer}", door=DOOR, engine=None, prompt=None, trust=trust)
