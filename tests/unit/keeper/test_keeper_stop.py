from __future__ import annotations

import itertools
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keeper_house import manifest_for

from greenroom.bootstrap.parts import SystemClock
from greenroom.domain.digest import Digest
from greenroom.domain.rates import Uses
from greenroom.domain.verdict import Instant, Refused
from greenroom.keeper.attempts import Attempts
from greenroom.keeper.stop import Gate, Kept, Rates

TOOL = Digest("tool:" + "1" * 64)


class Time:
    """A clock that a pause moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def pause(self, seconds: float) -> bool:
        """Moves on."""
        self.slept.append(seconds)
        self.now += seconds
        return True


class MemoryUses:
    """Uses that live as long as this does."""

    def __init__(self) -> None:
        self.used: dict[Digest, Uses] = {}

    def uses(self, tool: Digest) -> Uses:
        """Those of the tool."""
        return self.used.get(tool, ())

    def keep_uses(self, tool: Digest, used: Uses, until: Instant, at: Instant) -> None:
        """Keeps them."""
        assert until > at
        self.used[tool] = used


def rates(time: Time, kept: Kept | None = None, patience_s: float = 60.0) -> Rates:
    """Rates on that clock."""
    gate = Gate(lambda: False, cells=1)
    return Rates(
        gate, kept or MemoryUses(), now=lambda: Instant(int(time.now * 1e9)), pause=time.pause, patience_s=patience_s
    )


def test_a_cooldown_is_waited_for() -> None:
    """The second use comes no sooner than the manifest allows."""
    time = Time()
    used = rates(time)
    manifest = manifest_for("toy_t1", b"", cooldown_s=5)
    assert used.take(TOOL, manifest) is None
    time.now += 2
    assert used.take(TOOL, manifest) is None
    assert time.slept == [3.0]


def test_what_would_wait_too_long_is_refused_with_the_seconds() -> None:
    """The refusal says when to ask again."""
    time = Time()
    used = rates(time, patience_s=10)
    manifest = manifest_for("toy_t1", b"", cooldown_s=120)
    assert used.take(TOOL, manifest) is None
    refused = used.take(TOOL, manifest)
    assert isinstance(refused, Refused)
    assert (refused.rule, refused.remedy) == ("rate-limit", "ask again in 120 s")


def test_a_rate_of_nothing_never_runs() -> None:
    """Zero a minute means never."""
    refused = rates(Time()).take(TOOL, manifest_for("toy_t1", b"", per_minute=0))
    assert isinstance(refused, Refused)
    assert refused.rule == "rate-limit"


@given(st.lists(st.floats(0, 30), max_size=40), st.integers(1, 5), st.integers(0, 20))
def test_no_minute_has_more_uses_than_allowed_and_no_two_are_too_close(
    waits: list[float], per_minute: int, cooldown_s: int
) -> None:
    """Whenever uses are asked for, those that are let through keep both bounds."""
    time = Time()
    used = rates(time)
    manifest = manifest_for("toy_t1", b"", per_minute=per_minute, cooldown_s=cooldown_s)
    taken: list[float] = []
    for wait in waits:
        time.now += wait
        if used.take(TOOL, manifest) is None:
            taken.append(time.now)
    near = 1e-6
    assert all(b - a >= cooldown_s - near for a, b in itertools.pairwise(taken))
    assert all(sum(at - 60 + near < t <= at for t in taken) <= per_minute for at in taken)


def test_a_restart_forgets_no_use(tmp_path: Path) -> None:
    """The record on disk holds rate and cool-down over a keeper's end; other tools' old uses go."""
    time, other = Time(), Digest("tool:" + "2" * 64)
    slow, quick = manifest_for("toy_t1", b"", cooldown_s=600), manifest_for("toy_t1", b"", per_minute=1)
    record = Attempts(tmp_path / "attempts.db")
    assert rates(time, record).take(TOOL, slow) is None
    assert rates(time, record).take(other, quick) is None
    record.close()
    time.now += 20
    record = Attempts(tmp_path / "attempts.db")
    refused = rates(time, record).take(TOOL, slow)
    assert isinstance(refused, Refused)
    assert (refused.rule, refused.remedy) == ("rate-limit", "ask again in 580 s")
    assert rates(time, record).take(other, quick) is None
    assert time.slept == [40.0]
    time.now += 1000
    assert rates(time, record).take(TOOL, slow) is None
    assert record.uses(other) == ()
    record.close()


def test_a_clock_set_back_does_not_shut_a_tool_for_long(tmp_path: Path) -> None:
    """A use that lies ahead becomes one of this moment, once: then the bounds count on."""
    time = Time()
    record = Attempts(tmp_path / "attempts.db")
    manifest = manifest_for("toy_t1", b"", cooldown_s=5)
    assert rates(time, record).take(TOOL, manifest) is None
    time.now -= 900
    assert rates(time, record).take(TOOL, manifest) is None
    assert time.slept == [5.0]
    record.close()


def test_tools_have_rates_of_their_own() -> None:
    """One tool's uses do not count for another."""
    time = Time()
    used = rates(time)
    manifest = manifest_for("toy_t1", b"", per_minute=1)
    assert used.take(TOOL, manifest) is None
    assert used.take(Digest("tool:" + "2" * 64), manifest) is None
    assert time.slept == []


def test_a_wait_ends_at_once_when_the_stop_is_set() -> None:
    """Nothing sits out its cool-down under a stop."""
    stopped = [False]
    gate = Gate(lambda: stopped[0], cells=1)
    used = Rates(gate, MemoryUses(), now=SystemClock().now)
    manifest = manifest_for("toy_t1", b"", cooldown_s=30)
    assert used.take(TOOL, manifest) is None
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(used.take(TOOL, manifest)))
    thread.start()
    stopped[0] = True
    thread.join(2)
    assert not thread.is_alive()
    assert answers[0].rule == "stopped"


def test_only_so_many_cells_run_at_a_time_and_a_stop_ends_the_queue() -> None:
    """A run that waits for its place is refused when the stop comes first."""
    stopped = [False]
    gate = Gate(lambda: stopped[0], cells=1)
    answers: list[Any] = []

    def wait() -> None:
        with gate.cell() as refused:
            answers.append(refused)

    with gate.cell() as first:
        assert first is None
        thread = threading.Thread(target=wait)
        thread.start()
        stopped[0] = True
        thread.join(2)
    assert [answer.rule for answer in answers] == ["stopped"]


@pytest.mark.parametrize("close", [True, False])
def test_the_gate_says_why_it_is_shut(close: bool) -> None:
    """A stop and an ending keeper are told apart."""
    gate = Gate(lambda: True, cells=1)
    if close:
        gate.close()
    refused = gate.refusal()
    assert isinstance(refused, Refused)
    assert refused.rule == ("keeper-closing" if close else "stopped")
    assert gate.shut()


def test_closing_waits_for_the_last_cell() -> None:
    """Who closes the gate knows that nothing runs afterwards."""
    gate = Gate(lambda: False, cells=2)
    inside, order = threading.Event(), []

    def work() -> None:
        with gate.cell():
            inside.set()
            while not gate.shut():
                threading.Event().wait(0.005)
            order.append("cell ended")

    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(5)
    gate.close()
    order.append("closed")
    thread.join(5)
    assert order == ["cell ended", "closed"]
