"""Reads a directory of another user as that user, shut up in it: root parses nothing of it and follows no name in it.

A child process makes the directory its root, gives up every right but those of the directory's owner, asks its
question and writes the answer, JSON, to a pipe. Whatever the files are made to do to the reader, they do to a process
that can do no more than their owner could anyway. `chroot(2)` alone is no wall for root; here no root is left inside.
"""

from __future__ import annotations

import json
import os
import resource
import selectors
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

from greenroom.domain.errors import GreenroomError, Tampered, TooLarge, Unreachable

MAX_ANSWER_BYTES = 512 * 2**20
MAX_MEMORY_BYTES = 4 * 2**30
"""Of address space: a hundred thousand changes take a tenth of it."""
ANSWER_S = 120.0
"""How long an answer may take: a hostile database must not keep a person waiting for ever."""
_AT_ONCE = 2**20
_KINDS: dict[str, type[GreenroomError]] = {kind.__name__: kind for kind in (Tampered, TooLarge)}
_NOGROUP = 65534
_UNABLE = b"unable"
_ANSWER, _ERROR = b"answer", b"error"
_TOO_MUCH = json.dumps(["TooLarge", "board-too-large", "the box database has too much to show"]).encode()


class Unable(Exception):
    """This process may not do so: it is not root, or has no right to change its root; or nothing opens in place."""


def as_owner(directory: Path, ask: Callable[[Path], Any]) -> Any:
    """What `ask` answers, given the directory's path as the child sees it. The answer is JSON.

    All that `ask` needs must be imported before. What it raises of Tampered and TooLarge is raised here, with its
    reference and message. Raises Unable where the child cannot be shut up, before `ask` is called, and where `ask`
    finds nothing that it can open in place (Unreachable): a copy may be had all the same. Raises Unreachable
    `board-busy` when there is no answer in ANSWER_S, TooLarge `board-too-large` above MAX_ANSWER_BYTES.
    """
    read, write = os.pipe2(os.O_CLOEXEC)
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _child(directory, ask, write)
    with ExitStack() as undo:
        undo.callback(os.waitpid, child, 0)
        undo.callback(os.kill, child, signal.SIGKILL)
        undo.callback(os.close, read)
        os.close(write)
        kind, _, body = _all_of(read, directory).partition(b"\n")
    return _opened(kind, body, directory)


def _child(directory: Path, ask: Callable[[Path], Any], write: int) -> NoReturn:
    """Never returns: what the parent registered to be undone is the parent's to undo."""
    try:
        try:
            _shut_up(directory, write)
        except OSError:
            _tell(write, _UNABLE)
        else:
            _tell(write, *_answer(ask))
    finally:
        os._exit(0)


def _shut_up(directory: Path, write: int) -> None:
    if os.geteuid() != 0 or write < 3:
        raise PermissionError
    place = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    owner = os.fstat(place)
    if owner.st_uid == 0:
        raise PermissionError
    group = owner.st_gid or _NOGROUP
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    os.fchdir(place)
    os.chroot(".")
    # SQLite opens no database at a descriptor of these three.
    for standard in range(3):
        os.dup2(nothing, standard)
    os.closerange(3, write)
    os.closerange(write + 1, os.sysconf("SC_OPEN_MAX"))
    _bound()
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(owner.st_uid, owner.st_uid, owner.st_uid)


def _bound() -> None:
    """What a hostile database may make its reader take: memory and time of one command, no process, no core file."""
    for what, most in (
        (resource.RLIMIT_AS, MAX_MEMORY_BYTES),
        (resource.RLIMIT_CPU, int(ANSWER_S) + 1),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        resource.setrlimit(what, (most, most))


def _answer(ask: Callable[[Path], Any]) -> tuple[bytes, bytes]:
    try:
        return _ANSWER, json.dumps(ask(Path("/"))).encode()
    except Unreachable:
        return _UNABLE, b""
    except (Tampered, TooLarge) as error:
        return _ERROR, json.dumps([type(error).__name__, error.reference, error.message]).encode()
    except MemoryError:
        return _ERROR, _TOO_MUCH


def _tell(write: int, kind: bytes, body: bytes = b"") -> None:
    with open(write, "wb") as pipe:
        pipe.write(kind + b"\n" + body)


def _all_of(read: int, directory: Path) -> bytes:
    parts: list[bytes] = []
    size, end = 0, time.monotonic() + ANSWER_S
    with selectors.DefaultSelector() as ready:
        ready.register(read, selectors.EVENT_READ)
        while ready.select(max(0.0, end - time.monotonic())):
            part = os.read(read, _AT_ONCE)
            if not part:
                return b"".join(parts)
            parts.append(part)
            size += len(part)
            if size > MAX_ANSWER_BYTES:
                raise TooLarge("board-too-large", "the box database has too much to show", where=str(directory))
    raise Unreachable("board-busy", f"the box database gives no answer in {ANSWER_S:.0f} s", where=str(directory))


def _opened(kind: bytes, body: bytes, directory: Path) -> Any:
    if kind == _UNABLE:
        raise Unable
    try:
        if kind == _ANSWER:
            return json.loads(body)
        name, reference, message = json.loads(body)
        error = _KINDS[name](reference, message, where=str(directory))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Tampered(
            "board-broken", "reading the box database ended without an answer", where=str(directory)
        ) from None
    raise error
