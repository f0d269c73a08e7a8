"""Papers of the keeper count for the epoch in which the guard saw them, however late they are used."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from greenroom.audit import keys
from greenroom.audit.attest import KeyAttestor, sign_statement
from greenroom.audit.keeperkeys import KeeperAttestor
from greenroom.audit.keepers import CHAIN, ChainFile, sign_certificate
from greenroom.domain import documents
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.errors import Tampered, Unusable
from greenroom.domain.events import Event
from greenroom.domain.proof import Attestation, KeeperCertificate, Predicate, Role
from greenroom.domain.verdict import Instant, Passed, Refused
from greenroom.guard.client import GuardClient
from greenroom.guard.epochs import EPOCH_SECONDS
from greenroom.guard.server import KEEPERS, handlers
from greenroom.guard.service import GuardService
from greenroom.testing.papers import SUBJECT, Killed, PaperHouse, Papers, papers, promoted

HOUR = int(EPOCH_SECONDS)
ORIGIN = "box.example/one"


class Thief:
    """Signs with a private key that it has a copy of, and shows the guard nothing."""

    def __init__(self, key: keys.PrivateKey) -> None:
        self._key = key

    def ready(self) -> None:
        return

    def sign(self, predicate: str, about: Digest, body: bytes) -> bytes:
        return sign_statement(self._key, predicate, about, body)

    def open(self, envelope: bytes, predicate: str, role: Role) -> Attestation:
        raise NotImplementedError


class ShownHouse(PaperHouse):
    """A paper house whose keeper changes its key, with the guard as its witness."""

    def __init__(self, directory: Path, earlier: Callable[[], Iterable[Digest]] = tuple) -> None:
        self.chain: ChainFile | None = None
        self.earlier = earlier
        super().__init__(directory)

    def start(self, **more: Any) -> GuardService:
        """A guard, and before the first one what is around it."""
        place, known = self.directory, {r: tuple(found.values()) for r, found in self.signer._publics.items()}
        first = place / "keeper.key"
        if self.chain is None:
            key: Any = self.keeper._private  # type: ignore[attr-defined]
            self.anchor = key
            keys.save_private(first, key)
            (place / "keeper").mkdir()
        self.chain = ChainFile(origin=ORIGIN, anchor=self.anchor.public, path=place / CHAIN)
        opener = KeyAttestor("guard", self.signer._private, known, keepers=self.chain.find)
        self.attestor = opener
        self.keeper: Any = KeeperAttestor(
            origin=ORIGIN, first=first, directory=place / "keeper", opener=opener, guard=_Late(self), crash_point=_pass
        )
        return super().start(keepers=self.chain, earlier=self.earlier, **more)

    def stolen(self) -> Thief:
        """A copy of the present key, as a backup or a disk would have it."""
        present = self.directory / "keeper" / "epoch.key"
        return Thief(keys.load_private(present if present.exists() else self.directory / "keeper.key"))

    def turn(self) -> None:
        """An hour passes, and the keeper signs something."""
        self.clock.advance(HOUR)
        self.keeper.sign(Predicate.RECEIPT, digest_of("blob", b"x"), b"{}")

    def events(self) -> list[Event]:
        return [documents.decode(Event, entry) for entry in self.log.read(0, self.log.size())]


class _Late:
    """The guard of the moment."""

    def __init__(self, house: PaperHouse) -> None:
        self._house = house

    def __getattr__(self, name: str) -> Any:
        return getattr(self._house.guard, name)


def _pass(point: str) -> None:
    del point


@pytest.fixture
def house(tmp_path: Path) -> ShownHouse:
    return ShownHouse(tmp_path)


def rule_of(answer: object) -> str:
    assert isinstance(answer, Refused), answer
    return answer.rule


def forged(made: Papers, thief: Thief) -> Papers:
    """The tests that never ran, in the place of the keeper's own receipt."""
    made.receipts["green"] = made.test_run("base-on-green", by=thief)
    return made


