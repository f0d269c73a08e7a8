"""A database that another user's process writes, replaced by root without trusting a name in that user's directory.

The directory is held by its descriptor and no link in it is followed. What is there is copied aside first; what takes
its place is written under a name of its own and renamed: killed at any moment, the old database is there or the new.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from greenroom.bootstrap.foreign import MAX_COPY_BYTES, copy_all, open_regular
from greenroom.domain.errors import TooLarge

BESIDE = ("-wal", "-shm")
"""What SQLite has beside a database."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MADE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PART = re.compile(r"\.replacing\.[0-9a-f]{16}\.part")


@contextlib.contextmanager
def place(directory: Path) -> Iterator[Place]:
    """The directory for as long as it takes; what a run that was killed left half written in it is removed."""
    fd = os.open(directory, _DIRECTORY)
    try:
        for name in os.listdir(fd):
            if _PART.fullmatch(name):
                os.unlink(name, dir_fd=fd)
        yield Place(directory, fd)
    finally:
        os.close(fd)


class Place:
    """The databases of one directory, by name. What is written belongs to the directory's owner, mode 0600."""

    def __init__(self, directory: Path, fd: int) -> None:
        self._directory = directory
        self._fd = fd

    def keep(self, name: str, stamp: str) -> list[str]:
        """Copy a database and what SQLite has beside it to names of their own, which it gives back; all stays there.

        What is no regular file of one name is no database: it is moved aside.
        """
        kept = []
        for end in ("", *BESIDE):
            if not self._has(name + end):
                continue
            aside = f"{name}.{stamp}{end}"
            source = open_regular(name + end, self._fd)
            if source is None:
                os.rename(name + end, aside, src_dir_fd=self._fd, dst_dir_fd=self._fd)
            else:
                self._write(aside, source)
            kept.append(str(self._directory / aside))
        os.fsync(self._fd)
        return kept

    def put(self, name: str, source: Path) -> None:
        """Put the bytes of `source` in the place of a database, in one step; durable."""
        part = f".replacing.{secrets.token_hex(8)}.part"
        self._write(part, os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC))
        os.rename(part, name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        os.fsync(self._fd)

    def bare(self, name: str) -> None:
        """Take away what SQLite has beside a database: laid over another one it would spoil that."""
        for end in BESIDE:
            self._drop(name + end)
        os.fsync(self._fd)

    def drop(self, name: str) -> None:
        """Take a database away, with what SQLite has beside it."""
        self.bare(name)
        self._drop(name)
        os.fsync(self._fd)

    def _write(self, name: str, source: int) -> None:
        """Write what `source` holds, and close that; `name` must be free, and holds all of it or is free again."""
        with open(source, "rb") as read, open(os.open(name, _MADE, 0o600, dir_fd=self._fd), "wb") as write:
            try:
                copy_all(read.fileno(), write.fileno(), MAX_COPY_BYTES, name)
                whose = os.fstat(self._fd)
                os.fchown(write.fileno(), whose.st_uid, whose.st_gid)
                os.fsync(write.fileno())
            except (OSError, TooLarge):
                self._drop(name)
                raise

    def _drop(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._fd)

    def _has(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True
