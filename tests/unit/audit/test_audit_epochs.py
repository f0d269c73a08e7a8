"""Keys by the hour: what a chain certifies, what a thief of one key can do, and a crash at every point of a turn."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from greenroom.audit import keys
from greenroom.audit.attest import PAYLOAD_TYPE, Envelope, KeyAttestor, key_id, pre_authentication_encoding
from greenroom.audit.check import check
from greenroom.audit.checkpoint import KeptCheckpoint
from greenroom.audit.epochs import CHAIN, MAX_LINE, KeyRing, NotACertificate, _line, _payload, sign_certificate, walk
from greenroom.audit.journal import JOURNALS
from greenroom.audit.keys import PrivateKey
from greenroom.audit.log import TileLog
from greenroom.audit.note import NoteSigner, sign_checkpoint
from greenroom.audit.turn import EpochAttestor, EpochKeys
from greenroom.domain import documents
from greenroom.domain.digest import digest_of
from greenroom.domain.errors import Tampered, Unusable
from greenroom.domain.events import Event
from greenroom.domain.proof import EpochCertificate, Predicate
from greenroom.domain.verdict import Instant

pytestmark = pytest.mark.slow

FULL = os.environ.get("GREENROOM_SUITE") == "full"
ORIGIN = "box.example/one"
POINTS = ("epoch.key-saved", "epoch.certified", "epoch.key-aside", "epoch.key-in-place", "epoch.key-replaced")


def forget_journal(log: Path) -> None:
    """Leave only what is in tiles."""
    for name in JOURNALS:
        (log / name).unlink()


class Killed(BaseException):
    """The process is gone at this point."""


class Place:
    """A guard's keys and log on disk, and copies of every private key that a thief might have taken."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "log"
        root.mkdir(exist_ok=True)
        self.first = root / "guard.key"
        self.stolen: list[PrivateKey] = [keys.generate()]
        keys.save_private(self.first, self.stolen[0])
        self.anchor = self.stolen[0].public
        self.at = 1_000
        self.crash_at = ""

    def crash_point(self, name: str) -> None:
        if name == self.crash_at:
            self.crash_at = ""
            raise Killed(name)

    @contextmanager
    def open(self) -> Iterator[tuple[EpochKeys, TileLog]]:
        """The guard's side; each open key is copied by the thief."""
        held = EpochKeys(
            origin=ORIGIN,
            anchor=self.anchor,
            first=self.first,
            directory=self.root / "guard",
            chain=self.log / CHAIN,
            crash_point=self.crash_point,
        )
        try:
            with TileLog(self.log, held.signer(), kept=self.root / "kept", ring=held.ring) as log:
                held.serve(log)
                yield held, log
        finally:
            held.close()

    def fill(self, log: TileLog, count: int) -> None:
        for _ in range(count):
            self.at += 1
            log.append(Event(key=f"k{self.at}", at=Instant(self.at), actor="a", name="n", about="true"))

    def turn(self, held: EpochKeys, log: TileLog) -> None:
        """One turn, entered in the log as the guard does it."""
        self.at += 1
        epoch = held.turn(Instant(self.at))
        self.enter(held, log)
        key = held.key
        assert isinstance(key, PrivateKey)
        assert len(self.stolen) == epoch.number
        self.stolen.append(key)

    def enter(self, held: EpochKeys, log: TileLog) -> None:
        epoch = held.present()
        if epoch.certificate is None:
            return
        digests = {"certificate": epoch.certificate, "key": epoch.key}
        key = f"guard/epoch/{epoch.number}"
        log.append(Event(key=key, at=Instant(self.at), actor="guard", name="key.certified", digests=digests))

    def copy(self, name: str = "copy") -> Path:
        return Path(shutil.copytree(self.log, self.root / name))

    def lines(self) -> list[bytes]:
        return (self.log / CHAIN).read_bytes().splitlines(keepends=True)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A log of four epochs: entries 0-4, 5-10, 11-16, 17-22; the first of each later one tells of its key."""
    made = Place(tmp_path / "place")
    with made.open() as (held, log):
        made.fill(log, 5)
        for _ in range(3):
            made.turn(held, log)
            made.fill(log, 5)
    return made


def rules(directory: Path, anchor: bytes, checkpoint: bytes | None = None) -> set[str]:
    return {finding.rule for finding in check(directory, [anchor], checkpoint).findings}


def certificate(number: int, size: int, key: bytes, root: bytes = bytes(32), at: int = 10) -> EpochCertificate:
    return EpochCertificate(log=ORIGIN, epoch=number, key=key, size=size, root=root, at=Instant(at))


def test_a_copy_is_checked_with_the_anchor_alone(place: Place) -> None:
    """After three turns the copy and the first public key are enough, also without the journal."""
    copy = place.copy()
    report = check(copy, [place.anchor])
    assert (report.findings, report.size) == ((), 23)
    forget_journal(copy)
    assert check(copy, [place.anchor]).ok
    assert not check(copy, [place.stolen[3].public]).ok


def test_each_key_counts_for_its_own_span(place: Place) -> None:
    """Heads of more entries than the size at which a key took over, up to the size at which it was followed."""
    ring = walk(place.log / CHAIN, (place.anchor,)).ring
    assert [found.certificate.size for found in ring.certified] == [5, 11, 17]
    for size in range(24):
        right = sum(size > taken for taken in (5, 11, 17))
        for epoch, key in enumerate(place.stolen):
            note = sign_checkpoint(NoteSigner(ORIGIN, key), size, bytes(32))
            if epoch == right:
                assert ring.open(note).size == size
            else:
                with pytest.raises(Tampered, match="key-outlived"):
                    ring.open(note)
        with pytest.raises(Tampered, match="checkpoint-forged"):
            ring.open(sign_checkpoint(NoteSigner(ORIGIN, keys.generate()), size, bytes(32)))


def test_a_log_of_many_epochs_opens_again_and_goes_on(place: Place) -> None:
    """The guard verifies its own log with the chain; heads, tiles and kept checkpoint are of different keys."""
    for _ in range(3):
        with place.open() as (held, log):
            place.fill(log, 100)
            place.turn(held, log)
    with place.open() as (held, log):
        assert held.present().number == 6
        place.fill(log, 1)
    kept = KeptCheckpoint(place.root / "kept", walk(place.log / CHAIN, (place.anchor,)).ring).latest()
    assert kept is not None
    assert check(place.log, [place.anchor], kept=kept[1]).findings == ()


def test_an_export_of_an_earlier_epoch_still_counts(tmp_path: Path) -> None:
    """A checkpoint that was exported epochs ago is a witness for its size."""
    place = Place(tmp_path / "place")
    with place.open() as (held, log):
        place.fill(log, 3)
        exported = log.checkpoint()
        for _ in range(2):
            place.turn(held, log)
            place.fill(log, 2)
        assert check(place.log, [place.anchor], exported).findings == ()


def test_the_predecessor_s_key_is_gone(place: Place) -> None:
    """One private key is on disk, the present one; what other names led to the earlier bytes finds none."""
    present = place.root / "guard" / "epoch.key"
    other = place.root / "other-name"
    os.link(present, other)
    assert keys.load_private(other).public == place.stolen[3].public
    with place.open() as (held, log):
        place.turn(held, log)
    assert other.read_bytes() == b""
    assert place.first.read_bytes() == b""
    assert keys.load_private(present).public == place.stolen[4].public
    secrets = [key.raw() for key in place.stolen[:4]]
    for path in place.root.rglob("*"):
        if path.is_file():
            assert not any(secret in path.read_bytes() for secret in secrets), path
    assert not (place.root / "guard" / "epoch.next").exists()


def rewritten(place: Place, which: int) -> Path:
    """The log again with another entry 3, all of it signed with the key of epoch `which`."""
    thief = place.root / "thief"
    ring = walk(place.log / CHAIN, (place.anchor,)).ring
    with TileLog(place.log, NoteSigner(ORIGIN, place.stolen[3]), ring=ring) as log:
        entries = log.read(0, 100)
    with TileLog(thief, NoteSigner(ORIGIN, place.stolen[which])) as log:
        for index, entry in enumerate(entries):
            changed = entry.replace(b'"about":"true"', b'"about":"lie"') if index == 3 else entry
            log.append(documents.decode(Event, changed))
    return thief


def test_the_guard_does_not_go_on_with_a_past_that_was_written_again(place: Place) -> None:
    """With its present key everything was made again, and the kept checkpoint taken away: it does not start."""
    thief, chain = rewritten(place, 3), (place.log / CHAIN).read_bytes()
    shutil.rmtree(place.log)
    thief.rename(place.log)
    (place.log / CHAIN).write_bytes(chain)
    (place.root / "kept").unlink()
    with pytest.raises(Tampered, match="log-changed"), place.open():
        pass


@pytest.mark.parametrize("which", [1, 2, 3])
def test_a_thief_of_a_key_cannot_write_the_past_again(place: Place, which: int) -> None:
    """With key n every entry and tile can be made again and signed; the root before n's span is fixed by key n - 1."""
    thief = rewritten(place, which)
    (thief / CHAIN).write_bytes(b"".join(place.lines()[:which]))
    forget_journal(thief)
    found = check(thief, [place.anchor])
    assert (found.findings[0].rule, found.findings[0].entry) == ("entry-changed", 0)


