"""Spans of time as a person writes them: `90s`, `10m`, `1h30m`."""

from __future__ import annotations

import re

from greenroom.domain.errors import Unusable

MAX_SECONDS = 7 * 24 * 3600
_PARTS = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?", re.ASCII)


def parse(text: str) -> int:
    """Seconds, at most a week; raises Unusable `bad-duration`."""
    found = _PARTS.fullmatch(text.strip().lower())
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    total = hours * 3600 + minutes * 60 + seconds
    if found is None or not any(found.groups()) or total > MAX_SECONDS:
        remedy = "write hours, minutes and seconds in this order, at most a week: 90s, 10m, 1h30m"
        raise Unusable("bad-duration", "this is no span of time", where=text[:80], remedy=remedy)
    return total
