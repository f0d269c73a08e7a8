"""Drafts: directories that live for one run or one build, and are removed whatever happened in them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from greenroom.clearing import remove
from greenroom.domain.errors import Unreachable

CLEAR_S = 2.0
"""How long a start waits for the leftovers to go; the keeper answers while the rest goes."""


class Drafts:
    """Throwaway directories below `directory`, with random names, for one keeper at a time.

    What an earlier keeper left behind is removed from the start on. `uid` is the sandbox's user where the keeper is
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
        # Listed under the lock, before the first draft: a draft of ours is never among them.
        left = [directory / name for name in os.listdir(directory)]
        clearing = threading.Thread(target=_discard_all, args=(left,), daemon=True)
        clearing.start()
        clearing.join(CLEAR_S)

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
            _discard(path)

    def give(self, path: Path) -> Path:
        """Make `path`, a directory of ours, the sandbox user's own."""
        path.mkdir(mode=0o755)
        path.chmod(0o755)
        if self.uid is not None:
            os.chown(path, self.uid, -1)
        return path


def _discard_all(paths: Sequence[Path]) -> None:
    for path in paths:
        _discard(path)


def _discard(path: Path) -> None:
    """Remove a draft. One that stays harms no run: it is tried again at the next start."""
    try:
        remove(path)
    except OSError as error:
        print(f"keeper: a draft stays: {error}", file=sys.stderr)
