"""The append-only log: a Merkle tree of events on disk, whose heads are signed as they are published.

`TileLog` is the only writer. An append is durable when it returns: its group (all callers that wait at that
moment) is one record of the journal, with a keyed hash of the guard's, and one flush. Tiles and the signed
checkpoint follow within milliseconds, from a thread of their own, also those of a full bundle; after a crash they are
made again from the journal. Nothing that was acknowledged is ever written a second time with other content.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from greenroom.audit import files
from greenroom.audit.checkpoint import KeptCheckpoint
from greenroom.audit.entry import Draft
from greenroom.audit.epochs import KeyRing
from greenroom.audit.journal import Journal, Record
from greenroom.audit.mac import EndMac
from greenroom.audit.merkle import Frontier, leaf_hash
from greenroom.audit.note import Checkpoint, NoteSigner, sign_checkpoint
from greenroom.audit.publish import Publisher, Shape
from greenroom.audit.recover import recover
from greenroom.audit.tiles import WIDTH, TileFiles
from greenroom.domain.errors import Bug, TooLarge, Unusable
from greenroom.domain.events import Event
from greenroom.domain.verdict import Instant

GRACE_NS = 5_000_000_000
"""Two processes read the clock before they queue here: an event that is at most this much older than the last
entry is entered at the last entry's instant. An older one means that the clock was set back."""

CrashPoint = Callable[[str], None]
MAX_READ = 4096


class _Ticket:
    """One caller's event on its way into a group."""

    __slots__ = ("done", "draft", "error", "event", "given", "index", "next", "turn")

    def __init__(self, event: Event) -> None:
        self.event = event
        self.draft = Draft(event)
        self.index = -1
        self.done = False
        self.error: Exception | None = None
        self.next: _Ticket | None = None
        self.given = False
        self.turn = threading.Lock()
        self.turn.acquire()

    def give(self) -> None:
        """Say that it is this ticket's turn, once."""
        self.given = True
        self.turn.release()

    def wait(self) -> BaseException | None:
        """Until it is this ticket's turn; gives an interrupt that came meanwhile, because others wait behind it."""
        interrupt: BaseException | None = None
        # An interrupt can come when the lock was taken already; waiting for the lock again would then be for ever.
        while not self.given:
            try:
                self.turn.acquire()
            except BaseException as error:
                interrupt = error
        return interrupt

    def pass_on(self) -> None:
        """Wake the next of the group."""
        if self.next is not None:
            self.next.give()


class _Group:
    """The entries of one record, and whose they are."""

    __slots__ = ("entries", "first", "keys", "last", "room", "settled")

    def __init__(self, first: int, room: int, last: int) -> None:
        self.first = first
        self.room = room
        self.last = last
        self.entries: list[bytes] = []
        self.keys: dict[str, int] = {}
        self.settled: list[tuple[_Ticket, int]] = []

    def take(self, ticket: _Ticket, known: dict[str, int]) -> bool:
        """Enter `ticket`, or settle it by its key or with an error; False when the bundle has no room left."""
        key, at = ticket.event.key, ticket.event.at
        index = known.get(key)
        if index is None:
            index = self.keys.get(key)
        if index is None:
            if len(self.entries) == self.room:
                return False
            if at < self.last - GRACE_NS:
                ticket.error = _set_back(at, self.last)
                return True
            last = max(self.last, at)
            try:
                entry = ticket.draft.entry_at(last)
            except TooLarge as error:
                ticket.error = error
                return True
            self.last = last
            index = self.keys[key] = self.first + len(self.entries)
            self.entries.append(entry)
        self.settled.append((ticket, index))
        return True


