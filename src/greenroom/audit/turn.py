"""The guard's present key: made for one epoch, certified by the one before it, and then the only one there is.

The order of a turn, in which a crash at any point leaves a key that the chain certifies:

1. the next key is durable beside the present one;
2. its certificate, signed with the present one, is durable in the chain;
3. the present one is put aside under another name, the next one takes its place, and the bytes of the one aside are
   overwritten.

After a crash before 2 the next key is thrown away; after 2 it takes its place, and what lies aside is overwritten.
No head is signed in between: the log holds its appends up for as long as a turn takes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from greenroom.audit import files, keys
from greenroom.audit.attest import KeyAttestor, key_id, sign_statement
from greenroom.audit.epochs import Certified, KeyRing, Walk, sign_certificate, walk, walked
from greenroom.audit.keyfiles import EARLIER, NEXT, KeyFiles, Withdrawn, cut, extend, wipe
from greenroom.audit.note import Checkpoint, NoteSigner, SigningKey
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.errors import Bug, Tampered, Unusable
from greenroom.domain.proof import Attestation, Epoch, EpochCertificate, Role
from greenroom.domain.verdict import Instant


class TurnsLog(Protocol):
    """The log whose heads the keys sign."""

    def turn(self, certify: Callable[[Checkpoint], NoteSigner]) -> None:
        """Sign with what `certify` gives for the present head, from then on."""
        ...


class EpochKeys:
    """The keys of the log named `origin`, for its one writer; implements the Epochs port once it has a log.

    `anchor` is the public key that `init` made and `first` the file of its private half; `chain` is the file of the
    certificates; the later keys are in `directory`. Opening takes a lock (Unusable `log-in-use`) and finishes what a
    crash left, once every signature of the chain was verified: no file of an earlier start says that they hold.
    Raises Tampered `epoch-forged` or `epoch-misplaced` for a chain that does not hold, and `key-unknown` where the
    private key is not the one that it certifies last.
    """

    def __init__(
        self,
        *,
        origin: str,
        anchor: bytes,
        first: Path,
        directory: Path,
        chain: Path,
        crash_point: Callable[[str], None] | None = None,
    ) -> None:
        self._origin = origin
        self._directory = directory
        self._chain = chain
        self._crash_point = crash_point or _nothing
        self._files = KeyFiles(first, directory, self._crash_point)
        self._turning = threading.Lock()
        self._log: TurnsLog | None = None
        files.make_directory(directory)
        self._lock = files.lock(directory / "epoch.lock")
        try:
            self._key = self._opened(anchor)
        except BaseException:
            os.close(self._lock)
            raise

    @property
    def ring(self) -> KeyRing:
        """Every key of the log with its span; grows with each turn."""
        return self._ring

    @property
    def key(self) -> SigningKey:
        """The present key. Ask again for each signature."""
        return self._key

    def signer(self) -> NoteSigner:
        """Signs heads with the present key."""
        return NoteSigner(self._origin, self._key)

    def serve(self, log: TurnsLog) -> None:
        """Turn together with `log`, whose heads this signs."""
        self._log = log

    def present(self) -> Epoch:
        """The present epoch."""
        last = self._ring.certified[-1] if self._ring.certified else None
        if last is None:
            return Epoch(number=0, key=digest_of("key", self._key.public))
        return _epoch(last)

    def turn(self, at: Instant) -> Epoch:
        """Begin the next epoch at `at`; the present key is gone when this returns.

        Raises Unusable `log-unwritable`, and Tampered `epoch-misplaced` where the log has no entry since the last
        turn. Where it is in doubt what the disk holds, raises Unusable `key-in-doubt`, and nothing is signed any more
        until the guard starts again.
        """
        if self._log is None:
            raise Bug("no-log-to-turn", "these keys have no log yet")
        with self._turning:
            self._log.turn(lambda head: self._certify(head, at))
            if isinstance(self._key, _Lost):
                raise _doubtful()
            return self.present()

    def find(self, identity: str) -> bytes | None:
        """The public key with this `keyid`, of the present epoch or an earlier one."""
        found = self._ring.find(identity)
        return None if found is None else found[1]

    def close(self) -> None:
        """Give the lock back."""
        os.close(self._lock)

    def _certify(self, head: Checkpoint, at: Instant) -> NoteSigner:
        following = keys.generate()
        number = len(self._ring.certified) + 1
        last = self._ring.certified[-1].certificate.at if self._ring.certified else at
        certificate = EpochCertificate(
            log=self._origin,
            epoch=number,
            key=following.public,
            size=head.size,
            root=head.root,
            at=max(at, last),
        )
        self._ring.check_place(certificate)
        line = sign_certificate(self._key, certificate)
        self._files.save_next(following)
        try:
            extend(self._chain, line)
            self._crash_point("epoch.certified")
            self._files.replace()
        except OSError as error:
            if not isinstance(error, Withdrawn):
                # The log gets a signer that refuses, so that no append goes on with the earlier key.
                self._key = _Lost(self._key.public)
                return self.signer()
            raise
        self._ring.add(line)
        self._key = following
        self._crash_point("epoch.key-replaced")
        return self.signer()

    def _opened(self, anchor: bytes) -> SigningKey:
        found = walk(self._chain, (anchor,))
        self._ring = walked(found)
        held = self._held(found)
        if found.good < found.size:
            # A certificate that does not hold is evidence, and stays: then this is not reached.
            cut(self._chain, found.good)
        self._files.forget(NEXT)
        self._files.forget(EARLIER)
        if self._ring.certified:
            wipe(self._files.first)
        return held

    def _held(self, found: Walk[KeyRing]) -> SigningKey:
        """The private key that the chain names last; the next one takes its place where a crash kept it from it."""
        first = not self._ring.certified
        key = self._files.find(lambda public: public in self._ring.publics, first=first)
        if key is not None:
            return key
        if found.error is not None:
            raise found.error
        raise Tampered(
            "key-unknown",
            "the guard's private key is not the one that the chain of its keys names last",
            where=str(self._files.place(first=first)),
            remedy="the chain or the key file was put back or changed: put back the one that belongs to the other",
        )


class EpochAttestor:
    """Signs statements with the guard's present key; implements the Attestor port. `opener` opens them."""

    def __init__(self, epochs: EpochKeys, opener: KeyAttestor) -> None:
        self._epochs = epochs
        self._opener = opener

    def ready(self) -> None:
        """Raise Unusable `key-in-doubt` while nothing may be signed."""
        if isinstance(self._epochs.key, _Lost):
            raise _doubtful()

    def sign(self, predicate: str, about: Digest, body: bytes) -> bytes:
        """See KeyAttestor."""
        return sign_statement(self._epochs.key, predicate, about, body)

    def open(self, envelope: bytes, predicate: str, role: Role) -> Attestation:
        """See KeyAttestor."""
        return self._opener.open(envelope, predicate, role)


class _Lost:
    """Stands for a key while nobody knows what is on the disk: nothing may be signed."""

    def __init__(self, public: bytes) -> None:
        self.public = public

    def sign(self, data: bytes) -> bytes:
        """Refused."""
        del data
        raise _doubtful()


def _doubtful() -> Unusable:
    return Unusable(
        "key-in-doubt",
        "the guard's key could not be replaced, and the disk did not say what it holds",
        remedy="mend the disk, then `greenroom down`: the guard settles it when it starts",
    )


def _epoch(certified: Certified) -> Epoch:
    found = certified.certificate
    identity = Digest(f"key:{key_id(found.key)}")
    return Epoch(number=found.epoch, key=identity, certificate=certified.digest, since=found.at)


def _nothing(_: str) -> None:
    return None
