"""Waits until a process of the box answers, as long as it may still come up; and tells at once that it will not.

A process is dead when it died twice in a row before it answered, while somebody waits for it. One death may be chance:
the process before it was just leaving, or what it died of was mended since it began. It is started again then. One that
died since another process holds its lock is not dead: it comes up when the other lets go. Rescue tells of guard and
keeper in its lock, the keeper of the executor.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from greenroom.bootstrap import lastwords
from greenroom.bootstrap.lastwords import LastWords
from greenroom.bootstrap.unstarted import unstarted
from greenroom.config import Box
from greenroom.domain import documents
from greenroom.domain.errors import Unreachable, Unusable
from greenroom.rescue import MAX_SAID_BYTES
from greenroom.wire.rpc import Client

AGAIN = 2
"""Deaths in a row after which nobody waits any longer."""
TRY_S = 4.0
"""How long a rescue that left at once, since another held the lock, is waited for before the next one is started."""
_POLL_S = 0.05
_ASK_S = 1.0
_MAX_TOLD = 64 * 1024
_SOCKETS = {"guard": "guard", "keeper": "keeper", "executor": "desk"}
_NEEDED = {"guard": ("guard",), "keeper": ("guard", "keeper"), "desk": ("guard", "keeper")}
"""The processes of rescue without which nobody answers there."""
_SHUT_OUT = {"guard": "log-in-use", "keeper": "keeper-runs-already"}
"""What a process dies of while another has its lock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """How a process died before it answered: the exit code (a signal as minus its number), how often in a row."""

    role: str
    exit: int
    unanswered: int
    said: LastWords | None

    def __str__(self) -> str:
        ended = f"by signal {-self.exit}" if self.exit < 0 else f"with exit code {self.exit}"
        often = f", {self.unanswered} times" if self.unanswered > 1 else ""
        return f"the {self.role} ended {ended} before it answered{often}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tale:
    exit: int = 0
    unanswered: int = 0
    said: str = ""


def wait(box: Box, process: str, seconds: float) -> None:
    """Return when `process` (guard, keeper or desk) answers; starts rescue, again when the one before was just leaving.

    Raises Unreachable `processes-do-not-start` when what it needs is dead, or after `seconds`, also where another
    process has held its lock so long.
    """
    client, before = Client(str(box.socket(process))), _told(box, process, None)
    ends, tried, rescue = time.monotonic() + seconds, time.monotonic(), _spawn(box)
    while True:
        try:
            client.ping()
            # A desk may answer while the guard is shut out: what is asked of it would hang, and be cut with rescue.
            out = _shut_out(box, process, rescue.pid, before)
            if out is None:
                return
            why = str(out)
        except Unreachable as error:
            why = error.message
        code = rescue.poll()
        dead = death(box, process, rescue.pid, before)
        if dead is not None:
            raise unstarted(box, str(dead), dead.said)
        over, failed = time.monotonic() >= ends, code is not None and code > 0
        out = _shut_out(box, process, rescue.pid, before) if over or failed else None
        if over:
            raise unstarted(box, why) if out is None else _still_shut_out(box, out, seconds)
        if failed and out is None:
            raise unstarted(box, f"rescue ended with exit code {code}")
        if failed or (code is not None and time.monotonic() - tried > TRY_S):
            tried, rescue = time.monotonic(), _spawn(box)
        time.sleep(_POLL_S)


def death(
    box: Box, process: str, rescue: int | None = None, before: Mapping[str, Any] = MappingProxyType({})
) -> Death | None:
    """What died without which `process` cannot answer; None where nothing did, and where it came up after all.

    `rescue` is the id of one that was started here: what it told counts when it has ended, too. Deaths that were told
    `before` do not count, nor those while another process has the lock.
    """
    return next((found for found in _deaths(box, process, rescue, before) if not _is_shut_out(found)), None)


