"""The guard changes its key each hour that it works, before it signs; and what was signed under earlier keys holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from greenroom.audit import keys
from greenroom.audit.attest import KeyAttestor, sign_statement
from greenroom.audit.check import check
from greenroom.audit.epochs import CHAIN
from greenroom.audit.log import TileLog
from greenroom.audit.turn import EpochAttestor, EpochKeys
from greenroom.domain import documents
from greenroom.domain.digest import digest_of
from greenroom.domain.errors import Unusable
from greenroom.domain.events import Event
from greenroom.domain.proof import Epoch, Predicate, Warrant
from greenroom.domain.verdict import Instant, Passed, Refused
from greenroom.guard.epochs import EPOCH_SECONDS, SHORTEST_SECONDS, FreshKeys, epoch_seconds
from greenroom.guard.journal import Journal, SteadyClock
from greenroom.testing.clock import ManualClock
from greenroom.testing.log import MemoryLog
from greenroom.testing.papers import SUBJECT, PaperHouse, papers, promoted

HOUR = int(EPOCH_SECONDS)
ORIGIN = "box.example/one"


class KeyedHouse(PaperHouse):
    """A paper house whose guard has its keys and its log on disk."""

    def __init__(self, directory: Path) -> None:
        self.place = directory
        self.opened: list[Callable[[], None]] = []
        super().__init__(directory, keyed=self.open_keys)

    def open_keys(self, signer: KeyAttestor) -> tuple[Any, Any, EpochKeys]:
        first = self.place / "guard.key"
        if not self.opened:
            key: Any = signer._private
            self.anchor = key.public
            keys.save_private(first, key)
        held = EpochKeys(
            origin=ORIGIN,
            anchor=self.anchor,
            first=first,
            directory=self.place / "guard",
            chain=self.place / "log" / CHAIN,
        )
        log = TileLog(self.place / "log", held.signer(), kept=self.place / "kept", ring=held.ring)
        held.serve(log)
        self.opened += [log.close, held.close]
        publics = {role: tuple(known.values()) for role, known in signer._publics.items()}
        return log, EpochAttestor(held, KeyAttestor("guard", None, publics, certified=held.find)), held

    def close(self) -> None:
        while self.opened:
            self.opened.pop(0)()

    def begin_again(self) -> None:
        """The guard's process ends and another begins on the same files."""
        self.guard.close()
        self.close()
        self.opened = [lambda: None]
        self.log, self.attestor, self.epochs = self.open_keys(self.signer)
        self.guard = self.start()

    def keyids(self) -> list[str]:
        """Who signed each statement of the guard that the log names."""
        found = []
        for entry in self.log.read(0, 4096):
            event = documents.decode(Event, entry)
            if event.name == "warrant.issued":
                found.append(documents.load_json(self.store.get(event.digests["warrant"]))["signatures"][0]["keyid"])
        return found


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[KeyedHouse]:
    made = KeyedHouse(tmp_path)
    yield made
    made.guard.close()
    made.close()


def test_a_box_in_which_several_epochs_passed(keyed: KeyedHouse) -> None:
    """Changes of four hours, restarts between them: promoted, marked, taken back, and the log checks by the anchor."""
    for hour in range(1, 5):
        made, _ = promoted(keyed)
        keyed.clock.advance(HOUR)
        assert isinstance(keyed.guard.mark_good(made.change, made.live_runs()), Passed)
        assert keyed.guard.status().epoch == hour
        keyed.begin_again()
        assert isinstance(keyed.guard.revert(SUBJECT, made.change, "ada"), Passed)
        keyed.clock.advance(1)
    assert keyed.names().count("key.certified") == 4
    assert len(set(keyed.keyids())) == 4
    assert check(keyed.place / "log", [keyed.anchor], keyed.log.checkpoint()).findings == ()


def test_an_undo_of_epochs_ago_is_opened(keyed: KeyedHouse) -> None:
    """What the first key signed is known by the chain: a promotion is taken back after a day."""
    made, _ = promoted(keyed)
    for _ in range(24):
        keyed.clock.advance(HOUR)
        keyed.guard.append(Event(key=f"k{keyed.clock.now()}", at=Instant(0), actor="executor", name="change.seen"))
    assert keyed.guard.status().epoch == 24
    assert isinstance(keyed.guard.revert(SUBJECT, made.change, "ada"), Passed)


