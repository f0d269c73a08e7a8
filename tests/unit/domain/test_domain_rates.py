from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain.digest import Digest
from greenroom.domain.plan import Caps, ToolManifest
from greenroom.domain.rates import MINUTE_NS, SECOND_NS, Uses, over, take
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import Tier, Undo

NOW = Instant(1_000 * MINUTE_NS)


def tool(per_minute: int, cooldown_s: int = 0) -> ToolManifest:
    return ToolManifest(
        name="toy_t0",
        body=Digest("blob:" + "0" * 64),
        tier=Tier.COMPUTE,
        args={},
        undo=Undo.EXACT,
        roots=("out",),
        network=False,
        egress=(),
        caps=Caps(cpu_s=1, cpu_millicores=1, wall_s=1, memory_bytes=1, disk_bytes=1, processes=1, output_bytes=1),
        per_minute=per_minute,
        cooldown_s=cooldown_s,
        isolation=(),
        executes=False,
    )


def test_a_minutes_uses_come_at_once_and_then_wait() -> None:
    """Two a minute: two at once, the third when the first is a minute old."""
    used: Uses = ()
    for _ in range(2):
        taken = take(used, tool(2), NOW)
        assert isinstance(taken, tuple)
        used = taken
    assert take(used, tool(2), NOW) == MINUTE_NS
    assert isinstance(take(used, tool(2), Instant(NOW + MINUTE_NS)), tuple)


def test_a_cool_down_keeps_uses_apart() -> None:
    """With room in the minute, the gap still has to pass; also one longer than a minute."""
    assert take((NOW,), tool(60, 5), Instant(NOW + SECOND_NS)) == 4 * SECOND_NS
    assert take((NOW,), tool(60, 120), Instant(NOW + MINUTE_NS)) == MINUTE_NS


def test_a_tool_with_no_rate_never_runs() -> None:
    """0 a minute means never."""
    assert take((), tool(0), NOW) == MINUTE_NS


def test_a_clock_set_back_costs_no_more_than_the_bounds() -> None:
    """Uses that lie ahead count as made at this moment."""
    ahead = Instant(NOW + 1_000 * MINUTE_NS)
    assert take((ahead,), tool(1), NOW) == MINUTE_NS
    assert take((ahead,), tool(9, 5), NOW) == 5 * SECOND_NS


@given(st.integers(1, 20), st.integers(0, 90), st.lists(st.integers(0, 30 * SECOND_NS), max_size=60))
def test_no_minute_has_more_than_the_rate(per_minute: int, cooldown_s: int, gaps: list[int]) -> None:
    """Whenever uses are asked for, those let through keep both bounds, and few are remembered."""
    used: Uses = ()
    now, runs = int(NOW), []
    for gap in gaps:
        now += gap
        taken = take(used, tool(per_minute, cooldown_s), Instant(now))
        if isinstance(taken, tuple):
            used = taken
            runs.append(now)
            assert len(used) <= per_minute
            assert over(used, tool(per_minute, cooldown_s)) >= now + MINUTE_NS
    assert all(sum(at <= other < at + MINUTE_NS for other in runs) <= per_minute for at in runs)
    assert all(later - earlier >= cooldown_s * SECOND_NS for earlier, later in itertools.pairwise(runs))
