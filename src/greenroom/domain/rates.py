"""How often a tool may run, as pure values: so many uses in any minute, and a gap between two."""

from __future__ import annotations

from collections.abc import Sequence

from greenroom.domain.plan import ToolManifest
from greenroom.domain.verdict import Instant

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
Uses = tuple[Instant, ...]
"""When a tool was used, from the first to the last: as many as can still matter."""


def take(used: Sequence[Instant], manifest: ToolManifest, now: Instant) -> Uses | int:
    """The uses with one more at `now`, or the nanoseconds until it may be asked for again.

    A use that lies ahead counts as one at `now`: a clock that is set back earns nothing, and costs no more than the
    bounds themselves. A manifest with `per_minute` 0 never runs: the answer is always a minute.
    """
    if manifest.per_minute < 1:
        return MINUTE_NS
    recent = [Instant(min(at, now)) for at in used if now - at < MINUTE_NS]
    last = min(used[-1], now) if used else None
    wait = 0 if last is None else last + manifest.cooldown_s * SECOND_NS - now
    if len(recent) >= manifest.per_minute:
        wait = max(wait, recent[-manifest.per_minute] + MINUTE_NS - now)
    return max(0, wait) or (*recent, now)[-manifest.per_minute :]


def over(used: Sequence[Instant], manifest: ToolManifest) -> Instant:
    """When the uses stop to matter: a minute or a cool-down after the last."""
    return Instant(max(used, default=0) + max(MINUTE_NS, manifest.cooldown_s * SECOND_NS))