def test_a_warrant_of_the_epoch_before_is_spent(keyed: KeyedHouse) -> None:
    """A turn between warrant and promote changes nothing for either."""
    keyed.clock.advance(HOUR - 60)
    made = papers(keyed)
    made.approve()
    warrant = keyed.guard.warrant(made.dossier())
    assert isinstance(warrant, str)
    keyed.clock.advance(120)
    assert isinstance(keyed.guard.promote(warrant), Passed)
    assert keyed.guard.status().epoch == 1


def test_a_warrant_that_a_destroyed_key_signed_is_refused(keyed: KeyedHouse) -> None:
    """A thief kept the first key: its warrant opens, for the chain knows the key, and the ledger has not issued it."""
    thief = keys.load_private(keyed.place / "guard.key")
    made = papers(keyed)
    made.approve()
    real = keyed.guard.warrant(made.dossier())
    assert isinstance(real, str)
    envelope = keyed.store.get(real)
    opened = keyed.attestor.open(envelope, Predicate.WARRANT, "guard")
    keyed.clock.advance(HOUR)
    keyed.guard.append(Event(key="a", at=Instant(0), actor="executor", name="change.seen"))
    later = dataclasses.replace(
        documents.decode(Warrant, opened.body), expires=Instant(keyed.clock.now() + HOUR * 10**9), nonce="0" * 32
    )
    forged = sign_statement(thief, Predicate.WARRANT, opened.about, documents.encode(later))
    refused = keyed.guard.promote(keyed.store.put("statement", forged))
    assert isinstance(refused, Refused)
    assert refused.rule == "warrant-spent"
    assert keyed.guard.live(SUBJECT) == made.base


def test_no_key_signs_when_it_is_an_hour_old(keyed: KeyedHouse) -> None:
    """Heads and statements: the turn comes first; a second before the hour there is none."""
    keyed.clock.advance(HOUR - 1)
    keyed.guard.append(Event(key="a", at=Instant(0), actor="executor", name="change.seen"))
    assert keyed.guard.status().epoch == 0
    keyed.clock.advance(1)
    keyed.guard.append(Event(key="b", at=Instant(0), actor="executor", name="change.seen"))
    status = keyed.guard.status()
    assert (status.epoch, status.key_since) == (1, keyed.clock.now())
    assert keyed.names()[-2:] == ["key.certified", "change.seen"]


def test_a_guard_that_was_away_turns_when_it_starts(keyed: KeyedHouse) -> None:
    """However long it was away it is one turn."""
    keyed.clock.advance(100 * HOUR)
    keyed.begin_again()
    assert keyed.guard.status().epoch == 1
    assert keyed.names()[-1] == "key.certified"


def test_a_caller_does_not_write_that_a_key_was_certified(keyed: KeyedHouse) -> None:
    """The entry is the guard's own."""
    with pytest.raises(Unusable, match="event-reserved"):
        keyed.guard.append(Event(key="x", at=Instant(0), actor="executor", name="key.certified"))


class FakeEpochs:
    """Keys that are numbers."""

    def __init__(self) -> None:
        self.turns: list[Instant] = []
        self.fails = False

    def present(self) -> Epoch:
        number = len(self.turns)
        key = digest_of("key", bytes([number]))
        if not number:
            return Epoch(number=0, key=key)
        certificate = digest_of("statement", bytes([number]))
        return Epoch(number=number, key=key, certificate=certificate, since=self.turns[-1])

    def turn(self, at: Instant) -> Epoch:
        if self.fails:
            raise Unusable("log-unwritable", "the disk is full")
        self.turns.append(at)
        return self.present()


class Desk:
    """FreshKeys with everything around them faked."""

    def __init__(self) -> None:
        self.log, self.epochs, self.clock = MemoryLog(), FakeEpochs(), ManualClock()
        self.steady = SteadyClock(self.clock, self.log)
        self.keys = FreshKeys(self.epochs, self.log, self.steady)
        self.journal = Journal(self.log, self.steady, self.keys.freshen)

    def names(self) -> list[str]:
        return [event.name for event in self.log.events()]


def test_the_first_key_is_as_old_as_the_log() -> None:
    """An empty log has no age: its first entry is signed with the key of `init`, whatever the time."""
    desk = Desk()
    desk.clock.advance(10 * HOUR)
    desk.journal.write("box.created", "made")
    assert (desk.names(), desk.keys.present()) == (["box.created"], (0, desk.clock.now()))
    desk.clock.advance(HOUR)
    desk.journal.write("mode.changed", "mode")
    assert desk.names() == ["box.created", "key.certified", "mode.changed"]
    assert desk.log.events()[1].about == "1"


