"""The card: everything a person needs to see of a change, as one stored document. `shown` is its digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from greenroom.domain.digest import Digest
from greenroom.domain.outcomes import FileDiff
from greenroom.domain.proof import Evidence, Risk
from greenroom.domain.vocabulary import Agree, ChangeId, Origin, Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A change as it is shown. Text from outside is escaped when rendered, not here; nothing is truncated."""

    change: ChangeId
    subject: Subject
    summary: str
    rationale: str
    expected: str
    confidence: int
    rule: str
    patch: Digest
    files: tuple[FileDiff, ...]
    suggested_tests: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    risk: Risk
    agree: Agree
    origin: Origin
    plan: Digest
    base: Digest
    green: Digest
    golden: Digest
    debate: Digest | None
    tools: Mapping[str, str]
    environment: Mapping[str, str]
    notes: tuple[str, ...] = ()
