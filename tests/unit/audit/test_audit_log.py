"""The log on disk: its files, its recovery, and what it does when the disk fails."""

from __future__ import annotations

import contextlib
import errno
import json
import linecache
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from greenroom.audit import journal as journals
from greenroom.audit import keys
from greenroom.audit.check import check
from greenroom.audit.checkpoint import KeptCheckpoint
from greenroom.audit.export import export
from greenroom.audit.log import TileLog, _Ticket
from greenroom.audit.note import NoteSigner, open_checkpoint
from greenroom.audit.reader import read_copy
from greenroom.domain.errors import Bug, GreenroomError, Tampered, Unusable
from greenroom.domain.events import Event
from greenroom.domain.verdict import Instant

KEY = keys.generate()
SIGNER = NoteSigner("box.example/one", KEY)
TURN = "self.turn.acquire()"
"""The line of the log's code in which a caller waits for its turn."""


def event(number: int) -> Event:
    return Event(key=f"key-{number}", at=Instant(1_000 + number), actor="guard", name="live.promoted")


def open_log(place: Path, crash_point: Callable[[str], None] | None = None) -> TileLog:
    return TileLog(place / "log", SIGNER, kept=place / "kept", crash_point=crash_point)


def fill(place: Path, count: int, start: int = 0) -> None:
    with open_log(place) as log:
        for number in range(start, start + count):
            assert log.append(event(number)) == number


def numbers(log: TileLog) -> list[int]:
    return [json.loads(entry)["at"] and int(json.loads(entry)["key"][4:]) for entry in log.read(0, 4096)]


@pytest.mark.parametrize("count", [0, 1, 3, 255, 256, 257, 520])
def test_a_log_opens_again_as_it_was_closed(tmp_path: Path, count: int) -> None:
    """Entries, keys, time and root survive a restart, at each kind of size; the check finds nothing."""
    fill(tmp_path, count)
    report = check(tmp_path / "log", [KEY.public])
    assert (report.findings, report.size, report.origin) == ((), count, "box.example/one")
    with open_log(tmp_path) as log:
        assert numbers(log) == list(range(count))
        assert open_checkpoint(log.checkpoint(), [KEY.public]).root.hex() == report.root
        assert log.last_instant() == (999 + count if count else 0)
        assert log.index_of("key-0") == (0 if count else None)
        assert log.append(event(count)) == count


def test_a_closed_log_leaves_the_published_layout(tmp_path: Path) -> None:
    """After 257 entries: one full tile and bundle, partial ones of width 1, no superseded partial tile."""
    fill(tmp_path, 257)
    root = tmp_path / "log"
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert found == {
        "checkpoint",
        "heads/000",
        "journal",
        "journal.odd",
        "lock",
        "tile/0/000",
        "tile/0/001.p/1",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/1",
    }


def test_only_one_writer_at_a_time(tmp_path: Path) -> None:
    """A second writer is refused until the first one is gone."""
    with open_log(tmp_path), pytest.raises(Unusable, match="log-in-use"):
        open_log(tmp_path)
    open_log(tmp_path).close()


def test_a_closed_log_takes_nothing(tmp_path: Path) -> None:
    """Appending after close is our own mistake; closing twice is none."""
    log = open_log(tmp_path)
    log.close()
    log.close()
    with pytest.raises(Bug, match="log-closed"):
        log.append(event(0))


def test_a_copy_without_its_journal_opens(tmp_path: Path) -> None:
    """The published files are enough for a copy to be opened and gone on with."""
    fill(tmp_path, 20)
    (tmp_path / "log" / "journal").unlink()
    with open_log(tmp_path) as log:
        assert log.append(event(20)) == 20
        assert numbers(log) == list(range(21))


def test_a_torn_record_is_dropped(tmp_path: Path) -> None:
    """A record that was never acknowledged and is only half there is gone after a restart; the rest stays."""
    fill(tmp_path, 3)
    path = tmp_path / "log" / "journal"
    data = path.read_bytes()
    end = len(b"".join(journals.encode_record(r) for r in journals.parse_journal(data)))
    torn = journals.encode_record(journals.Record(first=3, entries=(b"{}",), head=b"h"))[:40]
    path.write_bytes(data[:end] + torn + data[end + len(torn) :])
    with open_log(tmp_path) as log:
        assert log.size() == 3
        assert log.append(event(3)) == 3


