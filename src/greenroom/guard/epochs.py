"""When the guard changes its key: before it signs anything, once the present key is an hour old."""

from __future__ import annotations

import threading

from greenroom.domain import documents
from greenroom.domain.digest import Digest
from greenroom.domain.events import Event
from greenroom.domain.ports import Attestor, Epochs, Log
from greenroom.domain.proof import Attestation, Epoch, Role
from greenroom.domain.verdict import Instant
from greenroom.guard.journal import OWN, SteadyClock
from greenroom.guard.keepers import KeeperPapers

EPOCH_SECONDS = 3600.0
SHORTEST_SECONDS = 0.05
_NS = 1_000_000_000


def epoch_seconds(asked: str) -> float:
    """How long an epoch lasts, where `asked` (a setting) may only make it shorter; an hour without one."""
    try:
        seconds = float(asked)
    except ValueError:
        return EPOCH_SECONDS
    return max(SHORTEST_SECONDS, min(seconds, EPOCH_SECONDS)) if seconds > 0 else EPOCH_SECONDS


class FreshKeys:
    """Sees to it that no key of the guard signs when it is `seconds` old, and that the log tells of each.

    `epochs` is None for a guard that keeps one key.
    """

    def __init__(self, epochs: Epochs | None, log: Log, clock: SteadyClock, seconds: float = EPOCH_SECONDS) -> None:
        self._epochs = epochs
        self._log = log
        self._clock = clock
        self._length = int(seconds * _NS)
        self._lock = threading.Lock()
        self._logged = -1
        self._began: Instant | None = None

    def freshen(self) -> None:
        """Change the key when it is due; to be called before each signature. Raises Unusable where it cannot be."""
        if self._epochs is None:
            return
        with self._lock:
            present = self._epochs.present()
            self._enter(present)
            since = self._since(present)
            if since is not None and self._clock.floor() - since >= self._length:
                self._enter(self._epochs.turn(self._clock.floor()))

    def present(self) -> tuple[int, Instant | None]:
        """Number of the present epoch, and since when its key signs; None for an empty log."""
        if self._epochs is None:
            return 0, None
        present = self._epochs.present()
        return present.number, self._since(present)

    def _enter(self, epoch: Epoch) -> None:
        """Log the key of `epoch`, once; after a crash the next signature makes up for it."""
        if epoch.certificate is None or epoch.number == self._logged:
            return
        self._log.append(
            Event(
                key=f"{OWN}epoch/{epoch.number}",
                at=self._clock.floor(),
                actor="guard",
                name="key.certified",
                about=str(epoch.number),
                digests={"certificate": epoch.certificate, "key": epoch.key},
            )
        )
        self._logged = epoch.number

    def _since(self, epoch: Epoch) -> Instant | None:
        """The first key signs since the log's first entry."""
        if epoch.since is not None:
            return epoch.since
        if self._began is None and self._log.size():
            self._began = documents.decode(Event, bytes(self._log.read(0, 1)[0])).at
        return self._began


class FreshAttestor:
    """An Attestor whose signatures are made with a fresh key, and which opens what counts (`KeeperPapers`)."""

    def __init__(self, attestor: Attestor, keys: FreshKeys, papers: KeeperPapers) -> None:
        self._attestor = attestor
        self._keys = keys
        self._papers = papers

    def ready(self) -> None:
        """See Attestor."""
        self._keys.freshen()
        self._attestor.ready()

    def sign(self, predicate: str, about: Digest, body: bytes) -> bytes:
        """See Attestor."""
        self._keys.freshen()
        return self._attestor.sign(predicate, about, body)

    def open(self, envelope: bytes, predicate: str, role: Role) -> Attestation:
        """See Attestor. Raises Tampered `paper-not-shown` for what the keeper did not show in its epoch."""
        opened = self._attestor.open(envelope, predicate, role)
        if role == "keeper":
            self._papers.check(envelope, opened)
        return opened
