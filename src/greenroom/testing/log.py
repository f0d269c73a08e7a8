"""A log in memory, and the three roles' attestors with keys of their own."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping, Sequence

from greenroom.audit import keys
from greenroom.audit.attest import KeyAttestor
from greenroom.audit.log import GRACE_NS, MAX_READ
from greenroom.audit.tiles import MAX_ENTRY_BYTES
from greenroom.domain import documents
from greenroom.domain.errors import TooLarge, Unusable
from greenroom.domain.events import Event
from greenroom.domain.proof import Role
from greenroom.domain.verdict import Instant

ROLES: tuple[Role, ...] = ("owner", "guard", "keeper")


class MemoryLog:
    """The Log port without a disk; passes the same conformance suite as TileLog."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[bytes] = []
        self._keys: dict[str, int] = {}
        self._last = 0

    def append(self, event: Event) -> int:
        """The index of `event`; the same key gives the same index."""
        with self._lock:
            if event.key in self._keys:
                return self._keys[event.key]
            if event.at < self._last - GRACE_NS:
                raise Unusable("clock-set-back", "the clock is behind the last log entry", remedy="set the clock right")
            at = max(event.at, self._last)
            entry = documents.encode(dataclasses.replace(event, at=Instant(at)))
            if len(entry) > MAX_ENTRY_BYTES:
                raise TooLarge("event-too-large", f"a log entry has at most {MAX_ENTRY_BYTES} bytes")
            self._last = at
            self._keys[event.key] = len(self._entries)
            self._entries.append(entry)
            return len(self._entries) - 1

    def size(self) -> int:
        """How many entries there are."""
        return len(self._entries)

    def read(self, start: int, count: int) -> Sequence[bytes]:
        """The entries from `start`, at most `count`."""
        if start < 0 or count < 0:
            raise Unusable("bad-range", "entries are numbered from 0")
        return self._entries[start : start + min(count, MAX_READ)]

    def events(self) -> list[Event]:
        """All entries as events, for tests."""
        return [documents.decode(Event, entry) for entry in self._entries]


def attestors() -> Mapping[Role, KeyAttestor]:
    """An attestor for each role, with fresh keys; each knows the public keys of all."""
    private = {role: keys.generate() for role in ROLES}
    public: dict[Role, tuple[bytes, ...]] = {role: (key.public,) for role, key in private.items()}
    return {role: KeyAttestor(role, private[role], public) for role in ROLES}
