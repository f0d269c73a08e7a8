"""What the verbs work with, put together by bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from greenroom.domain.change import Change
from greenroom.domain.constitution import DayCaps
from greenroom.domain.digest import Digest
from greenroom.domain.ports import Attestor, Changes, Clock, Guard, Keeper, Proposer, Store
from greenroom.domain.verdict import Held
from greenroom.domain.vocabulary import ChangeId
from greenroom.pipeline.changes import Board, Deliveries, Settings
from greenroom.pipeline.flow import Watcher

Tell = Callable[[Mapping[str, Any]], None]
"""Receives progress: one JSON object an event."""


class Runs(Protocol):
    """The part of the durable runs that verbs need."""

    def carry(self, change: ChangeId, watcher: Watcher | None = None) -> Change:
        """Start a run and wait for its end."""
        ...

    def unfinished(self) -> Iterable[ChangeId]:
        """Changes whose run was cut."""
        ...

    def close(self) -> None:
        """Let go of the runs' database."""
        ...


def _no_point(point: str) -> None:
    del point


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """All that the verbs work with; put together by bootstrap. `crash_point` is told each place between two saves."""

    changes: Changes
    board: Board
    deliveries: Deliveries
    settings: Settings
    store: Store
    guard: Guard
    keeper: Keeper
    attestor: Attestor
    clock: Clock
    runs: Runs
    proposers: Callable[[], Mapping[str, Callable[[Digest], Proposer]]]
    prepare: Callable[[Digest], tuple[Digest, tuple[str, ...]] | Held]
    tools: Callable[[], Mapping[str, Digest]]
    caps: Callable[[], DayCaps]
    crash_point: Callable[[str], None] = _no_point
    optional: frozenset[str] = frozenset()
    """Proposers that run only when they are asked for."""
