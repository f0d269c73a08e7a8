"""The keeper's key turns through any crash, its earlier keys are gone, and a copy of the chain shows any change."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from greenroom.audit import keys
from greenroom.audit.attest import KeyAttestor, key_id
from greenroom.audit.check import check
from greenroom.audit.keeperkeys import TRIES, TURNS, KeeperAttestor
from greenroom.audit.keepers import CHAIN, ChainFile, sign_certificate, walk
from greenroom.audit.log import TileLog
from greenroom.audit.note import NoteSigner
from greenroom.bootstrap.log_copies import report
from greenroom.domain import documents
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.errors import Tampered, TooLarge, Unreachable, Unusable
from greenroom.domain.events import Event
from greenroom.domain.proof import Epoch, KeeperCertificate, Predicate
from greenroom.domain.verdict import Instant

pytestmark = pytest.mark.slow

ORIGIN = "box.example/one"
ABOUT = digest_of("blob", b"x")
POINTS = (
    "epoch.key-saved",
    "epoch.signed",
    "epoch.certified",
    "epoch.key-aside",
    "epoch.key-in-place",
    "epoch.key-replaced",
)


class Killed(BaseException):
    """The keeper is gone at this point."""


class Guard:
    """A witness over a real chain. `due` makes the present key too old; `hangs_up` answers are lost on the way."""

    def __init__(self, path: Path, anchor: bytes) -> None:
        self.chain = ChainFile(origin=ORIGIN, anchor=anchor, path=path)
        self.due = False
        self.always_due = False
        self.hangs_up = 0
        self.papers: dict[Digest, int] = {}
        self.late: list[bytes] | None = None
        """Certificates that are on their way: taken in when the guard comes to it."""

    def keeper_epoch(self) -> Epoch:
        return self.chain.present()

    def certify_keeper(self, envelope: bytes) -> Epoch:
        if self.late is not None:
            self.late.append(envelope)
            raise Killed("certify")
        found = self.chain.certify(envelope)
        self.due = self.always_due
        self._lose_answer()
        return found

    def shown(self, paper: Digest, epoch: int) -> bool:
        assert epoch == self.chain.present().number
        if self.due:
            return False
        self.papers[paper] = epoch
        self._lose_answer()
        return True

    def arrive(self) -> None:
        """What was on its way is taken in, as far as it still fits."""
        for envelope in self.late or ():
            self.chain.certify(envelope)
        self.late = None

    def _lose_answer(self) -> None:
        if self.hangs_up:
            self.hangs_up -= 1
            raise Unreachable("hung-up", "no answer")


class Place:
    """The files of one keeper and one guard."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "keeper").mkdir()
        self.first = keys.generate()
        keys.save_private(root / "keeper.key", self.first)
        self.guard = Guard(root / CHAIN, self.first.public)
        self.crash_at = ""
        self.keeper = self.start()

    def start(self) -> KeeperAttestor:
        return KeeperAttestor(
            origin=ORIGIN,
            first=self.root / "keeper.key",
            directory=self.root / "keeper",
            opener=KeyAttestor("owner", None, {"keeper": (self.first.public,)}, keepers=self.guard.chain.find),
            guard=self.guard,
            crash_point=self._point,
        )

    def sign(self) -> bytes:
        """A paper, which the guard saw in the epoch of its key."""
        paper = self.keeper.sign(Predicate.RECEIPT, ABOUT, b"{}")
        opened = self.keeper.open(paper, Predicate.RECEIPT, "keeper")
        epoch = self.guard.chain.epoch_of(opened.signer)
        assert epoch == self.guard.chain.present().number
        assert self.guard.papers[digest_of("statement", paper)] == epoch
        return paper

    def turn(self) -> None:
        self.guard.due = True
        self.sign()

    def private(self) -> list[bytes]:
        """The public halves of every private key that is on the disk."""
        files = [self.root / "keeper.key", *(self.root / "keeper").iterdir()]
        return [keys.load_private(file).public for file in files if file.stat().st_size]

    def lines(self) -> list[bytes]:
        path = self.root / CHAIN
        return path.read_bytes().splitlines(keepends=True) if path.exists() else []

    def _point(self, name: str) -> None:
        if name == self.crash_at:
            self.crash_at = ""
            raise Killed(name)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_one_key_is_on_the_disk(place: Place) -> None:
    """After each turn only the present one is, and the file of the first is empty."""
    place.sign()
    assert place.private() == [place.first.public]
    for number in range(1, 4):
        place.turn()
        present = place.guard.chain.present()
        assert present.number == number
        assert [key_id(public) for public in place.private()] == [present.key.partition(":")[2]]
    assert (place.root / "keeper.key").read_bytes() == b""
    assert sorted(path.name for path in (place.root / "keeper").iterdir()) == ["epoch.key"]
    assert (place.root / "keeper" / "epoch.key").stat().st_mode & 0o777 == 0o600


