"""The journal: what makes an append durable with one flush, before the tiles are written.

It is two files that take turns, one bundle each, so that a full bundle is put into its tiles while the next one
grows. A record is one group of entries with a tag (`mac.py`) of the head that follows from them, by which the guard
knows its own work; records lie one after another, each on a multiple of 512 bytes, so that writing one never touches
a sector of an earlier one. The record that begins a bundle is written at the beginning of its file. A record that is
torn, or left from an earlier bundle, ends a file: its hash or its first index does not fit.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from greenroom.audit import files
from greenroom.audit.mac import TAG_BYTES
from greenroom.audit.note import MAX_NOTE_BYTES
from greenroom.audit.tiles import MAX_BUNDLE_BYTES, WIDTH, encode_bundle, parse_bundle
from greenroom.domain.errors import NotFound, Unusable

SECTOR = 512
GROWTH = 256 * 1024
MAX_JOURNAL_BYTES = 2 * MAX_BUNDLE_BYTES
JOURNALS = ("journal", "journal.odd")
"""The files of the bundles with an even and with an odd number."""
_ATTEMPTS = 3
_TAGGED = b"GRJ2"
_SIGNED = b"GRJ1"
"""A record with a signed head in the place of the tag: read, as logs may hold it."""
_HEAD = struct.Struct(">4sQIII32s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A group of entries, the index of the first one, and the tag, or the signed head, after the last one."""

    first: int
    entries: tuple[bytes, ...]
    tag: bytes = b""
    head: bytes = b""

    @property
    def end(self) -> int:
        """The index behind the last entry."""
        return self.first + len(self.entries)


class Journal:
    """The open journal of a log's only writer."""

    def __init__(self, turns: Sequence[_File]) -> None:
        self._turns = turns

    @classmethod
    def rebuilt(cls, directory: Path, bundle: int, records: Sequence[Record]) -> Journal:
        """A fresh journal that holds just `records`, all of the growing bundle; durable, and in place in one step.

        Written anew at each start: it drops a torn tail, and after a failed flush nobody knows which pages
        of the earlier files the disk has.
        """
        data = b"".join(encode_record(record) for record in records)
        turns = {}
        for number, content in ((bundle, data), (bundle + 1, b"")):  # nothing is erased before it stands elsewhere
            path = directory / JOURNALS[number % 2]
            files.replace(path, _padded(content, GROWTH) or bytes(GROWTH), durable=True)
            turns[number % 2] = _File(path, len(content))
        return cls([turns[0], turns[1]])

    def append(self, record: Record) -> None:
        """Add a record; durable at return. After an OSError the journal is rebuilt before it is used again.

        The record that begins a bundle is written over the bundle before the last, which is in its tiles by then.
        """
        file = self._turns[record.first // WIDTH % 2]
        if record.first % WIDTH == 0:
            file.end = 0
        file.append(encode_record(record))

    def close(self) -> None:
        """Give the files back."""
        for file in self._turns:
            os.close(file.descriptor)


class _File:
    """One of the two files, up to `end`."""

    __slots__ = ("_room", "descriptor", "end")

    def __init__(self, path: Path, end: int) -> None:
        # O_DSYNC: one call writes and flushes just this; a tenth less than fdatasync after a write.
        self.descriptor = os.open(path, os.O_RDWR | os.O_DSYNC | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._room = os.fstat(self.descriptor).st_size
        self.end = end

    def append(self, data: bytes) -> None:
        end = self.end + len(data)
        if end > self._room:
            # Zeros now save the file system from changing the file's size at each later flush.
            data = _padded(data, GROWTH)
            self._room = self.end + len(data)
        if os.pwrite(self.descriptor, data, self.end) != len(data):
            raise OSError("the journal was written only in part")
        self.end = end


def encode_record(record: Record) -> bytes:
    """A record as it lies on disk: header, tag or head, entries, zeros to the next multiple of 512."""
    proof = record.head or record.tag
    body = proof + encode_bundle(record.entries)
    sizes = (record.first, len(record.entries), len(proof), len(body))
    digest = hashlib.sha256(struct.pack(">QIII", *sizes) + body).digest()
    return _padded(_HEAD.pack(_SIGNED if record.head else _TAGGED, *sizes, digest) + body, SECTOR)


def read_journal(directory: Path) -> list[Record]:
    """The records of both files, the earlier bundle first; none where there are no files.

    Read again where they do not follow each other: the writer may have gone on from one to the other meanwhile.
    """
    for _ in range(_ATTEMPTS):
        bundles: dict[int, list[Record]] = {}
        for name in JOURNALS:
            records = _read_file(directory / name)
            if records and len(records) > len(bundles.get(records[0].first // WIDTH, ())):
                bundles[records[0].first // WIDTH] = records
        found = [bundles[number] for number in sorted(bundles)]
        if len(found) < 2 or found[0][-1].end == found[1][0].first:
            break
    return [record for records in found for record in records]


def _read_file(path: Path) -> list[Record]:
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
        expected = records[-1].end if records else record.first // WIDTH * WIDTH
        if record.first != expected or (expected % WIDTH == 0 and records):
            break
        records.append(record)
    return records


def _record(data: bytes, at: int) -> tuple[Record, int] | None:
    if at + _HEAD.size > len(data):
        return None
    magic, first, count, proof_bytes, body_bytes, digest = _HEAD.unpack_from(data, at)
    start = at + _HEAD.size
    known = proof_bytes == TAG_BYTES if magic == _TAGGED else magic == _SIGNED and proof_bytes <= MAX_NOTE_BYTES
    if not known or proof_bytes > body_bytes or start + body_bytes > len(data):
        return None
    body = data[start : start + body_bytes]
    if hashlib.sha256(struct.pack(">QIII", first, count, proof_bytes, body_bytes) + body).digest() != digest:
        return None
    try:
        entries = parse_bundle(body[proof_bytes:])
    except Unusable:
        return None
    if not entries or len(entries) != count or first % WIDTH + count > WIDTH:
        return None
    end = -(-(start + body_bytes) // SECTOR) * SECTOR
    proof, kept = body[:proof_bytes], tuple(entries)
    if magic == _TAGGED:
        return Record(first=first, entries=kept, tag=proof), end
    return Record(first=first, entries=kept, head=proof), end


def _padded(data: bytes, unit: int) -> bytes:
    return data + bytes(-len(data) % unit)
