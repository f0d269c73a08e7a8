"""The few ways in which the log touches a disk."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from greenroom.domain.errors import NotFound, TooLarge, Unusable


def replace(path: Path, data: bytes, *, durable: bool) -> None:
    """Put `data` at `path` in one step (a reader sees the old or the new file); `durable` also after power loss."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        _write_all(descriptor, data)
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(draft, path)
    if durable:
        sync_directory(path.parent)


def make_directory(path: Path) -> None:
    """Make `path` and what is missing above it, durably."""
    if path.is_dir():
        return
    make_directory(path.parent)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o755)
    sync_directory(path.parent)


def sync(path: Path) -> None:
    """Make a file, and its name, survive power loss."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make names in `path` survive power loss."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_bounded(path: Path, limit: int) -> bytes:
    """The bytes of a regular file; raises NotFound `log-file-missing`, TooLarge, or Unusable for anything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        remedy = "name the directory that it should be in, or put the file back from a copy"
        raise NotFound("log-file-missing", "a file of the log is missing", where=str(path), remedy=remedy) from None
    except OSError as error:
        raise Unusable("log-unreadable", f"cannot read: {error.strerror}", where=str(path)) from None
    try:
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise Unusable("log-unreadable", f"cannot read: {error.strerror}", where=str(path)) from None
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise TooLarge("log-file-too-large", f"this file of the log has more than {limit} bytes", where=str(path))
    return data


def lock(path: Path) -> int:
    """A descriptor that holds the only write lock of a log until it is closed; raises Unusable `log-in-use`."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise Unusable(
            "log-in-use", "another process writes this log", where=str(path), remedy="only the guard writes the log"
        ) from None
    return descriptor


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
