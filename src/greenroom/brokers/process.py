"""A program in a view, to its very end.

Bubblewrap's own process ends before what it started: only with the first process inside, which it names, have all
others ended too (pid_namespaces(7)). Until then they write.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from greenroom.domain.errors import Bug

START_SECONDS = 10
END_SECONDS = 10
MAX_TOLD_BYTES = 4096


class Program:
    """One program. `told` before the start, `end` in every case; both at most once."""

    def __init__(self) -> None:
        self._told: tuple[int, int] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._first: int | None = None
        self._known = True

    def told(self) -> int:
        """A descriptor that the program inherits. On it a view says, as JSON, the `child-pid` of its first process."""
        self._told = os.pipe()
        return self._told[1]

    def start(self, argv: Sequence[str], environment: Mapping[str, str], directory: Path, output: IO[bytes]) -> None:
        """Start it, without input; raises OSError."""
        inherited = () if self._told is None else (self._told[1],)
        self._process = subprocess.Popen(
            list(argv),
            env=dict(environment),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=inherited,
        )
        if self._told is not None:
            os.close(self._told[1])
            self._told = (self._told[0], -1)
            self._first, self._known = _first(self._told[0])

    def wait(self, seconds: float) -> int | None:
        """The exit status; None where it still runs after `seconds`."""
        if self._process is None:
            raise Bug("no-program", "a program is waited for before its start")
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> bool:
        """Kill what still runs; True once all of it has ended, False where that is not known after `END_SECONDS`."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        for descriptor in self._told or ():
            if descriptor >= 0:
                os.close(descriptor)
        if self._first is None:
            return self._known
        try:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._first, signal.SIGKILL)
            ended = select.poll()
            ended.register(self._first, select.POLLIN)
            return bool(ended.poll(END_SECONDS * 1000))
        finally:
            os.close(self._first)


def _first(told: int) -> tuple[int | None, bool]:
    """A pidfd of the first process, and whether it is known: None where it is known that there is none."""
    said, ends = b"", time.monotonic() + START_SECONDS
    while b"}" not in said and len(said) < MAX_TOLD_BYTES:
        if not select.select([told], [], [], max(0.0, ends - time.monotonic()))[0]:
            return None, False
        block = os.read(told, MAX_TOLD_BYTES)
        if not block:
            # Whoever ends without a word has started nothing.
            return None, True
        said += block
    try:
        return os.pidfd_open(int(json.loads(said)["child-pid"])), True
    except ProcessLookupError:
        return None, True
    except (OSError, ValueError, KeyError, TypeError):
        return None, False
