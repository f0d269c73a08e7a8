"""Points in time as a person types them, and lengths of time as a person reads them."""

from __future__ import annotations

import datetime
import re

from greenroom.domain.errors import Unusable

_SECOND = 1_000_000_000
_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_LENGTH = re.compile(r"(\d{1,6})([mhdw])")
_LAST = datetime.datetime(9999, 1, 1, tzinfo=datetime.UTC)


def instant(text: str, now: int) -> int:
    """`text` as nanoseconds since the epoch: a length from `now` (30m, 12h, 7d, 2w), a day or a time of ISO 8601.

    A day is its end, UTC; a time without a zone is UTC. Raises Unusable `bad-time`.
    """
    length = _LENGTH.fullmatch(text)
    if length is not None:
        return now + int(length[1]) * _UNITS[length[2]] * _SECOND
    try:
        found = datetime.datetime.fromisoformat(text)
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            found += datetime.timedelta(days=1)
        found = found if found.tzinfo is not None else found.replace(tzinfo=datetime.UTC)
        if not 0 <= found.timestamp() < _LAST.timestamp():
            raise ValueError
    except (ValueError, OverflowError):
        remedy = "a length such as 12h, 30d or 2w, or a day such as 2030-12-31"
        raise Unusable("bad-time", "this is no point in time", where=ascii(text)[:80], remedy=remedy) from None
    return int(found.timestamp()) * _SECOND


def said(at: int) -> str:
    """An instant (nanoseconds since the epoch) in UTC, to the minute."""
    try:
        return datetime.datetime.fromtimestamp(at // _SECOND, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return "beyond the calendar"


def left(ends: int, now: int) -> str:
    """How long it is until `ends`, in the two largest units; empty when it is over."""
    seconds = -(-(ends - now) // _SECOND)
    if seconds <= 0:
        return ""
    if seconds < 60:
        return f"{seconds} s"
    minutes = -(-seconds // 60)
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