def test_a_destroyed_key_signs_nothing_later(place: Place) -> None:
    """A kept copy of key 1 makes a head beyond its span: found by name, and the guard does not start on it."""
    copy = place.copy()
    size, root = 23, bytes.fromhex(check(copy, [place.anchor]).root)
    (copy / "checkpoint").write_bytes(sign_checkpoint(NoteSigner(ORIGIN, place.stolen[1]), size, root))
    assert rules(copy, place.anchor) == {"key-outlived"}
    shutil.copy(copy / "checkpoint", place.log / "checkpoint")
    with pytest.raises(Tampered, match="key-outlived"), place.open():
        pass


def test_a_fork_by_a_destroyed_key_is_found_by_what_the_true_chain_signed(place: Place) -> None:
    """Key 1 certifies a key of the thief's: the entries that follow, and any later checkpoint, belie it."""
    copy = place.copy()
    own = keys.generate()
    root = bytes.fromhex(check(copy, [place.anchor]).root)
    for size in (8, 11, 14, 22):
        fork = sign_certificate(place.stolen[1], certificate(2, size, own.public, at=10_000))
        (copy / CHAIN).write_bytes(place.lines()[0] + fork + b"\n")
        (copy / "checkpoint").write_bytes(sign_checkpoint(NoteSigner(ORIGIN, own), 23, root))
        assert rules(copy, place.anchor)
    exported = (place.log / "checkpoint").read_bytes()
    with pytest.raises(Tampered, match="checkpoint-forged"):
        check(copy, [place.anchor], exported)


