"""The end of the journal, which is tagged and not signed yet: what is believed of it, by whom, and for how long."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from greenroom.audit import keys
from greenroom.audit.check import check
from greenroom.audit.entry import encode_event
from greenroom.audit.epochs import KeyRing
from greenroom.audit.journal import Record, encode_record, parse_journal
from greenroom.audit.log import TileLog
from greenroom.audit.mac import EndMac
from greenroom.audit.merkle import Frontier, leaf_hash, root_of
from greenroom.audit.note import Checkpoint, NoteSigner, open_checkpoint, sign_checkpoint
from greenroom.domain.errors import Tampered
from greenroom.domain.events import Event
from greenroom.domain.verdict import Instant

KEY = keys.generate()
ORIGIN = "box.example/one"
SIGNER = NoteSigner(ORIGIN, KEY)


def event(number: int) -> Event:
    return Event(key=f"key-{number}", at=Instant(1_000 + number), actor="guard", name="live.promoted")


@contextmanager
def held_back(place: Path) -> Iterator[tuple[TileLog, threading.Event]]:
    """An open log of two published entries, and the event without which nothing more is published."""
    armed, release = threading.Event(), threading.Event()

    def hold(point: str) -> None:
        if point == "log.signed" and armed.is_set():
            release.wait(60)

    with TileLog(place / "log", SIGNER, kept=place / "kept", crash_point=hold) as log:
        for number in range(2):
            log.append(event(number))
        log.checkpoint()
        armed.set()
        try:
            yield log, release
        finally:
            release.set()


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    """A log as a SIGKILL leaves it: two entries are signed, three more stand in the journal."""
    with held_back(tmp_path / "at-work") as (log, _):
        for number in range(2, 5):
            log.append(event(number))
        shutil.copytree(tmp_path / "at-work", tmp_path / "cut")
    return tmp_path / "cut"


def reopened(place: Path) -> TileLog:
    return TileLog(place / "log", SIGNER, kept=place / "kept")


def records(place: Path) -> list[Record]:
    return parse_journal((place / "log" / "journal").read_bytes())


def rewrite(place: Path, found: list[Record]) -> None:
    data = b"".join(encode_record(record) for record in found)
    (place / "log" / "journal").write_bytes(data + bytes(4096))


def tagged(signer: NoteSigner, earlier: list[bytes], added: list[bytes]) -> Record:
    """A whole and rightly placed record of `added`, behind `earlier`, as `signer` would write it."""
    tree = Frontier.over(leaf_hash(entry) for entry in (*earlier, *added))
    return Record(first=len(earlier), entries=tuple(added), tag=EndMac(signer).tag(tree))


def test_who_copies_the_log_before_the_guard_starts_again_is_told_what_is_not_signed(cut: Path) -> None:
    """The signed head covers what was published; the rest is counted apart, and the next start signs it."""
    report = check(cut / "log", [KEY.public])
    assert (report.findings, report.size, report.unsigned) == ((), 2, 3)
    assert "3 entries wait in the journal, not signed yet and not counted" in " ".join(report.notes)
    with reopened(cut) as log:
        assert log.size() == 5
        report = check(cut / "log", [KEY.public])
        assert (report.findings, report.size, report.unsigned) == ((), 5, 0)


def forged_by_another_key(place: Path, entries: list[bytes]) -> Record:
    return tagged(NoteSigner(ORIGIN, keys.generate()), entries, [encode_event(event(66))])


def tagged_for_another_log(place: Path, entries: list[bytes]) -> Record:
    return tagged(NoteSigner("box.example/two", KEY), entries, [encode_event(event(66))])


def with_the_tag_of_the_record_before(place: Path, entries: list[bytes]) -> Record:
    return Record(first=len(entries), entries=(encode_event(event(66)),), tag=records(place)[-1].tag)


def with_the_signed_head_of_before(place: Path, entries: list[bytes]) -> Record:
    head = (place / "log" / "checkpoint").read_bytes()
    return Record(first=len(entries), entries=(encode_event(event(66)),), head=head)


FORGERIES = (
    forged_by_another_key,
    tagged_for_another_log,
    with_the_tag_of_the_record_before,
    with_the_signed_head_of_before,
)


@pytest.mark.parametrize("forge", FORGERIES)
def test_who_writes_the_log_without_the_key_adds_nothing(
    cut: Path, forge: Callable[[Path, list[bytes]], Record]
) -> None:
    """A whole record behind the last one: the guard does not start on it, and no signature ever covers it."""
    found = records(cut)
    rewrite(cut, [*found, forge(cut, [entry for record in found for entry in record.entries])])
    with pytest.raises(Tampered, match="log-changed"):
        reopened(cut)
    assert open_checkpoint((cut / "log" / "checkpoint").read_bytes(), [KEY.public]).size == 2


@pytest.mark.parametrize("which", [0, 1, 2, 3, 4])
def test_who_changes_an_entry_of_the_journal_is_noticed(cut: Path, which: int) -> None:
    """Signed or not yet: the tag of the last record covers every entry from the first on."""
    found, at = [], 0
    for record in records(cut):
        entries = list(record.entries)
        if at <= which < record.end:
            entries[which - at] = entries[which - at].replace(b"promoted", b"reverted")
        at = record.end
        found.append(Record(first=record.first, entries=tuple(entries), tag=record.tag))
    rewrite(cut, found)
    with pytest.raises(Tampered, match="log-changed"):
        reopened(cut)


def test_a_full_bundle_behind_the_last_signed_head_is_not_believed(tmp_path: Path) -> None:
    """Tiles alone say nothing: made up without a head, they do not become part of the log."""
    with held_back(tmp_path):
        pass
    made_up = tmp_path / "made-up"
    with TileLog(made_up, NoteSigner(ORIGIN, keys.generate())) as log:
        for number in range(256):
            log.append(event(number))
    shutil.copytree(made_up / "tile", tmp_path / "log" / "tile", dirs_exist_ok=True)
    (tmp_path / "log" / "journal").unlink()
    with pytest.raises(Tampered, match="log-changed"):
        reopened(tmp_path)


def test_a_journal_cut_behind_the_signed_head_is_what_a_crash_before_the_append_leaves(cut: Path) -> None:
    """Who can write the log can take away what is not signed yet, as a crash before it does, and no more."""
    found = records(cut)
    assert [record.end for record in found] == [1, 2, 3, 4, 5]
    rewrite(cut, found[:1])
    (cut / "log" / "checkpoint").unlink()
    with pytest.raises(Tampered, match="log-truncated"):
        reopened(cut)
    rewrite(cut, found[:3])
    with reopened(cut) as log:
        assert log.size() == 3


def test_a_journal_with_signed_heads_is_read_and_goes_on(cut: Path) -> None:
    """A log whose records have a signed head each opens, checks, and goes on with tags."""
    found, leaves = [], []
    for record in records(cut):
        leaves += [leaf_hash(entry) for entry in record.entries]
        head = sign_checkpoint(SIGNER, record.end, root_of(leaves))
        found.append(Record(first=record.first, entries=record.entries, head=head))
    rewrite(cut, found)
    report = check(cut / "log", [KEY.public])
    assert (report.findings, report.size, report.unsigned) == ((), 5, 0)
    with reopened(cut) as log:
        assert log.append(event(5)) == 5
    assert all(record.tag and not record.head for record in records(cut))
    report = check(cut / "log", [KEY.public])
    assert (report.findings, report.size) == ((), 6)


def test_an_append_is_signed_without_being_asked(tmp_path: Path) -> None:
    """Nothing follows and nobody asks: the head on disk covers the entry all the same, and so does the kept one."""
    written = threading.Event()

    def note(point: str) -> None:
        if point == "log.checkpoint-written" and log.size() == 1:
            written.set()

    with TileLog(tmp_path / "log", SIGNER, kept=tmp_path / "kept") as log:
        log._publisher._crash_point = note
        log.append(event(0))
        assert written.wait(10)
        assert check(tmp_path / "log", [KEY.public]).size == 1


def test_what_is_published_is_flushed_soon_and_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing follows: the tiles, then the checkpoint, so that a power loss leaves a signed head and what it needs."""
    flushed: list[str] = []
    done = threading.Event()

    def note(path: Path) -> None:
        flushed.append(str(path.relative_to(tmp_path / "log")))
        if flushed[-1] == "checkpoint":
            done.set()

    with TileLog(tmp_path / "log", SIGNER) as log:
        monkeypatch.setattr("greenroom.audit.publish.SETTLE_S", 0.01)
        monkeypatch.setattr("greenroom.audit.publish.files.sync", note)
        log.append(event(0))
        assert done.wait(10)
        assert flushed == ["tile/entries/000.p/1", "tile/0/000.p/1", "checkpoint"]


