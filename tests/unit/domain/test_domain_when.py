"""Times as a person writes them."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from greenroom.domain.errors import Unusable
from greenroom.domain.when import LONGEST_DAYS, when

ZONE = datetime.timezone(datetime.timedelta(hours=2))
NOW = datetime.datetime(2030, 5, 15, 13, 30, tzinfo=ZONE)  # a Wednesday


def at(*parts: int) -> datetime.datetime:
    return datetime.datetime(*parts, tzinfo=ZONE)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2030-12-31", at(2030, 12, 31)),
        ("2030-12-31T09:15", at(2030, 12, 31, 9, 15)),
        ("2030-12-31T09:15:00+00:00", at(2030, 12, 31, 11, 15)),
        ("12h", at(2030, 5, 16, 1, 30)),
        ("3d", at(2030, 5, 18, 13, 30)),
        ("2w", at(2030, 5, 29, 13, 30)),
        ("friday", at(2030, 5, 17)),
        ("Mon", at(2030, 5, 20)),
        ("wednesday", at(2030, 5, 22)),
    ],
)
def test_when_knows_dates_spans_and_weekdays(text: str, expected: datetime.datetime) -> None:
    """A date or a weekday is the beginning of that day where the person is; a span counts from now."""
    assert when(text, NOW) == expected


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("", "bad-time"),
        ("soon", "bad-time"),
        ("3 years", "bad-time"),
        ("mo", "bad-time"),
        ("2030-13-01", "bad-time"),
        ("0d", "time-is-past"),
        ("2030-05-15", "time-is-past"),
        ("1999-01-01", "time-is-past"),
        ("9999w", "time-too-far"),
        ("9999-12-31", "time-too-far"),
    ],
)
def test_when_says_what_it_cannot_use(text: str, reference: str) -> None:
    """What is no time, is past, or is too far away, is told with what to write."""
    with pytest.raises(Unusable) as caught:
        when(text, NOW)
    assert caught.value.reference == reference
    assert caught.value.remedy


@given(st.text(max_size=30) | st.from_regex(r"\d{1,5}[hdw]", fullmatch=True) | st.dates().map(str))
@example("9999w")
@example("٣d")
def test_when_is_always_to_come_and_bounded(text: str) -> None:
    """Whatever is typed: a time to come within ten years, or one of three references."""
    try:
        found = when(text, NOW)
    except Unusable as error:
        assert error.reference in ("bad-time", "time-is-past", "time-too-far")
        return
    assert datetime.timedelta() < found - NOW <= datetime.timedelta(days=LONGEST_DAYS)
