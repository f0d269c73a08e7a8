"""What a suite's process says where nothing more can be written."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from greenroom.tools import _room


def test_a_line_takes_the_spare_s_room_where_no_other_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full until the spare is gone: the line is whole all the same, and the one after it."""
    path = tmp_path / "report"
    spare = Path(f"{path}{_room.SPARE}")
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        if spare.exists():
            if len(data) > 8:
                return real(descriptor, bytes(data[:8]))
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data)

    _room.lay_out(path)
    assert spare.stat().st_blocks * 512 >= _room.SPARE_BYTES
    lines = _room.Lines(str(path))
    monkeypatch.setattr(_room.os, "write", full)
    lines.write(event="one", why="x" * 100)
    lines.write(event="two")
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()] == ["one", "two"]
    assert not spare.exists()


def test_a_line_that_cannot_be_written_at_all_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a spare, and for any other error, the caller hears of it."""
    lines = _room.Lines(str(tmp_path / "report"))
    for number in (errno.ENOSPC, errno.EIO):

        def broken(*_: object, number: int = number) -> int:
            raise OSError(number, "no")

        monkeypatch.setattr(_room.os, "write", broken)
        with pytest.raises(OSError, match=r"no|No such file"):
            lines.write(event="one")


@pytest.mark.parametrize(
    ("number", "printed", "bound"),
    [
        (errno.ENOSPC, 0, "disk"),
        (errno.EDQUOT, 499, "disk"),
        (errno.EFBIG, 0, "disk"),
        (errno.ENOSPC, 500, "output"),
        (errno.EACCES, 500, ""),
    ],
)
def test_the_bound_follows_from_the_error_and_from_what_was_printed(
    monkeypatch: pytest.MonkeyPatch, number: int, printed: int, bound: str
) -> None:
    """With 1000 bytes of room, 500 that were printed make it the output."""
    monkeypatch.setattr(_room.os, "statvfs", lambda _: SimpleNamespace(f_blocks=10, f_frsize=100))
    assert _room.bound_met(OSError(number, "why"), printed) == bound


def test_an_error_that_was_dealt_with_is_no_bound() -> None:
    """Only what led to the failure counts, in however long or round a chain."""
    full = OSError(errno.ENOSPC, "full")
    dealt = RuntimeError("other")
    dealt.__context__, dealt.__suppress_context__ = full, True
    assert _room.bound_met(dealt, 0) == ""
    dealt.__cause__ = full
    assert _room.bound_met(dealt, 0) == "disk"
    one, two = RuntimeError("one"), RuntimeError("two")
    one.__cause__, two.__cause__ = two, one
    assert _room.bound_met(one, 0) == ""
    assert _room.bound_met(None, 10**9) == ""
