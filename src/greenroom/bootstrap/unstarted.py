"""What a person is told when the box's processes do not start: their last words, and the stop in force, if any."""

from __future__ import annotations

import os

from greenroom.bootstrap.lastwords import LastWords
from greenroom.config import Box
from greenroom.domain.errors import Unreachable

_LAST = 4096


def unstarted(box: Box, why: str, said: LastWords | None = None) -> Unreachable:
    """The error `processes-do-not-start`. A stop in force is named, and how it is lifted once they start.

    `said` are the last words of the process that died; without them the last line of the log is told.
    """
    from greenroom.guard.stop import StopSwitch

    by = StopSwitch(box.guard / "stop").by()
    remedy = "read that file; `greenroom doctor` says what the machine lacks"
    if said is not None and said.remedy:
        remedy = f"{said.remedy}; `greenroom doctor` says what the machine lacks"
    stopped = ""
    if by is not None:
        stopped = f"; the box is stopped, by {by}"
        remedy += ". The stop stays when this is mended: `greenroom lift`, with the owner's key, takes it away"
    return Unreachable(
        "processes-do-not-start",
        f"the box's processes did not start: {why}{f': {said}' if said else _last_line(box)}{stopped}",
        where=str(box.run / "processes.log"),
        remedy=remedy,
    )


def _last_line(box: Box) -> str:
    with open(box.run / "processes.log", "rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - _LAST))
        lines = log.read().decode("utf-8", "replace").strip().splitlines()
    return f"; the last line of their log: {lines[-1][:300]}" if lines else ""
