"""The entries of the log. Digests only: content can be erased, the log cannot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from greenroom.domain.digest import Digest
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import ChangeId

GUARD_ONLY = frozenset(
    {
        "box.created",
        "live.adopted",
        "live.promoted",
        "live.reverted",
        "live.not-reverted",
        "live.marked-good",
        "warrant.issued",
        "warrant.refused",
        "consent.given",
        "consent.refused",
        "consent.carried",
        "consent.withdrawn",
        "constitution.changed",
        "mode.changed",
        "floor.set",
        "floor.cleared",
        "person.looked",
        "opt-in.added",
        "opt-in.removed",
        "window.opened",
        "window.cancelled",
        "window.applied",
        "command.allowed",
        "stop.set",
        "stop.lifted",
        "budget.reserved",
        "budget.settled",
        "key.certified",
        "keeper.certified",
    }
)
"""Names that only the guard writes; from anybody else they are refused (`event-reserved`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One log entry. The same `key` is appended once; `about` is a short word (a rule, a verdict), never content."""

    schema: int = 1
    key: str
    at: Instant
    actor: str
    name: str
    change: ChangeId | None = None
    about: str = ""
    digests: Mapping[str, Digest] = field(default_factory=dict)