def test_what_every_key_signed_is_opened(place: Place) -> None:
    """Also by a keeper that begins again."""
    papers = []
    for _ in range(3):
        papers.append(place.sign())
        place.turn()
    again = place.start()
    assert len({again.open(paper, Predicate.RECEIPT, "keeper").signer for paper in papers}) == 3
    with pytest.raises(Tampered, match="statement-forged"):
        again.open(papers[-1], Predicate.RECEIPT, "guard")


@pytest.mark.parametrize("turns", [0, 2])
@pytest.mark.parametrize("point", POINTS)
def test_a_keeper_that_dies_in_a_turn_goes_on(place: Place, point: str, turns: int) -> None:
    """At each point: one turn is made, no key but the present one is left, and the chain holds."""
    for _ in range(turns):
        place.turn()
    place.crash_at, place.guard.due = point, True
    with pytest.raises(Killed):
        place.sign()
    place.keeper = place.start()
    place.sign()
    assert place.guard.chain.present().number == turns + 1
    assert [key_id(public) for public in place.private()] == [place.guard.chain.present().key.partition(":")[2]]
    found = walk(place.root / CHAIN, (place.first.public,), ORIGIN)
    assert (found.error, len(found.ring.certified)) == (None, turns + 1)


@pytest.mark.parametrize("arrives", ["before", "after"])
def test_a_certificate_that_arrives_late_is_no_matter(place: Place, arrives: str) -> None:
    """The keeper died while its call was under way: whether the guard has it when the next one begins or not."""
    place.guard.due, place.guard.late = True, []
    with pytest.raises(Killed):
        place.sign()
    place.keeper, late = place.start(), list(place.guard.late)
    if arrives == "before":
        place.guard.arrive()
    place.guard.late, place.guard.due = None, False
    place.sign()
    for envelope in late:
        place.guard.chain.certify(envelope)
    place.sign()
    assert place.guard.chain.present().number == 1


def test_a_guard_that_hangs_up_is_asked_again(place: Place) -> None:
    """It did what it was asked, and the answer was lost: nothing is done twice. Not for ever."""
    place.guard.hangs_up = 1
    place.sign()
    place.guard.hangs_up, place.guard.due = 1, True
    place.sign()
    assert place.guard.chain.present().number == 1
    place.guard.hangs_up = TRIES
    with pytest.raises(Unreachable, match="hung-up"):
        place.sign()
    place.sign()


def test_a_keeper_is_ready_as_it_signs(place: Place) -> None:
    """It turns an overdue key, finishes a turn that was cut, and says what signing would say."""
    place.guard.due = True
    place.keeper.ready()
    assert place.guard.chain.present().number == 1
    place.guard.due, place.crash_at = True, "epoch.certified"
    with pytest.raises(Killed):
        place.keeper.ready()
    place.keeper = place.start()
    place.keeper.ready()
    place.sign()
    assert place.guard.chain.present().number == 2
    assert len(place.private()) == 1
    place.guard.hangs_up = TRIES
    with pytest.raises(Unreachable, match="hung-up"):
        place.keeper.ready()
    place.guard.due = place.guard.always_due = True
    with pytest.raises(Unusable, match="keeper-key-due"):
        place.keeper.ready()


def test_a_key_that_is_always_too_old_signs_nothing(place: Place) -> None:
    """The error says what helps; no paper leaves the keeper."""
    place.guard.due = place.guard.always_due = True
    with pytest.raises(Unusable, match="keeper-key-due"):
        place.sign()
    assert place.guard.papers == {}
    assert place.guard.chain.present().number == TURNS


