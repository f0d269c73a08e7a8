"""From the log in memory to the files that a reader sees: partial tiles, full tiles, the signed checkpoint.

Order matters: a tile is there before the checkpoint that needs it, and a full bundle is safe on disk before
the journal lets go of its entries.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from greenroom.audit import files
from greenroom.audit.checkpoint import KeptCheckpoint
from greenroom.audit.merkle import Frontier, root_of
from greenroom.audit.tiles import ENTRIES, WIDTH, encode_bundle, heads_path, tile_path

INTERVAL_S = 0.05
"""At most one publication in this time, so that a burst of appends is signed and published once."""
SETTLE_S = 1.0
"""What is published is flushed in at most this time, also when nothing follows; so a power loss leaves a signed head
that is no older, and before that the journal has every entry."""

Sign = Callable[[int, bytes], bytes | None]
"""The signed head of so many entries with this root; None where their key is gone (`epochs.py`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The right edge of the log: the growing bundle, the hashes of the growing tile of each level, the tree.

    `before` is the bundle before the growing one, as long as its tile may not yet be there; else empty.
    Never changed in place: a publication works on one while appends make the next.
    """

    size: int
    entries: Sequence[bytes]
    levels: tuple[Sequence[bytes], ...]
    tree: Frontier
    before: Sequence[bytes] = ()

    @property
    def base(self) -> int:
        """The index of the first entry of the growing bundle."""
        return self.size - len(self.entries)

    def bundle(self, number: int) -> Sequence[bytes]:
        """The entries of a bundle that is here; none of one that is in its tile."""
        here = number - self.base // WIDTH
        return self.entries if here == 0 else self.before if here == -1 else ()

    def grown(self, entries: Sequence[bytes], leaves: Sequence[bytes], tree: Frontier) -> Shape:
        """With more entries on the right; they fit into the bundle."""
        levels = ([*self.levels[0], *leaves], *self.levels[1:])
        grown = [*self.entries, *entries]
        return Shape(size=self.size + len(entries), entries=grown, levels=levels, tree=tree, before=self.before)

    def rolled(self) -> Shape:
        """The same log with its full bundle behind the growing one, which is empty."""
        return Shape(size=self.size, entries=[], levels=climb(self.levels), tree=self.tree, before=self.entries)


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
    """Seals full bundles, signs and publishes the latest shape, from its own thread, or at once when asked."""

    def __init__(
        self, directory: Path, kept: KeptCheckpoint | None, sign: Sign, crash_point: Callable[[str], None]
    ) -> None:
        self._directory = directory
        self._kept = kept
        self._sign = sign
        self._crash_point = crash_point
        self._writing = threading.Lock()
        self._published_size = -1
        self._heads: list[bytes] = []
        self._head_size = -1
        self._head = b""
        self._loose: list[Path] = []
        self._settled = time.monotonic()
        self._full: deque[Shape] = deque()
        self._sealed_size = 0
        self._written: set[Path] = set()
        self._signal = threading.Condition()
        self._rest = threading.Event()
        self._waiting: Shape | None = None
        self._stopped = False
        self._thread: threading.Thread | None = None
        self.failed = False
        self.head: bytes | None = None

    def wake(self, shape: Shape) -> None:
        """Publish `shape` soon; a later shape takes its place."""
        with self._signal:
            idle, self._waiting = self._waiting is None, shape
            if self._thread is None and not self._stopped:
                self._thread = threading.Thread(target=self._run, name="log-publisher", daemon=True)
                self._thread.start()
            if idle:
                self._signal.notify()

    def hand_over(self, full: Shape) -> None:
        """Seal the full bundle of `full` soon, and before anything later is published."""
        self._full.append(full)
        self._rest.set()

    def seal(self) -> None:
        """Have every bundle that was handed over durable in its tiles; raises OSError."""
        if self._full:
            with self._writing:
                self._seal()

    def publish(self, shape: Shape, *, durable: bool = False) -> None:
        """Publish `shape` now, behind all that was handed over, and flush it if `durable`; raises OSError."""
        with self._writing:
            self._seal()
            if shape.size > self._published_size and shape.size >= self._sealed_size:
                self._publish(shape)
            if durable:
                self._settle()

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
        while not self._stopped:
            try:
                shape = self._next()
                if shape is not None:
                    self.publish(shape)
                if self._loose and time.monotonic() - self._settled >= SETTLE_S:
                    with self._writing:
                        self._settle()
                self._pause()
            except Exception:
                # The entries are safe in the journal; the next append publishes itself, and reports.
                self.failed = True
                self._rest.clear()
                self._rest.wait(INTERVAL_S)

    def _pause(self) -> None:
        """Rest between two publications, but seal at once: the bundle after the next one waits for that."""
        # Not on the signal: each append would end the rest, and take the interpreter from the callers.
        until = time.monotonic() + INTERVAL_S
        while not self._stopped and (left := until - time.monotonic()) > 0:
            if self._rest.wait(left):
                self._rest.clear()
                self.seal()

    def _next(self) -> Shape | None:
        """What is to be published; None when it is time to flush, or to stop."""
        with self._signal:
            self._signal.wait_for(lambda: self._stopped or self._waiting is not None, self._patience())
            shape, self._waiting = self._waiting, None
            return None if self._stopped else shape

    def _patience(self) -> float | None:
        return max(0.0, self._settled + SETTLE_S - time.monotonic()) if self._loose else None

    def _publish(self, shape: Shape) -> None:
        head = self._head_of(shape)
        if head is None:
            return
        self._loose = self._write_partials(shape)
        self._crash_point("log.tiles-written")
        checkpoint = self._directory / "checkpoint"
        files.replace(checkpoint, head, durable=False)
        self._loose.append(checkpoint)
        self._crash_point("log.checkpoint-written")
        if self._kept is not None:
            self._kept.keep(head)
        self._published_size, self.head = shape.size, head
        self.failed = False

    def _head_of(self, shape: Shape) -> bytes | None:
        if self._head_size != shape.size:
            head = self._sign(shape.size, shape.tree.root())
            if head is None:
                return None
            self._heads.append(head)
            self._head_size, self._head = shape.size, head
            self._crash_point("log.signed")
        return self._head

    def _settle(self) -> None:
        """Have what was published last survive a power loss: the tiles, then the checkpoint."""
        self._settled = time.monotonic()
        for path in self._loose:
            with contextlib.suppress(FileNotFoundError):  # its full tile took its place
                files.sync(path)
        self._loose = []

    def _write_partials(self, shape: Shape) -> list[Path]:
        """Write what is not there yet; gives all that the checkpoint of `shape` needs beside full tiles."""
        paths = []
        if shape.entries:
            bundle = tile_path(ENTRIES, shape.size // WIDTH, len(shape.entries))
            paths.append(self._write_once(bundle, encode_bundle(shape.entries)))
        for level, hashes in enumerate(shape.levels):
            if hashes:
                number = shape.size // WIDTH ** (level + 1)
                paths.append(self._write_once(tile_path(level, number, len(hashes)), b"".join(hashes)))
        return paths

    def _write_once(self, name: str, data: bytes) -> Path:
        path = self._directory / name
        if path not in self._written:
            files.replace(path, data, durable=False)
            self._written.add(path)
        return path

    def _seal(self) -> None:
        while self._full:
            full = self._full[0]
            self._head_of(full)
            seal_bundle(self._directory, full, self._heads)
            self._sealed_size = full.size
            self._heads = []
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
