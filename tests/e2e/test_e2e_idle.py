"""The processes of a box come and go: idle they leave, at work they stay, and the next command starts them again."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator

import pytest
from e2e_box import House, patch_of, processes_with

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]
IDLE_S = 2.0


@pytest.fixture
def idle(house: House) -> Iterator[House]:
    """The suite's box with processes that leave after two seconds."""
    house.run("down")
    impatient = House(house.home, {**house.environment, "GREENROOM_IDLE_SECONDS": f"{IDLE_S:g}"})
    yield impatient
    impatient.plan_hold.unlink(missing_ok=True)
    impatient.run("down")


def _processes(house: House) -> list[int]:
    return list(processes_with(str(house.box.root)))


def _all_end(pids: list[int], seconds: float) -> bool:
    """True when every one of `pids` ended within `seconds`."""
    deadline = time.monotonic() + seconds
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        finally:
            os.close(descriptor)
        if not ready:
            return False
    return True


def test_idle_processes_leave_and_a_run_keeps_them(idle: House) -> None:
    """No process is left after the idle time; the next command works; a run whose command was killed keeps them."""
    place = idle.repository("idle")
    idle.take_in(place)
    running = _processes(idle)
    assert running
    assert _all_end(running, 60), "the processes are still there"
    assert _processes(idle) == []
    assert idle.ok("status")["stopped"] is False

    idle.wish(idle.proposal(patch_of(place, {"README.md": "# Calm\n\nBusy.\n"}), "README.md"))
    planned = len(idle.logged("plan.intent"))
    idle.plan_hold.touch()
    command = idle.started("improve", str(place), "--only", "wished", "--json")
    deadline = time.monotonic() + 60
    while len(idle.logged("plan.intent")) == planned:
        assert time.monotonic() < deadline, "no change was planned"
    command.send_signal(signal.SIGKILL)
    command.communicate()
    at_work = _processes(idle)
    assert at_work
    assert not _all_end(at_work[:1], 4 * IDLE_S), "they left while a run was in progress"
    assert set(at_work) <= set(_processes(idle))
    idle.plan_hold.unlink()

    assert _all_end(at_work, 120), "the processes are still there"
    rows = [row for row in idle.ok("list")["changes"] if str(place) in row["subject"]]
    assert [row["held"]["rule"] for row in rows] == ["needs-approval"], rows
    idle.log_is_whole()
