"""Presented: the directories that a person showed the keeper, opened by the keeper itself where that person is.

A descriptor alone proves nothing: one from another mount namespace reads as whatever path was built there, and shows
whatever was mounted below it there. So the keeper walks the path in the person's own file system, from a descriptor of
its root, follows no link on the way, and reads only what it opened. What was handed in must be that very directory.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from greenroom.domain.errors import Unusable
from greenroom.domain.trees import show_path

KEPT_S = 600.0
MOST = 64
MAX_SOURCE = 1000
_PASS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A directory of the person's: `fd`, which the keeper opened, and `source`, its path as text. Closes at the end.

    `branch` is the one that may be read of it, empty for the one that is checked out.
    """

    fd: int
    source: str
    branch: str

    def __enter__(self) -> Place:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self.fd)


class Presented:
    """Directories by ticket; each ticket is good once, for `KEPT_S` seconds, and at most `MOST` wait.

    `root` is a descriptor of the root directory of the person's file system; `close` closes it. Nothing in the
    directory `apart` is presented, whatever it is called there: the box, in which the executor writes.
    """

    def __init__(self, root: int, *, apart: Path | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._root: int | None = root
        self._apart = None if apart is None else apart.stat()
        self._now = now
        self._lock = threading.Lock()
        self._places: OrderedDict[str, tuple[float, Place]] = OrderedDict()

    def present(self, path: str, branch: str, directory: int) -> str:
        """The ticket for `branch` of the directory at `path`, which the descriptor `directory` must be too.

        Raises Unusable `directory-differs` where the path leads elsewhere, or nowhere, in the person's file system, and
        `repository-in-box` where it leads into the directory apart.
        """
        try:
            if self._root is None:
                raise OSError(0, "they are leaving")
            fd = _opened(self._root, path, self._apart)
        except OSError as error:
            raise _differs(path, f"the box's processes cannot open it: {error.strerror}") from None
        if not _same(fd, directory):
            os.close(fd)
            raise _differs(path, "the box's processes see another directory there")
        ticket = secrets.token_hex(16)
        with self._lock:
            source = show_path(os.fsencode(path))[:MAX_SOURCE]
            self._places[ticket] = (self._now(), Place(fd=fd, source=source, branch=branch))
            self._forget()
        return ticket

    def take(self, ticket: str) -> Place | None:
        """The directory of a ticket, the caller's from then on; None for a ticket that is not known, or too old."""
        with self._lock:
            self._forget()
            found = self._places.pop(ticket, None)
        return None if found is None else found[1]

    def close(self) -> None:
        """Forget every ticket."""
        with self._lock:
            while self._places:
                self._drop()
            if self._root is not None:
                os.close(self._root)
            self._root = None

    def _forget(self) -> None:
        while self._places and (len(self._places) > MOST or self._oldest() < self._now() - KEPT_S):
            self._drop()

    def _oldest(self) -> float:
        return next(iter(self._places.values()))[0]

    def _drop(self) -> None:
        _, (_, place) = self._places.popitem(last=False)
        os.close(place.fd)


def _opened(root: int, path: str, apart: os.stat_result | None) -> int:
    """A descriptor of the directory at `path` below `root`; OSError also for a link or a `..` on the way.

    Raises Unusable `repository-in-box` for a way through the directory `apart`.
    """
    names = path.split("/")[1:] if path != "/" else []
    if not path.startswith("/") or any(name in ("", ".", "..") for name in names):
        raise OSError(0, "its path is not in its plain form")
    at = os.dup(root)
    try:
        for name in names:
            deeper = os.open(name, _PASS, dir_fd=at)
            os.close(at)
            at = deeper
            if apart is not None and os.path.samestat(os.fstat(at), apart):
                raise _inside(path)
        return os.open(".", _READ, dir_fd=at)
    finally:
        os.close(at)


def _same(one: int, other: int) -> bool:
    return os.path.samestat(os.fstat(one), os.fstat(other))


def _inside(path: str) -> Unusable:
    remedy = "name a repository outside of the box; a clone of it elsewhere is one"
    message = "the directory lies in the box, where the box's processes write"
    return Unusable("repository-in-box", message, where=show_path(os.fsencode(path))[:MAX_SOURCE], remedy=remedy)


def _differs(path: str, why: str) -> Unusable:
    remedy = "run `greenroom down`, then this command again from where the directory is; name it by its plain path"
    return Unusable("directory-differs", why, where=show_path(os.fsencode(path))[:MAX_SOURCE], remedy=remedy)
