"""Spans of time that have passed, as a person names them: `last-night`, `today`, `since-monday`, `7d`. Pure.

A name is one word; `said` gives it as it is spoken. All is reckoned in the person's own wall time, without an offset:
the caller places it on the line of time, so that a night in which the clock is set has its own length.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from greenroom.domain.errors import Unusable

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
FORMS = "last-night, today, yesterday, this-week, since-monday, 12h, 7d, 2w, or a day such as 2030-12-31"
EVENING, MORNING = 18, 8
"""The hours between which it is night."""
LONGEST_DAYS = 3660
_DAY = datetime.timedelta(days=1)
_LENGTH = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?:t\d{2}:\d{2})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From `begins` to `ends`, which is not in it; wall time."""

    begins: datetime.datetime
    ends: datetime.datetime


def span(name: str, now: datetime.datetime) -> Span:
    """The span that `name` means to whoever asks at `now`; it never ends later. Raises Unusable `bad-span`."""
    word = normal(name)
    made = _NAMED.get(word)
    if made is not None:
        return _past(*made(now), now)
    relation, _, rest = word.partition("-")
    if relation in ("since", "on") and rest:
        begins = _begin(rest, now)
        return _past(begins, now if relation == "since" else begins + _DAY, now)
    length = _LENGTH.fullmatch(word)
    if length is not None:
        return _past(_back(now, int(length[1]), length[2]), now, now)
    begins = _begin(word, now)
    return _past(begins, begins + _DAY if word in WEEKDAYS or len(word) == len("2030-12-31") else now, now)


def require(name: str) -> None:
    """Raise Unusable `bad-span` for what names no span of time."""
    span(name, datetime.datetime(9990, 6, 15, 12))


def normal(name: str) -> str:
    """A name as one word in small letters: `Last night` is `last-night`."""
    return "-".join(name.casefold().split())[:60]


def said(name: str) -> str:
    """A name as it is spoken: `7d` is `in the last 7 days`."""
    length = _LENGTH.fullmatch(name)
    if length is not None:
        unit = _UNITS[length[2]]
        return f"in the last {length[1]} {unit}" if length[1] != "1" else f"in the last {unit[:-1]}"
    if _ISO.fullmatch(name):
        return f"on {name}"
    relation, _, rest = name.partition("-")
    return f"{relation} {rest if _ISO.fullmatch(rest) else rest.replace('-', ' ')}".strip()


def _past(begins: datetime.datetime, ends: datetime.datetime, now: datetime.datetime) -> Span:
    if begins > now:
        raise Unusable("bad-span", "this time is still to come", where=str(begins), remedy=f"name a past one: {FORMS}")
    return Span(begins=begins, ends=min(ends, now))


def _begin(word: str, now: datetime.datetime) -> datetime.datetime:
    """Where a named time begins."""
    if word in _NAMED:
        return _NAMED[word](now)[0]
    day = word.removeprefix("last-")
    if day in WEEKDAYS:
        back = (now.weekday() - WEEKDAYS.index(day)) % 7
        return _midnight(now) - _DAY * (back or (7 if day != word else 0))
    try:
        if not _ISO.fullmatch(word):
            raise ValueError(word)
        return datetime.datetime.fromisoformat(word.upper())
    except ValueError:
        raise Unusable(
            "bad-span", "this is no span of time", where=ascii(word)[:80], remedy=f"one of {FORMS}"
        ) from None


def _back(now: datetime.datetime, count: int, unit: str) -> datetime.datetime:
    length = datetime.timedelta(**{_UNITS[unit]: count})
    if length.days > LONGEST_DAYS:
        raise Unusable("bad-span", "this is more than ten years", where=f"{count}{unit}", remedy=f"one of {FORMS}")
    return now - length


def _midnight(at: datetime.datetime) -> datetime.datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def _last_night(now: datetime.datetime) -> tuple[datetime.datetime, datetime.datetime]:
    """The night that is under way in the small hours, else the one that was last."""
    today = _midnight(now)
    return today - _DAY + datetime.timedelta(hours=EVENING), today + datetime.timedelta(hours=MORNING)


def _this_week(now: datetime.datetime) -> tuple[datetime.datetime, datetime.datetime]:
    return _midnight(now) - _DAY * now.weekday(), now


def _weekend(now: datetime.datetime) -> tuple[datetime.datetime, datetime.datetime]:
    saturday = _midnight(now) - _DAY * ((now.weekday() - 5) % 7)
    return saturday, saturday + 2 * _DAY


_Named = Callable[[datetime.datetime], tuple[datetime.datetime, datetime.datetime]]
_NAMED: Mapping[str, _Named] = {
    "last-night": _last_night,
    "today": lambda now: (_midnight(now), now),
    "this-morning": lambda now: (_midnight(now), _midnight(now) + datetime.timedelta(hours=12)),
    "yesterday": lambda now: (_midnight(now) - _DAY, _midnight(now)),
    "this-week": _this_week,
    "last-week": lambda now: (_this_week(now)[0] - 7 * _DAY, _this_week(now)[0]),
    "this-month": lambda now: (_midnight(now).replace(day=1), now),
    "last-weekend": _weekend,
}
