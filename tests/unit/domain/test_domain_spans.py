"""Spans of time that have passed, from their names."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain.errors import Unusable
from greenroom.domain.spans import said, span

SUNDAY = datetime.datetime(2026, 11, 22, 7, 30)
Day = datetime.datetime


@pytest.mark.parametrize(
    ("name", "begins", "ends"),
    [
        ("last-night", Day(2026, 11, 21, 18), SUNDAY),
        ("Last night", Day(2026, 11, 21, 18), SUNDAY),
        ("today", Day(2026, 11, 22), SUNDAY),
        ("this-morning", Day(2026, 11, 22), SUNDAY),
        ("yesterday", Day(2026, 11, 21), Day(2026, 11, 22)),
        ("this-week", Day(2026, 11, 16), SUNDAY),
        ("last-week", Day(2026, 11, 9), Day(2026, 11, 16)),
        ("this-month", Day(2026, 11, 1), SUNDAY),
        ("last-weekend", Day(2026, 11, 21), SUNDAY),
        ("since-monday", Day(2026, 11, 16), SUNDAY),
        ("since-sunday", Day(2026, 11, 22), SUNDAY),
        ("on-friday", Day(2026, 11, 20), Day(2026, 11, 21)),
        ("monday", Day(2026, 11, 16), Day(2026, 11, 17)),
        ("since-yesterday", Day(2026, 11, 21), SUNDAY),
        ("since-last-night", Day(2026, 11, 21, 18), SUNDAY),
        ("since-2026-11-20", Day(2026, 11, 20), SUNDAY),
        ("2026-11-20", Day(2026, 11, 20), Day(2026, 11, 21)),
        ("2026-11-20T13:15", Day(2026, 11, 20, 13, 15), SUNDAY),
        ("3d", Day(2026, 11, 19, 7, 30), SUNDAY),
        ("90m", Day(2026, 11, 22, 6), SUNDAY),
        ("2w", Day(2026, 11, 8, 7, 30), SUNDAY),
    ],
)
def test_a_name_is_the_span_that_a_person_means(name: str, begins: Day, ends: Day) -> None:
    """Seen from a Sunday at half past seven; nothing ends later than now."""
    found = span(name, SUNDAY)
    assert (found.begins, found.ends) == (begins, ends)


def test_last_night_by_day_ends_in_the_morning_and_in_the_small_hours_is_the_one_under_way() -> None:
    """At noon, at one, at eleven in the evening."""
    assert span("last-night", Day(2026, 11, 22, 12)).ends == Day(2026, 11, 22, 8)
    assert span("last-night", Day(2026, 11, 22, 1)).begins == Day(2026, 11, 21, 18)
    assert span("last-night", Day(2026, 11, 22, 23)).begins == Day(2026, 11, 21, 18)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "tomorrow",
        "0d",
        "d",
        "1x",
        "99999w",
        "since",
        "since-",
        "on-2",
        "2026-13-01",
        "2026-11-30",
        "next-week",
        "-1d",
    ],
)
def test_what_is_no_past_time_is_named_with_what_would_be(name: str) -> None:
    """A time to come, too: a briefing is about what happened."""
    with pytest.raises(Unusable) as caught:
        span(name, SUNDAY)
    assert caught.value.reference == "bad-span"
    assert "last-night" in caught.value.remedy


@given(st.text(max_size=40), st.datetimes(min_value=Day(1990, 1, 1), max_value=Day(2090, 1, 1)))
def test_no_name_makes_it_stumble(name: str, now: Day) -> None:
    """A span that is over by now, or a reference."""
    try:
        found = span(name, now)
    except Unusable as error:
        assert error.reference == "bad-span"
    else:
        assert found.begins <= found.ends <= now


@pytest.mark.parametrize(
    ("name", "spoken"),
    [("3d", "in the last 3 days"), ("1w", "in the last week"), ("since-monday", "since monday"), ("today", "today")],
)
def test_names_are_spoken(name: str, spoken: str) -> None:
    """As a person would say them."""
    assert said(name) == spoken
