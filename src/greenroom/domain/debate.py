"""A debate as it is stored: what each reviewer said in each round, and what the judge made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from greenroom.domain import documents
from greenroom.domain.digest import Digest
from greenroom.domain.ports import Review, Store

ROUNDS = 2
MAX_TRANSCRIPT_BYTES = 1024 * 1024
Ruling = Literal["ACCEPT", "REJECT", "ERROR"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A reviewer that gave no usable review, and why."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round: every reviewer in turn, then the judge."""

    round: int
    reviews: tuple[Review | Failed, ...]
    ruling: Ruling
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """A whole debate. `dossier` is what the reviewers were given."""

    dossier: Digest
    rounds: tuple[Round, ...]
    ruling: Ruling
    why: str


def read_transcript(store: Store, digest: Digest | None) -> Transcript | None:
    """The debate that `digest` names, strictly parsed; None without one. Raises Unusable, NotFound or Tampered."""
    if digest is None:
        return None
    return documents.decode(Transcript, store.get(digest, MAX_TRANSCRIPT_BYTES), limit=MAX_TRANSCRIPT_BYTES)
