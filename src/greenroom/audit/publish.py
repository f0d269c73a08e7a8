"""From the log in memory to the files that a reader sees: partial tiles, full tiles, the checkpoint.

Order matters: a tile is there before the checkpoint that needs it, and a full bundle is safe on disk before
the journal lets go of its entries.
"""

from __future__ import annotations

import shutil
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from greenroom.audit import files
from greenroom.audit.checkpoint import KeptCheckpoint
from greenroom.audit.merkle import root_of
from greenroom.audit.tiles import ENTRIES, WIDTH, encode_bundle, heads_path, tile_path

INTERVAL_S = 0.01
"""At most one publication in this time, so that a burst of appends is published once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The right edge of the log: the growing bundle, the hashes of the growing tile of each level, the signed head.

    `before` is the bundle before the growing one, as long as its tile may not yet be there; else empty.
    Never changed in place: a publication works on one while appends make the next.
    """

    size: int
    entries: Sequence[bytes]
    levels: tuple[Sequence[bytes], ...]
    head: bytes
    before: Sequence[bytes] = ()

    @property
    def base(self) -> int:
        """The index of the first entry of the growing bundle."""
        return self.size - len(self.entries)

    def bundle(self, number: int) -> Sequence[bytes]:
        """The entries of a bundle that is here; none of one that is in its tile."""
        here = number - self.base // WIDTH
        return self.entries if here == 0 else self.before if here == -1 else ()

    def grown(self, entries: Sequence[bytes], leaves: Sequence[bytes], head: bytes) -> Shape:
        """With more entries on the right; they fit into the bundle."""
        levels = ([*self.levels[0], *leaves], *self.levels[1:])
        grown = [*self.entries, *entries]
        return Shape(size=self.size + len(entries), entries=grown, levels=levels, head=head, before=self.before)

    def rolled(self) -> Shape:
        """The same log with its full bundle behind the growing one, which is empty."""
        return Shape(size=self.size, entries=[], levels=climb(self.levels), head=self.head, before=self.entries)


def empty_shape(head: bytes) -> Shape:
    """The log without entries."""
    return Shape(size=0, entries=[], levels=([],), head=head)


def climb(levels: Sequence[Sequence[bytes]]) -> tuple[Sequence[bytes], ...]:
    """The levels after each full tile has become one hash of the level above."""
    risen = [list(level) for level in levels]
    at = 0
    while len(risen[at]) == WIDTH:
        if at + 1 == len(risen):
            risen.append([])
        risen[at + 1].append(root_of(risen[at]))
        risen[at] = []
        at += 1
    return tuple(risen)


def seal_bundle(directory: Path, shape: Shape, heads: Sequence[bytes]) -> None:
    """Write the full bundle of `shape`, its heads and every tile that it fills, durably.

    The bundle is written last: where it is, the rest is. Writing again after a crash writes the same.
    """
    number = shape.size // WIDTH - 1
    files.replace(directory / heads_path(number), encode_bundle(heads), durable=True)
    levels = [list(level) for level in shape.levels]
    at, size = 0, shape.size // WIDTH
    while at < len(levels) and len(levels[at]) == WIDTH:
        files.replace(directory / tile_path(at, size - 1), b"".join(levels[at]), durable=True)
        if at + 1 < len(levels):
            levels[at + 1].append(root_of(levels[at]))
        at, size = at + 1, size // WIDTH
    files.replace(directory / tile_path(ENTRIES, number), encode_bundle(shape.entries), durable=True)


class Publisher:
    """Seals full bundles and publishes the latest shape, from its own thread, or at once when asked."""

    def __init__(self, directory: Path, kept: KeptCheckpoint | None, crash_point: Callable[[str], None]) -> None:
        self._directory = directory
        self._kept = kept
        self._crash_point = crash_point
        self._writing = threading.Lock()
        self._published: bytes | None = None
        self._published_size = 0
        self._full: deque[tuple[Shape, Sequence[bytes]]] = deque()
        self._sealed_size = 0
        self._written: set[Path] = set()
        self._signal = threading.Condition()
        self._rest = threading.Event()
        self._waiting: Shape | None = None
        self._stopped = False
        self._thread: threading.Thread | None = None
        self.failed = False

    def wake(self, shape: Shape) -> None:
        """Publish `shape` soon; a later shape takes its place."""
        with self._signal:
            idle, self._waiting = self._waiting is None, shape
            if self._thread is None and not self._stopped:
                self._thread = threading.Thread(target=self._run, name="log-publisher", daemon=True)
                self._thread.start()
            if idle:
                self._signal.notify()

    def hand_over(self, full: Shape, heads: Sequence[bytes]) -> None:
        """Seal the full bundle of `full` before anything later is published."""
        self._full.append((full, heads))

    def seal(self) -> None:
        """Have every bundle that was handed over durable in its tiles; raises OSError."""
        if self._full:
            with self._writing:
                self._seal()

    def publish(self, shape: Shape) -> None:
        """Publish `shape` now, behind all that was handed over; raises OSError."""
        with self._writing:
            self._seal()
            if shape.head == self._published or shape.size < max(self._published_size, self._sealed_size):
                return
            self._write_partials(shape)
            self._crash_point("log.tiles-written")
            files.replace(self._directory / "checkpoint", shape.head, durable=self._published is None)
            self._crash_point("log.checkpoint-written")
            if self._kept is not None:
                self._kept.keep(shape.head)
            self._published, self._published_size = shape.head, shape.size
            self.failed = False

    def stop(self) -> None:
        """End the thread; what waits is left to the caller."""
        with self._signal:
            self._stopped = True
            self._waiting = None
            self._signal.notify()
        self._rest.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while (shape := self._next()) is not None:
            try:
                self.publish(shape)
            except Exception:
                # The entries are safe in the journal; the next append publishes itself, and reports.
                self.failed = True
            # Not on the signal: each append would end the rest, and take the interpreter from the callers.
            self._rest.wait(INTERVAL_S)

    def _next(self) -> Shape | None:
        with self._signal:
            self._signal.wait_for(lambda: self._stopped or self._waiting is not None)
            shape, self._waiting = self._waiting, None
            return None if self._stopped else shape

    def _write_partials(self, shape: Shape) -> None:
        if shape.entries:
            bundle = tile_path(ENTRIES, shape.size // WIDTH, len(shape.entries))
            self._write_once(bundle, encode_bundle(shape.entries))
        for level, hashes in enumerate(shape.levels):
            if hashes:
                number = shape.size // WIDTH ** (level + 1)
                self._write_once(tile_path(level, number, len(hashes)), b"".join(hashes))

    def _write_once(self, name: str, data: bytes) -> None:
        path = self._directory / name
        if path not in self._written:
            files.replace(path, data, durable=False)
            self._written.add(path)

    def _seal(self) -> None:
        while self._full:
            full, heads = self._full[0]
            seal_bundle(self._directory, full, heads)
            self._sealed_size = full.size
            self._crash_point("log.bundle-sealed")
            self._remove_superseded(full.size // WIDTH)
            self._full.popleft()

    def _remove_superseded(self, full: int) -> None:
        """Partial tiles may go once the full one is there (tlog-tiles): it stands in for them."""
        self._written.clear()
        names = [tile_path(ENTRIES, full - 1)]
        level = 0
        while full:
            names.append(tile_path(level, full - 1))
            level, full = level + 1, full // WIDTH
        for name in names:
            partials = self._directory / f"{name}.p"
            if partials.is_dir():
                shutil.rmtree(partials)
