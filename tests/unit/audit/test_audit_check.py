"""Tampering with a copy of the log: the check names the first entry that is not as it was signed."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from greenroom.audit import keys
from greenroom.audit.check import Report, check
from greenroom.audit.checkpoint import NO_WITNESS
from greenroom.audit.journal import JOURNALS
from greenroom.audit.log import TileLog
from greenroom.audit.merkle import leaf_hash, root_of
from greenroom.audit.note import NoteSigner, sign_checkpoint
from greenroom.audit.tiles import encode_bundle, parse_bundle
from greenroom.domain.errors import NotFound, Tampered
from greenroom.domain.events import Event
from greenroom.domain.verdict import Instant

KEY = keys.generate()
SIGNER = NoteSigner("box.example/one", KEY)
SIZE = 300


def event(number: int) -> Event:
    return Event(key=f"key-{number}", at=Instant(1_000 + number), actor="guard", name="live.promoted")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed log of 300 entries, of which entry 40 has signed heads before and behind it."""
    place = tmp_path_factory.mktemp("whole")
    with TileLog(place / "log", SIGNER, kept=place / "kept") as log:
        for number in range(SIZE):
            log.append(event(number))
            if number in (39, 40):
                log.checkpoint()
    return place / "log"


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to be tampered with."""
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def bundle(copy: Path, index: int) -> Path:
    name = "000" if index < 256 else f"001.p/{SIZE - 256}"
    return copy / "tile" / "entries" / name


def rewrite(copy: Path, index: int, change: str) -> None:
    path = bundle(copy, index)
    entries, at = parse_bundle(path.read_bytes()), index % 256
    if change == "change":
        entries[at] = entries[at].replace(b"promoted", b"reverted")
    elif change == "drop":
        del entries[at]
    elif change == "swap":
        entries[at], entries[at + 1] = entries[at + 1], entries[at]
    elif change == "add":
        entries.insert(at, entries[at].replace(b"promoted", b"reverted"))
    path.write_bytes(encode_bundle(entries))


def first(report: Report) -> tuple[str, int | None]:
    assert not report.ok
    return report.findings[0].rule, report.findings[0].entry


def test_an_untouched_copy_passes_and_says_that_nobody_witnessed_it(whole: Path) -> None:
    """Nothing but the public key is needed; without a checkpoint from outside the report says so."""
    report = check(whole, [KEY.public])
    assert report.ok
    assert (report.size, report.notes) == (SIZE, (NO_WITNESS,))


@pytest.mark.parametrize("index", [0, 5, 254, 256, 290])
@pytest.mark.parametrize(
    ("change", "rule"),
    [("change", "entry-changed"), ("drop", "entry-dropped"), ("swap", "entry-reordered"), ("add", "entry-added")],
)
def test_the_first_bad_entry_is_named(copy: Path, index: int, change: str, rule: str) -> None:
    """A changed, dropped, swapped or added entry is found under its index, with what was done to it."""
    rewrite(copy, index, change)
    assert first(check(copy, [KEY.public])) == (rule, index)


@pytest.mark.parametrize("index", [3, 255, 299])
@pytest.mark.parametrize("change", ["change", "drop"])
def test_the_last_entry_of_a_bundle_is_no_exception(copy: Path, index: int, change: str) -> None:
    """The edges of a bundle are covered like its middle."""
    rewrite(copy, index, change)
    rule, entry = first(check(copy, [KEY.public]))
    assert (rule in ("entry-changed", "entry-dropped", "log-truncated"), entry) == (True, index)


def test_an_entry_behind_the_last_signed_one_is_named(copy: Path) -> None:
    """An appended entry that nobody signed is found."""
    path = bundle(copy, 299)
    path.write_bytes(path.read_bytes() + encode_bundle([b'{"key":"more"}']))
    assert first(check(copy, [KEY.public])) == ("entry-added", SIZE)


def test_tiles_changed_with_the_entries_do_not_hide_it(copy: Path) -> None:
    """Whoever also rewrites the tiles cannot rewrite the heads that the log passed through."""
    for index in (40, 100):
        rewrite(copy, index, "change")
    entries = parse_bundle(bundle(copy, 0).read_bytes())
    leaves = [leaf_hash(entry) for entry in entries]
    (copy / "tile" / "0" / "000").write_bytes(b"".join(leaves))
    (copy / "tile" / "1" / "000.p" / "1").write_bytes(root_of(leaves))
    assert first(check(copy, [KEY.public])) == ("entry-changed", 40)


def test_heads_signed_by_another_key_do_not_count(copy: Path) -> None:
    """A whole log that was made anew under another key is refused as such."""
    report = check(copy, [keys.generate().public])
    assert not report.ok
    assert any("known key" in finding.message for finding in report.findings)


def test_a_forged_checkpoint_is_found(copy: Path) -> None:
    """A checkpoint under another key's signature does not count, though the rest of the log holds."""
    other = NoteSigner("box.example/one", keys.generate())
    (copy / "checkpoint").write_bytes(sign_checkpoint(other, SIZE, bytes(32)))
    assert first(check(copy, [KEY.public])) == ("log-damaged", None)