def last_of(role: str, code: int, line: socket.socket) -> Death:
    """The death of a process that was started here, whose lifeline is `line`."""
    heard = b""
    with contextlib.suppress(OSError):
        heard = line.recv(MAX_SAID_BYTES, socket.MSG_DONTWAIT)
    return Death(role=role, exit=code, unanswered=1, said=lastwords.heard(heard.decode("utf-8", "replace")))


def rescue_of(box: Box) -> int | None:
    """The id of the rescue of `box`, from its lock; None where an id left there by an earlier one may be anybody's."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
        pid = int(_first(_read(box)))
        words = Path("/proc", str(pid), "cmdline").read_bytes().split(b"\0")
        rescue = words[1:3] == [b"-m", b"greenroom.rescue"] and len(words) > 3
        if rescue and os.path.realpath(os.fsdecode(words[3])) == os.path.realpath(box.root):
            return pid
    return None


def _shut_out(box: Box, process: str, rescue: int, before: Mapping[str, Any]) -> Death | None:
    """What died since another process has its lock, and does not answer; None where nothing did."""
    return next((found for found in _deaths(box, process, rescue, before, least=1) if _is_shut_out(found)), None)


def _is_shut_out(found: Death) -> bool:
    return found.said is not None and found.said.reference == _SHUT_OUT.get(found.role)


def _still_shut_out(box: Box, out: Death, seconds: float) -> Unreachable:
    remedy = "let the other process end, such as a `greenroom init` that waits for a passphrase, then try again"
    why = f"after {seconds:.0f} seconds another process still holds the lock of the {out.role}"
    return unstarted(box, why, None if out.said is None else replace(out.said, remedy=remedy))


def _deaths(
    box: Box, process: str, rescue: int | None, before: Mapping[str, Any], least: int = AGAIN
) -> Iterator[Death]:
    for role, told in _told(box, process, rescue).items():
        found = _death(role, told, before.get(role), least)
        if found is not None and not _answers(box, _SOCKETS[role]):
            yield found


def _spawn(box: Box) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "greenroom.rescue", str(box.root)]
    with open(box.run / "processes.log", "ab") as log:
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/")


def _death(role: str, told: Any, before: Any, least: int) -> Death | None:
    tale, earlier = _tale(told), _tale(before)
    known = earlier.unanswered if earlier.unanswered <= tale.unanswered else 0
    if tale.unanswered - known < least:
        return None
    return Death(role=role, exit=tale.exit, unanswered=tale.unanswered, said=lastwords.heard(tale.said))


def _tale(told: Any) -> _Tale:
    """What was told, of no death where it is malformed."""
    try:
        found = documents.from_plain(_Tale, told)
    except Unusable:
        return _Tale()
    return found if isinstance(found, _Tale) else _Tale()


def _told(box: Box, process: str, rescue: int | None) -> dict[str, Any]:
    """What is told of the deaths of each process without which `process` cannot answer."""
    by_rescue = _rescue_tells(box, rescue)
    told = {role: by_rescue[role] for role in _NEEDED[process] if role in by_rescue}
    return {**told, "executor": _keeper_tells(box)} if process == "desk" else told


def _rescue_tells(box: Box, ours: int | None) -> dict[str, Any]:
    said = _read(box)
    if _first(said) != str(ours) and rescue_of(box) is None:
        return {}
    try:
        told = documents.load_json(said.partition("\n")[2].encode())
    except Unusable:
        return {}
    return told if isinstance(told, dict) else {}


def _keeper_tells(box: Box) -> Any:
    try:
        return Client(str(box.socket("keeper")), timeout_s=_ASK_S).call("executor")
    except Unusable:
        return None


def _answers(box: Box, process: str) -> bool:
    try:
        Client(str(box.socket(process)), timeout_s=_ASK_S).ping()
    except Unreachable:
        return False
    return True


def _read(box: Box) -> str:
    with contextlib.suppress(FileNotFoundError), open(box.run / "rescue.lock", "rb") as lock:
        return lock.read(_MAX_TOLD).decode("utf-8", "replace")
    return ""


def _first(said: str) -> str:
    return said.partition("\n")[0]
