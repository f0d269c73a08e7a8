"""A database that another user writes, read by root without trusting a name in that user's directory.

SQLite, run by root, makes files beside the database and gives them to its owner. Where the owner is not root,
that owner could put links there; so root asks as the owner, or reads a private copy of regular files.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar, cast

from greenroom.bootstrap.as_owner import Unable, as_owner
from greenroom.config import Box
from greenroom.domain.errors import TooLarge, Unreachable

Answer = TypeVar("Answer")
TRIES = 20
AT_ONCE = 2**30
"""Bytes that are copied with one call."""
WAL_HEADER_BYTES = 32
MAX_COPY_BYTES = 2 * 2**30
"""What a database and its log may have together, each time they are copied: some million changes."""


def asked(box: Box, ask: Callable[[Path], Answer]) -> Answer:
    """What `ask` answers about the box database: JSON, read as the database's owner where that is another user.

    A copy of 100,000 changes takes longer than the answer, so it is made only where nobody can be made the owner.
    """
    database = box.db / "box.db"
    if box.db.stat().st_uid != os.geteuid():
        with contextlib.suppress(Unable):
            return cast("Answer", as_owner(box.db, lambda directory: ask(directory / database.name)))
    with readable(box) as found:
        return ask(found)


@contextlib.contextmanager
def readable(box: Box) -> Iterator[Path]:
    """The box database for as long as it takes: itself where it is this user's, else a private copy."""
    database = box.db / "box.db"
    if box.db.stat().st_uid == os.geteuid():
        yield database
        return
    with private_copy(database) as copy:
        yield copy


@contextlib.contextmanager
def private_copy(database: Path) -> Iterator[Path]:
    """A copy of an SQLite database in WAL mode, with its log, for as long as it takes; absent where it is absent.

    A checkpoint that changes the database while it is copied is seen by its time and by the header of the log, and
    the copy is made again. Raises Unreachable `board-busy`, or TooLarge `board-too-large` where the two files have
    more than the temporary directory has free or, of another user's database, more than MAX_COPY_BYTES.
    """
    with tempfile.TemporaryDirectory(prefix="greenroom-read-") as folder:
        target = Path(folder) / database.name
        log = Path(f"{database}-wal")
        for _ in range(TRIES):
            before = (_state(database), _head(log))
            free = shutil.disk_usage(folder).free
            bound = free if _ours(database) else min(MAX_COPY_BYTES, free)
            taken = _copy(log, Path(f"{target}-wal"), bound)
            _copy(database, target, bound - taken)
            if (_state(database), _head(log)) == before:
                break
        else:
            raise Unreachable("board-busy", "the box database is written all the time", where=str(database))
        yield target


def copy_all(read: int, write: int, bound: int, source: str = "") -> int:
    """Copy what is left to read of one file to another, by the kernel: a database of many changes is large.

    How many bytes there were; raises TooLarge `board-too-large` above `bound`, whatever size the file says it has.
    """
    copied = 0
    if os.fstat(read).st_size <= bound:
        while sent := os.sendfile(write, read, None, min(AT_ONCE, bound - copied + 1)):
            copied += sent
            if copied > bound:
                break
        else:
            return copied
    raise TooLarge(
        "board-too-large",
        f"a database of the box has more than the {bound} bytes that may be copied of it",
        where=source,
        remedy="free space where temporary files lie, or name another directory for them: TMPDIR=DIR greenroom ...",
    )


def open_regular(path: Path | str, place: int | None = None) -> int | None:
    """A regular file of one name, to read, else nothing: a link is no database. `place`: the directory it is in."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=place)
    except OSError:
        return None
    found = os.fstat(fd)
    if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
        return fd
    os.close(fd)
    return None


def _copy(source: Path, target: Path, bound: int) -> int:
    with contextlib.ExitStack() as stack:
        target.unlink(missing_ok=True)
        fd = open_regular(source)
        if fd is None:
            return 0
        read, write = stack.enter_context(open(fd, "rb")), stack.enter_context(open(target, "wb"))
        try:
            return copy_all(read.fileno(), write.fileno(), bound, str(source))
        except TooLarge:
            target.unlink()
            raise


def _ours(database: Path) -> bool:
    """True where the directory that holds it is this user's own."""
    try:
        return database.parent.stat().st_uid == os.geteuid()
    except OSError:
        return False


def _state(path: Path) -> tuple[int, int] | None:
    fd = open_regular(path)
    if fd is None:
        return None
    try:
        found = os.fstat(fd)
        return found.st_mtime_ns, found.st_size
    finally:
        os.close(fd)


def _head(path: Path) -> bytes:
    fd = open_regular(path)
    if fd is None:
        return b""
    try:
        return os.pread(fd, WAL_HEADER_BYTES, 0)
    finally:
        os.close(fd)
