"""`down` ends the box's processes, and nobody else."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from greenroom.bootstrap.local import LocalServices
from greenroom.config import Box


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