def truncated(place: Path) -> tuple[Path, bytes]:
    """A log that was cut back to 100 entries, rightly signed, and the checkpoint exported before."""
    earlier = place / "earlier"
    with TileLog(place / "log", SIGNER) as log:
        for number in range(100):
            log.append(event(number))
        log.checkpoint()
        shutil.copytree(place / "log", earlier)
        for number in range(100, 130):
            log.append(event(number))
        return earlier, log.checkpoint()


def test_truncation_is_found_with_an_exported_checkpoint_only(tmp_path: Path) -> None:
    """An earlier whole state looks right by itself; a checkpoint from outside names the first missing entry."""
    earlier, exported = truncated(tmp_path)
    assert check(earlier, [KEY.public]).ok
    report = check(earlier, [KEY.public], exported)
    assert first(report) == ("log-truncated", 100)
    assert NO_WITNESS not in report.notes
    assert first(check(earlier, [KEY.public], kept=exported)) == ("log-truncated", 100)


def test_an_earlier_checkpoint_of_the_same_log_fits(tmp_path: Path) -> None:
    """A checkpoint exported long ago still fits the grown log."""
    with TileLog(tmp_path / "log", SIGNER) as log:
        log.append(event(0))
        exported = log.checkpoint()
        log.append(event(1))
    assert check(tmp_path / "log", [KEY.public], exported).ok


def test_a_checkpoint_of_another_history_does_not_fit(tmp_path: Path, copy: Path) -> None:
    """Two histories under one key: the exported checkpoint shows that this is not the one."""
    with TileLog(tmp_path / "other", SIGNER) as log:
        log.append(event(77))
        exported = log.checkpoint()
    assert first(check(copy, [KEY.public], exported)) == ("entry-changed", 0)


def test_an_unusable_checkpoint_is_told_apart_from_a_bad_log(copy: Path) -> None:
    """When the given checkpoint itself is forged, that is an error, not a finding about the log."""
    other = sign_checkpoint(NoteSigner("box.example/one", keys.generate()), 3, bytes(32))
    with pytest.raises(Tampered, match="checkpoint-forged"):
        check(copy, [KEY.public], other)


@pytest.mark.parametrize("name", ["checkpoint", "tile/entries/000", "tile/entries/001.p/44", "heads/000"])
def test_a_missing_file_is_found(copy: Path, name: str) -> None:
    """A file that the log needs and that is not there is a finding."""
    (copy / name).unlink()
    assert not check(copy, [KEY.public]).ok


def test_where_there_is_no_log_there_is_nothing_to_check(tmp_path: Path) -> None:
    """An empty directory is not a log."""
    with pytest.raises(NotFound, match="no-log"):
        check(tmp_path, [KEY.public])


def meaningful(copy: Path) -> list[Path]:
    """The files whose every byte counts: all but the lock and the journal, which has gaps."""
    return sorted(p for p in copy.rglob("*") if p.is_file() and p.name not in ("lock", *JOURNALS))


@pytest.mark.slow
def test_any_changed_byte_is_found(copy: Path) -> None:
    """A hundred single bytes, anywhere in the tiles, bundles, heads and checkpoint: each is found."""
    dice = random.Random(7)
    files = meaningful(copy)
    for _ in range(100):
        path = dice.choice(files)
        good = path.read_bytes()
        at = dice.randrange(len(good))
        path.write_bytes(good[:at] + bytes([good[at] ^ (1 << dice.randrange(8))]) + good[at + 1 :])
        assert not check(copy, [KEY.public]).ok, f"{path} byte {at}"
        path.write_bytes(good)
    assert check(copy, [KEY.public]).ok