def test_entries_not_yet_published_are_published_at_the_start(tmp_path: Path) -> None:
    """What only the journal holds after a crash is in the tiles once the log was opened."""
    fill(tmp_path, 2)
    before = tmp_path / "before"
    shutil.copytree(tmp_path / "log", before)
    fill(tmp_path, 3, start=2)
    shutil.copy(tmp_path / "log" / "journal", before / "journal")
    report = check(before, [KEY.public])
    assert (report.findings, report.size, report.unsigned) == ((), 2, 3)
    assert any("3 entries wait in the journal, not signed yet" in note for note in report.notes)
    TileLog(before, SIGNER).close()
    report = check(before, [KEY.public])
    assert (report.findings, report.size, report.unsigned) == ((), 5, 0)
    (before / "journal").unlink()
    assert check(before, [KEY.public]).size == 5


CRASH_POINTS = (
    "log.tagged",
    "log.journal-flushed",
    "log.signed",
    "log.bundle-sealed",
    "log.tiles-written",
    "log.checkpoint-written",
)


@pytest.mark.slow
@pytest.mark.parametrize("point", [*CRASH_POINTS, "log.recovered"])
@pytest.mark.parametrize("before", [0, 7, 254, 255, 256, 511])
def test_a_crash_at_any_point_loses_nothing_acknowledged(tmp_path: Path, point: str, before: int) -> None:
    """A process killed at each point: every index it was told of is kept, none twice, and the log checks.

    Before the next start a copy has the rest in its journal; after it, everything is signed.
    """
    fill(tmp_path, before)
    acknowledged = before + append_until_killed(tmp_path, before, point)
    report = check(tmp_path / "log", [KEY.public], kept=kept_note(tmp_path))
    assert report.findings == ()
    assert report.size + report.unsigned >= acknowledged
    with open_log(tmp_path) as log:
        copy = check(tmp_path / "log", [KEY.public], kept=kept_note(tmp_path))
        assert (copy.findings, copy.size, copy.unsigned) == ((), log.size(), 0)
        assert log.size() in (acknowledged, acknowledged + 1)
        for number in range(log.size() + 2):
            assert log.append(event(number)) == number
        assert numbers(log) == list(range(log.size()))
    assert check(tmp_path / "log", [KEY.public], kept=kept_note(tmp_path)).findings == ()


