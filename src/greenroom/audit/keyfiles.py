"""The files of a key that lives for an epoch: the present one, the next one, and what is left of the one before.

The order of a turn, in which a crash at any point leaves a key that a chain certifies: the next key is durable beside
the present one; its certificate is durable in the chain; the present one is put aside under another name, the next one
takes its place, and the bytes of the one aside are overwritten.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from greenroom.audit import files, keys
from greenroom.audit.note import SigningKey
from greenroom.domain.errors import NotFound, Unusable

PRESENT = "epoch.key"
NEXT = "epoch.next"
EARLIER = "epoch.old"


class KeyFiles:
    """The private keys in `directory`; `first` is the file of the one that `init` made, which has none before it.

    `crash_point` is told each place between two steps.
    """

    def __init__(self, first: Path, directory: Path, crash_point: Callable[[str], None]) -> None:
        self.first = first
        self._directory = directory
        self._crash_point = crash_point

    def find(self, wanted: Callable[[bytes], bool], *, first: bool) -> SigningKey | None:
        """The private key whose public half is `wanted`; the next one takes its place where a crash kept it from it.

        `first` says that no later key than that of `init` is certified.
        """
        for path in (self.first,) if first else (self._directory / PRESENT, self._directory / NEXT):
            key = private_in(path)
            if key is not None and wanted(key.public):
                if path.name == NEXT:
                    self.replace()
                return key
        return None

    def save_next(self, key: keys.PrivateKey) -> None:
        """Have `key` durable beside the present one."""
        self.forget(NEXT)
        keys.save_private(self._directory / NEXT, key)
        self._crash_point("epoch.key-saved")

    def place(self, *, first: bool) -> Path:
        """Where the present key belongs."""
        return self.first if first else self._directory / PRESENT

    def next(self) -> SigningKey | None:
        """The key beside the present one; None where there is none that is whole."""
        return private_in(self._directory / NEXT)

    def replace(self) -> None:
        """The next key in the present one's place, durably; then the present one's bytes are overwritten.

        The present one keeps a name until then, so that a start after a crash finds what to overwrite.
        """
        present = self._directory / PRESENT
        self.forget(EARLIER)
        with contextlib.suppress(FileNotFoundError):
            os.rename(present, self._directory / EARLIER)
            files.sync_directory(self._directory)
        self._crash_point("epoch.key-aside")
        os.rename(self._directory / NEXT, present)
        files.sync_directory(self._directory)
        self._crash_point("epoch.key-in-place")
        self.forget(EARLIER)
        wipe(self.first)

    def forget(self, name: str) -> None:
        """Overwrite a file of the directory, then remove it."""
        path = self._directory / name
        wipe(path)
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


class Withdrawn(OSError):
    """A certificate could not be written, and no part of it is left."""


def extend(chain: Path, line: bytes) -> None:
    """Write a line of a chain, durably; raises Withdrawn when surely nothing of it is there, else OSError."""
    with _withdrawn():
        descriptor = os.open(chain, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        with _withdrawn():
            before = os.fstat(descriptor).st_size
            if not before:
                files.sync_directory(chain.parent)
        try:
            if os.write(descriptor, line + b"\n") != len(line) + 1:
                raise OSError("the certificate was written only in part")
            os.fsync(descriptor)
        except OSError as error:
            os.ftruncate(descriptor, before)
            os.fsync(descriptor)
            raise Withdrawn(error.errno, error.strerror or str(error)) from None
    finally:
        os.close(descriptor)


def cut(chain: Path, size: int) -> None:
    """Cut off what a power loss made of a last line, behind `size` bytes: the key in it never signed."""
    with open(os.open(chain, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC), "r+b") as file:
        file.truncate(size)
        os.fsync(file.fileno())


def private_in(path: Path) -> SigningKey | None:
    """The key in a file; None where there is none, or one that was cut off or overwritten."""
    try:
        return keys.load_private(path)
    except NotFound:
        return None
    except Unusable as error:
        if error.reference == "bad-key":
            return None
        raise


def wipe(path: Path) -> None:
    """Overwrite a key file and leave it empty; a file system or a disk may keep the earlier bytes elsewhere."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        _overwrite(descriptor)
    finally:
        os.close(descriptor)


def _overwrite(descriptor: int) -> None:
    size = os.fstat(descriptor).st_size
    if size:
        os.pwrite(descriptor, bytes(size), 0)
        os.fsync(descriptor)
        os.ftruncate(descriptor, 0)
        os.fsync(descriptor)


@contextlib.contextmanager
def _withdrawn() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Withdrawn(error.errno, error.strerror or str(error)) from None