def test_a_fork_that_keeps_the_entries_of_the_true_chain_is_named(place: Place) -> None:
    """A thief with right roots and heads of its own still has entries that tell of keys which it does not certify."""
    own = keys.generate()
    true = place.copy("true")
    forget_journal(true)
    fork = place.copy()
    forget_journal(fork)
    ring = walk(true / CHAIN, (place.anchor,)).ring
    with (
        TileLog(place.root / "prefix", NoteSigner(ORIGIN, own)) as log,
        TileLog(true, NoteSigner(ORIGIN, place.stolen[3]), ring=ring) as source,
    ):
        for entry in source.read(0, 14):
            log.append(documents.decode(Event, entry))
    root = bytes.fromhex(check(place.root / "prefix", [own.public]).root)
    forged = sign_certificate(place.stolen[1], certificate(2, 14, own.public, root, at=10_000))
    (fork / CHAIN).write_bytes(place.lines()[0] + forged + b"\n")
    whole = bytes.fromhex(check(place.log, [place.anchor]).root)
    (fork / "checkpoint").write_bytes(sign_checkpoint(NoteSigner(ORIGIN, own), 23, whole))
    found = check(fork, [place.anchor]).findings
    assert [(finding.rule, finding.entry) for finding in found] == [("epoch-unknown", 11), ("epoch-unknown", 17)]


@pytest.mark.parametrize(
    ("order", "rule"),
    [
        ((0, 1), "log-damaged"),
        ((), "log-damaged"),
        ((1, 0, 2), "epoch-misplaced"),
        ((0, 2), "epoch-misplaced"),
        ((0, 1, 1, 2), "epoch-misplaced"),
    ],
)
def test_a_chain_that_was_cut_or_reordered_is_found(place: Place, order: tuple[int, ...], rule: str) -> None:
    """Without the last certificates the heads have no key; in another order they do not follow."""
    copy = place.copy()
    lines = place.lines()
    (copy / CHAIN).write_bytes(b"".join(lines[at] for at in order))
    assert rule in rules(copy, place.anchor)


