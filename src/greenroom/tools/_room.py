"""The lines that a suite's own process writes while it runs, also when nothing more can be written.

It is laid among the suite's plug-ins and imported by name in its process, so it imports nothing of ours. Lines are
written as they come, so a suite that kills its process leaves what it did until then. Beside the lines lies a spare
file: what a suite that fills the disk leaves no room for takes the spare's.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
from pathlib import Path
from typing import Any

SPARE_BYTES = 1024 * 1024
SPARE = ".spare"
"""The end of the spare file's name, behind that of the lines."""
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_MAX_CAUSES = 20


def lay_out(lines: Path) -> None:
    """Keep a spare for the lines that will be written to `lines`."""
    with contextlib.suppress(OSError):
        Path(f"{lines}{SPARE}").write_bytes(bytes(SPARE_BYTES))


class Lines:
    """The file of the lines, one JSON object each; opened with the first."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1

    def write(self, **line: Any) -> None:
        """Add a line; OSError where even the spare leaves no room."""
        if self._descriptor < 0:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        data = memoryview((json.dumps(line) + "\n").encode("ascii"))
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                os.unlink(f"{self._path}{SPARE}")


def bound_met(error: BaseException | None, printed: int) -> str:
    """The bound that a test met which ended with `error`: `disk`, `output`, or nothing.

    Both end with the same error, because what a suite prints lies in files until it ends: it was the output where
    `printed` characters take half of the room or more.
    """
    for _ in range(_MAX_CAUSES):
        if error is None:
            break
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return "output" if 2 * printed >= _room() else "disk"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return ""


def _room() -> int:
    """The bytes that the directory for temporary files has in all."""
    try:
        space = os.statvfs(tempfile.gettempdir())
    except OSError:
        return 1
    return max(1, space.f_blocks * space.f_frsize)
