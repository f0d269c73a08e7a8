"""The conformance suite of the Log port, run against the log on disk and the one in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.audit import keys
from greenroom.audit.log import GRACE_NS, MAX_READ, TileLog
from greenroom.audit.note import NoteSigner
from greenroom.domain import documents
from greenroom.domain.digest import digest_of
from greenroom.domain.errors import TooLarge, Unusable
from greenroom.domain.events import Event
from greenroom.domain.ports import Log
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import ChangeId
from greenroom.testing.log import MemoryLog

NOON = 1_800_000_000_000_000_000


def event(number: int, *, at: int | None = None, key: str | None = None) -> Event:
    return Event(
        key=key or f"change-{number}/plan/intent",
        at=Instant(NOON + number if at is None else at),
        actor="executor",
        name="plan.intent",
        change=ChangeId(f"change-{number}"),
        digests={"plan": digest_of("plan", b"%d" % number)},
    )


@pytest.fixture(params=["disk", "memory"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    if request.param == "memory":
        yield MemoryLog()
        return
    with TileLog(tmp_path / "log", NoteSigner("box.example/one", keys.generate())) as on_disk:
        yield on_disk


def test_an_append_returns_consecutive_indices(log: Log) -> None:
    """Events get the indices 0, 1, 2 in the order of their appends."""
    assert [log.append(event(n)) for n in range(3)] == [0, 1, 2]
    assert log.size() == 3


def test_the_same_key_gives_the_same_index(log: Log) -> None:
    """A second append with a known key adds nothing and returns the first index."""
    log.append(event(0))
    assert log.append(event(1)) == 1
    assert log.append(event(0)) == 0
    assert log.size() == 2


def test_an_old_key_may_come_again_after_the_clock_went_on(log: Log) -> None:
    """A retry carries its first, old instant; its key settles it before its instant is looked at."""
    log.append(event(0))
    log.append(event(1, at=NOON + 10 * GRACE_NS))
    assert log.append(event(0)) == 0


def test_what_was_appended_is_read_back(log: Log) -> None:
    """The stored bytes are the event's canonical document."""
    log.append(event(7))
    assert log.read(0, 1) == [documents.encode(event(7))]


def test_reading_is_bounded_and_ends_with_the_log(log: Log) -> None:
    """A read beyond the end gives what is there, and nothing from the end on."""
    for number in range(5):
        log.append(event(number))
    assert len(log.read(3, 100)) == 2
    assert list(log.read(5, 10)) == []
    assert list(log.read(2, 0)) == []
    assert MAX_READ >= 256


def test_a_negative_range_is_unusable(log: Log) -> None:
    """Entries are numbered from 0."""
    with pytest.raises(Unusable, match="bad-range"):
        log.read(-1, 1)


def test_a_clock_set_back_is_refused(log: Log) -> None:
    """An event clearly older than the last entry is not entered."""
    log.append(event(0))
    with pytest.raises(Unusable, match="clock-set-back"):
        log.append(event(1, at=NOON - GRACE_NS - 1))
    assert log.size() == 1
    assert log.append(event(2)) == 1


def test_time_never_falls_in_the_log(log: Log) -> None:
    """An event that waited a moment too long is entered at the last entry's instant."""
    log.append(event(5))
    log.append(event(1))
    instants = [documents.decode(Event, entry).at for entry in log.read(0, 2)]
    assert instants == [NOON + 5, NOON + 5]


def test_an_event_too_large_for_an_entry_is_refused(log: Log) -> None:
    """An entry's length has to fit into two bytes."""
    with pytest.raises(TooLarge, match="event-too-large"):
        log.append(event(0, key="k" * 70_000))
    assert log.size() == 0


def test_callers_side_by_side_each_get_their_own_index(log: Log) -> None:
    """Eight threads append 400 events and 400 repetitions; every event is there once, under the index told."""
    told: dict[str, set[int]] = {}
    guard = threading.Lock()

    def run(worker: int) -> None:
        for step in range(100):
            one = event(0, at=NOON, key=f"{worker % 4}/{step}")
            index = log.append(one)
            with guard:
                told.setdefault(one.key, set()).add(index)

    threads = [threading.Thread(target=run, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = [documents.decode(Event, entry).key for entry in log.read(0, 1000)]
    assert log.size() == len(stored) == 400
    assert {key: {index} for index, key in enumerate(stored)} == told
