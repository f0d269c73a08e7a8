"""Tile names, bundles and the journal's records."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.audit.journal import JOURNALS, SECTOR, Journal, Record, encode_record, parse_journal, read_journal
from greenroom.audit.tiles import (
    WIDTH,
    encode_bundle,
    heads_path,
    parse_bundle,
    parse_tile,
    salvage_bundle,
    tile_path,
    widths,
)
from greenroom.domain.errors import Unusable

ENTRIES = st.lists(st.binary(max_size=80), max_size=40)
RECORDS = [
    Record(first=0, entries=(b"a", b"b" * 700), head=b"head 2"),
    Record(first=2, entries=(b"c",), head=b"head 3"),
    Record(first=3, entries=(b"",), head=b"head 4"),
]
STORED = b"".join(encode_record(record) for record in RECORDS)


def test_tile_names_follow_the_specification() -> None:
    """Groups of three digits, all but the last with an x; the width only of partial tiles."""
    assert tile_path(0, 1234067) == "tile/0/x001/x234/067"
    assert tile_path(2, 0, 17) == "tile/2/000.p/17"
    assert tile_path("entries", 999) == "tile/entries/999"
    assert tile_path("entries", 1000, 1) == "tile/entries/x001/000.p/1"
    assert heads_path(1234) == "heads/x001/234"


@pytest.mark.parametrize(("level", "number", "width"), [(0, -1, 1), (0, 0, 0), (0, 0, 257), (64, 0, 1)])
def test_impossible_tiles_have_no_name(level: int, number: int, width: int) -> None:
    """Only what the specification allows gets a path."""
    with pytest.raises(ValueError, match="no tile"):
        tile_path(level, number, width)


def test_partial_tiles_of_the_specification_s_example() -> None:
    """A tree of 70,000 entries has partial tiles of width 112, 17 and 1; one of 256 has a single one at level 1."""
    assert list(widths(70_000)) == [(0, 273, 112), (1, 1, 17), (2, 0, 1)]
    assert list(widths(256)) == [(1, 0, 1)]
    assert list(widths(0)) == []


@given(entries=ENTRIES)
def test_bundles_come_back(entries: list[bytes]) -> None:
    """What was bundled is read back, entry by entry."""
    assert parse_bundle(encode_bundle(entries)) == entries


@given(entries=ENTRIES, cut=st.integers(1, 50))
def test_a_cut_bundle_is_noticed(entries: list[bytes], cut: int) -> None:
    """A bundle that breaks off is unusable, or is a shorter whole one; salvage gives the same beginning."""
    data = encode_bundle(entries)[:-cut]
    found = salvage_bundle(data)
    try:
        assert parse_bundle(data) == found == entries[: len(found)]
    except Unusable:
        assert found[:-1] == entries[: len(found) - 1]


@given(junk=st.binary(max_size=200))
def test_junk_bundles_are_unusable_or_exact(junk: bytes) -> None:
    """A bundle has one spelling."""
    try:
        assert encode_bundle(parse_bundle(junk)) == junk
    except Unusable:
        assert salvage_bundle(junk)


def test_oversized_bundles_and_ragged_tiles_are_unusable() -> None:
    """At most 256 entries or hashes, and whole ones."""
    with pytest.raises(Unusable, match="bad-bundle"):
        parse_bundle(encode_bundle([b""] * (WIDTH + 1)))
    for data in (bytes(33), bytes(32 * 257)):
        with pytest.raises(Unusable, match="bad-tile"):
            parse_tile(data)


def test_records_come_back_and_are_aligned() -> None:
    """Each record begins on a sector of its own."""
    assert parse_journal(STORED + bytes(4096)) == RECORDS
    assert all(len(encode_record(record)) % SECTOR == 0 for record in RECORDS)


@given(cut=st.integers(0, len(STORED)))
def test_a_torn_tail_leaves_the_whole_records(cut: int) -> None:
    """Wherever the journal breaks off, the records before are read, and nothing else."""
    torn = STORED[:cut] + bytes(len(STORED) - cut)
    found = parse_journal(torn)
    assert found == RECORDS[: len(found)]
    ends = [len(encode_record(RECORDS[0])), len(STORED) - SECTOR]
    assert len(found) >= sum(cut >= end for end in ends)


def test_a_changed_byte_ends_the_journal() -> None:
    """A record whose hash does not fit is not read, nor is anything behind it."""
    second = len(encode_record(RECORDS[0]))
    assert parse_journal(STORED[:second] + b"X" + STORED[second + 1 :]) == RECORDS[:1]


def test_records_of_an_earlier_bundle_are_not_read() -> None:
    """After the journal began again, what is left behind the fresh records does not follow them."""
    fresh = Record(first=WIDTH, entries=(b"z",), head=b"h")
    left = Record(first=1, entries=(b"y",), head=b"h")
    assert parse_journal(encode_record(fresh) + encode_record(left)) == [fresh]


@given(junk=st.binary(max_size=300))
def test_junk_is_an_empty_journal(junk: bytes) -> None:
    """A journal never fails to be read; junk holds no records."""
    assert parse_journal(junk) == []


def test_the_journal_on_disk_grows_and_takes_turns(tmp_path: Path) -> None:
    """Appended records are read back; the next bundle's lie in the other file, the one's after that over the first."""
    journal = Journal.rebuilt(tmp_path, 0, RECORDS[:1])
    journal.append(RECORDS[1])
    large = Record(first=3, entries=(b"x" * 60_000,) * (WIDTH - 3), head=b"head")
    journal.append(large)
    assert read_journal(tmp_path) == [*RECORDS[:2], large]
    second = Record(first=WIDTH, entries=(b"second",) * WIDTH, head=b"head")
    journal.append(second)
    assert read_journal(tmp_path) == [*RECORDS[:2], large, second]
    third = Record(first=2 * WIDTH, entries=(b"third",), head=b"head")
    journal.append(third)
    journal.close()
    assert read_journal(tmp_path) == [second, third]
    assert read_journal(tmp_path / "nothing") == []


def test_a_bundle_that_is_in_both_files_is_read_once(tmp_path: Path) -> None:
    """A crash while the journal is made again can leave the bundle in both; the longer one counts."""
    Journal.rebuilt(tmp_path, 0, RECORDS[:1]).close()
    (tmp_path / JOURNALS[1]).write_bytes(STORED)
    assert read_journal(tmp_path) == RECORDS
