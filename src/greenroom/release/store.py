"""Bytes by digest in files: the store that executor, keeper and guard share."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import secrets
import shutil
import stat
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

from greenroom.domain.digest import Digest, digest_of, hex_of, parse_digest, prefix_of
from greenroom.domain.errors import NotFound, Tampered, TooLarge, Unusable
from greenroom.domain.ports import Store

DEFAULT_LIMIT = 64 * 1024 * 1024
_SCRATCH = ".incoming"
_FULL = (errno.ENOSPC, errno.EDQUOT)


@runtime_checkable
class BulkStore(Store, Protocol):
    """A store that makes many blobs durable together."""

    def put_many(self, prefix: str, blobs: Iterable[bytes]) -> Sequence[Digest]:
        """The digests of `blobs`, in order; all durable at return."""
        ...


def put_all(store: Store, prefix: str, blobs: Iterable[bytes]) -> Sequence[Digest]:
    """Put `blobs` one after the other, in bulk where the store can."""
    if isinstance(store, BulkStore):
        return store.put_many(prefix, blobs)
    return [store.put(prefix, data) for data in blobs]


_SPOILED = "find out who wrote in the box, put that file of the store back from a copy, then propose the change again"


class FileStore:
    """The Store port on a directory: DIRECTORY/<prefix>/<first two hex digits>/<other 62>, files of mode 0444.

    A name appears only after its bytes are on the disk (write, fsync, rename, directory fsync), so a crash
    leaves a whole file or none. `get` rehashes, so a file that anything else changed is Tampered, never served.
    Several processes may use one directory. Errors: Unusable `disk-full`.
    """

    def __init__(self, directory: Path, *, mode: int = 0o700) -> None:
        self._root = Path(directory)
        self._mode = mode
        self._scratch: Path | None = None
        self._scratch_lock = -1
        self._one = threading.Lock()
        self._root.mkdir(mode=mode, parents=True, exist_ok=True)
        _remove_leftovers(self._root / _SCRATCH)

    def put(self, prefix: str, data: bytes) -> Digest:
        """Store `data`; durable when it returns, and idempotent."""
        digest = digest_of(prefix, data)
        target = self._path(digest)
        with disk_full(self._root):
            if not _whole(target, len(data)):
                scratch = self._write(data, sync=True)
                if self._make_folders(target):
                    sync_directory(target.parent.parent)
                    sync_directory(self._root)
                os.rename(scratch, target)
            sync_directory(target.parent)
        return digest

    def put_many(self, prefix: str, blobs: Iterable[bytes]) -> Sequence[Digest]:
        """Store all `blobs` with two flushes of the file system instead of two for each (syncfs(2))."""
        digests: list[Digest] = []
        waiting: dict[Path, Path] = {}
        try:
            with disk_full(self._root):
                for data in blobs:
                    digests.append(digest_of(prefix, data))
                    target = self._path(digests[-1])
                    if target not in waiting and not _whole(target, len(data)):
                        waiting[target] = self._write(data, sync=False)
                sync_file_system(self._root)
                for target in list(waiting):
                    self._make_folders(target)
                    os.rename(waiting.pop(target), target)
                sync_file_system(self._root)
        finally:
            for scratch in waiting.values():
                scratch.unlink(missing_ok=True)
        return digests

    def get(self, digest: Digest, limit: int = DEFAULT_LIMIT) -> bytes:
        """The bytes that `digest` names; NotFound `not-stored`, TooLarge `blob-too-large`, Tampered `wrong-bytes`."""
        try:
            fd = os.open(self._path(digest), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            raise NotFound("not-stored", "the store does not hold these bytes", where=digest) from None
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise _no_file(digest) from None
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise _no_file(digest)
            data = _read_bounded(fd, limit, digest)
        finally:
            os.close(fd)
        if digest_of(prefix_of(digest), data) != digest:
            raise Tampered("wrong-bytes", "the stored bytes do not have this digest", where=digest, remedy=_SPOILED)
        return data

    def has(self, digest: Digest) -> bool:
        """Whether a file stands there; only `get` proves what is in it."""
        return os.path.lexists(self._path(digest))

    def erase(self, digest: Digest) -> None:
        """Remove the bytes, durably; nothing to remove is no error."""
        path = self._path(digest)
        try:
            path.unlink()
        except FileNotFoundError:
            return
        sync_directory(path.parent)

    def close(self) -> None:
        """Give the scratch directory back; the store may be used again afterwards."""
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            os.close(self._scratch_lock)
            self._scratch = None

    def _path(self, digest: Digest) -> Path:
        name = hex_of(parse_digest(digest))
        return self._root / prefix_of(digest) / name[:2] / name[2:]

    def _make_folders(self, target: Path) -> bool:
        if target.parent.is_dir():
            return False
        for folder in (target.parent.parent, target.parent):
            folder.mkdir(mode=self._mode, exist_ok=True)
        return True

    def _write(self, data: bytes, *, sync: bool) -> Path:
        scratch = self._scratch_directory() / secrets.token_hex(16)
        fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
        try:
            with open(fd, "wb", buffering=0) as file:
                _write_all(file.fileno(), data)
                os.fchmod(fd, 0o444)
                if sync:
                    os.fsync(fd)
        except OSError:
            scratch.unlink(missing_ok=True)
            raise
        return scratch

    def _scratch_directory(self) -> Path:
        with self._one:
            if self._scratch is None or not self._scratch.is_dir():
                self._scratch, self._scratch_lock = _claim_scratch(self._root / _SCRATCH, self._mode)
            return self._scratch


def _claim_scratch(parent: Path, mode: int) -> tuple[Path, int]:
    """A directory of our own, locked for as long as this process lives; what is not locked is a leftover."""
    while True:
        mine = parent / secrets.token_hex(8)
        parent.mkdir(mode=mode, exist_ok=True)
        try:
            mine.mkdir(mode=mode)
            fd = os.open(mine, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if mine.is_dir():
            return mine, fd
        os.close(fd)


def _remove_leftovers(parent: Path) -> None:
    for path in _children(parent):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(fd)


def _children(parent: Path) -> list[Path]:
    try:
        return list(parent.iterdir())
    except FileNotFoundError:
        return []


def _no_file(digest: Digest) -> Tampered:
    return Tampered("wrong-bytes", "something that is no file stands in the store", where=digest, remedy=_SPOILED)


def _whole(path: Path, size: int) -> bool:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == size


def _read_bounded(fd: int, limit: int, digest: Digest) -> bytes:
    parts: list[bytes] = []
    left = limit + 1
    while left and (part := os.read(fd, min(left, 1 << 20))):
        parts.append(part)
        left -= len(part)
    if not left:
        raise TooLarge("blob-too-large", f"at most {limit} bytes are read here", where=digest)
    return b"".join(parts)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def sync_directory(path: Path) -> None:
    """Make the names in the directory `path` durable (fsync(2) on the directory)."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file_system(path: Path) -> None:
    """Make everything that was written to the file system of `path` durable (syncfs(2))."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _LIBC.syncfs(fd) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(fd)


@contextmanager
def disk_full(place: Path) -> Iterator[None]:
    """Raise Unusable `disk-full` where the system says that no space or no quota is left at `place`."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise Unusable(
            "disk-full",
            "no space is left on the disk",
            where=str(place),
            remedy="free some space, then run the command again; nothing was changed",
        ) from None


_LIBC = ctypes.CDLL(None, use_errno=True)
