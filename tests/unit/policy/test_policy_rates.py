from __future__ import annotations

import dataclasses
import itertools

import policy_cases as cases
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain.plan import ToolManifest
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import CONSENT, Agree, ConsentLevel, Mode
from greenroom.policy.consent import agree, lower
from greenroom.policy.rates import Bucket, full, take

SECOND = 10**9


def tool(per_minute: int, cooldown_s: int = 0) -> ToolManifest:
    return dataclasses.replace(cases.TOOLS["scan_diff_t0"], per_minute=per_minute, cooldown_s=cooldown_s)


def test_a_full_bucket_gives_a_minutes_runs_at_once_and_then_waits() -> None:
    """Two a minute: two at once, the third half a minute later."""
    bucket = full(cases.NOW)
    for _ in range(2):
        taken = take(bucket, tool(2), cases.NOW)
        assert isinstance(taken, Bucket)
        bucket = taken
    ready = take(bucket, tool(2), cases.NOW)
    assert ready == cases.NOW + 30 * SECOND
    assert isinstance(take(bucket, tool(2), Instant(cases.NOW + 30 * SECOND)), Bucket)


def test_a_cool_down_keeps_runs_apart() -> None:
    """With credit left, the gap still has to pass."""
    bucket = take(full(cases.NOW), tool(60, 5), cases.NOW)
    assert isinstance(bucket, Bucket)
    assert take(bucket, tool(60, 5), Instant(cases.NOW + SECOND)) == cases.NOW + 5 * SECOND


def test_a_tool_with_no_rate_never_runs() -> None:
    """0 a minute means never."""
    assert take(full(cases.NOW), tool(0), cases.NOW) == cases.NOW + 60 * SECOND


@given(st.integers(1, 20), st.integers(0, 3), st.lists(st.integers(-10 * SECOND, 30 * SECOND), max_size=60))
def test_no_minute_has_more_than_twice_the_rate(per_minute: int, cooldown_s: int, gaps: list[int]) -> None:
    """Whatever the clock does, a bucket of one minute lets at most its content and one refill through."""
    bucket, now, runs = full(cases.NOW), int(cases.NOW), []
    for gap in gaps:
        now += gap
        taken = take(bucket, tool(per_minute, cooldown_s), Instant(now))
        if isinstance(taken, Bucket):
            runs.append(taken.at)
            bucket = taken
    assert runs == sorted(runs)
    assert all(sum(at <= other < at + 60 * SECOND for other in runs) <= 2 * per_minute for at in runs)
    assert all(later - earlier >= cooldown_s * SECOND for earlier, later in itertools.pairwise(runs))


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("level", list(ConsentLevel))
def test_who_must_agree_is_the_matrix(mode: Mode, level: ConsentLevel) -> None:
    """The policy answers what the matrix says; in propose always a person, at level 3 always a person."""
    answer = cases.make_policy().agree(mode, level)
    assert answer is agree(mode, level) is CONSENT[mode][level]
    if mode is Mode.PROPOSE or level is ConsentLevel.PERSON:
        assert answer is Agree.PERSON


def test_a_command_only_lowers_the_mode() -> None:
    """Of two modes the one that leaves more to a person counts."""
    assert lower(Mode.AUTONOMOUS, Mode.PROPOSE) is Mode.PROPOSE
    assert lower(Mode.SUPERVISED, Mode.AUTONOMOUS) is Mode.SUPERVISED
