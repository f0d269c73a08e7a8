"""The journal: what makes an append durable with one flush, before the tiles are written.

It holds the entries of the bundle that still grows. A record is one group of entries with the signed head
that follows from them; records lie one after another, each on a multiple of 512 bytes, so that writing one
never touches a sector of an earlier one. When the bundle is full and safe in its tile, the next record
starts at the beginning of the file again. A record that is torn, or left from an earlier bundle, ends the
journal: its hash or its first index does not fit.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from greenroom.audit import files
from greenroom.audit.note import MAX_NOTE_BYTES
from greenroom.audit.tiles import MAX_BUNDLE_BYTES, WIDTH, encode_bundle, parse_bundle
from greenroom.domain.errors import NotFound, Unusable

SECTOR = 512
GROWTH = 256 * 1024
MAX_JOURNAL_BYTES = 2 * MAX_BUNDLE_BYTES
_MAGIC = b"GRJ1"
_HEAD = struct.Struct(">4sQIII32s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A group of entries, the index of the first one, and the signed head after the last one."""

    first: int
    entries: tuple[bytes, ...]
    head: bytes


class Journal:
    """The open journal of a log's only writer."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._room = os.fstat(self._descriptor).st_size
        self._end = 0

    @classmethod
    def rebuilt(cls, path: Path, records: Sequence[Record]) -> Journal:
        """A fresh journal file that holds just `records`; durable, and in place in one step.

        Written anew at each start: it drops a torn tail, and after a failed flush nobody knows which pages
        of the earlier file the disk has.
        """
        data = b"".join(encode_record(record) for record in records)
        files.replace(path, _padded(data, GROWTH) or bytes(GROWTH), durable=True)
        journal = cls(path)
        journal._end = len(data)
        return journal

    def append(self, record: Record) -> None:
        """Add a record; durable at return. After an OSError the journal is rebuilt before it is used again."""
        data = encode_record(record)
        end = self._end + len(data)
        if end > self._room:
            # Zeros now save the file system from changing the file's size at each later flush.
            data = _padded(data, GROWTH)
            self._room = self._end + len(data)
        if os.pwrite(self._descriptor, data, self._end) != len(data):
            raise OSError("the journal was written only in part")
        os.fdatasync(self._descriptor)
        self._end = end

    def restart(self) -> None:
        """The next record starts a bundle: the ones before are safe in their tile."""
        self._end = 0

    def close(self) -> None:
        """Give the file back."""
        os.close(self._descriptor)


def encode_record(record: Record) -> bytes:
    """A record as it lies on disk: header, head, entries, zeros to the next multiple of 512."""
    body = record.head + encode_bundle(record.entries)
    sizes = (record.first, len(record.entries), len(record.head), len(body))
    digest = hashlib.sha256(struct.pack(">QIII", *sizes) + body).digest()
    return _padded(_HEAD.pack(_MAGIC, *sizes, digest) + body, SECTOR)


def read_journal(path: Path) -> list[Record]:
    """The records of a journal file; none when there is no file."""
    try:
        return parse_journal(files.read_bounded(path, MAX_JOURNAL_BYTES))
    except NotFound:
        return []


def parse_journal(data: bytes) -> list[Record]:
    """The whole records at the beginning of `data`, each following the one before in the same bundle."""
    records: list[Record] = []
    at = 0
    while (found := _record(data, at)) is not None:
        record, at = found
        expected = records[-1].first + len(records[-1].entries) if records else record.first // WIDTH * WIDTH
        if record.first != expected or (expected % WIDTH == 0 and records):
            break
        records.append(record)
    return records


def _record(data: bytes, at: int) -> tuple[Record, int] | None:
    if at + _HEAD.size > len(data):
        return None
    magic, first, count, head_bytes, body_bytes, digest = _HEAD.unpack_from(data, at)
    start = at + _HEAD.size
    if magic != _MAGIC or head_bytes > MAX_NOTE_BYTES or head_bytes > body_bytes or start + body_bytes > len(data):
        return None
    body = data[start : start + body_bytes]
    if hashlib.sha256(struct.pack(">QIII", first, count, head_bytes, body_bytes) + body).digest() != digest:
        return None
    try:
        entries = parse_bundle(body[head_bytes:])
    except Unusable:
        return None
    if not entries or len(entries) != count or first % WIDTH + count > WIDTH:
        return None
    end = -(-(start + body_bytes) // SECTOR) * SECTOR
    return Record(first=first, entries=tuple(entries), head=body[:head_bytes]), end


def _padded(data: bytes, unit: int) -> bytes:
    return data + bytes(-len(data) % unit)