def test_every_changed_byte_of_the_chain_is_found(place: Place) -> None:
    """No byte of a certificate is free; what is behind the last line's end is passed over as a crash leaves it."""
    copy = place.copy()
    data = (copy / CHAIN).read_bytes()
    for at in range(0, len(data), 1 if FULL else 17):
        (copy / CHAIN).write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert rules(copy, place.anchor), at
    (copy / CHAIN).write_bytes(data + data[:100])
    assert rules(copy, place.anchor) == set()


def test_an_epoch_that_the_log_does_not_tell_of_is_found(tmp_path: Path) -> None:
    """Each key is entered before the next is made; only the last may still wait for it."""
    place = Place(tmp_path / "place")
    with place.open() as (held, log):
        place.fill(log, 2)
        held.turn(Instant(place.at))
        report = check(place.log, [place.anchor])
        assert (report.findings, len(report.notes)) == ((), 2)
        place.fill(log, 2)
        place.enter(held, log)
        held.turn(Instant(place.at))
        place.fill(log, 1)
        held.turn(Instant(place.at))
        place.fill(log, 1)
        place.enter(held, log)
    found = check(place.log, [place.anchor]).findings
    assert [(finding.rule, finding.entry) for finding in found] == [("epoch-unlogged", 5)]


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        (certificate(2, 5, bytes(32)), "epoch-misplaced"),
        (certificate(0, 5, bytes(32)), "epoch-misplaced"),
        (certificate(1, 0, bytes(32)), "epoch-misplaced"),
        (certificate(1, 5, bytes(31)), "bad-epoch"),
        (certificate(1, 5, bytes(32), root=bytes(31)), "bad-epoch"),
    ],
)
def test_a_certificate_must_follow(bad: EpochCertificate, rule: str) -> None:
    """Numbers without gaps, sizes that grow from one on, keys and roots of their length."""
    key = keys.generate()
    with pytest.raises(Unusable, match=rule):
        KeyRing([key.public]).add(sign_certificate(key, bad))


def test_a_certificate_follows_in_time_log_and_key() -> None:
    """Not older than the one before, of the same log, and never a key again; another's signature counts nothing."""
    first, second, third = keys.generate(), keys.generate(), keys.generate()
    ring = KeyRing([first.public])
    ring.add(sign_certificate(first, certificate(1, 5, second.public, at=10)))
    other_log = EpochCertificate(log="else", epoch=2, key=third.public, size=9, root=bytes(32), at=Instant(11))
    for bad in (
        sign_certificate(second, certificate(2, 9, third.public, at=9)),
        sign_certificate(second, certificate(2, 5, third.public, at=11)),
        sign_certificate(second, certificate(2, 9, first.public, at=11)),
        sign_certificate(second, other_log),
    ):
        with pytest.raises(Tampered, match="epoch-misplaced"):
            ring.add(bad)
    with pytest.raises(Tampered, match="epoch-forged"):
        ring.add(sign_certificate(first, certificate(2, 9, third.public, at=11)))
    assert ring.add(sign_certificate(second, certificate(2, 9, third.public, at=11))).certificate.epoch == 2


@given(st.binary(max_size=3 * MAX_LINE))
def test_walking_any_bytes_ends_with_what_is_good(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    """Whatever the file holds, the walk returns; nothing of it counts."""
    path = tmp_path_factory.mktemp("chain") / CHAIN
    path.write_bytes(junk)
    found = walk(path, (bytes(32),))
    assert (found.good, found.ring.certified) == (0, [])
    assert found.size == len(junk)
    assert (found.error is not None) == (b"\n" in junk or len(junk) > MAX_LINE)


@given(
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.integers(1, 2**53 - 1),
    st.integers(0, 2**62),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=32, max_size=32),
)
def test_a_certificate_is_a_statement_like_any_other(log: str, size: int, at: int, key: bytes, root: bytes) -> None:
    """The chain's own reader takes what the attestor signs, byte for byte, and reads the same out of it."""
    signer = keys.generate()
    made = EpochCertificate(log=log, epoch=1, key=key, size=size, root=root, at=Instant(at))
    line = sign_certificate(signer, made)
    opened = KeyAttestor("guard", None, {"guard": (signer.public,)}).open(line, Predicate.EPOCH, "guard")
    assert (opened.about, documents.decode(EpochCertificate, opened.body)) == (digest_of("key", key), made)
    assert KeyRing([signer.public]).add(line).certificate == made


