"""Stop and rates: nothing starts while stopped, what runs is cancelled, and no tool runs more often than it may."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from greenroom.domain.digest import Digest
from greenroom.domain.plan import ToolManifest
from greenroom.domain.rates import SECOND_NS, Uses, over, take
from greenroom.domain.verdict import Instant, Refused

POLL_S = 0.1
PATIENCE_S = 60.0
CLOSING_S = 3.0
_LONGEST_NS = 3600 * SECOND_NS


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


class Kept(Protocol):
    """The last uses of each tool, kept where a restart does not lose them."""

    def uses(self, tool: Digest) -> Uses:
        """When `tool` was used, from the first to the last."""
        ...

    def keep_uses(self, tool: Digest, used: Uses, until: Instant, at: Instant) -> None:
        """Keep them, on the disk when this returns, until `until`; what was kept until before `at` is forgotten."""
        ...


class Rates:
    """Keeps each tool to its manifest's `per_minute` uses and `cooldown_s` seconds between two, over restarts too.

    A use that comes too early waits, up to `patience_s`, and is refused (`rate-limit`) when that is not enough.
    `now` gives the time of day, which goes on while no keeper is there.
    """

    def __init__(
        self,
        gate: Gate,
        kept: Kept,
        *,
        now: Callable[[], Instant],
        pause: Callable[[float], bool] | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._gate = gate
        self._kept = kept
        self._now = now
        self._pause = pause or gate.pause
        self._patience_ns = int(patience_s * SECOND_NS)
        self._lock = threading.Lock()

    def take(self, tool: Digest, manifest: ToolManifest) -> Refused | None:
        """Count one use of `tool`; None when it may go on. Raises Unusable when the uses cannot be kept."""
        waited = 0
        while (wait := self._try(tool, manifest)) > 0:
            if manifest.per_minute < 1 or waited + wait > self._patience_ns:
                return Refused(
                    rule="rate-limit",
                    where=f"{manifest.name}: {manifest.per_minute} a minute, {manifest.cooldown_s} s apart",
                    remedy=f"ask again in {-(-min(wait, _LONGEST_NS) // SECOND_NS)} s",
                )
            if not self._pause(wait / SECOND_NS):
                return self._gate.refusal()
            waited += wait
        return None

    def _try(self, tool: Digest, manifest: ToolManifest) -> int:
        """Count the use and answer 0, or answer how many nanoseconds are missing."""
        with self._lock:
            now = self._now()
            used = self._kept.uses(tool)
            if any(at > now for at in used):
                used = tuple(min(at, now) for at in used)
                self._kept.keep_uses(tool, used, over(used, manifest), now)
            taken = take(used, manifest, now)
            if isinstance(taken, int):
                return taken
            self._kept.keep_uses(tool, taken, over(taken, manifest), now)
            return 0
