"""Rescue: what it leaves behind when a process of the box cannot live."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from greenroom import rescue
from greenroom.guard.stop import StopSwitch


def dies(child: rescue.Child) -> None:
    """Starts a process that ends at once, in the place of one of the box."""
    read, child._write = os.pipe()
    os.close(read)
    child.process = subprocess.Popen(["/bin/false"])
    child.descriptor = os.pidfd_open(child.process.pid)


def test_a_process_that_cannot_live_leaves_the_box_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After nine deaths in a minute the stop is set, which only the owner lifts; one that is set stays."""
    for name in ("run", "guard"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(rescue.Child, "_start", dies)
    monkeypatch.setattr(rescue.time, "sleep", lambda seconds: None)
    switch = StopSwitch(tmp_path / "guard" / "stop")
    assert not switch.pulled
    assert rescue.main([str(tmp_path)]) == 1
    assert "died 9 times; everything is stopped" in capsys.readouterr().err
    assert (switch.pulled, "rescue" in (switch.by() or "")) == (True, True)
    first = switch.id
    rescue.set_stop(tmp_path)
    assert switch.id == first
    assert first is not None
    assert switch.release(first)
