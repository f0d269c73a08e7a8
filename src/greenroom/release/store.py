"""Bytes by digest in files: the store that executor, keeper and guard share."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import secrets
import stat
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

from greenroom.clearing import removed
from greenroom.domain.digest import Digest, digest_of, hex_of, parse_digest, prefix_of
from greenroom.domain.errors import NotFound, Tampered, TooLarge, Unusable
from greenroom.domain.ports import Store

DEFAULT_LIMIT = 64 * 1024 * 1024
SCRATCH = ".incoming"
"""In the store's directory: where files are written before they get their name."""
LEFTOVERS_S = 2.0
"""How long an opening removes leftovers at most; the next one goes on."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FULL = (errno.ENOSPC, errno.EDQUOT)
_HEX = frozenset("0123456789abcdef")


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
    Several processes may use one directory. Folders get `mode`, else that of the directory itself (0700 where it
    is made here): users who share a directory through its group share all folders. Errors: Unusable `disk-full`.
    """

    def __init__(self, directory: Path, *, mode: int | None = None) -> None:
        self._root = Path(directory)
        self._scratch: Path | None = None
        self._scratch_lock = -1
        self._one = threading.Lock()
        self._root.mkdir(mode=0o700 if mode is None else mode, parents=True, exist_ok=True)
        self._mode = stat.S_IMODE(self._root.stat().st_mode) if mode is None else mode
        _remove_leftovers(self._root / SCRATCH)

    def put(self, prefix: str, data: bytes) -> Digest:
        """Store `data`; durable when it returns, and idempotent."""
        digest = digest_of(prefix, data)
        target = self._path(digest)
        with disk_full(self._root):
            if _whole(target, len(data)):
                sync_directory(target.parent)
                return digest
            scratch = self._write(data, sync=True)
            with self._folder(target) as (folder, made):
                self._place(scratch, target, folder)
                os.fsync(folder)
            if made:
                sync_directory(target.parent.parent)
                sync_directory(self._root)
        return digest

    def put_many(self, prefix: str, blobs: Iterable[bytes]) -> Sequence[Digest]:
        """Store all `blobs` with two flushes of the file system instead of two for each (syncfs(2))."""
        digests: list[Digest] = []
        waiting: dict[Path, str] = {}
        try:
            with disk_full(self._root):
                for data in blobs:
                    digests.append(digest_of(prefix, data))
                    target = self._path(digests[-1])
                    if target not in waiting and not _whole(target, len(data)):
                        waiting[target] = self._write(data, sync=False)
                sync_file_system(self._root)
                for target in list(waiting):
                    with self._folder(target) as (folder, _):
                        self._place(waiting.pop(target), target, folder)
                sync_file_system(self._root)
        finally:
            for scratch in waiting.values():
                with contextlib.suppress(OSError):
                    os.unlink(scratch, dir_fd=self._scratch_lock)
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

    def digests(self, prefix: str) -> Iterator[Digest]:
        """The digest of every file that stands there under `prefix`; only `get` proves what is in one."""
        for folder in _names(self._root / prefix, 2):
            for name in _names(self._root / prefix / folder, 62):
                yield Digest(f"{prefix}:{folder}{name}")

    def close(self) -> None:
        """Give the scratch directory back; the store may be used again afterwards."""
        if self._scratch is not None:
            removed(self._scratch)
            os.close(self._scratch_lock)
            self._scratch = None

    def _path(self, digest: Digest) -> Path:
        name = hex_of(parse_digest(digest))
        return Path(f"{self._root}/{prefix_of(digest)}/{name[:2]}/{name[2:]}")

    @contextmanager
    def _folder(self, target: Path) -> Iterator[tuple[int, bool]]:
        """The folder of `target` as a descriptor, and whether it was made; no link is followed on the way.

        Whoever shares the store could put a link there, and have another user write elsewhere.
        """
        made = False
        place = os.open(self._root, _FOLDER)
        try:
            for name in target.parent.relative_to(self._root).parts:
                made = self._make_folder(name, place) or made
                inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=place)
                os.close(place)
                place = inner
            yield place, made
        finally:
            os.close(place)

    def _make_folder(self, name: str, place: int) -> bool:
        """Make a folder that is never seen with a narrower mode than it shall have: others wait to write in it."""
        if _there(name, place):
            return False
        if not self._mode & 0o070:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, mode=self._mode, dir_fd=place)
            return True
        scratch, draft = self._scratch_directory(), secrets.token_hex(16)
        os.mkdir(draft, mode=0o700, dir_fd=scratch)
        made = os.open(draft, _FOLDER | os.O_NOFOLLOW, dir_fd=scratch)
        try:
            os.fchmod(made, self._mode)
            if not _rename_if_free(draft, scratch, name, place):
                os.rmdir(draft, dir_fd=scratch)
        finally:
            os.close(made)
        return True

    def _write(self, data: bytes, *, sync: bool) -> str:
        """The name of a file in the scratch directory that holds `data`."""
        directory, name = self._scratch_directory(), secrets.token_hex(16)
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444, dir_fd=directory)
        try:
            with open(fd, "wb", buffering=0) as file:
                _write_all(file.fileno(), data)
                os.fchmod(fd, 0o444)
                if sync:
                    os.fsync(fd)
        except OSError:
            os.unlink(name, dir_fd=directory)
            raise
        return name

    def _place(self, scratch: str, target: Path, folder: int) -> None:
        os.rename(scratch, target.name, src_dir_fd=self._scratch_lock, dst_dir_fd=folder)

    def _scratch_directory(self) -> int:
        with self._one:
            if self._scratch is None or not self._scratch.is_dir():
                self._scratch, self._scratch_lock = _claim_scratch(self._root, self._mode)
            return self._scratch_lock