@given(st.binary(max_size=600))
def test_a_certificate_of_any_bytes_is_refused_in_our_words(junk: bytes) -> None:
    """Also what is signed by the right key and is no certificate."""
    with pytest.raises(Unusable):
        KeyRing([bytes(32)]).add(junk)


MEMBERS = ("log", "epoch", "size", "at", "key", "root")
ODD = ("Infinity", "-Infinity", "NaN", "1e999", "-1e999", "1.0", "true", "null", "9" * 400, str(2**53), "-1", '"-1"')
odd_values = st.sampled_from((*ODD, '"' + "9" * 30 + '"', '"1_0"', '" 1"', '"\\ud800"', "9" * 5000)) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
).map(json.dumps)


@given(st.dictionaries(st.sampled_from(MEMBERS), odd_values, min_size=1), st.sampled_from(("", *ODD)))
@example({"at": "Infinity"}, "")
@example({"at": "-Infinity"}, "")
@example({"at": "1e999"}, "")
@example({"at": "NaN"}, "")
@example({"epoch": "1e999"}, "")
def test_a_certificate_with_any_values_is_refused_in_our_words(
    tmp_path_factory: pytest.TempPathFactory, odd: dict[str, str], mark: str
) -> None:
    """Each member of the payload, and the signature, may be any JSON that a parser takes, infinite numbers too."""
    made = certificate(1, 5, bytes(32))
    plain = {
        "log": f'"{made.log}"',
        "epoch": "1",
        "size": "5",
        "at": '"10"',
        "key": f'"{made.key.hex()}"',
        "root": f'"{made.root.hex()}"',
    }
    predicate = ",".join(f'"{name}":{value}' for name, value in (plain | odd).items())
    payload = base64.b64encode(f'{{"predicate":{{{predicate}}}}}'.encode("utf-8", "surrogatepass")).decode()
    signature = mark or '{"keyid":"k","sig":""}'
    line = f'{{"payload":"{payload}","payloadType":"t","signatures":[{signature}]}}'.encode()
    with pytest.raises(NotACertificate):
        KeyRing([bytes(32)]).add(line)
    path = tmp_path_factory.mktemp("chain") / CHAIN
    path.write_bytes(line + b"\n")
    found = walk(path, (bytes(32),))
    assert found.error is not None
    assert (found.error.reference, found.good) == ("bad-epoch", 0)


