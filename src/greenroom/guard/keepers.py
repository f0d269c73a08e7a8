"""Which papers of the keeper count: those that the guard saw while the key that signed them was the present one.

The keeper shows the guard each paper when it has signed it, by its digest; the guard writes down in which epoch that
was, for good. A key that is too old is shown nothing by: the keeper then turns to the next, which the present one
certifies. So what was signed in its time counts however late it is used, and a key that was stolen is worth nothing
once its hour is over: no paper is written down for an epoch that has passed.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable

from greenroom.domain import documents
from greenroom.domain.digest import Digest, digest_of, prefix_of
from greenroom.domain.errors import Tampered, Unusable
from greenroom.domain.events import Event
from greenroom.domain.ports import KeeperChain, Log
from greenroom.domain.proof import Attestation, Epoch
from greenroom.domain.verdict import Instant
from greenroom.guard.journal import Journal, SteadyClock
from greenroom.guard.ledger import Ledger

_SETTLED = "keeper-papers"
"""The setting that says that what was signed before papers were shown is written down."""
_NS = 1_000_000_000


class KeeperPapers:
    """The keeper's epochs and papers; `chain` is None for a guard whose keeper has one key, which then always counts.

    No key of the keeper counts for a paper that is shown when the key is `seconds` old. `crash_point` is told each
    place where a crash is tried.
    """

    def __init__(
        self,
        chain: KeeperChain | None,
        ledger: Ledger,
        log: Log,
        journal: Journal,
        clock: SteadyClock,
        seconds: float,
        crash_point: Callable[[str], None],
    ) -> None:
        self._chain = chain
        self._ledger = ledger
        self._log = log
        self._journal = journal
        self._clock = clock
        self._length = int(seconds * _NS)
        self._crash_point = crash_point
        self._lock = threading.Lock()

    def begin(self, earlier: Callable[[], Iterable[Digest]]) -> None:
        """Make up for what a crash kept from the ledger and the log; to be called at each start.

        `earlier` gives the papers of a box that an earlier release made, where none was shown: they are of the first
        epoch, if its key signed them. It is asked once in the life of a box.
        """
        if self._chain is None:
            return
        with self._lock:
            if self._ledger.setting(_SETTLED) is None:
                with self._ledger.transaction():
                    for digest in earlier():
                        self._write_down(digest, 0)
                    self._ledger.set(_SETTLED, "1")
            self._enter(self._chain.present())

    def present(self) -> Epoch:
        """The keeper's present epoch, and since when; raises Unusable `keeper-keeps-its-key` where it has none."""
        present = self._required().present()
        return dataclasses.replace(present, since=self._since(present.number))

    def certify(self, envelope: bytes) -> Epoch:
        """Take the certificate of the keeper's next key in: durable, dated and logged when this returns.

        The same again is no error. Nothing is taken in before the present key is logged and dated. Raises what
        `KeeperChain.certify` raises, and Unusable `log-unwritable` where the log takes nothing.
        """
        chain = self._required()
        with self._lock:
            # A guard lives on when the log had no room for the present key: a key after it would be out of turn.
            self._enter(chain.present())
            epoch = chain.certify(envelope)
            self._crash_point("keeper.chain-extended")
            self._enter(epoch)
        return self.present()

    def shown(self, paper: Digest, epoch: int) -> bool:
        """Write down that `paper` was there in `epoch`; False, and nothing, where its key is too old by now.

        Raises Unusable `keeper-epoch-over` for another epoch than the present one, and `log-unwritable` where the log
        does not tell of the present key yet, and takes nothing.
        """
        if prefix_of(paper) != "statement":
            raise Unusable("not-a-statement", "a signed envelope is expected here", where=paper)
        with self._lock:
            present = self._required().present()
            if epoch != present.number:
                raise Unusable(
                    "keeper-epoch-over",
                    f"a paper of epoch {epoch} is shown in epoch {present.number} of the keeper's keys",
                    remedy="sign it with the present key",
                )
            if epoch and self._since(epoch) is None:
                self._enter(present)
            since = self._since(epoch)
            if since is not None and self._clock.floor() - since >= self._length:
                return False
            self._write_down(paper, epoch)
            return True

    def find(self, identity: str) -> bytes | None:
        """The keeper's public key with this id; None where the chain has none."""
        return None if self._chain is None else self._chain.find(identity)

    def check(self, envelope: bytes, opened: Attestation) -> None:
        """Raise Tampered `paper-not-shown` unless the paper was shown in the epoch of the key that signed it."""
        if self._chain is None:
            return
        epoch = self._chain.epoch_of(opened.signer)
        rows = self._ledger.rows("SELECT epoch FROM keeper_papers WHERE digest = ?", digest_of("statement", envelope))
        if not rows or epoch is None or int(rows[0][0]) != epoch:
            raise Tampered(
                "paper-not-shown",
                f"a paper is signed with the keeper's key of epoch {epoch}, and the guard did not see it in that epoch",
                where=f"the keeper's epoch {epoch}",
                remedy="somebody may have a copy of that key: `greenroom stop`, and find out who; what the keeper made "
                "itself still counts, and `greenroom retry ID` asks it for that. A check run on its record is not made "
                "again: where the retry says the same, the guard's ledger was put back without that record; "
                "`greenroom down`, then delete keeper/attempts.db* in the box (SECURITY.md)",
            )

    def _required(self) -> KeeperChain:
        if self._chain is None:
            raise Unusable("keeper-keeps-its-key", "this guard knows one key of the keeper only")
        return self._chain

    def _enter(self, epoch: Epoch) -> None:
        """Tell the log of the present key, and date it, each once."""
        if epoch.certificate is None:
            return
        self._journal.write(
            "keeper.certified",
            f"keeper-epoch/{epoch.number}",
            about=str(epoch.number),
            digests={"certificate": epoch.certificate, "key": epoch.key},
        )
        self._crash_point("keeper.logged")
        since = str(self._clock.floor())
        self._ledger.write("INSERT INTO keeper_epochs VALUES (?, ?) ON CONFLICT DO NOTHING", epoch.number, since)

    def _since(self, epoch: int) -> Instant | None:
        """Since when the key of `epoch` signs: the first one since the log's first entry; None for one not dated."""
        rows = self._ledger.rows("SELECT since FROM keeper_epochs WHERE epoch = ?", epoch)
        if rows:
            return Instant(int(rows[0][0]))
        if epoch or not self._log.size():
            return None
        return documents.decode(Event, bytes(self._log.read(0, 1)[0])).at

    def _write_down(self, paper: Digest, epoch: int) -> None:
        self._ledger.write("INSERT INTO keeper_papers VALUES (?, ?) ON CONFLICT DO NOTHING", paper, epoch)