def _claim_scratch(root: Path, mode: int) -> tuple[Path, int]:
    """A directory of our own, locked for as long as this process lives; what is not locked is a leftover."""
    while True:
        _make_scratch(root / SCRATCH, mode)
        name = secrets.token_hex(8)
        parent = os.open(root / SCRATCH, _FOLDER | os.O_NOFOLLOW)
        try:
            os.mkdir(name, mode=0o700, dir_fd=parent)
            fd = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=parent)
        except FileNotFoundError:
            continue
        finally:
            os.close(parent)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(fd).st_nlink and os.fstat(fd).st_uid == os.geteuid():
            return root / SCRATCH / name, fd
        os.close(fd)


def _make_scratch(parent: Path, mode: int) -> None:
    with contextlib.suppress(FileExistsError):
        parent.mkdir(mode=mode)
        parent.chmod(mode)


def _remove_leftovers(parent: Path) -> None:
    """Remove the scratch directories of processes that are gone, as far as they are ours to remove and time allows."""
    ends = time.monotonic() + LEFTOVERS_S
    try:
        place = os.open(parent, _FOLDER | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        for name in os.listdir(place):
            if (seconds := ends - time.monotonic()) <= 0:
                break
            _remove_leftover(name, place, seconds)
    finally:
        os.close(place)


def _remove_leftover(name: str, place: int, seconds: float) -> None:
    try:
        fd = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=place)
    except OSError:
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        removed(name, dir_fd=place, seconds=seconds)
    except BlockingIOError:
        pass
    finally:
        os.close(fd)


def _there(name: str, place: int) -> bool:
    try:
        os.stat(name, dir_fd=place, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _names(folder: Path, length: int) -> list[str]:
    """The names of so many hex digits in a folder, in order; whoever shares the store may leave others there.

    No names where it is no folder that can be read, a link to one included: that must not keep the rest back.
    """
    try:
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        found = os.listdir(place)
    except OSError:
        return []
    finally:
        os.close(place)
    return sorted(name for name in found if len(name) == length and not set(name) - _HEX)


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


def _rename_if_free(name: str, source: int, to: str, place: int) -> bool:
    """Rename unless something has the name already: False then (renameat2(2), RENAME_NOREPLACE)."""
    if _LIBC.renameat2(source, os.fsencode(name), place, os.fsencode(to), ctypes.c_uint(1)) == 0:
        return True
    number = ctypes.get_errno()
    if number != errno.EEXIST:
        raise OSError(number, os.strerror(number), to)
    return False


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