def test_papers_of_earlier_epochs_are_used_a_week_later(house: ShownHouse) -> None:
    """Receipts and seals of three epochs, a yes after a week and turns: promoted, marked good, and taken back."""
    made = papers(house)
    house.turn()
    made.receipts["green"] = made.test_run("base-on-green")
    house.turn()
    made.receipts["own"] = made.test_run("own", check="own-tests")
    house.clock.advance(7 * 24 * HOUR)
    for _ in range(10):
        house.turn()
    made.approve()
    warrant = house.guard.warrant(made.dossier())
    assert isinstance(warrant, str), warrant
    assert isinstance(house.guard.promote(warrant), Passed)
    assert isinstance(house.guard.mark_good(made.change, made.live_runs()), Passed)
    assert isinstance(house.guard.revert(SUBJECT, made.change, "ada"), Passed)
    assert house.guard.keeper_epoch().number == 12
    assert house.names().count("keeper.certified") == 12


@pytest.mark.parametrize("turns", [1, 3])
def test_a_stolen_key_forges_nothing_once_its_epoch_is_over(house: ShownHouse, turns: int) -> None:
    """The signature holds, and the key was the keeper's: it was never seen in that epoch, so it does not count."""
    thief = house.stolen()
    for _ in range(turns):
        house.turn()
    made = forged(papers(house), thief)
    made.approve()
    refused = house.guard.warrant(made.dossier())
    assert rule_of(refused) == "paper-not-shown"
    assert isinstance(refused, Refused)
    assert "epoch 0" in refused.where
    assert house.guard.live(SUBJECT) == made.base


def test_a_stolen_key_of_a_later_epoch_forges_no_import_and_no_seal(house: ShownHouse) -> None:
    """Every kind of paper goes the same way."""
    house.turn()
    thief = house.stolen()
    house.turn()
    made = papers(house)
    assert rule_of(house.guard.adopt(house.imported(made.green, by=thief))) == "paper-not-shown"
    made.seals = (made.seals[0], made.seal(by=thief))
    made.approve()
    assert rule_of(house.guard.warrant(made.dossier())) == "paper-not-shown"


def test_an_overdue_key_is_worth_nothing_before_the_keeper_turns(house: ShownHouse) -> None:
    """A box at rest for days: its key lies on the disk, and no paper is written down for it."""
    thief = house.stolen()
    made = papers(house)
    house.clock.advance(HOUR)
    paper = forged(made, thief).receipts["green"]
    assert house.guard.keeper_epoch().number == 0
    assert house.guard.shown(paper, 0) is False
    made.approve()
    assert rule_of(house.guard.warrant(made.dossier())) == "paper-not-shown"


def test_even_the_present_key_needs_the_keeper_s_place(house: ShownHouse) -> None:
    """A thief with the executor's place cannot show a paper: the call is the keeper's."""
    made = forged(papers(house), house.stolen())
    made.approve()
    assert rule_of(house.guard.warrant(made.dossier())) == "paper-not-shown"
    assert {"shown", "certify_keeper"} == KEEPERS
    calls = handlers(house.guard, frozenset({0}))
    paper, chain = made.receipts["green"], b"{}".hex()
    for name, arguments in (("shown", {"paper": paper, "epoch": 0}), ("certify_keeper", {"envelope": chain})):
        with pytest.raises(Unusable, match="not-allowed"):
            calls[name](arguments, (), lambda _: None, 702)
    assert calls["shown"]({"paper": paper, "epoch": 0}, (), lambda _: None, 0) is True


def test_a_paper_is_written_down_for_one_epoch(house: ShownHouse) -> None:
    """Shown again later it stays in its epoch; for another epoch than the present one nothing is written down."""
    thief = house.stolen()
    made = papers(house)
    mine = made.receipts["green"]
    paper = forged(made, thief).receipts["green"]
    house.turn()
    for epoch in (0, 2):
        with pytest.raises(Unusable, match="keeper-epoch-over"):
            house.guard.shown(paper, epoch)
    # Who holds the present epoch's place shows an old key's paper: its key is of another epoch, and stays so.
    assert house.guard.shown(paper, 1) is True
    assert house.guard.shown(mine, 1) is True
    made.approve()
    assert rule_of(house.guard.warrant(made.dossier())) == "paper-not-shown"
    made.receipts["green"] = mine
    made.approve()
    assert isinstance(house.guard.warrant(made.dossier()), str)


