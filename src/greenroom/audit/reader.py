"""Reads a log directory, or a copy of one, without trusting it and without a lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from greenroom.audit import files
from greenroom.audit.epochs import CHAIN, KeyRing, Walk, walk
from greenroom.audit.journal import Record, read_journal
from greenroom.audit.merkle import HASH_BYTES
from greenroom.audit.note import Checkpoint
from greenroom.audit.recover import read_checkpoint
from greenroom.audit.tiles import (
    ENTRIES,
    MAX_BUNDLE_BYTES,
    WIDTH,
    TileFiles,
    heads_path,
    parse_bundle,
    parse_tile,
    partial_widths,
    salvage_bundle,
    tile_path,
)
from greenroom.domain.errors import GreenroomError, NotFound

_ATTEMPTS = 3
"""A log that rolls over to its next bundle while it is read is read again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A head whose signature holds, and where it was found."""

    checkpoint: Checkpoint
    source: str


@dataclass(slots=True, kw_only=True)
class LogCopy:
    """What is in the directory: entries in order, verified heads, the journal, and what could not be read.

    `ring` are the keys that the chain beside the tiles certifies, as far as it holds; `chain` is what ends it early,
    `outlived` what was signed with the key of another epoch. `unsigned` counts entries that follow `entries` in the
    journal under a tag: the guard alone can tell whether it wrote them, and they are not among `entries`. `missing`
    is the first entry between the two that is nowhere. `published` is False where the checkpoint could not be used.
    """

    directory: Path
    entries: list[bytes] = field(default_factory=list)
    heads: list[Head] = field(default_factory=list)
    journal: list[Record] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    outlived: list[str] = field(default_factory=list)
    ring: KeyRing = field(default_factory=lambda: KeyRing(()))
    chain: GreenroomError | None = None
    published: bool = False
    unpublished: int = 0
    unsigned: int = 0
    missing: int | None = None

    def leaf_tiles(self, size: int) -> list[bytes]:
        """The leaf hashes that the tiles hold for a log of `size`; fewer when a tile is missing."""
        tiles = TileFiles(self.directory)
        hashes: list[bytes] = []
        for number in range(-(-size // WIDTH)):
            width = min(WIDTH, size - number * WIDTH)
            try:
                hashes += tiles.hashes(0, number, width)[:width]
            except GreenroomError:
                break
        return hashes

    def tiles_at(self, level: int, number: int) -> Iterator[tuple[str, list[bytes]]]:
        """(name, hashes) of every file of one tile, full or partial; none where the file is malformed."""
        yield from self._files_at(level, number, WIDTH * HASH_BYTES, parse_tile)

    def bundles_at(self, number: int) -> Iterator[tuple[str, list[bytes]]]:
        """(name, entries) of every file of one bundle, full or partial; none where the file is malformed."""
        yield from self._files_at(ENTRIES, number, MAX_BUNDLE_BYTES, parse_bundle)

    def _files_at(
        self, level: int | str, number: int, limit: int, parse: Callable[[bytes], list[bytes]]
    ) -> Iterator[tuple[str, list[bytes]]]:
        present = partial_widths(self.directory / tile_path(level, number))
        if (self.directory / tile_path(level, number)).is_file():
            present.append(WIDTH)
        for width in present:
            name = tile_path(level, number, width)
            try:
                parts = parse(files.read_bounded(self.directory / name, limit))
            except GreenroomError:
                parts = []
            yield name, parts if len(parts) == width else []


def read_copy(directory: Path, publics: Iterable[bytes]) -> LogCopy:
    """Read what is there, also while the guard writes; raises NotFound `no-log` when there is no log at all.

    `publics` are the anchors: the keys of the guard that are trusted beforehand.
    """
    anchors = tuple(publics)
    if not (directory / "checkpoint").exists() and not (directory / "journal").exists():
        raise NotFound("no-log", "there is no log here", where=str(directory), remedy="name the log's directory")
    for _ in range(_ATTEMPTS):
        chain = walk(directory / CHAIN, anchors)
        copy = _read(directory, chain)
        followed = not copy.journal or copy.journal[0].first <= len(copy.entries)
        if followed and _chain_size(directory) == chain.size:
            break
    return copy


def read_page(directory: Path, publics: Iterable[bytes], start: int, count: int) -> list[bytes]:
    """The entries from `start`, at most `count`: those that `read_copy` gives, without reading the ones before them.

    Raises NotFound `no-log` when there is no log at all.
    """
    anchors = tuple(publics)
    page = _published_page(directory, anchors, start, count)
    return read_copy(directory, anchors).entries[start : start + count] if page is None else page


def _published_page(directory: Path, anchors: tuple[bytes, ...], start: int, count: int) -> list[bytes] | None:
    """The entries below a checkpoint that holds; None where only the whole copy can tell what they are."""
    try:
        published = read_checkpoint(directory, walk(directory / CHAIN, anchors).ring)
        if published is None or any(record.head for record in read_journal(directory)):
            return None
        size, tiles, found = published[0].size, TileFiles(directory), []
        for number in range(start // WIDTH, -(-min(size, start + count) // WIDTH)):
            entries = tiles.bundle(number, min(WIDTH, size - number * WIDTH))
            found += entries[max(0, start - number * WIDTH) : min(size, start + count) - number * WIDTH]
    except GreenroomError:
        return None
    return found


def _chain_size(directory: Path) -> int:
    """A chain that grew while the rest was read is read again: the rest may be signed with a later key."""
    try:
        return (directory / CHAIN).lstat().st_size
    except OSError:
        return 0


def _read(directory: Path, chain: Walk[KeyRing]) -> LogCopy:
    keys = chain.ring
    copy = LogCopy(directory=directory, ring=keys, chain=chain.error)
    copy.heads += [
        Head(checkpoint=epoch.head, source=f"the certificate of epoch {epoch.certificate.epoch}")
        for epoch in keys.certified
    ]
    size = _read_published(copy, keys)
    _read_entries(copy, size)
    _read_heads(copy, keys, size)
    _read_journal(copy, keys, size)
    return copy


def _note(copy: LogCopy, where: str, error: GreenroomError) -> None:
    (copy.outlived if error.reference == "key-outlived" else copy.damaged).append(f"{where}: {error.message}")


def _read_published(copy: LogCopy, keys: KeyRing) -> int | None:
    try:
        published = read_checkpoint(copy.directory, keys)
    except GreenroomError as error:
        _note(copy, "the checkpoint cannot be used", error)
        return None
    if published is None:
        missing = not (copy.directory / "checkpoint").exists()
        how = "missing" if missing else "empty, as a power loss leaves it: the guard signs another when it starts"
        copy.damaged.append(f"the checkpoint is {how}")
        return None
    copy.published = True
    copy.heads.append(Head(checkpoint=published[0], source="the checkpoint"))
    return published[0].size


def _read_entries(copy: LogCopy, size: int | None) -> None:
    tiles = TileFiles(copy.directory)
    number = 0
    while size is None or number * WIDTH < size:
        width = _widest(copy.directory, number) if size is None else min(WIDTH, size - number * WIDTH)
        if not width:
            return
        exact = copy.directory / tile_path(ENTRIES, number, width)
        try:
            if exact.is_file():
                copy.entries += salvage_bundle(files.read_bounded(exact, MAX_BUNDLE_BYTES))
            else:
                copy.entries += tiles.bundle(number, width)[:width]
        except GreenroomError as error:
            copy.damaged.append(f"{tile_path(ENTRIES, number, width)}: {error.message}")
            return
        number += 1


def _widest(directory: Path, number: int) -> int:
    """The width of the widest file of a bundle; 0 when there is none."""
    full = directory / tile_path(ENTRIES, number)
    return WIDTH if full.is_file() else max(partial_widths(full), default=0)


def _read_heads(copy: LogCopy, keys: KeyRing, size: int | None) -> None:
    tiles = TileFiles(copy.directory)
    for number in range(tiles.full_bundles() if size is None else size // WIDTH):
        try:
            for note in tiles.heads(number):
                copy.heads.append(Head(checkpoint=keys.open(note), source=heads_path(number)))
        except GreenroomError as error:
            _note(copy, heads_path(number), error)


def _read_journal(copy: LogCopy, keys: KeyRing, size: int | None) -> None:
    """Take what the journal has beyond the published entries; it may not stand in for published ones."""
    whole = len(copy.entries) == (size or 0)
    for record in read_journal(copy.directory):
        if record.tag:
            _count_unsigned(copy, record, whole=whole)
            continue
        try:
            head = Head(checkpoint=keys.open(record.head), source="the journal")
        except GreenroomError as error:
            _note(copy, f"the journal's head after entry {record.first}", error)
            return
        copy.journal.append(record)
        copy.heads.append(head)
        have = len(copy.entries)
        if whole and record.first <= have < record.end:
            copy.entries += record.entries[have - record.first :]
    copy.unpublished = len(copy.entries) - (size or 0) if whole else 0


def _count_unsigned(copy: LogCopy, record: Record, *, whole: bool) -> None:
    copy.journal.append(record)
    have = len(copy.entries) + copy.unsigned
    if whole and record.first > have and copy.missing is None:
        copy.missing = have
    elif whole and copy.missing is None:
        copy.unsigned += max(0, record.end - have)
