"""What a scan saw besides what it proposes: a table of files and findings, and findings that have no patch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A finding without a patch; `line` and `column` count from 1, 0 where it has no place in its file."""

    rule: str
    path: str
    line: int
    column: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a scan went without, and what a person can do about it."""

    rule: str
    where: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Files of a generator's kind, scanned or ignored by a rule; findings, proposed, reported or dropped for a reason.

    `findings` is the sum of the other three kinds.
    """

    scanned: int = 0
    ignored: Mapping[str, int] = field(default_factory=dict)
    findings: int = 0
    proposed: int = 0
    reported: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One scan by one proposer."""

    counts: Counts
    reports: tuple[Report, ...] = ()
    notes: tuple[Note, ...] = ()