def test_a_thief_of_an_old_key_certifies_nothing(house: ShownHouse) -> None:
    """Neither in the place of the true next key nor after it; the log tells of no such key."""
    thief, own = house.stolen(), keys.generate()
    house.turn()
    before = house.guard.keeper_epoch()
    for epoch in (1, 2):
        certificate = KeeperCertificate(log=ORIGIN, epoch=epoch, key=own.public)
        with pytest.raises(Tampered, match=r"epoch-(forged|misplaced)"):
            house.guard.certify_keeper(sign_certificate(thief._key, certificate))
    assert house.guard.keeper_epoch() == before
    assert house.names().count("keeper.certified") == 1


def test_a_clock_that_was_set_back_makes_no_key_younger(house: ShownHouse) -> None:
    """The guard's own steady clock counts: an overdue key stays overdue, and the keeper goes on with the next one."""
    house.turn()
    house.clock.advance(HOUR)
    house.guard.append(Event(key="a", at=Instant(0), actor="executor", name="change.seen"))
    house.clock.advance(-HOUR)
    assert house.guard.shown(digest_of("statement", b"x"), 1) is False
    house.keeper.sign(Predicate.RECEIPT, digest_of("blob", b"x"), b"{}")
    assert house.guard.keeper_epoch().number == 2


def test_the_log_tells_of_each_key(house: ShownHouse) -> None:
    """Number, key and certificate, in the guard's word; no caller writes such an entry."""
    house.turn()
    house.turn()
    told = [event for event in house.events() if event.name == "keeper.certified"]
    present = house.guard.keeper_epoch()
    assert [event.about for event in told] == ["1", "2"]
    assert told[-1].actor == "guard"
    assert told[-1].digests == {"certificate": present.certificate, "key": present.key}
    with pytest.raises(Unusable, match="event-reserved"):
        house.guard.append(Event(key="x", at=Instant(0), actor="executor", name="keeper.certified"))


@pytest.mark.parametrize("point", ["keeper.chain-extended", "keeper.logged"])
def test_a_guard_that_dies_while_it_takes_a_key_in(house: ShownHouse, point: str) -> None:
    """The chain leads: the next start dates the key and tells the log; the keeper finishes its turn."""
    made = papers(house)
    house.clock.advance(HOUR)
    house.crash_at = point
    with pytest.raises(Killed):
        house.keeper.sign(Predicate.RECEIPT, digest_of("blob", b"x"), b"{}")
    house.restart()
    assert house.names()[-1] == "keeper.certified"
    assert house.guard.keeper_epoch().number == 1
    house.keeper.sign(Predicate.RECEIPT, digest_of("blob", b"x"), b"{}")
    assert house.guard.keeper_epoch().number == 1
    assert house.names().count("keeper.certified") == 1
    made.approve()
    assert isinstance(house.guard.warrant(made.dossier()), str)


@contextlib.contextmanager
def full_disk(house: ShownHouse) -> Iterator[None]:
    """The log takes no entry meanwhile; one that it has it finds."""
    append, known = house.log.append, {event.key for event in house.events()}

    def no_room(event: Event) -> int:
        if event.key in known:
            return int(append(event))
        raise Unusable("log-unwritable", "the disk is full")

    house.log.append = no_room
    try:
        yield
    finally:
        house.log.append = append


def test_a_log_without_room_for_a_key_gets_it_before_the_next(house: ShownHouse) -> None:
    """The guard lives on: with space the key is logged and dated, and is the present one for its hour."""
    house.turn()
    house.clock.advance(HOUR)
    with full_disk(house):
        for _ in range(2):
            with pytest.raises(Unusable, match="log-unwritable"):
                house.keeper.sign(Predicate.RECEIPT, digest_of("blob", b"x"), b"{}")
    assert house.guard.keeper_epoch().number == 2
    assert house.guard.keeper_epoch().since is None
    house.keeper.sign(Predicate.RECEIPT, digest_of("blob", b"y"), b"{}")
    assert house.guard.keeper_epoch().number == 2
    assert house.guard.keeper_epoch().since == house.clock.now()
    house.turn()
    house.restart()
    assert [event.about for event in house.events() if event.name == "keeper.certified"] == ["1", "2", "3"]


