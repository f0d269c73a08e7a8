"""A clock that moves only when told."""

from __future__ import annotations

from greenroom.domain.verdict import Instant
from greenroom.guard.uptime import Uptime

SECOND = 1_000_000_000
START = Instant(1_760_000_000 * SECOND)


class ManualClock:
    """The Clock port; starts at `at` (nanoseconds since the epoch, UTC) and stands still."""

    def __init__(self, at: Instant = START) -> None:
        self._now = at

    def now(self) -> Instant:
        """The time that was set."""
        return self._now

    def advance(self, seconds: float) -> Instant:
        """Move on by `seconds`, which may be negative: a clock can be set back."""
        self._now = Instant(self._now + round(seconds * SECOND))
        return self._now

    def set(self, at: Instant) -> None:
        """Stand at `at`."""
        self._now = at


class ManualMachine:
    """A machine that is on since `clock` stood where it stands, but for where it is told to be off."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._boots, self._since, self._asleep = 1, clock.now(), 0

    def __call__(self) -> Uptime:
        """What a kernel would tell."""
        awake = self._clock.now() - self._since - self._asleep
        return Uptime(boot=f"boot-{self._boots}", awake_ns=awake, asleep_ns=self._asleep)

    def off(self, seconds: float) -> None:
        """Be off for so long."""
        self._clock.advance(seconds)
        self._boots, self._since, self._asleep = self._boots + 1, self._clock.now(), 0

    def sleep(self, seconds: float) -> None:
        """Be suspended for so long."""
        self._clock.advance(seconds)
        self._asleep += round(seconds * SECOND)

    def set_clock(self, seconds: float) -> None:
        """Somebody sets the clock on or back: no time goes by."""
        self._clock.advance(seconds)
        self._since = Instant(self._since + round(seconds * SECOND))