def test_a_clock_that_was_set_back_makes_no_turns() -> None:
    """The steady clock stands until the time is there again; then the age counts on."""
    desk = Desk()
    desk.journal.write("box.created", "made")
    desk.clock.advance(HOUR)
    desk.journal.write("stop.set", "one")
    desk.clock.advance(-5 * HOUR)
    desk.journal.write("stop.set", "two")
    assert len(desk.epochs.turns) == 1
    desk.clock.advance(6 * HOUR)
    desk.journal.write("stop.set", "three")
    assert len(desk.epochs.turns) == 2
    assert [event.at for event in desk.log.events()] == sorted(event.at for event in desk.log.events())


def test_a_key_that_a_crash_kept_from_the_log_is_entered_once() -> None:
    """Before anything else is signed, by the guard that starts next, and not again by the one after."""
    desk = Desk()
    desk.journal.write("box.created", "made")
    desk.epochs.turn(desk.clock.now())
    for _ in range(2):
        FreshKeys(desk.epochs, desk.log, desk.steady).freshen()
    assert desk.names() == ["box.created", "key.certified"]
    digests = desk.log.events()[1].digests
    assert digests == {"certificate": digest_of("statement", b"\1"), "key": digest_of("key", b"\1")}


def test_a_turn_that_fails_lets_nothing_be_signed() -> None:
    """An overdue key signs neither entry nor statement; when the disk is mended the work goes on."""
    desk = Desk()
    desk.journal.write("box.created", "made")
    desk.clock.advance(HOUR)
    desk.epochs.fails = True
    with pytest.raises(Unusable, match="log-unwritable"):
        desk.journal.write("stop.set", "one")
    desk.epochs.fails = False
    desk.journal.write("stop.set", "one")
    assert desk.names() == ["box.created", "key.certified", "stop.set"]


def test_a_log_without_room_for_a_key_gets_it_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard lives on: nothing is signed and no key turns until the log tells of the present one."""
    desk = Desk()
    desk.journal.write("box.created", "made")

    def no_room(event: Event) -> int:
        raise Unusable("log-unwritable", "the disk is full")

    for _ in range(2):
        desk.clock.advance(HOUR)
        with monkeypatch.context() as patch:
            patch.setattr(desk.log, "append", no_room)
            for _ in range(2):
                with pytest.raises(Unusable, match="log-unwritable"):
                    desk.journal.write("stop.set", "one")
    assert len(desk.epochs.turns) == 1
    desk.journal.write("stop.set", "one")
    assert [event.about for event in desk.log.events() if event.name == "key.certified"] == ["1", "2"]
    assert desk.names() == ["box.created", "key.certified", "key.certified", "stop.set"]


def test_a_guard_without_epochs_keeps_its_key() -> None:
    """Nothing turns and nothing is entered."""
    log, clock = MemoryLog(), ManualClock()
    held = FreshKeys(None, log, SteadyClock(clock, log))
    clock.advance(10 * HOUR)
    held.freshen()
    assert (held.present(), log.size()) == ((0, None), 0)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("", EPOCH_SECONDS),
        ("60", 60.0),
        ("3600", EPOCH_SECONDS),
        ("1e9", EPOCH_SECONDS),
        ("inf", EPOCH_SECONDS),
        ("nan", EPOCH_SECONDS),
        ("-1", EPOCH_SECONDS),
        ("0", EPOCH_SECONDS),
        ("0.000001", SHORTEST_SECONDS),
        ("an hour", EPOCH_SECONDS),
    ],
)
def test_the_setting_only_shortens(asked: str, seconds: float) -> None:
    """Whoever sets it can have keys changed sooner, never later."""
    assert epoch_seconds(asked) == seconds


def test_statements_are_signed_with_a_fresh_key(keyed: KeyedHouse) -> None:
    """A signature asks for the turn by itself, before an entry does."""
    body, about = documents.encode({"a": "b"}), digest_of("blob", b"x")
    attestor = keyed.guard._room.attestor
    before = attestor.sign(Predicate.UNDO, about, body)
    keyed.clock.advance(HOUR)
    after = attestor.sign(Predicate.UNDO, about, body)
    signers = [documents.load_json(envelope)["signatures"][0]["keyid"] for envelope in (before, after)]
    assert len(set(signers)) == 2
    assert all(attestor.open(envelope, Predicate.UNDO, "guard").body == body for envelope in (before, after))