def test_no_key_is_certified_before_the_present_one_is_logged(house: ShownHouse) -> None:
    """Also for a keeper that shows nothing in between: a log that takes nothing is told, and the chain stays."""
    keyring = [house.stolen()._key, keys.generate(), keys.generate()]
    lines = [
        sign_certificate(signer, KeeperCertificate(log=ORIGIN, epoch=epoch, key=following.public))
        for epoch, (signer, following) in enumerate(itertools.pairwise(keyring), 1)
    ]
    with full_disk(house):
        for line in (*lines, lines[1]):
            with pytest.raises(Unusable, match="log-unwritable"):
                house.guard.certify_keeper(line)
    assert house.guard.keeper_epoch().number == 1
    assert house.guard.certify_keeper(lines[1]).number == 2
    assert [event.about for event in house.events() if event.name == "keeper.certified"] == ["1", "2"]


def test_a_keeper_that_is_ready_signs_with_the_same_key(house: ShownHouse) -> None:
    """It turns an overdue key, and no other; what the guard was shown for it counts as nobody's paper."""
    house.keeper.ready()
    assert house.guard.keeper_epoch().number == 0
    house.clock.advance(HOUR)
    for _ in range(2):
        house.keeper.ready()
        house.keeper.sign(Predicate.RECEIPT, digest_of("blob", b"x"), b"{}")
        assert house.guard.keeper_epoch().number == 1
    with pytest.raises(Unusable, match="bad-envelope"):
        house.keeper.open(b"", Predicate.RECEIPT, "keeper")


def test_what_an_earlier_release_signed_still_counts(tmp_path: Path) -> None:
    """Nothing was shown then: at the first start what is in the store is written down, and once only."""
    old = PaperHouse(tmp_path)
    made = papers(old)
    old.guard.close()
    house = _upgraded(old, made)
    late = forged(papers(house), house.stolen()).receipts["green"]
    made.approve()
    assert isinstance(house.guard.warrant(made.dossier()), str)
    house.guard.close()
    house.earlier = lambda: (late,)
    house.guard = house.start()
    made.receipts["green"] = late
    made.approve()
    assert rule_of(house.guard.warrant(made.dossier())) == "paper-not-shown"


def _upgraded(old: PaperHouse, made: Papers) -> ShownHouse:
    """The same box, opened by this release."""
    house: Any = ShownHouse.__new__(ShownHouse)
    vars(house).update(vars(old))
    house.chain, house.earlier = None, lambda: (*made.receipts.values(), *made.seals, *_steps(old, made))
    house.guard = house.start()
    made.house = house
    return house  # type: ignore[no-any-return]


def _steps(house: PaperHouse, made: Papers) -> list[Digest]:
    found = []
    for seal in made.seals:
        opened = house.keeper.open(house.store.get(seal), Predicate.SEAL, "keeper")
        found += [Digest(each) for each in documents.load_json(opened.body)["steps"]]
    return found


def test_the_keeper_s_calls_cross_the_socket(house: ShownHouse) -> None:
    """The client gives what the guard gives."""
    calls = handlers(house.guard)
    client = GuardClient(lambda name, arguments: calls[name](arguments, (), lambda _: None, 0))
    house.turn()
    assert client.keeper_epoch() == house.guard.keeper_epoch()
    present = house.stolen()._key
    assert client.keeper_key(keys_id(present)) == present.public
    assert client.keeper_key("0" * 64) is None
    assert client.shown(digest_of("statement", b"x"), 1) is True
    following = keys.generate()
    line = sign_certificate(present, KeeperCertificate(log=ORIGIN, epoch=2, key=following.public))
    assert client.certify_keeper(line) == client.certify_keeper(line) == house.guard.keeper_epoch()
    with pytest.raises(Unusable, match="not-a-statement"):
        client.shown(digest_of("blob", b"x"), 2)


def keys_id(key: keys.PrivateKey) -> str:
    return digest_of("key", key.public).partition(":")[2]


def test_a_guard_without_a_chain_knows_one_key(tmp_path: Path) -> None:
    """Its keeper's papers count by their signature; nothing is certified."""
    plain = PaperHouse(tmp_path)
    made, _ = promoted(plain)
    assert isinstance(plain.guard.mark_good(made.change, made.live_runs()), Passed)
    assert plain.guard.keeper_key("0" * 64) is None
    with pytest.raises(Unusable, match="keeper-keeps-its-key"):
        plain.guard.keeper_epoch()