def test_the_last_head_of_a_key_is_flushed_before_another_takes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That key alone could sign it again, and is about to be destroyed."""
    flushed: list[str] = []
    following = NoteSigner(ORIGIN, keys.generate())

    def certify(head: Checkpoint) -> NoteSigner:
        assert flushed[-1] == "checkpoint"
        assert open_checkpoint((tmp_path / "log" / "checkpoint").read_bytes(), [KEY.public]) == head
        return following

    ring = KeyRing((KEY.public, following.verifier.public))
    with TileLog(tmp_path / "log", SIGNER, ring=ring) as log:
        monkeypatch.setattr("greenroom.audit.publish.files.sync", lambda path: flushed.append(path.name))
        log.append(event(0))
        log.turn(certify)
        assert open_checkpoint(log.checkpoint(), [KEY.public]).size == 1
        log.append(event(1))
        assert open_checkpoint(log.checkpoint(), [following.verifier.public]).size == 2


def test_a_label_is_nothing_that_is_signed_otherwise() -> None:
    """The key of the tags is the hash of a signature: of no text that a note or a statement could have."""
    with pytest.raises(ValueError, match="NUL"):
        SIGNER.derive(b"text\n")
    assert SIGNER.derive(b"\0a") == SIGNER.derive(b"\0a") != SIGNER.derive(b"\0b")