class TileLog:
    """The log in `directory`, whose origin is the signer's name; implements the Log port.

    Opening takes the write lock (Unusable `log-in-use`), recovers what a crash left, and verifies every entry
    against the last signed head (Tampered). `kept` is where the guard keeps its last checkpoint apart; `ring` has
    the keys that count for it, where the signer's key is not the only one and is not followed by `former_keys`.
    `crash_point` is told the name of each point at which a crash matters; tests stop the world there.
    """

    def __init__(
        self,
        directory: Path,
        signer: NoteSigner,
        *,
        kept: Path | None = None,
        former_keys: Iterable[bytes] = (),
        ring: KeyRing | None = None,
        crash_point: CrashPoint | None = None,
    ) -> None:
        self._directory = directory
        self._signer = signer
        self._mac = EndMac(signer)
        self._ring = ring or KeyRing((signer.verifier.public, *former_keys))
        self._kept = KeptCheckpoint(kept, self._ring) if kept else None
        self._crash_point = crash_point or _nothing
        self._queue: list[_Ticket] = []
        self._queue_lock = threading.Lock()
        self._led = False
        self._commit_lock = threading.Lock()
        self._journal: Journal | None = None
        self._closed = False
        files.make_directory(directory)
        self._lock = files.lock(directory / "lock")
        self._files = TileFiles(directory)
        self._publisher = Publisher(directory, self._kept, self._sign, self._crash_point)
        try:
            self._start()
        except BaseException:
            self._release()
            raise

    @property
    def origin(self) -> str:
        """The log's name, the first line of each checkpoint."""
        return self._signer.name

    def append(self, event: Event) -> int:
        """The index of `event`, durable; an event with the same key gives its index and adds nothing.

        Raises Unusable `clock-set-back`, TooLarge `event-too-large`, or Unusable `log-unwritable`: then the
        event may or may not be in the log, and a retry gives the same index either way.
        """
        ticket = _Ticket(event)
        with self._queue_lock:
            self._queue.append(ticket)
            leads, self._led = not self._led, True
        interrupt = None if leads else ticket.wait()
        if ticket.done:
            ticket.pass_on()
        else:
            self._lead(ticket)
        if interrupt is not None:
            raise interrupt
        if ticket.error is not None:
            raise ticket.error
        return ticket.index

    def size(self) -> int:
        """How many entries are durable."""
        return self._shape.size

    def read(self, start: int, count: int) -> Sequence[bytes]:
        """The entries from `start`, at most `count` and at most 4096; fewer at the end of the log."""
        if start < 0 or count < 0:
            raise Unusable("bad-range", "entries are numbered from 0")
        shape = self._shape
        end = min(shape.size, start + min(count, MAX_READ))
        found: list[bytes] = []
        while start < end:
            bundle = shape.bundle(start // WIDTH) or self._files.bundle(start // WIDTH)
            found += bundle[start % WIDTH : start % WIDTH + end - start]
            start = start // WIDTH * WIDTH + WIDTH
        return found

    def index_of(self, key: str) -> int | None:
        """The index of the entry with `key`, if there is one."""
        with self._commit_lock:
            return self._keys.get(key)

    def last_instant(self) -> Instant:
        """The instant of the last entry; 0 before the first. No later entry is below it."""
        return Instant(self._last)

    def checkpoint(self) -> bytes:
        """The signed checkpoint of everything durable, published with its tiles when this returns."""
        with self._commit_lock:
            try:
                self._require_open()
                self._publisher.publish(self._shape, durable=True)
            except OSError as error:
                raise _unwritable(self._directory, error) from None
            head = self._publisher.head
            if head is None:
                raise Unusable(
                    "head-unsigned",
                    "the last head belongs to a key that is gone, and its signed note is missing",
                    where=str(self._directory),
                    remedy="the next entry has a signed head again",
                )
            return head

    def turn(self, certify: Callable[[Checkpoint], NoteSigner]) -> None:
        """Sign every later head with what `certify` makes for the present one; no append falls in between."""
        with self._commit_lock:
            try:
                self._require_open()
                # Durable: the present key alone can sign this head, and it is gone when `certify` returns.
                self._publisher.publish(self._shape, durable=True)
                head = Checkpoint(origin=self.origin, size=self._shape.size, root=self._shape.tree.root())
                self._signer = certify(head)
                self._mac = EndMac(self._signer)
            except OSError as error:
                raise _unwritable(self._directory, error) from None

    def close(self) -> None:
        """Publish, flush and give the lock back. Safe to call twice."""
        with self._commit_lock:
            if self._closed:
                return
            try:
                if self._journal is not None:
                    self._publisher.publish(self._shape, durable=True)
            except OSError as error:
                raise _unwritable(self._directory, error) from None
            finally:
                self._release()

    def __enter__(self) -> TileLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        self._publisher.seal()
        found = recover(self._directory, self._ring, self._mac, self._kept.latest() if self._kept else None)
        self._keys = found.keys
        self._last = found.last
        self._signed = found.signed
        size = found.records[0].first if found.records else found.frontier.size
        self._shape = Shape(size=size, entries=[], levels=found.levels, tree=found.trees[size])
        for record in found.records:
            self._grow(record.entries, [leaf_hash(entry) for entry in record.entries], found.trees[record.end])
        self._publisher.seal()
        shape, records = self._shape, []
        if shape.entries:
            tag = self._mac.tag(shape.tree)
            records = [Record(first=shape.base, entries=tuple(shape.entries), tag=tag)]
        self._journal = Journal.rebuilt(self._directory, shape.base // WIDTH, records)
        self._crash_point("log.recovered")
        self._publisher.publish(shape, durable=True)

    def _sign(self, size: int, root: bytes) -> bytes | None:
        """The signed head; None where it belongs to the span of a key that is gone and its note was not found."""
        if (note := self._signed.get(size)) is not None:
            return note
        if self._ring.epoch_at(size) != len(self._ring.certified):
            return None
        return sign_checkpoint(self._signer, size, root)

    def _release(self) -> None:
        self._closed = True
        self._publisher.stop()
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        if self._kept is not None:
            self._kept.close()
        os.close(self._lock)

    def _require_open(self) -> None:
        if self._closed:
            raise Bug("log-closed", "the log was closed")
        if self._journal is None:
            self._start()

    def _lead(self, own: _Ticket) -> None:
        """Commit all who wait as one group, wake them, and leave the lead to the first who came meanwhile."""
        group: list[_Ticket] = []
        try:
            with self._commit_lock:
                with self._queue_lock:
                    group, self._queue = self._queue, []
                self._commit(group)
        finally:
            with self._queue_lock:
                if not own.done and own in self._queue:  # interrupted before it could lead
                    self._queue.remove(own)
                heir = self._queue[0] if self._queue else None
                self._led = heir is not None
            if heir is not None:
                heir.give()
            _wake([ticket for ticket in group if ticket is not own])

    def _commit(self, tickets: list[_Ticket]) -> None:
        """Enter `tickets`; each ends with an index or an error."""
        try:
            self._require_open()
            self._enter(tickets)
        except OSError as error:
            self._abandon()
            self._fail(tickets, _unwritable(self._directory, error))
        except BaseException as error:
            self._abandon()
            self._fail(tickets, error if isinstance(error, Exception) else Bug("log-interrupted", "an append ended"))
            if not isinstance(error, Exception):
                raise
        finally:
            for ticket in tickets:
                ticket.done = True

    @staticmethod
    def _fail(tickets: list[_Ticket], error: Exception) -> None:
        for ticket in tickets:
            if ticket.index < 0 and ticket.error is None:
                ticket.error = error

    def _abandon(self) -> None:
        """Forget what is in memory: the next append recovers from the disk first."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _enter(self, tickets: list[_Ticket]) -> None:
        taken = 0
        while taken < len(tickets):
            group = _Group(self._shape.size, WIDTH - len(self._shape.entries), self._last)
            while taken < len(tickets) and group.take(tickets[taken], self._keys):
                taken += 1
            if group.entries:
                self._write(group)
            for ticket, index in group.settled:
                ticket.index = index

    def _write(self, group: _Group) -> None:
        """One record, one flush; the tiles follow soon."""
        if self._journal is None:
            raise Bug("log-closed", "the journal is not open")
        tree = self._shape.tree.copy()
        leaves = [leaf_hash(entry) for entry in group.entries]
        for leaf in leaves:
            tree.append(leaf)
        tag = self._mac.tag(tree)
        self._crash_point("log.tagged")
        self._journal.append(Record(first=group.first, entries=tuple(group.entries), tag=tag))
        self._crash_point("log.journal-flushed")
        self._last = group.last
        self._keys.update(group.keys)
        self._grow(group.entries, leaves, tree)
        if self._publisher.failed:
            self._publisher.publish(self._shape)
        else:
            self._publisher.wake(self._shape)

    def _grow(self, entries: Sequence[bytes], leaves: Sequence[bytes], tree: Frontier) -> None:
        """Go on with `entries`. A bundle that is full by them is sealed soon; until then the journal has it."""
        self._shape = self._shape.grown(entries, leaves, tree)
        if len(self._shape.entries) == WIDTH:
            # The next record goes over the bundle before this one.
            self._publisher.seal()
            self._publisher.hand_over(self._shape)
            self._shape = self._shape.rolled()


def _wake(tickets: list[_Ticket]) -> None:
    """Each wakes the next: woken all at once they would only queue for the interpreter, at twice the cost."""
    for ticket, following in itertools.pairwise(tickets):
        ticket.next = following
    if tickets:
        tickets[0].give()


def _set_back(at: int, last: int) -> Unusable:
    return Unusable(
        "clock-set-back",
        f"the clock is {(last - at) / 1e9:.1f} s behind the last log entry",
        where=f"instant {at}",
        remedy="set the clock right; the log never goes back in time",
    )


def _unwritable(directory: Path, error: OSError) -> Unusable:
    return Unusable(
        "log-unwritable",
        f"the log cannot be written: {error.strerror or error}",
        where=str(directory),
        remedy="free some disk space or mend the disk, then try again",
    )


def _nothing(_: str) -> None:
    return None
