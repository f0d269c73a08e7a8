"""Removes trees that foreign code wrote: whatever lies in them, no link is followed and nothing outside is touched.

Directories are moved up to the top of the tree one by one: neither how deep they lie nor how long their paths are
matters, and no call recurses. A directory is read to its end while it is emptied, so the work grows with the number of
entries and no faster. What changes meanwhile is met again in the next look. Standard library only.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from contextlib import suppress
from pathlib import Path

SECONDS = 600.0
"""How long a tree is tried at most."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PLACE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_AT_ONCE = 1000
"""How many names of directories that came up are kept in memory at most; the next look finds the others."""


def remove(tree: Path | str, *, dir_fd: int | None = None, seconds: float = SECONDS) -> None:
    """Remove `tree`, a directory or anything else, and all below it; nothing to remove is no error.

    A relative `tree` is one in the directory `dir_fd`. OSError where something stays: the last reason why, or
    TimeoutError after `seconds`.
    """
    ends = time.monotonic() + seconds
    while True:
        try:
            _empty(tree, dir_fd, ends)
            return os.rmdir(tree, dir_fd=dir_fd)
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            with suppress(FileNotFoundError):
                return os.unlink(tree, dir_fd=dir_fd)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY or time.monotonic() > ends:
                raise


def removed(tree: Path | str, *, dir_fd: int | None = None, seconds: float = SECONDS) -> bool:
    """Remove as `remove` does; False where something stays."""
    try:
        remove(tree, dir_fd=dir_fd, seconds=seconds)
    except OSError:
        return False
    return True


def emptied(tree: Path, *, seconds: float = SECONDS) -> bool:
    """Remove all below a directory; False where something stays, or where there is none."""
    try:
        _empty(tree, None, time.monotonic() + seconds)
    except OSError:
        return False
    return True


def _empty(tree: Path | str, dir_fd: int | None, ends: float) -> None:
    top = _opened(tree, dir_fd)
    try:
        while _Round(top, ends).look():
            pass
    finally:
        os.close(top)


class _Round:
    """One look at the top of a tree; `done` counts what went away or came up, `why` is the last error."""

    def __init__(self, top: int, ends: float) -> None:
        self._top = top
        self._ends = ends
        self._done = 0
        self._up: list[str] = []
        self._why: OSError | None = None

    def look(self) -> bool:
        """Remove what there is as far as it goes; False where nothing was there.

        The last error where nothing went, else what stays or comes is for the next look.
        """
        found = False
        with os.scandir(self._top) as entries:
            for entry in entries:
                found = True
                self._try(entry.name)
                # A top that was full once is slow to read, also when little is in it: not once for every level below.
                while self._up:
                    self._try(self._up.pop())
        if not self._done and self._why is not None:
            raise self._why
        return found

    def _try(self, name: str) -> None:
        self._in_time()
        try:
            if not _unlinked(name, self._top):
                self._empty(name)
                os.rmdir(name, dir_fd=self._top)
            self._done += 1
        except FileNotFoundError:
            self._done += 1
        except OSError as error:
            self._why = error

    def _empty(self, name: str) -> None:
        """Remove the files of a directory in the top, and move its directories there."""
        folder = _opened(name, self._top)
        try:
            while self._look_below(folder):
                pass
        finally:
            os.close(folder)

    def _look_below(self, folder: int) -> bool:
        """As `look`, of a directory that is in the top."""
        found, went = False, 0
        with os.scandir(folder) as entries:
            for entry in entries:
                found = True
                went += self._came_up(entry.name, folder)
        if found and not went and self._why is not None:
            raise self._why
        return found

    def _came_up(self, name: str, folder: int) -> bool:
        self._in_time()
        try:
            if not _unlinked(name, folder):
                _open_up(name, folder)
                above = secrets.token_hex(16)
                os.rename(name, above, src_dir_fd=folder, dst_dir_fd=self._top)
                if len(self._up) < _AT_ONCE:
                    self._up.append(above)
        except FileNotFoundError:
            return True
        except OSError as error:
            self._why = error
            return False
        self._done += 1
        return True

    def _in_time(self) -> None:
        if time.monotonic() > self._ends:
            raise TimeoutError(errno.ETIMEDOUT, "the tree is still there")


def _unlinked(name: str, folder: int) -> bool:
    """Whether `name` was no directory, and is gone."""
    if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        return False
    os.unlink(name, dir_fd=folder)
    return True


def _opened(tree: Path | str, dir_fd: int | None) -> int:
    _open_up(tree, dir_fd)
    return os.open(tree, _FOLDER, dir_fd=dir_fd)


def _open_up(tree: Path | str, dir_fd: int | None) -> None:
    """Let its owner read and change a directory: whoever made it may have shut it, also to its own user.

    Also before it is moved: a move to another parent writes its `..`, for which an ordinary user needs the right to
    write. Of a directory that is another user's, and open to this one, the mode stays.
    """
    place = os.open(tree, _PLACE, dir_fd=dir_fd)
    try:
        with suppress(OSError):
            os.chmod(f"/proc/self/fd/{place}", 0o700)
    finally:
        os.close(place)
