"""How often a tool may run, as pure values: a token bucket for the rate, a gap for the cool-down."""

from __future__ import annotations

from dataclasses import dataclass

from greenroom.domain.plan import ToolManifest
from greenroom.domain.verdict import Instant

_SECOND = 1_000_000_000
_MINUTE = 60 * _SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """What one tool may still use. `credit` counts nanoseconds of a minute; one run costs a minute / per_minute."""

    credit: int
    at: Instant
    last: Instant | None = None


def full(now: Instant) -> Bucket:
    """The bucket of a tool that has not run yet."""
    return Bucket(credit=_MINUTE, at=now)


def take(bucket: Bucket, manifest: ToolManifest, now: Instant) -> Bucket | Instant:
    """The bucket after one run at `now`, or the first instant at which the run may be asked for again.

    Time that goes backwards earns nothing. A manifest with `per_minute` 0 never runs: the instant is a minute away.
    """
    now = max(now, bucket.at)
    credit = min(_MINUTE, bucket.credit + now - bucket.at)
    if manifest.per_minute <= 0:
        return Instant(now + _MINUTE)
    cost = -(-_MINUTE // manifest.per_minute)
    ready = now if bucket.last is None else max(now, bucket.last + manifest.cooldown_s * _SECOND)
    ready = max(ready, now + max(0, cost - credit))
    if ready > now:
        return Instant(ready)
    return Bucket(credit=credit - cost, at=Instant(now), last=Instant(now))