def test_a_key_that_the_guard_does_not_know_signs_nothing(place: Place) -> None:
    """Somebody put another key file there, or certified another key: the keeper says so, and destroys nothing."""
    place.turn()
    file = place.root / "keeper" / "epoch.key"
    file.unlink()
    keys.save_private(file, keys.generate())
    before = file.read_bytes()
    place.keeper = place.start()
    for _ in range(2):
        with pytest.raises(Tampered, match="key-unknown"):
            place.sign()
    assert file.read_bytes() == before


def test_a_half_written_next_key_is_made_anew(place: Place) -> None:
    """A crash while it was written leaves a file that is no key."""
    (place.root / "keeper" / "epoch.next").write_bytes(b"-----BEGIN PRIVATE KEY-----\nMC4C")
    (place.root / "keeper" / "epoch.next").chmod(0o600)
    place.sign()
    place.turn()
    assert len(place.private()) == 1


class Life(RuleBasedStateMachine):
    """Signing, turns, crashes of the keeper at any point, lost answers and late calls, in any order."""

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="greenroom-keepers-"))
        self.place = Place(self.root)
        self.turns = 0

    def teardown(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    def _sign(self) -> None:
        try:
            self.place.sign()
        except Killed:
            self.place.keeper = self.place.start()

    @rule(again=st.booleans())
    def sign(self, again: bool) -> None:
        if again:
            self.place.keeper = self.place.start()
        self._sign()

    @rule(crash=st.sampled_from(("", *POINTS)), lost=st.booleans())
    def turn(self, crash: str, lost: bool) -> None:
        self.place.guard.due, self.place.crash_at, self.place.guard.hangs_up = True, crash, int(lost)
        self._sign()
        self.place.crash_at, self.place.guard.hangs_up = "", 0

    @precondition(lambda self: self.place.guard.late is None)
    @rule()
    def call_under_way(self) -> None:
        self.place.guard.due, self.place.guard.late = True, []
        self._sign()

    @precondition(lambda self: self.place.guard.late is not None)
    @rule(first=st.booleans())
    def call_arrives(self, first: bool) -> None:
        late, self.place.guard.late = list(self.place.guard.late or ()), None
        if first:
            self._sign()
        for envelope in late:
            self.place.guard.chain.certify(envelope)

    @rule()
    def guard_begins_again(self) -> None:
        papers, due = self.place.guard.papers, self.place.guard.due
        self.place.guard = Guard(self.root / CHAIN, self.place.first.public)
        self.place.guard.papers, self.place.guard.due = papers, due
        self.place.keeper = self.place.start()

    @invariant()
    def the_present_key_is_there_and_no_earlier_one(self) -> None:
        """Between two calls: the guard's present key or one to come is on the disk, and its predecessors' are not."""
        chain = self.place.guard.chain
        held = self.place.private()
        known = [epoch for public in held if (epoch := chain.epoch_of(key_id(public))) is not None]
        assert chain.present().number in known
        # Until it goes on after a crash, the keeper may still have the key that certified the present one.
        assert all(epoch >= chain.present().number - 1 for epoch in known)

    @invariant()
    def the_chain_holds(self) -> None:
        assert walk(self.root / CHAIN, (self.place.first.public,), ORIGIN).error is None


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=12, stateful_step_count=10, deadline=None)


# The chain as a file.


def test_a_power_loss_leaves_a_chain_that_opens(place: Place) -> None:
    """A last line without its end, or one that is no certificate, is cut off; the key in it never signed."""
    place.turn()
    place.turn()
    whole = b"".join(place.lines())
    for torn in (place.lines()[0][:70], b"\0" * 40 + b"\n", b"{}\n"):
        (place.root / CHAIN).write_bytes(whole + torn)
        chain = ChainFile(origin=ORIGIN, anchor=place.first.public, path=place.root / CHAIN)
        assert chain.present().number == 2
        assert (place.root / CHAIN).read_bytes() == whole