@pytest.mark.parametrize("changed", [{"epoch": 2**53}, {"size": 2**53}, {"at": 10**20}, {"at": -1}])
def test_a_signed_certificate_beyond_the_bounds_is_none(changed: dict[str, int]) -> None:
    """In its one form and signed by the right key, but with a number that no document may hold."""
    signer = keys.generate()
    made = dataclasses.replace(certificate(1, 5, bytes(32)), **changed)  # type: ignore[arg-type]
    envelope = Envelope(payload=_payload(made), signer=key_id(signer.public), signature=b"")
    signature = signer.sign(pre_authentication_encoding(PAYLOAD_TYPE, envelope.payload))
    with pytest.raises(NotACertificate):
        KeyRing([signer.public]).add(_line(dataclasses.replace(envelope, signature=signature)))


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("point", POINTS)
def test_a_crash_in_a_turn_leaves_a_guard_that_starts(place: Place, point: str, again: bool) -> None:
    """At each point: the chain holds, the guard has its last key, and appends, turns and checks go on."""
    place.crash_at = point
    with place.open() as (held, log):
        place.fill(log, 300 if again else 0)
        with pytest.raises(Killed):
            held.turn(Instant(place.at))
    with place.open() as (held, log):
        taken = point != "epoch.key-saved"
        assert held.present().number == 3 + taken
        assert not (place.root / "guard" / "epoch.next").exists()
        place.enter(held, log)
        place.fill(log, 3)
        held.turn(Instant(place.at))
        place.enter(held, log)
    assert check(place.copy(), [place.anchor]).findings == ()
    found = [path for path in place.root.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert found == [place.root / "guard" / "epoch.key"]


@pytest.mark.parametrize("also", [None, *POINTS[2:4]])
@pytest.mark.parametrize("point", POINTS[1:])
def test_a_crash_keeps_no_earlier_key(place: Place, point: str, also: str | None) -> None:
    """Killed in a turn, and perhaps again in the start after it: the next start overwrites the earlier key's bytes."""
    other = place.root / "other-name"
    os.link(place.root / "guard" / "epoch.key", other)
    place.crash_at = point
    with place.open() as (held, _), pytest.raises(Killed):
        held.turn(Instant(place.at))
    if also:
        place.crash_at = also
        with contextlib.suppress(Killed), place.open():
            pass
        place.crash_at = ""
    with place.open() as (held, log):
        assert held.present().number == 4
        assert other.read_bytes() == b""
        assert sorted(path.name for path in (place.root / "guard").iterdir()) == ["epoch.key", "epoch.lock"]
        place.enter(held, log)
    assert check(place.log, [place.anchor]).findings == ()


@pytest.mark.parametrize("point", POINTS)
def test_a_crash_in_the_first_turn_leaves_a_guard_that_starts(tmp_path: Path, point: str) -> None:
    """The key that `init` made lies elsewhere, and goes too."""
    place = Place(tmp_path / "place")
    place.crash_at = point
    with place.open() as (held, log):
        place.fill(log, 2)
        with pytest.raises(Killed):
            held.turn(Instant(place.at))
    with place.open() as (held, log):
        assert held.present().number == (point != "epoch.key-saved")
        assert (place.first.read_bytes() == b"") == (point != "epoch.key-saved")
        place.enter(held, log)
        place.fill(log, 1)
    assert check(place.log, [place.anchor]).findings == ()


@pytest.mark.parametrize("torn", [b"{", b"\0" * 700, b"\0" * 700 + b'"}\n'])
def test_a_torn_certificate_is_dropped(place: Place, torn: bytes) -> None:
    """A power loss may leave part of a last line, or zeros: the key that it would certify never signed."""
    before = (place.log / CHAIN).read_bytes()
    (place.log / CHAIN).write_bytes(before + torn)
    with place.open() as (held, log):
        assert held.present().number == 3
        assert (place.log / CHAIN).read_bytes() == before
        place.turn(held, log)
    assert check(place.log, [place.anchor]).findings == ()


@pytest.mark.parametrize(
    ("signer", "bad", "rule"),
    [
        (0, certificate(4, 23, bytes(32), at=10_000), "epoch-forged"),
        (2, certificate(4, 23, bytes(32), at=10_000), "epoch-forged"),
        (3, certificate(5, 23, bytes(32), at=10_000), "epoch-misplaced"),
        (3, certificate(4, 23, bytes(31), at=10_000), "bad-epoch"),
        (3, certificate(4, 23, bytes(32), root=bytes(MAX_LINE), at=10_000), "bad-epoch"),
    ],
)
def test_a_last_certificate_that_does_not_hold_stays(
    place: Place, signer: int, bad: EpochCertificate, rule: str
) -> None:
    """Whole, signed by some key and false: no power loss made it. The guard does not start, and cuts nothing off."""
    chain = b"".join(place.lines()) + sign_certificate(place.stolen[signer], bad) + b"\n"
    (place.log / CHAIN).write_bytes(chain)
    with pytest.raises(Tampered, match=rule), place.open():
        pass
    assert (place.log / CHAIN).read_bytes() == chain


def test_a_forged_signature_under_the_right_name_stays(place: Place) -> None:
    """The last certificate names the present key and a stranger signed it."""
    envelope = documents.load_json(sign_certificate(keys.generate(), certificate(4, 23, bytes(32), at=10_000)))
    envelope["signatures"][0]["keyid"] = key_id(place.stolen[3].public)
    chain = b"".join(place.lines()) + documents.encode(envelope) + b"\n"
    (place.log / CHAIN).write_bytes(chain)
    with pytest.raises(Tampered, match="epoch-forged"), place.open():
        pass
    assert (place.log / CHAIN).read_bytes() == chain


def test_nothing_is_put_in_place_before_the_chain_holds(place: Place) -> None:
    """A turn that a crash left half done stays as it is while a forged certificate follows it."""
    place.crash_at = "epoch.certified"
    with place.open() as (held, _), pytest.raises(Killed):
        held.turn(Instant(place.at))
    present = (place.root / "guard" / "epoch.key").read_bytes()
    forged = sign_certificate(place.stolen[0], certificate(5, 50, bytes(32), at=10_000))
    with open(place.log / CHAIN, "ab") as chain:
        chain.write(forged + b"\n")
    with pytest.raises(Tampered, match="epoch-forged"), place.open():
        pass
    assert (place.root / "guard" / "epoch.key").read_bytes() == present


def test_the_guard_does_not_start_on_another_chain_or_key(place: Place) -> None:
    """A chain that was cut, or changed before its end, and a key that was put back, are named."""
    chain, key = place.log / CHAIN, place.root / "guard" / "epoch.key"
    lines, present = place.lines(), key.read_bytes()
    chain.write_bytes(b"".join(lines[:2]))
    with pytest.raises(Tampered, match="key-unknown"), place.open():
        pass
    chain.write_bytes(lines[0] + lines[2] + lines[1])
    with pytest.raises(Tampered, match="epoch-misplaced"), place.open():
        pass
    chain.unlink()
    with pytest.raises(Tampered, match="key-unknown"), place.open():
        pass
    chain.write_bytes(b"".join(lines))
    key.unlink()
    keys.save_private(key, place.stolen[2])
    with pytest.raises(Tampered, match="key-unknown"), place.open():
        pass
    key.write_bytes(present)
    with place.open() as (held, _):
        assert held.present().number == 3


def test_one_guard_at_a_time_holds_the_keys(place: Place) -> None:
    """A second one is refused before it changes anything."""
    with place.open(), pytest.raises(Unusable, match="log-in-use"), place.open():
        pass


def test_an_epoch_without_an_entry_is_not_begun(tmp_path: Path) -> None:
    """On an empty log, and twice at one size: refused before anything is written, and the key signs on."""
    place = Place(tmp_path / "place")
    with place.open() as (held, log):
        with pytest.raises(Tampered, match="epoch-misplaced"):
            held.turn(Instant(place.at))
        place.fill(log, 1)
        held.turn(Instant(place.at))
        before = (place.log / CHAIN).read_bytes()
        with pytest.raises(Tampered, match="epoch-misplaced"):
            held.turn(Instant(place.at))
        assert (place.log / CHAIN).read_bytes() == before
        place.enter(held, log)
        assert held.turn(Instant(place.at)).number == 2
        place.enter(held, log)
    assert check(place.log, [place.anchor]).findings == ()


def test_a_full_disk_keeps_the_present_key(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the certificate cannot be written nothing of it stays, and the next turn works."""
    with place.open() as (held, log):
        real = os.write

        def full(descriptor: int, data: bytes) -> int:
            if data.endswith(b"}\n"):
                real(descriptor, data[:10])
                raise OSError(28, "No space left on device")
            return real(descriptor, data)

        before = (place.log / CHAIN).read_bytes()
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(Unusable, match="log-unwritable"):
            held.turn(Instant(place.at))
        monkeypatch.undo()
        assert (place.log / CHAIN).read_bytes() == before
        place.fill(log, 2)
        place.turn(held, log)
    assert check(place.log, [place.anchor]).findings == ()


@pytest.mark.parametrize("code", [errno.EMFILE, errno.EACCES])
def test_a_chain_that_cannot_be_opened_keeps_the_present_key(
    place: Place, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Nothing was written, so nothing is in doubt: told as unwritable, and the same process goes on afterwards."""
    chain, real = place.log / CHAIN, os.open

    def refuse(path: Path, flags: int, mode: int = 0o777) -> int:
        if path == chain:
            raise OSError(code, os.strerror(code))
        return real(path, flags, mode)

    with place.open() as (held, log):
        before = chain.read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", refuse)
            with pytest.raises(Unusable, match="log-unwritable"):
                held.turn(Instant(place.at))
        assert (chain.read_bytes(), held.present().number) == (before, 3)
        place.fill(log, 2)
        place.turn(held, log)
    assert check(place.log, [place.anchor]).findings == ()


@pytest.mark.parametrize("call", ["fstat", "fsync"])
def test_a_first_certificate_that_cannot_be_begun_keeps_the_first_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """The size or the directory of the chain cannot be had before anything is written: the first key signs on."""
    place = Place(tmp_path / "place")
    real = getattr(os, call)

    def fails(descriptor: int) -> object:
        where = os.readlink(f"/proc/self/fd/{descriptor}")
        if where == str(place.log / CHAIN if call == "fstat" else place.log):
            raise OSError(errno.EIO, "Input/output error")
        return real(descriptor)

    with place.open() as (held, log):
        place.fill(log, 2)
        with monkeypatch.context() as patch:
            patch.setattr(os, call, fails)
            with pytest.raises(Unusable, match="log-unwritable"):
                held.turn(Instant(place.at))
        assert held.present().number == 0
        place.turn(held, log)
        place.fill(log, 1)
    assert check(place.log, [place.anchor]).findings == ()


def test_nothing_is_signed_while_the_key_is_in_doubt(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that is written and a key that could not be put in place: refused until the guard starts again."""

    def broken(old: Path, new: Path) -> None:
        raise OSError(5, f"Input/output error: {old} {new}")

    with place.open() as (held, log):
        monkeypatch.setattr(os, "rename", broken)
        with pytest.raises(Unusable, match="key-in-doubt"):
            held.turn(Instant(place.at))
        monkeypatch.undo()
        with pytest.raises(Unusable, match="key-in-doubt"):
            held.turn(Instant(place.at))
        with pytest.raises(Unusable, match="key-in-doubt"):
            place.fill(log, 1)
    with place.open() as (held, log):
        assert held.present().number == 4
        place.enter(held, log)
        place.fill(log, 1)
    assert check(place.log, [place.anchor]).findings == ()


def test_no_file_vouches_for_the_signatures_of_the_chain(tmp_path: Path) -> None:
    """A stranger's chain, key and digest of verified bytes beside them: refused, and the true first key is kept."""
    place = Place(tmp_path / "place")
    with place.open() as (_, log):
        place.fill(log, 2)
    stranger, first = keys.generate(), place.first.read_bytes()
    later = keys.generate()
    envelope = documents.load_json(sign_certificate(stranger, certificate(1, 1, stranger.public)))
    envelope["signatures"][0]["keyid"] = key_id(place.anchor)
    chain = documents.encode(envelope) + b"\n" + sign_certificate(stranger, certificate(2, 2, later.public)) + b"\n"
    (place.log / CHAIN).write_bytes(chain)
    keys.save_private(place.root / "guard" / "epoch.key", later)
    mark = {"size": len(chain), "sha256": hashlib.sha256(chain).hexdigest()}
    (place.root / "guard" / "epoch.mark").write_bytes(documents.encode(mark))
    with pytest.raises(Tampered, match="epoch-forged"), place.open():
        pass
    assert place.first.read_bytes() == first
    assert (place.log / CHAIN).read_bytes() == chain


def test_every_signature_is_verified_at_every_start(place: Place) -> None:
    """A signature that was changed between two starts is found, also far from the end."""
    with place.open():
        pass
    lines = place.lines()
    envelope = documents.load_json(lines[0])
    envelope["signatures"][0]["sig"] = documents.load_json(lines[1])["signatures"][0]["sig"]
    (place.log / CHAIN).write_bytes(documents.encode(envelope) + b"\n" + lines[1] + lines[2])
    with pytest.raises(Tampered, match="epoch-forged"), place.open():
        pass
    (place.log / CHAIN).write_bytes(b"".join(lines))
    with place.open() as (held, _):
        assert held.present().number == 3


def test_statements_change_keys_with_the_heads(place: Place) -> None:
    """Statements of every epoch open by the chain; another role's key never counts as the guard's."""
    body, about = documents.encode({"a": "b"}), digest_of("blob", b"x")
    keeper = keys.generate()
    publics = {"guard": (place.anchor,), "keeper": (keeper.public,)}
    signed = []
    with place.open() as (held, log):
        attestor = EpochAttestor(held, KeyAttestor("guard", None, publics, certified=held.find))
        for _ in range(2):
            signed.append(attestor.sign(Predicate.UNDO, about, body))
            place.turn(held, log)
        assert len({documents.load_json(envelope)["signatures"][0]["keyid"] for envelope in signed}) == 2
        for envelope in signed:
            assert attestor.open(envelope, Predicate.UNDO, "guard").body == body
            with pytest.raises(Tampered, match="statement-forged"):
                attestor.open(envelope, Predicate.UNDO, "keeper")
    gullible = KeyAttestor("guard", None, publics, certified=lambda _: keeper.public)
    by_keeper = KeyAttestor("keeper", keeper, publics).sign(Predicate.UNDO, about, body)
    with pytest.raises(Tampered, match="statement-forged"):
        gullible.open(by_keeper, Predicate.UNDO, "guard")
