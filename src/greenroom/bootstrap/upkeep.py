"""The keeper starts the executor in its view, again when it dies, and tells how it died to whoever waits for it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from greenroom.config import Box
from greenroom.keeper import separation
from greenroom.rescue import MAX_SAID_BYTES


class Upkeep:
    """The executor of a box, under its keeper; `idle` is called once it left because it was idle."""

    def __init__(self, box: Box, users: separation.Users | None, idle: Callable[[], object]) -> None:
        self._box = box
        self._users = users
        self._idle = idle
        self._told: Mapping[str, Any] = {"exit": 0, "unanswered": 0, "said": ""}

    def told(self) -> Mapping[str, Any]:
        """How it died last, and how often in a row before it answered: `exit`, `unanswered`, `said`."""
        return self._told

    def run(self) -> None:
        """Start it until it leaves."""
        deaths = unanswered = 0
        self._box.socket("desk").parent.mkdir(mode=0o700, exist_ok=True)
        while True:
            code, answered, said = self._once()
            if code == 0:
                self._idle()
                return
            deaths, unanswered = deaths + 1, 0 if answered else unanswered + 1
            self._told = {"exit": code, "unanswered": unanswered, "said": said}
            time.sleep(min(0.1 * 2 ** min(deaths, 6), 5.0))

    def _once(self) -> tuple[int, bool, str]:
        """Its exit code, whether it ever answered, and its last words."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            argv = (sys.executable, "-m", "greenroom.bootstrap", "executor", str(self._box.root), str(theirs.fileno()))
            environment = None if self._users is None else separation.dropped_environment(os.environ)
            child = subprocess.Popen(
                separation.executor_as(self._users, self._box, argv),
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                cwd="/",
                env=environment,
            )
            theirs.close()
            code = child.wait()
            heard = b""
            with contextlib.suppress(OSError):
                heard = ours.recv(1 + MAX_SAID_BYTES, socket.MSG_DONTWAIT)
        return code, heard.startswith(b"u"), heard.removeprefix(b"u").decode("utf-8", "replace")
