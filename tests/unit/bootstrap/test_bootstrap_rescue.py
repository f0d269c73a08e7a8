"""Rescue: what it leaves behind when a process of the box cannot live."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from greenroom import rescue
from greenroom.bootstrap import processes
from greenroom.bootstrap.processes import say_up
from greenroom.bootstrap.unstarted import unstarted
from greenroom.config import Box
from greenroom.guard.stop import StopSwitch


def dies(*, answers: bool) -> Callable[[rescue.Child], None]:
    """Starts a process that ends at once, in the place of one of the box; before, it may say that it answers."""

    def start(child: rescue.Child) -> None:
        child._line, theirs = socket.socketpair()
        with theirs:
            if answers and not child.deaths:
                say_up(theirs.fileno())
            child.process = subprocess.Popen(["/bin/false"])
        child.descriptor = os.pidfd_open(child.process.pid)

    return start


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    for name in ("run", "guard"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(rescue.time, "sleep", lambda seconds: None)
    return Box(tmp_path)


def test_a_process_that_ran_and_cannot_live_leaves_the_box_stopped(
    box: Box, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After nine deaths in a minute the stop is set, which only the owner lifts; one that is set stays."""
    monkeypatch.setattr(rescue.Child, "_start", dies(answers=True))
    switch = StopSwitch(box.guard / "stop")
    assert not switch.pulled
    assert rescue.main([str(box.root)]) == 1
    said = capsys.readouterr().err
    assert "died 9 times; everything is stopped" in said
    assert "greenroom lift" in said
    assert (switch.pulled, "rescue" in (switch.by() or "")) == (True, True)
    first = switch.id
    rescue.set_stop(box.root)
    assert switch.id == first
    assert os.listdir(box.guard) == ["stop"]
    assert first is not None
    assert switch.release(first)


def test_a_process_that_never_came_up_stops_nothing(
    box: Box, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing ran that a stop would end: once the cause is mended, the next command starts the box."""
    monkeypatch.setattr(rescue.Child, "_start", dies(answers=False))
    assert rescue.main([str(box.root)]) == 1
    assert "died 9 times and never came up" in capsys.readouterr().err
    assert not StopSwitch(box.guard / "stop").pulled


def test_the_lock_tells_how_a_process_died_before_it_answered(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits reads it there: exit code, deaths in a row, last words. One that answered begins anew."""
    seen: list[object] = []

    def start(child: rescue.Child) -> None:
        with contextlib.suppress(FileNotFoundError):
            seen.append((box.run / "rescue.lock").read_text().splitlines())
        child._line, theirs = socket.socketpair()
        with theirs:
            if child.role == "guard" and len(child.deaths) == 2:
                say_up(theirs.fileno())
            os.write(theirs.fileno(), "the \u201clast\u201d words".encode())
            child.process = subprocess.Popen(["/bin/false"] if child.role == "guard" else ["/bin/sleep", "60"])
        child.descriptor = os.pidfd_open(child.process.pid)

    monkeypatch.setattr(rescue.Child, "_start", start)
    assert rescue.main([str(box.root)]) == 1
    own = str(os.getpid())
    told = [json.loads(lines[1])["guard"]["unanswered"] if lines[1:] else 0 for lines in seen if lines]
    assert all(lines[0] == own for lines in seen if lines)
    assert told[-8:] == [1, 2, 0, 1, 2, 3, 4, 5]
    first, second = (box.run / "rescue.lock").read_text().splitlines()
    assert first == own
    assert json.loads(second) == {"guard": {"exit": 1, "unanswered": 6, "said": "the \u201clast\u201d words"}}


def test_no_room_for_what_is_told_ends_no_rescue(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes are started again all the same."""
    own, wrote = str(os.getpid()).encode(), []

    def full(descriptor: int, data: bytes, offset: int) -> int:
        wrote.append(data)
        if data.strip() != own:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return len(data)

    monkeypatch.setattr(rescue.Child, "_start", dies(answers=False))
    monkeypatch.setattr(rescue.os, "pwrite", full)
    assert rescue.main([str(box.root)]) == 1
    assert len(wrote) > rescue.GIVE_UP_AFTER


def test_a_stop_that_cannot_be_written_is_told_of_and_leaves_nothing(
    box: Box, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a full disk there is no half of a stop, which nobody could read, and no traceback."""

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(rescue.Child, "_start", dies(answers=True))
    monkeypatch.setattr(rescue.os, "fsync", full)
    assert rescue.main([str(box.root)]) == 1
    assert "no stop could be set: [Errno 28]" in capsys.readouterr().err
    assert os.listdir(box.guard) == []


def test_processes_that_do_not_start_name_the_stop_and_its_lift(box: Box) -> None:
    """The error says what the log says last; where a stop is in force, whose it is and what takes it away."""
    (box.run / "processes.log").write_text("first\nthe disk is full\n")
    free = unstarted(box, "nothing answers")
    assert "the disk is full" in free.message
    assert "lift" not in free.remedy
    rescue.set_stop(box.root)
    stopped = unstarted(box, "nothing answers")
    assert stopped.reference == "processes-do-not-start"
    assert "stopped, by rescue" in stopped.message
    assert "`greenroom lift`" in stopped.remedy


@pytest.mark.parametrize("word", [True, False])
def test_a_process_leaves_with_its_rescue(monkeypatch: pytest.MonkeyPatch, word: bool) -> None:
    """Whether or not rescue read the word that the process answers."""
    left: list[int] = []
    monkeypatch.setattr(os, "_exit", left.append)
    ours, theirs = socket.socketpair()
    with theirs:
        if word:
            say_up(theirs.fileno())
        ours.close()
        processes._leave_with(theirs.fileno())
    assert left == [1]


def test_a_word_to_a_rescue_that_is_gone_harms_nothing() -> None:
    """Also where the lifeline is of a kind that takes no word."""
    ours, theirs = socket.socketpair()
    ours.close()
    with theirs:
        say_up(theirs.fileno())
    read, write = os.pipe()
    say_up(read)
    os.close(read)
    os.close(write)
