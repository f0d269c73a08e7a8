"""The guard's pen: time that never goes back, and the log entries that only the guard may write."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping

from greenroom.domain import documents
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unusable
from greenroom.domain.events import GUARD_ONLY, Event
from greenroom.domain.ports import Clock, Log
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import ChangeId

OWN = "guard/"
SLEW_NS = 2_000_000_000
"""Clocks are nudged back by fractions of a second every day; more than this is a clock that was set back."""

_OWN_NAMES = frozenset(name.partition(".")[0] for name in GUARD_ONLY)
_OWN_ACTORS = frozenset({"guard", "keeper", "owner"})
_BOUNDS = {"key": 256, "actor": 80, "name": 64, "change": 128}
_MAX_ABOUT = 200
_MAX_DIGESTS = 32


class SteadyClock:
    """Time that never goes below the last entry of the log."""

    def __init__(self, clock: Clock, log: Log) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last = _last_time(log)

    def now(self) -> Instant:
        """The time; raises Unusable `clock-set-back` when the clock went back by more than the slew."""
        with self._lock:
            at = self._clock.now()
            if at < self._last - SLEW_NS:
                raise Unusable(
                    "clock-set-back",
                    "the clock stands before the last entry of the log",
                    where=f"{(self._last - at) // 1_000_000_000} seconds behind",
                    remedy="set the clock right, then try again",
                )
            return self._seen(at)

    def floor(self) -> Instant:
        """The time, or the last one seen: for what must work whatever the clock says (stop, revert)."""
        with self._lock:
            return self._seen(self._clock.now())

    def _seen(self, at: Instant) -> Instant:
        self._last = max(self._last, at)
        return self._last


class Journal:
    """Appends to the log: the guard's own entries, and those of callers once they are checked.

    `before` is called before each append, which the log signs.
    """

    def __init__(self, log: Log, clock: SteadyClock, before: Callable[[], None] | None = None) -> None:
        self._log = log
        self._clock = clock
        self._before = before or _nothing

    @property
    def size(self) -> int:
        """Entries in the log."""
        return self._log.size()

    def write(
        self,
        name: str,
        key: str,
        *,
        actor: str = "guard",
        change: ChangeId | None = None,
        about: str = "",
        digests: Mapping[str, Digest] | None = None,
    ) -> int:
        """Append an entry of the guard; the same `key` is appended once. Works whatever the clock says."""
        event = Event(
            key=OWN + key, at=Instant(0), actor=actor, name=name, change=change, about=about, digests=digests or {}
        )
        return self._append(event)

    def relay(self, event: Event) -> int:
        """Append an entry of a caller; raises Unusable `event-reserved` or `bad-event`.

        The time of the entry is the guard's: entries of several callers then stand in the order of their time.
        `about` is cut to what is printable and short: it may name what a hostile tool called its finding.
        """
        check_event(event)
        self._clock.now()
        about = "".join(c for c in event.about if c.isprintable())[:_MAX_ABOUT]
        return self._append(dataclasses.replace(event, about=about))

    def _append(self, event: Event) -> int:
        self._before()
        return self._log.append(dataclasses.replace(event, at=self._clock.floor()))


def check_event(event: Event) -> None:
    """Raise Unusable unless a caller may write `event`: bounded, printable, and nothing that only the guard says."""
    own = event.name.partition(".")[0] in _OWN_NAMES or event.actor in _OWN_ACTORS or event.key.startswith(OWN)
    if own:
        raise Unusable("event-reserved", "only the guard writes such an entry", where=event.name[:64])
    for field, bound in _BOUNDS.items():
        text = str(getattr(event, field) or "")
        if len(text) > bound or not text.isprintable() or (not text and field in ("key", "name", "actor")):
            raise Unusable("bad-event", f"a log entry's {field} is printable and at most {bound} long", where=field)
    names_fit = all(len(name) <= 64 and name.isprintable() for name in event.digests)
    if event.schema != 1 or len(event.digests) > _MAX_DIGESTS or not names_fit:
        raise Unusable("bad-event", "a log entry has schema 1 and at most 32 named digests", where="digests")


def tidy(text: str, bound: int = 80) -> str:
    """A caller's word for the log: printable, bounded, and never one that stands for a process of the box."""
    clean = "".join(c for c in text if c.isprintable())[:bound].strip()
    return f"caller {clean}" if not clean or clean in _OWN_ACTORS else clean


def _last_time(log: Log) -> Instant:
    size = log.size()
    if size == 0:
        return Instant(0)
    return documents.decode(Event, bytes(log.read(size - 1, 1)[0])).at


def _nothing() -> None:
    return None
