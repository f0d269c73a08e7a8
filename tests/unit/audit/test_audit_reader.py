"""A page of the log's entries: the same as of the whole copy, and nothing read that the page does not need."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from greenroom.audit import keys
from greenroom.audit.log import TileLog
from greenroom.audit.note import NoteSigner
from greenroom.audit.reader import read_copy, read_page
from greenroom.audit.tiles import ENTRIES, tile_path
from greenroom.domain.errors import NotFound
from greenroom.domain.events import Event
from greenroom.domain.verdict import Instant

KEY = keys.generate()
STARTS, COUNTS = (0, 1, 255, 256, 257, 511, 519, 520, 600), (0, 1, 255, 256, 300, 4096)


def a_log(place: Path, count: int) -> Path:
    """A log of `count` entries that nobody writes any more."""
    with TileLog(place / "log", NoteSigner("box.example/one", KEY)) as log:
        for number in range(count):
            log.append(Event(key=f"key-{number}", at=Instant(1_000 + number), actor="guard", name="live.promoted"))
    return place / "log"


@pytest.mark.parametrize("count", [0, 1, 256, 520])
def test_a_page_is_a_part_of_the_whole(tmp_path: Path, count: int) -> None:
    """At every kind of place: within a bundle, over its end, at the end of the log and behind it."""
    directory = a_log(tmp_path, count)
    whole = read_copy(directory, [KEY.public]).entries
    assert len(whole) == count
    for start, most in itertools.product(STARTS, COUNTS):
        assert read_page(directory, [KEY.public], start, most) == whole[start : start + most], (start, most)


def test_a_page_needs_only_its_own_bundles(tmp_path: Path) -> None:
    """What is gone before it is no matter; what is gone of it is as `read_copy` has it."""
    directory = a_log(tmp_path, 520)
    later = read_copy(directory, [KEY.public]).entries[300:520]
    (directory / tile_path(ENTRIES, 0)).unlink()
    assert read_page(directory, [KEY.public], 300, 4096) == later
    assert read_page(directory, [KEY.public], 0, 10) == read_copy(directory, [KEY.public]).entries[:10] == []


def test_a_page_of_no_log_is_named(tmp_path: Path) -> None:
    """An empty directory is no log."""
    with pytest.raises(NotFound):
        read_page(tmp_path, [KEY.public], 0, 1)
