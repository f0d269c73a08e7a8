"""What a stage answers: passed, refused or held. Each names the rule, the place and the remedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NewType

from greenroom.domain.digest import Digest

Instant = NewType("Instant", int)
"""UTC, nanoseconds since the epoch; a decimal string in stored JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """Go on; `produced` names what came of it."""

    produced: Mapping[str, Digest] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """No: `rule` (kebab-case, stable) at `where`; `remedy` is what would make it pass.

    `receipts` name the signed records of the runs that led to it, the last one being what broke; few answers have any.
    """

    rule: str
    where: str
    remedy: str
    receipts: tuple[Digest, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Waits for a person or a time; nothing was emitted. Never promoted by time-out."""

    rule: str
    where: str
    remedy: str
    ask_again: Instant | None = None


Verdict = Passed | Refused | Held
