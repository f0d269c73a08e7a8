"""The files of a tiled log (C2SP tlog-tiles): names, bundles of entries, and reading them back.

A tile holds up to 256 hashes (8,192 bytes); at level 0 they are leaf hashes, above it the roots of full
tiles one level below. An entry bundle holds the entries of one level-0 tile, each behind its length
(uint16, big-endian). What is not yet full lies beside it, at `<tile>.p/<width>`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from greenroom.audit import files
from greenroom.audit.merkle import HASH_BYTES
from greenroom.domain.errors import NotFound, Unusable

WIDTH = 256
MAX_ENTRY_BYTES = 65535
MAX_BUNDLE_BYTES = WIDTH * (MAX_ENTRY_BYTES + 2)
ENTRIES = "entries"


def tile_path(level: int | str, number: int, width: int = WIDTH) -> str:
    """The path of a tile below the log's directory; `level` is 0 to 63, or `entries` for a bundle."""
    if number < 0 or not 1 <= width <= WIDTH or (isinstance(level, int) and not 0 <= level <= 63):
        raise ValueError(f"no tile {level}/{number} of width {width}")
    groups = [f"{number % 1000:03d}"]
    while number >= 1000:
        number //= 1000
        groups.append(f"x{number % 1000:03d}")
    partial = "" if width == WIDTH else f".p/{width}"
    return f"tile/{level}/{'/'.join(reversed(groups))}{partial}"


def heads_path(number: int) -> str:
    """The path of the signed heads that the log passed through while bundle `number` grew."""
    return tile_path(ENTRIES, number).replace(f"tile/{ENTRIES}", "heads", 1)


def widths(size: int) -> Iterator[tuple[int, int, int]]:
    """(level, number, width) of every partial tile of a tree of `size`."""
    level = 0
    while size:
        if size % WIDTH:
            yield level, size // WIDTH, size % WIDTH
        size //= WIDTH
        level += 1


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """Entries as a bundle; each has at most MAX_ENTRY_BYTES."""
    return b"".join(struct.pack(">H", len(entry)) + entry for entry in entries)


def parse_bundle(data: bytes) -> list[bytes]:
    """The entries of a bundle; raises Unusable `bad-bundle` when it is cut or too long."""
    entries, rest = _split(data)
    if rest or len(entries) > WIDTH:
        raise Unusable("bad-bundle", f"the bundle breaks off after {len(entries)} entries")
    return entries


def salvage_bundle(data: bytes) -> list[bytes]:
    """The entries of a bundle, and what cannot be one as a last entry: for finding the place of the damage."""
    entries, rest = _split(data)
    return [*entries, rest] if rest else entries


def parse_tile(data: bytes) -> list[bytes]:
    """The hashes of a tile; raises Unusable `bad-tile`."""
    if len(data) % HASH_BYTES or len(data) > WIDTH * HASH_BYTES:
        raise Unusable("bad-tile", "a tile is a sequence of at most 256 hashes")
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def partial_widths(full: Path) -> list[int]:
    """The widths of the partial files beside a full tile's path, ascending."""
    partials = full.with_name(full.name + ".p")
    if not partials.is_dir():
        return []
    names = (path.name for path in partials.iterdir())
    return sorted(int(name) for name in names if name.isascii() and name.isdigit() and len(name) < 4)


class TileFiles:
    """Reads the tiles below a directory. Nothing read is trusted: the caller compares it with a signed root."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def bundle(self, number: int, width: int = WIDTH) -> list[bytes]:
        """At least the first `width` entries of a bundle, from the full or a wider file where that is there."""
        return parse_bundle(self._read(ENTRIES, number, width, MAX_BUNDLE_BYTES))

    def hashes(self, level: int, number: int, width: int = WIDTH) -> list[bytes]:
        """At least the first `width` hashes of a tile."""
        return parse_tile(self._read(level, number, width, WIDTH * HASH_BYTES))

    def heads(self, number: int) -> list[bytes]:
        """The signed heads of a full bundle, oldest first."""
        return parse_bundle(files.read_bounded(self.directory / heads_path(number), MAX_BUNDLE_BYTES))

    def full_bundles(self) -> int:
        """How many full bundles there are without a gap."""
        number = 0
        while (self.directory / tile_path(ENTRIES, number)).is_file():
            number += 1
        return number

    def _read(self, level: int | str, number: int, width: int, limit: int) -> bytes:
        for wide in _candidates(self.directory / tile_path(level, number), width):
            try:
                return files.read_bounded(wide, limit)
            except NotFound:
                continue
        where = tile_path(level, number, width)
        raise NotFound("log-file-missing", "a file of the log is missing", where=where)


def _candidates(full: Path, width: int) -> Sequence[Path]:
    """The exact partial file, the full one, then wider partial files: each begins with what was asked for."""
    if width == WIDTH:
        return [full]
    partials = full.with_name(full.name + ".p")
    wider = (w for w in partial_widths(full) if w > width)
    return [partials / str(width), full, *(partials / str(w) for w in wider)]


def _split(data: bytes) -> tuple[list[bytes], bytes]:
    """The whole entries at the beginning of `data`, and the bytes that follow them."""
    entries: list[bytes] = []
    at = 0
    while at + 2 <= len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if end > len(data):
            break
        entries.append(data[at + 2 : end])
        at = end
    return entries, data[at:]