def append_until_killed(place: Path, start: int, point: str) -> int:
    """Append in a child that dies at the third passing of `point`; how many appends it was told of."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        passed = [0]

        def die(name: str) -> None:
            passed[0] += name == point
            if passed[0] == (1 if point in ("log.bundle-sealed", "log.recovered") else 3):
                os._exit(9)

        try:
            log = open_log(place, die)
            for number in range(start, start + 6):
                log.append(event(number))
                os.write(tell, b".")
            log.close()
        finally:
            os._exit(0)
    os.close(tell)
    os.waitpid(child, 0)
    with open(told, "rb") as pipe:
        return len(pipe.read())


def kept_note(place: Path) -> bytes | None:
    found = KeptCheckpoint(place / "kept", [KEY.public]).latest()
    return found[1] if found else None


def test_a_failed_flush_is_told_and_recovered_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An append that could not be flushed fails; the retry enters the event exactly once."""
    with open_log(tmp_path) as log:
        log.append(event(0))

        def broken(*_: object) -> int:
            raise OSError(errno.EIO, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr("greenroom.audit.journal.os.pwrite", broken)
            with pytest.raises(Unusable, match="log-unwritable"):
                log.append(event(1))
        assert log.append(event(1)) == 1
        assert log.append(event(2)) == 2
        assert numbers(log) == [0, 1, 2]
    assert check(tmp_path / "log", [KEY.public]).findings == ()


def test_a_full_disk_is_told_once_the_tiles_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the journal took is acknowledged and kept; no second bundle grows full behind one that has no tile."""
    fill(tmp_path, 255)
    with open_log(tmp_path) as log:

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("greenroom.audit.files.os.rename", full)
            assert log.append(event(255)) == 255
            with pytest.raises(Unusable, match="log-unwritable"):
                log.checkpoint()
            taken = append_until_refused(log, 256)
            assert 256 <= taken < 512
            with pytest.raises(Unusable, match="log-unwritable"):
                log.append(event(0))
        assert [log.append(event(n)) for n in range(taken + 3)] == list(range(taken + 3))
    assert check(tmp_path / "log", [KEY.public]).findings == ()


def append_until_refused(log: TileLog, start: int) -> int:
    """Append until the disk is told to be full; the index that was refused."""
    for number in range(start, start + 512):
        try:
            assert log.append(event(number)) == number
        except Unusable as error:
            assert error.reference == "log-unwritable"
            return number
    raise AssertionError("a full disk was never told")


@contextlib.contextmanager
def unpublished(place: Path, before: int, count: int) -> Iterator[TileLog]:
    """A log of `before` entries that got `count` more, none of which is in its tile while this lasts."""
    fill(place, before)
    armed, release = threading.Event(), threading.Event()

    def hold(point: str) -> None:
        if point == "log.tiles-written" and armed.is_set():
            release.wait(60)

    with open_log(place, hold) as log:
        armed.set()
        try:
            for number in range(before, before + count):
                assert log.append(event(number)) == number
            yield log
        finally:
            release.set()


@pytest.mark.parametrize("before", [0, 256, 512 + 3])
def test_a_log_goes_on_while_a_full_bundle_is_put_into_its_tiles(tmp_path: Path, before: int) -> None:
    """The entries are read back, a copy made at that moment has them all, and a start puts them into tiles."""
    size = before + 300
    with unpublished(tmp_path, before, 300) as log:
        assert numbers(log) == list(range(size))
        shutil.copytree(tmp_path / "log", tmp_path / "copy")
    report = check(tmp_path / "copy", [KEY.public])
    assert (report.findings, report.size, report.unsigned) == ((), before, 300)
    with TileLog(tmp_path / "copy", SIGNER) as copy:
        assert numbers(copy) == list(range(size))
        assert copy.append(event(size)) == size
    for place in (tmp_path / "copy", tmp_path / "log"):
        (place / "journal").unlink()
        (place / "journal.odd").unlink()
        assert check(place, [KEY.public]).findings == ()


def test_a_full_bundle_waits_for_no_publication(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is put into its tiles at once and beside the callers, however long the publisher rests otherwise."""
    monkeypatch.setattr("greenroom.audit.publish.INTERVAL_S", 3600.0)
    sealed: list[str] = []

    def note(point: str) -> None:
        if point == "log.bundle-sealed":
            sealed.append(threading.current_thread().name)

    with open_log(tmp_path, note) as log:
        for full in (1, 2):
            for number in range(log.size(), full * 256):
                log.append(event(number))
            until(lambda full=full: len(sealed) == full)  # type: ignore[misc]
            assert sealed == ["log-publisher"] * full
    assert check(tmp_path / "log", [KEY.public]).findings == ()


def test_a_missing_part_of_the_journal_is_noticed(tmp_path: Path) -> None:
    """Where the journal's earlier file is gone before its bundle is in a tile, the guard does not go on."""
    with unpublished(tmp_path, 0, 300):
        shutil.copytree(tmp_path / "log", tmp_path / "copy")
    (tmp_path / "copy" / "journal").unlink()
    assert any(one.rule == "log-truncated" for one in check(tmp_path / "copy", [KEY.public]).findings)
    with pytest.raises(Tampered, match="log-truncated"):
        TileLog(tmp_path / "copy", SIGNER)


def test_a_journal_under_either_name_is_taken(tmp_path: Path) -> None:
    """A record says itself which bundle it belongs to."""
    fill(tmp_path, 300)
    root = tmp_path / "log"
    (root / "journal.odd").rename(root / "journal")
    (root / "checkpoint").unlink()
    with TileLog(root, SIGNER) as log:
        assert numbers(log) == list(range(300))


def until(true: Callable[[], bool]) -> None:
    """Come back when it is, or after a minute: what follows then says what is wrong."""
    deadline = time.monotonic() + 60
    while not true() and time.monotonic() < deadline:
        pass


def waits_for_its_turn(thread: threading.Thread) -> bool:
    """Whether a thread stands where an interrupt is kept for later; one that comes before ends the call at once."""
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip() == TURN


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT interrupts, also where the suite was started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_while_waiting_leaves_nobody_behind(tmp_path: Path) -> None:
    """A caller that is interrupted still takes its turn, so those behind it are not left waiting."""
    leading, release = threading.Event(), threading.Event()

    def hold(point: str) -> None:
        if point == "log.tagged":
            leading.set()
            release.wait(60)

    def interrupt() -> None:
        leading.wait(60)
        until(lambda: len(log._queue) == 1 and waits_for_its_turn(threading.main_thread()))
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        others[0].start()
        until(lambda: len(log._queue) == 2)
        release.set()

    with open_log(tmp_path, hold) as log:
        others = [threading.Thread(target=log.append, args=(event(9),)) for _ in range(2)]
        others[1].start()
        leading.wait(60)
        killer = threading.Thread(target=interrupt)
        killer.start()
        with pytest.raises(KeyboardInterrupt):
            log.append(event(10))
        for thread in (killer, *others):
            thread.join(60)
            assert not thread.is_alive()
        assert log.append(event(11)) == 2


def test_an_interrupt_in_the_moment_of_the_turn_waits_for_no_second_one() -> None:
    """The lock was taken, and the interrupt came before the caller knew: its turn has come all the same."""
    ticket = _Ticket(event(1))

    class Late:
        def __init__(self, lock: threading.Lock) -> None:
            self.lock = lock

        def acquire(self) -> None:
            ticket.give()
            assert self.lock.acquire(timeout=5), "asked for a second turn"
            raise KeyboardInterrupt

        def release(self) -> None:
            self.lock.release()

    ticket.turn = Late(ticket.turn)  # type: ignore[assignment]
    assert isinstance(ticket.wait(), KeyboardInterrupt)


def test_a_group_fails_one_by_one(tmp_path: Path) -> None:
    """In one group a refused event does not take the others with it."""
    with open_log(tmp_path) as log:
        late = Event(key="late", at=Instant(10**12), actor="guard", name="stop.set")
        log.append(late)
        results: dict[str, object] = {}

        def run(one: Event) -> None:
            try:
                results[one.key] = log.append(one)
            except GreenroomError as error:
                results[one.key] = error.reference

        good = Event(key="good", at=Instant(10**12 + 1), actor="guard", name="stop.set")
        threads = [threading.Thread(target=run, args=(one,)) for one in (event(1), good, event(2))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == {"key-1": "clock-set-back", "key-2": "clock-set-back", "good": 1}


def test_the_kept_checkpoint_reveals_a_log_put_back(tmp_path: Path) -> None:
    """A log replaced by an earlier copy of itself is refused at the start."""
    fill(tmp_path, 3)
    shutil.copytree(tmp_path / "log", tmp_path / "earlier")
    fill(tmp_path, 2, start=3)
    shutil.rmtree(tmp_path / "log")
    (tmp_path / "earlier").rename(tmp_path / "log")
    with pytest.raises(Tampered, match="log-truncated"):
        open_log(tmp_path)


def test_a_damaged_kept_checkpoint_is_refused_and_one_torn_slot_is_not(tmp_path: Path) -> None:
    """One of the two slots may be torn; with neither the guard does not go on."""
    fill(tmp_path, 3)
    kept = tmp_path / "kept"
    data = kept.read_bytes()
    kept.write_bytes(b"\0" * 4096 + data[4096:])
    open_log(tmp_path).close()
    kept.write_bytes(b"x" * 8192)
    with pytest.raises(Tampered, match="kept-checkpoint-damaged"):
        open_log(tmp_path)


def test_another_key_does_not_take_the_log_over(tmp_path: Path) -> None:
    """A log that another key signed is refused, unless that key is a former one of the box."""
    fill(tmp_path, 3)
    other = NoteSigner("box.example/one", keys.generate())
    with pytest.raises(Tampered, match="checkpoint-forged"):
        TileLog(tmp_path / "log", other)
    with TileLog(tmp_path / "log", other, former_keys=[KEY.public]) as log:
        assert log.append(event(3)) == 3


def test_a_full_bundle_changed_on_disk_is_refused_at_the_start(tmp_path: Path) -> None:
    """The guard verifies every entry before it goes on."""
    fill(tmp_path, 300)
    bundle = tmp_path / "log" / "tile" / "entries" / "000"
    bundle.write_bytes(bundle.read_bytes().replace(b'key-7"', b'key-8"', 1))
    with pytest.raises(Tampered, match="log-changed"):
        open_log(tmp_path)


def test_a_checkpoint_is_published_when_it_is_asked_for(tmp_path: Path) -> None:
    """The exported checkpoint covers all entries, and the files that it needs are there."""
    with open_log(tmp_path) as log:
        for number in range(5):
            log.append(event(number))
        note = log.checkpoint()
        assert (tmp_path / "log" / "checkpoint").read_bytes() == note
        assert open_checkpoint(note, [KEY.public]).size == 5
        assert check(tmp_path / "log", [KEY.public], note).findings == ()


def test_export_is_one_canonical_line_for_each_entry(tmp_path: Path) -> None:
    """Each line is JSON with the entry as signed, its index and its leaf hash."""
    fill(tmp_path, 3)
    lines = list(export(read_copy(tmp_path / "log", [KEY.public]).entries))
    parsed = [json.loads(line) for line in lines]
    assert [(one["index"], one["entry"]["key"], len(one["leaf"])) for one in parsed] == [
        (0, "key-0", 64),
        (1, "key-1", 64),
        (2, "key-2", 64),
    ]
