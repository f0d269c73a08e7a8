"""What the verbs work with, put together by bootstrap."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from greenroom.domain.change import Change
from greenroom.domain.constitution import DayCaps
from greenroom.domain.digest import Digest
from greenroom.domain.ports import Attestor, Changes, Clock, Guard, Keeper, Proposer, Store
from greenroom.domain.verdict import Held
from greenroom.domain.vocabulary import ChangeId
from greenroom.pipeline.branches import Branches
from greenroom.pipeline.changes import Board, Deliveries, Settings
from greenroom.pipeline.decisions import Decisions
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


def _none_stale(change: Change) -> Sequence[str]:
    del change
    return ()


class Turns:
    """One lock a name, for what only one command at a time may do to the same thing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    def of(self, name: str) -> threading.Lock:
        """The lock of `name`."""
        with self._lock:
            return self._locks.setdefault(name, threading.Lock())


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """All that the verbs work with; put together by bootstrap. `crash_point` is told each place between two saves."""

    changes: Changes
    board: Board
    deliveries: Deliveries
    settings: Settings
    decisions: Decisions
    branches: Branches
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
    stale: Callable[[Change], Sequence[str]] = _none_stale
    """The members of a change's card that its papers would give otherwise now."""
    turns: Turns = field(default_factory=Turns)
