"""`down` ends the box's processes, and nobody else."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from greenroom.bootstrap import local
from greenroom.bootstrap.local import LocalServices
from greenroom.config import Box
from greenroom.domain.errors import Unreachable

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("written", ["", "0", "1", "4194304", "x"])
def test_down_signals_nobody_where_nobody_holds_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    """An id that is left in the file belongs to somebody else by now; 0 would be our own group."""
    box = Box(tmp_path)
    box.run.mkdir()
    box.identity.write_text("{}")
    (box.run / "rescue.lock").write_text(written)
    signalled: list[tuple[int, signal.Signals]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: signalled.append((pid, number)))
    LocalServices(box).down()
    assert signalled == []


@pytest.fixture
def held(tmp_path: Path) -> Iterator[tuple[Box, Path]]:
    """A box whose lock somebody holds who has not written an id of its own yet."""
    box = Box(tmp_path)
    box.run.mkdir()
    box.identity.write_text("{}")
    lock = box.run / "rescue.lock"
    with open(lock, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield box, lock


@contextlib.contextmanager
def a_process(tmp_path: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is called like a rescue, and waits to be ended."""
    module = tmp_path / "module" / "greenroom"
    module.mkdir(parents=True)
    (module / "__init__.py").touch()
    (module / "rescue.py").write_text("print('here', flush=True)\nimport signal\nsignal.pause()\n")
    argv = [sys.executable, "-m", "greenroom.rescue", *words]
    with subprocess.Popen(
        argv, env={"PYTHONPATH": str(module.parent)}, stdout=subprocess.PIPE, cwd="/", process_group=0
    ) as made:
        try:
            assert made.stdout is not None
            assert made.stdout.readline() == b"here\n"
            yield made
        finally:
            # Not Popen.kill: a test may have put something in the place of os.kill.
            os.killpg(made.pid, signal.SIGKILL)


def test_down_signals_no_process_that_is_not_the_rescue_of_this_box(
    held: tuple[Box, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is held, but its holder has not written its id: the id of another process is left alone."""
    box, lock = held
    monkeypatch.setattr(local, "START_S", 0.3)
    signalled: list[tuple[int, int]] = []
    with a_process(tmp_path, str(tmp_path / "another")) as other:
        monkeypatch.setattr(os, "kill", lambda pid, number: signalled.append((pid, number)))
        for pid in (os.getpid(), other.pid, 4194304):
            lock.write_text(str(pid))
            with pytest.raises(Unreachable) as raised:
                LocalServices(box).down()
            assert raised.value.reference == "processes-do-not-end"
    assert signalled == []


def test_down_ends_a_rescue_that_writes_its_id_late(held: tuple[Box, Path], tmp_path: Path) -> None:
    """A rescue that has only just taken the lock is found as soon as its id is there."""
    box, lock = held
    lock.write_text("4194304")
    with a_process(tmp_path, str(box.root)) as rescue, ThreadPoolExecutor(1) as threads:
        downing = threads.submit(LocalServices(box).down)
        with pytest.raises(TimeoutError):
            downing.result(timeout=0.2)
        lock.write_text(str(rescue.pid))
        pidfd = os.pidfd_open(rescue.pid)
        assert select.select([pidfd], [], [], 20)[0], "it was not told to leave"
        os.close(pidfd)
        lock.unlink()
        downing.result(timeout=20)
