"""What the log is after a start: read from disk, verified against every signed head that is there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from greenroom.audit import files
from greenroom.audit.epochs import KeyRing, ring_of
from greenroom.audit.journal import Record, read_journal
from greenroom.audit.mac import EndMac
from greenroom.audit.merkle import EMPTY_ROOT, Frontier, leaf_hash
from greenroom.audit.note import MAX_NOTE_BYTES, Checkpoint
from greenroom.audit.publish import climb
from greenroom.audit.tiles import WIDTH, TileFiles
from greenroom.domain.errors import GreenroomError, NotFound, Tampered, Unusable

_REMEDY = "run `greenroom log check`: it names the entry; then restore the log from a copy"


@dataclass(slots=True, kw_only=True)
class Recovered:
    """The log as it was found: everything that the writer goes on from."""

    frontier: Frontier = field(default_factory=Frontier)
    keys: dict[str, int] = field(default_factory=dict)
    last: int = 0
    levels: tuple[Sequence[bytes], ...] = ((),)
    """Of the bundles that are in tiles; `records` follow them."""
    records: list[Record] = field(default_factory=list)
    roots: dict[int, bytes] = field(default_factory=lambda: {0: EMPTY_ROOT})
    """By the size of every head that was verified."""
    trees: dict[int, Frontier] = field(default_factory=dict)
    """By size: before the first of `records`, and after each."""
    signed: dict[int, bytes] = field(default_factory=dict)
    """The notes that were verified, by size."""


def recover(directory: Path, keys: KeyRing, mac: EndMac, kept: tuple[Checkpoint, bytes] | None) -> Recovered:
    """Read and verify the log below `directory`; an empty directory is an empty log.

    Every entry is covered by a signed head, by the chain of keys, or, at the end of the journal, by a tag of `mac`.

    Raises Tampered: `log-truncated` when entries that a signed head covers are missing, `log-changed` when
    the entries are not those that were signed or tagged, `checkpoint-forged` when a head is not ours, `key-outlived`
    when it is signed with the key of another epoch.
    """
    tiles = TileFiles(directory)
    published = read_checkpoint(directory, keys)
    full = tiles.full_bundles()
    records = _healed(tiles, full, _current(read_journal(directory), full), published)
    head = _head(tiles, full, records)
    notes = [found for found in (published, kept) if found is not None]
    if head is not None:
        notes.append((_opened(head, keys), head))
    checkpoints = [*(checkpoint for checkpoint, _ in notes), *(epoch.head for epoch in keys.certified)]
    found = _load(tiles, full, records, checkpoints)
    found.signed = {checkpoint.size: note for checkpoint, note in notes}
    if found.frontier.size not in {0, *(checkpoint.size for checkpoint in checkpoints)}:
        _require_tag(found, mac)
    return found


def _require_tag(found: Recovered, mac: EndMac) -> None:
    """No entry is believed behind the last head that holds: a file alone says nothing."""
    tag = found.records[-1].tag if found.records else b""
    if not mac.holds(tag, found.frontier):
        message = "the log has entries behind its last signed head that the guard did not write"
        raise Tampered("log-changed", message, where=f"entry {found.frontier.size - 1}", remedy=_REMEDY)


def _opened(head: bytes, ring: KeyRing) -> Checkpoint:
    try:
        return ring.open(head)
    except Unusable as error:
        raise Tampered("log-changed", f"the last signed head: {error.message}", remedy=_REMEDY) from None


def read_checkpoint(directory: Path, publics: Iterable[bytes] | KeyRing) -> tuple[Checkpoint, bytes] | None:
    """The published checkpoint; None when there is none, or when a power loss left the file without content."""
    try:
        note = files.read_bounded(directory / "checkpoint", MAX_NOTE_BYTES)
    except NotFound:
        return None
    if not note.strip(b"\0"):
        return None
    return ring_of(publics).open(note), note


def _current(records: list[Record], full: int) -> list[Record]:
    """The records of the bundles that are not yet in tiles of their own; one follows the other."""
    current = [record for record in records if record.first >= full * WIDTH]
    have = full * WIDTH
    for record in current:
        if record.first != have:
            raise Tampered("log-truncated", "a part of the journal is missing", where=f"entry {have}", remedy=_REMEDY)
        have += len(record.entries)
    return current


def _healed(
    tiles: TileFiles, full: int, records: list[Record], published: tuple[Checkpoint, bytes] | None
) -> list[Record]:
    """The records, or one made from the published bundle where the journal has less than the signed checkpoint.

    That happens to a copy without its journal, and after damage to the journal. The root is compared later.
    """
    have = records[-1].end if records else full * WIDTH
    if published is None or published[0].size <= have or published[0].size // WIDTH != full:
        return records
    checkpoint, note = published
    try:
        entries = tiles.bundle(full, checkpoint.size % WIDTH)[: checkpoint.size % WIDTH]
    except Unusable:
        return records
    return [Record(first=full * WIDTH, entries=tuple(entries), head=note)] if entries else records


def _head(tiles: TileFiles, full: int, records: list[Record]) -> bytes | None:
    """The signed head that stands with the last entries, where there is one."""
    if records:
        return records[-1].head or None
    try:
        return tiles.heads(full - 1)[-1] if full else None
    except (Unusable, IndexError):
        return None


def _load(tiles: TileFiles, full: int, records: list[Record], checkpoints: list[Checkpoint]) -> Recovered:
    found = Recovered()
    sizes = {checkpoint.size for checkpoint in checkpoints}
    for number in range(full):
        entries = _bundle(tiles, number)
        found.levels = climb((_take(found, entries, sizes), *found.levels[1:]))
    found.trees[found.frontier.size] = found.frontier.copy()
    found.records = records
    for record in records:
        _take(found, record.entries, sizes)
        found.trees[record.end] = found.frontier.copy()
    for checkpoint in checkpoints:
        _compare(checkpoint, found.frontier.size, found.roots)
    return found


def _bundle(tiles: TileFiles, number: int) -> list[bytes]:
    try:
        entries = tiles.bundle(number)
    except GreenroomError as error:
        raise Tampered("log-changed", error.message, where=f"bundle {number}", remedy=_REMEDY) from None
    if len(entries) != WIDTH:
        where = f"entry {number * WIDTH + len(entries)}"
        raise Tampered("log-truncated", "a full bundle has too few entries", where=where, remedy=_REMEDY)
    return entries


def _take(found: Recovered, entries: Sequence[bytes], sizes: set[int]) -> list[bytes]:
    """Enter `entries`; gives their leaf hashes, and notes the root at each size that a head speaks of."""
    leaves = []
    for entry in entries:
        leaf = leaf_hash(entry)
        leaves.append(leaf)
        try:
            plain = json.loads(entry)
            found.keys[plain["key"]] = found.frontier.size
            found.last = int(plain["at"])
        except (ValueError, KeyError, TypeError, RecursionError):
            where = f"entry {found.frontier.size}"
            raise Tampered("log-changed", "an entry is not an event", where=where, remedy=_REMEDY) from None
        found.frontier.append(leaf)
        if found.frontier.size in sizes:
            found.roots[found.frontier.size] = found.frontier.root()
    return leaves


def _compare(checkpoint: Checkpoint, size: int, roots: dict[int, bytes]) -> None:
    if checkpoint.size > size:
        message = f"the log ends after {size} entries, a signed head speaks of {checkpoint.size}"
        raise Tampered("log-truncated", message, where=f"entry {size}", remedy=_REMEDY)
    if roots[checkpoint.size] != checkpoint.root:
        message = f"the first {checkpoint.size} entries are not those that were signed"
        raise Tampered("log-changed", message, remedy=_REMEDY)