def test_a_chain_that_does_not_hold_is_evidence(place: Place) -> None:
    """It is not opened, and nothing is cut off."""
    for _ in range(3):
        place.turn()
    one, two, three = place.lines()
    forged = sign_certificate(keys.generate(), KeeperCertificate(log=ORIGIN, epoch=4, key=keys.generate().public))
    for chain in (
        two + three,
        one + three,
        one + one,
        two + one,
        one + two + three + forged + b"\n",
        one + b"{}\n" + two,
    ):
        (place.root / CHAIN).write_bytes(chain)
        with pytest.raises(Tampered, match=r"epoch-(forged|misplaced)|bad-epoch"):
            ChainFile(origin=ORIGIN, anchor=place.first.public, path=place.root / CHAIN)
        assert (place.root / CHAIN).read_bytes() == chain


def test_a_certificate_fits_one_place_only(place: Place) -> None:
    """Not another log's, another number's, one of a key that was there, or a key of another length."""
    place.turn()
    present = keys.load_private(place.root / "keeper" / "epoch.key")
    true = KeeperCertificate(log=ORIGIN, epoch=2, key=keys.generate().public)
    bent = [{"log": "box.example/two"}, {"epoch": 1}, {"epoch": 3}, {"key": place.first.public}]
    bent += [{"key": present.public}, {"key": b"short"}]
    for members in bent:
        with pytest.raises(Tampered, match=r"epoch-misplaced|bad-epoch"):
            place.guard.chain.certify(sign_certificate(present, dataclasses.replace(true, **members)))
    line = sign_certificate(present, true)
    for junk in (b"", b"{}", line + b"\n", line.replace(b'"payload"', b' "payload"'), line[:-1], b"[" * 9000):
        with pytest.raises((Tampered, TooLarge, Unusable)):
            place.guard.chain.certify(junk)
    assert place.guard.chain.certify(line).number == 2
    assert len(place.lines()) == 2


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(min_value=0), byte=st.integers(min_value=0, max_value=255))
def test_no_byte_of_a_certificate_can_be_another(at: int, byte: int) -> None:
    """Any change is refused: a certificate has one spelling, and its signature covers what it says."""
    line, other = bytearray(_LINE), _LINE[at % len(_LINE)]
    if byte == other:
        return
    line[at % len(line)] = byte
    with pytest.raises(Unusable):
        walk_line(bytes(line))


def test_years_of_keys_have_one_form() -> None:
    """The quick writer of the chain's reader and the general encoder give the same bytes, for odd names, too."""
    for log in ("box.example/one", 'q"uote\\', "ünï/\u2028"):
        certificate = KeeperCertificate(log=log, epoch=1, key=keys.generate().public)
        line = sign_certificate(_FIRST, certificate)
        assert documents.load_json(line)["payloadType"]
        found = walk_line(line, log)
        assert found == certificate


_FIRST = keys.generate()
_LINE = sign_certificate(_FIRST, KeeperCertificate(log=ORIGIN, epoch=1, key=keys.generate().public))


def walk_line(line: bytes, log: str = ORIGIN) -> KeeperCertificate:
    from greenroom.audit.keepers import KeeperRing

    return KeeperRing((_FIRST.public,), log).add(line).certificate


def test_a_full_disk_certifies_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard says so, the present key stays, and with space the keeper goes on."""
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        if data.endswith(b"\n") and b"payloadType" in data:
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    place.guard.due = True
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(Unusable, match="log-unwritable"):
            place.sign()
    assert place.guard.chain.present().number == 0
    place.sign()
    assert place.guard.chain.present().number == 1


def test_nothing_is_certified_while_it_is_in_doubt(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk did not say what it holds: until the guard begins again, which settles it."""
    real = os.write

    def broken(descriptor: int, data: bytes) -> int:
        if data.endswith(b"\n") and b"payloadType" in data:
            raise OSError(5, "Input/output error")
        return real(descriptor, data)

    def stuck(descriptor: int, size: int) -> None:
        raise OSError(5, "Input/output error")

    place.guard.due = True
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", broken)
        patch.setattr(os, "ftruncate", stuck)
        with pytest.raises(Unusable, match="key-in-doubt"):
            place.sign()
    with pytest.raises(Unusable, match="key-in-doubt"):
        place.sign()
    place.guard = Guard(place.root / CHAIN, place.first.public)
    place.keeper = place.start()
    place.turn()
    assert place.guard.chain.present().number == 1


