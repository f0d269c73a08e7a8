"""Drafts: directories that live for one run or one build, and are removed whatever happened in them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from greenroom.domain.errors import Unreachable

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Drafts:
    """Throwaway directories below `directory`, with random names, for one keeper at a time.

    What an earlier keeper left behind is removed at the start. `uid` is the sandbox's user where the keeper is
    root; None where the sandbox runs as the keeper's own user.
    """

    def __init__(self, directory: Path, *, uid: int | None) -> None:
        self.directory = directory
        self.uid = uid
        directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        directory.chmod(0o711)
        lock = os.open(directory.with_name(directory.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._lock = open(lock, "rb")  # noqa: SIM115 - held as long as the keeper lives
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise Unreachable(
                "keeper-runs-already",
                "another keeper uses this box",
                where=str(directory),
                remedy="use the keeper that runs, or end it first",
            ) from None
        for left in os.listdir(directory):
            remove(directory / left)

    def close(self) -> None:
        """Let another keeper in."""
        self._lock.close()

    @contextlib.contextmanager
    def open(self) -> Iterator[Path]:
        """A fresh, empty directory; gone afterwards with all that is in it."""
        path = self.directory / secrets.token_hex(16)
        path.mkdir(mode=0o711)
        path.chmod(0o711)
        try:
            yield path
        finally:
            remove(path)

    def give(self, path: Path) -> Path:
        """Make `path`, a directory of ours, the sandbox user's own."""
        path.mkdir(mode=0o755)
        path.chmod(0o755)
        if self.uid is not None:
            os.chown(path, self.uid, -1)
        return path


def remove(path: Path) -> None:
    """Remove `path` and all below it; follows no link, and no depth, mode or name stops it.

    Directories are moved up to the top one by one, so that neither the depth of a hostile tree nor the length of
    its paths matters. Nothing may run in the tree meanwhile.
    """
    try:
        top = os.open(path, _FOLDER)
    except (FileNotFoundError, NotADirectoryError):
        path.unlink(missing_ok=True)
        return
    except PermissionError:
        path.chmod(0o700)
        top = os.open(path, _FOLDER)
    try:
        os.fchmod(top, 0o700)
        waiting = _empty(top, top)
        while waiting:
            name = waiting.pop()
            folder = _enter(top, name)
            try:
                waiting += _empty(folder, top)
            finally:
                os.close(folder)
            os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)
    path.rmdir()


def _enter(top: int, name: str) -> int:
    handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=top)
    try:
        os.chmod(f"/proc/self/fd/{handle}", 0o700)
    finally:
        os.close(handle)
    return os.open(name, _FOLDER, dir_fd=top)


def _empty(folder: int, top: int) -> list[str]:
    """Unlink the files in `folder` and move its directories into `top`; the names that they got there."""
    moved = []
    for name in os.listdir(folder):
        if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=folder)
            continue
        fresh = secrets.token_hex(16)
        _open_up(folder, name)
        os.rename(name, fresh, src_dir_fd=folder, dst_dir_fd=top)
        moved.append(fresh)
    return moved


def _open_up(folder: int, name: str) -> None:
    """Moving a directory to another parent writes its `..`, for which an ordinary user needs the right to write."""
    handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.chmod(f"/proc/self/fd/{handle}", 0o700)
    finally:
        os.close(handle)
