"""Stop and rates: nothing starts while stopped, what runs is cancelled, and no tool runs more often than it may."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from greenroom.domain.digest import Digest
from greenroom.domain.plan import ToolManifest
from greenroom.domain.verdict import Refused

POLL_S = 0.1
PATIENCE_S = 60.0
CLOSING_S = 3.0
_MINUTE = 60.0


class Gate:
    """Whether things may run: `stopped` asks the box's stop, `close` ends this keeper's work for good.

    At most `cells` sandboxes run at a time, so that wall-time limits mean the same however much is asked for.
    """

    def __init__(self, stopped: Callable[[], bool], *, cells: int) -> None:
        self._stopped = stopped
        self._closed = threading.Event()
        self._count = cells
        self._cells = threading.Semaphore(cells)

    def shut(self) -> bool:
        """True when everything must end; sandboxes ask it while they run."""
        return self._closed.is_set() or self._stopped()

    def close(self, patience_s: float = CLOSING_S) -> None:
        """End what runs and start nothing more; returns when the last cell is gone, or after `patience_s`."""
        self._closed.set()
        until = time.monotonic() + patience_s
        places = [self._cells.acquire(timeout=max(0.0, until - time.monotonic())) for _ in range(self._count)]
        for _ in filter(None, places):
            self._cells.release()

    def refusal(self) -> Refused | None:
        """Refused `stopped` or `keeper-closing` when nothing may start."""
        if self._closed.is_set():
            return Refused(rule="keeper-closing", where="keeper", remedy="ask again; the keeper is being restarted")
        if self._stopped():
            return Refused(rule="stopped", where="keeper", remedy="a person lifts the stop with `greenroom lift`")
        return None

    def pause(self, seconds: float) -> bool:
        """Wait; False as soon as the gate is shut."""
        until = time.monotonic() + seconds
        while not self.shut():
            left = until - time.monotonic()
            if left <= 0:
                return True
            self._closed.wait(min(left, POLL_S))
        return False

    @contextmanager
    def cell(self) -> Iterator[Refused | None]:
        """A place for one sandbox, waited for; the refusal instead when the gate is shut."""
        while not self._cells.acquire(timeout=POLL_S):
            if (refused := self.refusal()) is not None:
                yield refused
                return
        try:
            yield self.refusal()
        finally:
            self._cells.release()


class Rates:
    """Keeps each tool to its manifest's `per_minute` uses and `cooldown_s` seconds between two.

    A use that comes too early waits, up to `patience_s`, and is refused (`rate-limit`) when that is not enough.
    """

    def __init__(
        self,
        gate: Gate,
        *,
        now: Callable[[], float] = time.monotonic,
        pause: Callable[[float], bool] | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._gate = gate
        self._now = now
        self._pause = pause or gate.pause
        self._patience_s = patience_s
        self._used: dict[Digest, deque[float]] = {}
        self._lock = threading.Lock()

    def take(self, tool: Digest, manifest: ToolManifest) -> Refused | None:
        """Count one use of `tool`; None when it may go on."""
        until = self._now() + self._patience_s
        while (wait := self._try(tool, manifest)) > 0:
            if self._now() + wait > until:
                return Refused(
                    rule="rate-limit",
                    where=f"{manifest.name}: {manifest.per_minute} a minute, {manifest.cooldown_s} s apart",
                    remedy=f"ask again in {math.ceil(min(wait, 3600))} s",
                )
            if not self._pause(wait):
                return self._gate.refusal()
        return None

    def _try(self, tool: Digest, manifest: ToolManifest) -> float:
        """Count the use and answer 0, or answer how many seconds are missing."""
        if manifest.per_minute < 1:
            return math.inf
        with self._lock:
            used = self._used.setdefault(tool, deque())
            now = self._now()
            while used and now - used[0] >= max(_MINUTE, manifest.cooldown_s):
                used.popleft()
            wait = used[-1] + manifest.cooldown_s - now if used else 0.0
            recent = [at for at in used if now - at < _MINUTE]
            if len(recent) >= manifest.per_minute:
                wait = max(wait, recent[len(recent) - manifest.per_minute] + _MINUTE - now)
            if wait <= 0:
                used.append(now)
                return 0.0
            return wait