# A copy elsewhere.


@pytest.fixture
def copy(place: Place) -> tuple[Path, keys.PrivateKey]:
    """A log that tells of three keys of the keeper, with its chain beside it, and the guard's key."""
    for _ in range(3):
        place.turn()
    guard, log = keys.generate(), place.root / "log"
    with TileLog(log, NoteSigner(ORIGIN, guard), kept=place.root / "kept") as writer:
        for number, line in enumerate(place.lines(), 1):
            writer.append(_entry(number, digest_of("statement", line[:-1])))
    shutil.copy(place.root / CHAIN, log / CHAIN)
    return log, guard


def _entry(number: int, certificate: Digest) -> Event:
    return Event(
        key=f"guard/keeper-epoch/{number}",
        at=Instant(number),
        actor="guard",
        name="keeper.certified",
        about=str(number),
        digests={"certificate": certificate},
    )


def rules_of(log: Path, guard: keys.PrivateKey, place: Place) -> list[str]:
    return [found.rule for found in check(log, (guard.public,), keeper=place.first.public).findings]


def test_a_copy_is_checked_with_public_keys_alone(place: Place, copy: tuple[Path, keys.PrivateKey]) -> None:
    """Whole, it has no finding; altered, each time another, and always one."""
    log, guard = copy
    assert rules_of(log, guard, place) == []
    one, two, three = place.lines()
    thief = keys.generate()
    mine = sign_certificate(thief, KeeperCertificate(log=ORIGIN, epoch=2, key=keys.generate().public)) + b"\n"
    elsewhere = sign_certificate(place.first, KeeperCertificate(log="box.example/two", epoch=1, key=thief.public))
    fork = sign_certificate(place.first, KeeperCertificate(log=ORIGIN, epoch=1, key=thief.public)) + b"\n"
    for chain, named in (
        (one + two, "epoch-unknown"),
        (b"", "epoch-unknown"),
        (one + mine, "epoch-forged"),
        (two + three, "epoch-misplaced"),
        (elsewhere + b"\n", "epoch-misplaced"),
        (fork + mine, "epoch-unknown"),
    ):
        (log / CHAIN).write_bytes(chain)
        assert named in rules_of(log, guard, place), chain
    (log / CHAIN).unlink()
    assert rules_of(log, guard, place) == ["epoch-unknown"] * 3


def test_a_chain_that_is_ahead_of_the_log_is_told(place: Place, copy: tuple[Path, keys.PrivateKey]) -> None:
    """By one key it is what a crash leaves, and a note; by more it was cut."""
    log, guard = copy
    place.turn()
    shutil.copy(place.root / CHAIN, log / CHAIN)
    whole = check(log, (guard.public,), keeper=place.first.public)
    assert whole.ok
    assert any("last key is not entered" in note for note in whole.notes)
    place.turn()
    shutil.copy(place.root / CHAIN, log / CHAIN)
    assert rules_of(log, guard, place) == ["epoch-unlogged"]


def test_entries_out_of_turn_are_found(place: Place) -> None:
    """The log's own order is what orders papers and keys."""
    for _ in range(2):
        place.turn()
    guard, log = keys.generate(), place.root / "log"
    with TileLog(log, NoteSigner(ORIGIN, guard), kept=place.root / "kept") as writer:
        for number, line in enumerate(reversed(place.lines()), 1):
            writer.append(_entry(number, digest_of("statement", line[:-1])))
    shutil.copy(place.root / CHAIN, log / CHAIN)
    assert set(rules_of(log, guard, place)) == {"epoch-misplaced"}


def test_a_check_without_the_keeper_s_key_says_so(place: Place, copy: tuple[Path, keys.PrivateKey]) -> None:
    """What was not looked at is no finding, and is not passed over in silence."""
    log, guard = copy
    public = place.root / "public"
    public.mkdir()
    keys.save_public(public / "guard.pub", guard.public)
    assert any("keeper's keys are not checked" in note for note in report(log, public, None)["notes"])
    keys.save_public(public / "keeper.pub", place.first.public)
    found = report(log, public, None)
    assert (found["ok"], [note for note in found["notes"] if "keeper" in note]) == (True, [])
