"""A clock that moves only when told."""

from __future__ import annotations

from greenroom.domain.verdict import Instant

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
