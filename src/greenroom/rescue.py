"""Rescue: starts guard and keeper, starts them again when they die, and ends everything when both cannot live.

Standard library only, so that nothing a change can touch stands between a person and a way back. It holds no
key and answers nobody. Its children hold one end of a pair of sockets, the lifeline: when rescue is gone, they see
its end and leave. A child writes one byte to it when it answers its callers, and its last words when an error ends it.
What ran, and dies over and over, leaves the box stopped; what never came up (a full disk, a key that is damaged, no
compiler) leaves it as it was. The lock holds the id of rescue and, below it, how processes died before they answered:
for whoever waits for them.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROLES = ("guard", "keeper")
GIVE_UP_AFTER = 8
"""Deaths of one process in `WINDOW_S` seconds after which rescue stops everything."""
WINDOW_S = 60.0
TERM_S = 5.0
MAX_LOG_BYTES = 1024 * 1024
MAX_SAID_BYTES = 1200
"""Of the last words of a process. Those of both fit into the lock's first block: a full disk takes them."""


class Child:
    """One process under rescue: how to start it, when it died, and whether it ever answered (`came_up`).

    `unanswered` counts its last deaths, in a row, before it answered; `code` and `said` are of the last one.
    """

    def __init__(self, role: str, box: Path, log: int) -> None:
        self.role = role
        self._box = box
        self._log = log
        self.deaths: list[float] = []
        self.came_up = False
        self.unanswered = 0
        self.code = 0
        self.said = ""
        self._start()

    def _start(self) -> None:
        self._line, theirs = socket.socketpair()
        with theirs:
            argv = [sys.executable, "-m", "greenroom.bootstrap", self.role, str(self._box), str(theirs.fileno())]
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, pass_fds=(theirs.fileno(),), cwd="/"
            )
        self.descriptor = os.pidfd_open(self.process.pid)

    def reap(self) -> int:
        """The exit code; releases what belongs to the dead process."""
        self.code = self.process.wait()
        os.close(self.descriptor)
        heard = b""
        with self._line, contextlib.suppress(OSError):
            heard = self._line.recv(1 + MAX_SAID_BYTES, socket.MSG_DONTWAIT)
        answered = heard.startswith(b"u")
        self.came_up |= answered
        self.unanswered = 0 if answered else self.unanswered + 1
        self.said = heard.removeprefix(b"u").decode("utf-8", "replace")
        return self.code

    def restart(self) -> bool:
        """Start again unless it died too often; False then."""
        now = time.monotonic()
        self.deaths = [at for at in self.deaths if now - at < WINDOW_S] + [now]
        if len(self.deaths) > GIVE_UP_AFTER:
            return False
        time.sleep(min(0.05 * 2 ** (len(self.deaths) - 1), 5.0))
        self._start()
        return True

    def end(self) -> None:
        """Ask it to leave, then make it."""
        self.process.terminate()
        try:
            self.process.wait(TERM_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.reap()


def main(arguments: list[str]) -> int:
    """Watch over the box in `arguments[0]` until it is idle, is told to leave, or cannot live."""
    box = Path(arguments[0])
    lock = os.open(box / "run" / "rescue.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0
    _tell(lock, {})
    wake = _wake_on_signals()
    children = {role: Child(role, box, _log_file(box)) for role in ROLES}
    try:
        return _watch(box, children, wake, lock)
    finally:
        for role in reversed(ROLES):
            if role in children:
                children[role].end()


def _watch(box: Path, children: dict[str, Child], wake: int, lock: int) -> int:
    while True:
        with selectors.DefaultSelector() as selector:
            selector.register(wake, selectors.EVENT_READ, None)
            for child in children.values():
                selector.register(child.descriptor, selectors.EVENT_READ, child)
            ready = [key.data for key, _ in selector.select()]
        for child in ready:
            if child is None:
                return 0
            code = child.reap()
            if code == 0 and child.role == "keeper":
                del children["keeper"]
                return 0
            with contextlib.suppress(OSError):
                _tell(lock, children)
            if not child.restart():
                print(f"rescue: {_given_up(box, child)}", file=sys.stderr)
                del children[child.role]
                return 1


def _tell(lock: int, children: dict[str, Child]) -> None:
    """Write who rescue is and, below, how those died that died before they answered. OSError where there is no room."""
    died = {
        role: {"exit": child.code, "unanswered": child.unanswered, "said": child.said}
        for role, child in children.items()
        if child.unanswered
    }
    words = f"{os.getpid()}\n" + (json.dumps(died, ensure_ascii=False) + "\n" if died else "")
    data = words.encode()
    os.pwrite(lock, data, 0)
    # Never empty in between: a block that is given back may be gone when it is asked for again.
    os.truncate(lock, len(data))


def _given_up(box: Path, child: Child) -> str:
    """Stop the box where the child had come up; what a person reads of it."""
    said = f"{child.role} died {len(child.deaths)} times"
    if not child.came_up:
        return f"{said} and never came up; the box's processes are ended"
    try:
        set_stop(box)
    except OSError as error:
        return f"{said}; the box's processes are ended, and no stop could be set: {error}"
    return f"{said}; everything is stopped until `greenroom lift`, with the owner's key"


def set_stop(box: Path) -> None:
    """Stop the box, durably, as anyone may: the next command starts nothing that a person has not lifted.

    A stop that is set stays as it is: what the owner signs to lift names it. OSError leaves none.
    """
    path = box / "guard" / "stop"
    body = json.dumps({"actor": "rescue", "at": str(time.time_ns()), "nonce": secrets.token_hex(16)}, sort_keys=True)
    draft = path.with_name(f".stop.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            owner = path.parent.stat()
            if os.geteuid() != owner.st_uid:
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            file.write(body)
            file.flush()
            os.fsync(descriptor)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path, follow_symlinks=False)
    finally:
        os.unlink(draft)
    above = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(above)
    finally:
        os.close(above)


def _wake_on_signals() -> int:
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def _wake(number: int, frame: object) -> None:
        del number, frame
        with contextlib.suppress(BlockingIOError):
            os.write(write, b"x")

    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, _wake)
    return read


def _log_file(box: Path) -> int:
    path = box / "run" / "processes.log"
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > MAX_LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
