"""When to ask again, as a person writes it: a date, an instant, a number of days or weeks, a weekday."""

from __future__ import annotations

import datetime
import re

from greenroom.domain.errors import Unusable

LONGEST_DAYS = 3660
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SPAN = re.compile(r"(\d{1,4})\s*(h|d|w)")
_HOURS = {"h": 1, "d": 24, "w": 168}
FORMS = "a date (2030-12-31), an instant (2030-12-31T09:00), 12h, 3d, 2w, or a weekday (monday)"


def when(text: str, now: datetime.datetime) -> datetime.datetime:
    """The instant that `text` names, seen from `now`, which carries the person's time zone.

    A date or a weekday means the beginning of that day; a weekday is always one to come. An instant without an offset
    is of the zone of `now`. Raises Unusable `bad-time` for what is none of these, `time-is-past`, and `time-too-far`
    for more than ten years.
    """
    found = _spanned(text, now) or _weekday(text, now) or _iso(text, now)
    if found is None:
        raise Unusable("bad-time", f"no time is meant by {text[:40]!r}", remedy=f"write {FORMS}")
    if found <= now:
        raise Unusable("time-is-past", f"{text[:40]} is not to come", remedy=f"name a time to come: {FORMS}")
    if found - now > datetime.timedelta(days=LONGEST_DAYS):
        raise Unusable(
            "time-too-far", f"{text[:40]} is more than ten years away", remedy="`greenroom reject` is for good"
        )
    return found


def _spanned(text: str, now: datetime.datetime) -> datetime.datetime | None:
    span = _SPAN.fullmatch(text.strip().lower())
    if span is None or not span[1].isascii():
        return None
    return _later(now, datetime.timedelta(hours=int(span[1]) * _HOURS[span[2]]))


def _weekday(text: str, now: datetime.datetime) -> datetime.datetime | None:
    word = text.strip().lower()
    if len(word) < 3:
        return None
    day = next((number for number, name in enumerate(_DAYS) if name.startswith(word)), None)
    if day is None:
        return None
    ahead = (day - now.weekday() - 1) % 7 + 1
    return _midnight(_later(now, datetime.timedelta(days=ahead)))


def _iso(text: str, now: datetime.datetime) -> datetime.datetime | None:
    try:
        found = datetime.datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=now.tzinfo)


def _later(now: datetime.datetime, span: datetime.timedelta) -> datetime.datetime:
    try:
        return now + span
    except OverflowError:
        return now.replace(year=datetime.MAXYEAR, month=1, day=1)


def _midnight(day: datetime.datetime) -> datetime.datetime:
    return day.replace(hour=0, minute=0, second=0, microsecond=0)
