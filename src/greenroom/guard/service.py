"""The guard: the only holder of signer, pointers, budget and stop. Each call is one procedure of this room."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unusable
from greenroom.domain.events import Event
from greenroom.domain.plan import Caps
from greenroom.domain.ports import (
    Attestor,
    Clock,
    Dossier,
    Epochs,
    GuardStatus,
    KeeperChain,
    Log,
    Release,
    Standing,
    Store,
)
from greenroom.domain.proof import Epoch, Import
from greenroom.domain.verdict import Held, Passed, Refused, Verdict
from greenroom.domain.vocabulary import ChangeId, Subject
from greenroom.guard import (
    adopt,
    budget,
    carry,
    commands,
    consent,
    facts,
    floors,
    looks,
    optins,
    orders,
    promote,
    revert,
    stop,
    warrants,
    watch,
    windows,
    withdraw,
)
from greenroom.guard.epochs import EPOCH_SECONDS, FreshAttestor, FreshKeys
from greenroom.guard.journal import Journal, SteadyClock
from greenroom.guard.keepers import KeeperPapers
from greenroom.guard.ledger import Generation, Ledger
from greenroom.guard.room import Room, Rules, RulesInForce
from greenroom.guard.uptime import Uptime
from greenroom.guard.uptime import read as read_uptime


def _settle(room: Room, generation: Generation) -> None:
    if generation.change is None:
        adopt.recover(room, generation)
    elif generation.state == "intended":
        promote.recover(room, generation)
    else:
        revert.recover(room, generation)


def _nothing(point: str) -> None:
    del point


def _none() -> Iterable[Digest]:
    return ()


class GuardService:
    """The Guard port.

    `rules` loads the policy bundle of a digest from the store and is asked once for each; `database` is the
    guard's own SQLite file; `stop_file` is there while the box is stopped; `disk_free` gives bytes; `checkpoint`
    gives the log's signed checkpoint; `belongs` says whether an import was read at the place that its subject names
    (else a caller could pass any directory off as a person's repository); `log_writable` tells whether the log can
    take an entry; `crash_point` is told each named place where a crash is tried. `epochs` are the keys that `log`
    and `attestor` sign with: none signs when it is `epoch_seconds` old; without them the guard keeps one key.
    `keepers` are the keeper's keys: none counts for what is shown when it is that old; without them the keeper has one
    key. `earlier` gives the statements in the store of a box whose keeper had one. `uptime` tells whether the machine
    was off.
    """

    def __init__(
        self,
        *,
        store: Store,
        release: Release,
        log: Log,
        attestor: Attestor,
        clock: Clock,
        rules: Callable[[Digest], Rules],
        database: Path,
        stop_file: Path,
        disk_free: Callable[[], int],
        checkpoint: Callable[[], str],
        belongs: Callable[[Import], bool],
        log_writable: Callable[[], bool],
        crash_point: Callable[[str], None] = _nothing,
        epochs: Epochs | None = None,
        epoch_seconds: float = EPOCH_SECONDS,
        keepers: KeeperChain | None = None,
        earlier: Callable[[], Iterable[Digest]] = _none,
        uptime: Callable[[], Uptime] = read_uptime,
    ) -> None:
        """Open the ledger, check the constitution, and settle what a crash left open; raises Tampered."""
        steady = SteadyClock(clock, log)
        ledger = Ledger(database)
        self._checkpoint = checkpoint
        self._keys = FreshKeys(epochs, log, steady, epoch_seconds)
        journal = Journal(log, steady, self._keys.freshen)
        self._papers = KeeperPapers(keepers, ledger, log, journal, steady, epoch_seconds, crash_point)
        self._earlier = earlier
        self._room = Room(
            store=store,
            release=release,
            attestor=FreshAttestor(attestor, self._keys, self._papers),
            clock=steady,
            journal=journal,
            ledger=ledger,
            stop=stop.StopSwitch(stop_file),
            rules=RulesInForce(rules, ledger),
            disk_free=disk_free,
            crash_point=crash_point,
            belongs=belongs,
            log_writable=log_writable,
            uptime=uptime,
        )
        self.recover()

    def recover(self) -> None:
        """Reconcile the ledger to the pointers; the log gets what a crash kept from it. Run at each start.

        What cannot be reconciled, or a pointer that moved outside the gate, stops the box: a person has to look.
        """
        room = self._room
        self._keys.freshen()
        self._papers.begin(self._earlier)
        orders.check_constitution(room)
        stop.log_stop_found(room.stop, room.journal)
        try:
            orders.finish(room)
            windows.recover(room)
            for generation in room.ledger.unsettled():
                _settle(room, generation)
            moved = [s for s in room.ledger.subjects() if room.release.live(s) != room.ledger.standing(s)[-1].green]
        except Unusable as error:
            stop.set_stop(room.stop, room.journal, room.clock, f"recovery: {error.reference}")
            return
        if moved:
            stop.set_stop(room.stop, room.journal, room.clock, "live moved outside the gate")

    def close(self) -> None:
        """Close the ledger."""
        self._room.ledger.close()

    def append(self, event: Event) -> int:
        """Append a caller's entry; raises Unusable `event-reserved`, `bad-event` or `clock-set-back`."""
        return self._room.journal.relay(event)

    def status(self) -> GuardStatus:
        """What the guard says about itself; raises NotFound `no-constitution` before the first one."""
        room = self._room
        epoch, since = self._keys.present()
        opt_ins = optins.in_force(room, room.clock.floor())
        live = {str(subject): room.release.live(subject) for subject in room.ledger.subjects()}
        return GuardStatus(
            stopped=room.stop.pulled,
            stopped_by=room.stop.by(),
            mode=room.mode,
            policy=room.rules.current().policy.digest,
            log_size=room.journal.size,
            checkpoint=self._checkpoint(),
            live={name: digest for name, digest in live.items() if digest is not None},
            epoch=epoch,
            key_since=since,
            opt_ins=opt_ins,
            windows=windows.waiting(room, opt_ins),
        )

    def keeper_epoch(self) -> Epoch:
        """The present epoch of the keeper's keys."""
        return self._papers.present()

    def certify_keeper(self, envelope: bytes) -> Epoch:
        """Take in what the keeper's present key signed for the next one (see `KeeperPapers.certify`)."""
        return self._papers.certify(envelope)

    def shown(self, paper: Digest, epoch: int) -> bool:
        """See a paper that the keeper signed in `epoch` (see `KeeperPapers.shown`)."""
        return self._papers.shown(paper, epoch)

    def keeper_key(self, identity: str) -> bytes | None:
        """The keeper's public key with this id, for those who do not read the chain."""
        return self._papers.find(identity)

    def stop_id(self) -> Digest | None:
        """The id of the stop in force: what a Lift must name."""
        return self._room.stop.id

    def policy(self) -> Digest | None:
        """The policy bundle in force: what a ConstitutionOrder must name as `previous`; None before the first."""
        return self._room.rules.digest

    def live(self, subject: Subject) -> Digest | None:
        """The live digest of `subject`."""
        return self._room.release.live(subject)

    def position(self, subject: Subject) -> str:
        """The name of what is live (a commit)."""
        return self._room.release.position(subject)

    def adopted(self, subject: Subject) -> str:
        """The commit that was taken in last, empty for a release: live moved on from there by the guard's own commits.

        Raises NotFound `no-subject`.
        """
        return self._room.ledger.last_adopted(subject)

    def health(self, subject: Subject) -> tuple[Held, ...]:
        """What is not well with box and subject; empty when health is green."""
        return facts.health(self._room, subject)

    def standing(self, subject: Subject) -> tuple[Standing, ...]:
        """What live stands on, oldest first."""
        return tuple(Standing(change=each.change, green=each.green) for each in self._room.ledger.standing(subject))

    def adopt(self, imported: Digest) -> Digest | Refused:
        """Take an import of the keeper in; the live digest afterwards."""
        return adopt.adopt(self._room, imported)

    def consent(self, envelope: bytes) -> Digest | Refused:
        """Take a person's signed consent in; the digest of the stored envelope."""
        return consent.give(self._room, envelope)

    def carry(self, given: Dossier, dossier: Dossier) -> Digest | Refused | Held:
        """Say that the yes given to one change holds for another: the same patch on what is live."""
        return carry.carry(self._room, given, dossier)

    def cancel_window(self, change: ChangeId, actor: str) -> Verdict:
        """Keep what waits in its apply window from being applied without a person."""
        return windows.cancel(self._room, change, actor)

    def withdraw(self, change: ChangeId, actor: str) -> Verdict:
        """Void every unspent yes to `change`; needs no key, since it only takes a permission away."""
        return withdraw.withdraw(self._room, change, actor)

    def warrant(self, dossier: Dossier) -> Digest | Refused | Held:
        """Recompute everything that the dossier names; the digest of a signed warrant."""
        return warrants.warrant(self._room, dossier)

    def promote(self, warrant: Digest) -> Verdict:
        """Spend a warrant: swap the pointer."""
        return promote.promote(self._room, warrant)

    def mark_good(self, change: ChangeId, receipts: tuple[Digest, ...]) -> Verdict:
        """Mark a watched promotion good, from receipts of the live tests."""
        return watch.mark_good(self._room, change, receipts)

    def revert(self, subject: Subject, change: ChangeId, actor: str) -> Verdict:
        """Take the last standing promotion back; works under stop."""
        return revert.revert(self._room, subject, change, actor)

    def reserve(self, change: ChangeId, subject: Subject, caps: Caps) -> str | Held:
        """Set aside what a run may spend on `subject`."""
        return budget.reserve(self._room, change, subject, caps)

    def settle(self, reservation: str, used: Caps) -> None:
        """Say what a run spent."""
        budget.settle(self._room, reservation, used)

    def stop(self, actor: str) -> None:
        """Stop the box; durable when it returns."""
        room = self._room
        stop.set_stop(room.stop, room.journal, room.clock, actor, room.crash_point)

    def lift(self, envelope: bytes) -> Verdict:
        """Lift the stop that the owner's signed Lift names; windows begin afresh."""
        lifted = orders.lift(self._room, envelope)
        if isinstance(lifted, Passed) and lifted.produced:
            windows.begin_afresh(self._room)
        return lifted

    def set_mode(self, envelope: bytes) -> Verdict:
        """Put the mode of the owner's signed ModeOrder in force."""
        return orders.set_mode(self._room, envelope)

    def allow_command(self, envelope: bytes) -> Verdict:
        """Remember the test command that the owner signed for."""
        return orders.allow_command(self._room, envelope)

    def command_allowed(self, subject: Subject, command: str) -> bool:
        """Whether the owner signed for this test command of `subject`."""
        return commands.command_allowed(self._room, subject, command)

    def set_constitution(self, envelope: bytes) -> Verdict:
        """Put the policy of the owner's signed ConstitutionOrder in force; the first one makes the box."""
        return orders.set_constitution(self._room, envelope)

    def set_floor(self, envelope: bytes) -> Verdict:
        """Set or take away the floor that the owner's signed FloorOrder names."""
        return orders.set_floor(self._room, envelope)

    def floors(self) -> tuple[Mapping[str, Any], ...]:
        """Every floor: `subject`, `change`, `green`, `at`."""
        return floors.floors(self._room)

    def looked(self, envelope: bytes) -> Verdict:
        """Take in that a person looked, by the owner's signed LookOrder."""
        return orders.looked(self._room, envelope)

    def unseen(self) -> tuple[Mapping[str, Any], ...]:
        """What went live since a person last looked, by subject: `subject`, `through`, `changes`."""
        return looks.unseen(self._room)

    def opt_in(self, envelope: bytes) -> Verdict:
        """Let the owner's signed OptInOrder count."""
        return orders.opt_in(self._room, envelope)

    def opt_out(self, envelope: bytes) -> Verdict:
        """End the opt-in that the owner's signed OptOutOrder names."""
        return orders.opt_out(self._room, envelope)
