"""How much a cell has written into its writable mounts, counted in small portions while it runs."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence

_BLOCK = 512
_PER_ENTRY = 512
"""Bytes charged for each name, so that empty files are not free."""
_PORTION = 1000


class DiskWatch:
    """Watches the growth of the allocated bytes below `paths`; `limit` is in bytes.

    Hard links are counted by name, so the count is never too low. Never follows a link.
    """

    def __init__(self, paths: Sequence[str], limit: int) -> None:
        self._paths = tuple(paths)
        self._limit = limit
        self._before = self.total() if self._paths else 0
        self._walk: Iterator[int] | None = None
        self._sum = 0

    def exceeded(self) -> bool:
        """Counts all; True when more than `limit` was added."""
        return bool(self._paths) and self.total() - self._before > self._limit

    def look(self) -> bool:
        """Counts the next portion; True when a finished count, or the one under way, is over the limit."""
        if not self._paths:
            return False
        if self._walk is None:
            self._walk, self._sum = _sizes(self._paths), 0
        for _ in range(_PORTION):
            size = next(self._walk, None)
            if size is None:
                self._walk = None
                break
            self._sum += size
        return self._sum - self._before > self._limit

    def total(self) -> int:
        """Bytes charged for all that lies below the paths."""
        return sum(_sizes(self._paths))


def _sizes(paths: Sequence[str]) -> Iterator[int]:
    """One number per name; what vanishes meanwhile is left out. By descriptor, so that no link leads outside."""
    for path in paths:
        try:
            status = os.lstat(path)
        except OSError:
            continue
        yield status.st_blocks * _BLOCK + _PER_ENTRY
        if stat.S_ISDIR(status.st_mode):
            yield from _below(path)


def _below(top: str) -> Iterator[int]:
    for _, directories, files, parent in os.fwalk(top, follow_symlinks=False):
        for name in (*directories, *files):
            try:
                status = os.stat(name, dir_fd=parent, follow_symlinks=False)
            except OSError:
                continue
            yield status.st_blocks * _BLOCK + _PER_ENTRY
