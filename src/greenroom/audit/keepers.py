"""The chain of the keeper's keys: each epoch's key is certified by the one before, from the key that `init` made on.

The guard alone writes it, beside the log and with the log's copies, one envelope a line. It says which keys were the
keeper's and in which order. Which paper counts for which of them is in the guard's own records (`guard/keepers.py`).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from greenroom.audit.attest import STATEMENT_TYPE, Envelope, key_id, sign_statement
from greenroom.audit.epochs import (
    MAX_EPOCHS,
    Walk,
    check_signed,
    is_count,
    misplaced,
    not_a_certificate,
    taken_apart,
    walk_into,
    walked,
)
from greenroom.audit.keyfiles import Withdrawn, cut, extend
from greenroom.audit.note import SigningKey
from greenroom.domain import documents
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.errors import Tampered, TooLarge, Unusable
from greenroom.domain.proof import Epoch, KeeperCertificate, Predicate

CHAIN = "keeper-epochs"
"""The name of the chain's file in the directory of a log."""
_WHOSE = "the keeper's key"
_CHAIN_OF = "the keeper's keys"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certified:
    """A key that the chain certifies: the certificate, and the digest of its envelope."""

    certificate: KeeperCertificate
    digest: Digest


class KeeperRing:
    """The keeper's keys, from the anchors on; with `origin`, of this log only. One thread adds, others may look."""

    def __init__(self, anchors: Iterable[bytes], origin: str = "") -> None:
        self._present = tuple(anchors)
        self._ids = {key_id(public): (0, public) for public in self._present}
        self._origin = origin
        self.certified: list[Certified] = []

    def add(self, line: bytes) -> Certified:
        """Take the next certificate in.

        Raises Tampered `epoch-forged` unless the key before it signed it, and `epoch-misplaced` where it does not
        follow; NotACertificate for another shape.
        """
        found = Certified(certificate=self.check(line), digest=digest_of("statement", line))
        certificate = found.certificate
        # In this order, so that who looks meanwhile never finds an epoch without its key.
        self._ids[key_id(certificate.key)] = (certificate.epoch, certificate.key)
        self._present = (certificate.key,)
        self.certified.append(found)
        return found

    def check(self, line: bytes) -> KeeperCertificate:
        """The certificate in `line`, which can be the next one; raises as `add` does, which takes it in."""
        envelope, certificate = _parsed(line)
        self._check_place(certificate)
        check_signed(envelope, self._present, certificate.epoch, _WHOSE)
        return certificate

    def find(self, identity: str) -> tuple[int, bytes] | None:
        """(epoch, public key) for the `keyid` of a signature."""
        return self._ids.get(identity)

    def present(self) -> Epoch:
        """The epoch that was certified last; the anchor's before any was."""
        if not self.certified:
            return Epoch(number=0, key=digest_of("key", self._present[0]))
        last = self.certified[-1]
        return Epoch(number=last.certificate.epoch, key=digest_of("key", last.certificate.key), certificate=last.digest)

    def _check_place(self, found: KeeperCertificate) -> None:
        number = len(self.certified) + 1
        if found.epoch != number:
            raise misplaced(f"epoch {found.epoch} stands where epoch {number} belongs", _CHAIN_OF)
        if number > MAX_EPOCHS:
            raise TooLarge("chain-too-long", f"a chain of keys has at most {MAX_EPOCHS} certificates")
        if found.log != (self._origin or (self.certified[0].certificate.log if self.certified else found.log)):
            raise misplaced(f"epoch {number} is of another log", _CHAIN_OF)
        if len(found.key) != 32:
            raise Tampered("bad-epoch", "a certificate names a key of 32 bytes")
        if key_id(found.key) in self._ids:
            raise misplaced(f"epoch {number} has the key of an earlier epoch", _CHAIN_OF)


def walk(path: Path, anchors: Iterable[bytes], origin: str = "") -> Walk[KeeperRing]:
    """Read the chain at `path` from the anchors on; see `epochs.walk`."""
    return walk_into(KeeperRing(anchors, origin), path)


class ChainFile:
    """The chain of the log named `origin` for its one writer, the guard; implements the KeeperChain port.

    Opening verifies every signature and cuts off what a power loss made of a last line. Raises Tampered
    `epoch-forged` or `epoch-misplaced` for a chain that does not hold.
    """

    def __init__(self, *, origin: str, anchor: bytes, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._doubtful = False
        found = walk(path, (anchor,), origin)
        self._ring = walked(found)
        if found.good < found.size:
            cut(path, found.good)

    def present(self) -> Epoch:
        """The epoch that was certified last."""
        return self._ring.present()

    def certify(self, envelope: bytes) -> Epoch:
        """Take in what the present key signed for the next one; durable when it returns.

        The certificate that was taken in last is taken again without effect: a keeper that did not hear the answer
        sends it once more. Raises Tampered for any other, and Unusable `log-unwritable` where nothing was taken in, or
        `key-in-doubt` where nobody knows: then nothing is certified until the guard starts again.
        """
        with self._lock:
            if self._ring.certified and digest_of("statement", envelope) == self._ring.certified[-1].digest:
                return self.present()
            if self._doubtful:
                raise _doubtful()
            self._ring.check(envelope)
            try:
                extend(self._path, envelope)
            except Withdrawn as error:
                message = f"the certificate of the keeper's key could not be written: {error.strerror}"
                raise Unusable("log-unwritable", message, where=str(self._path), remedy="free space") from None
            except OSError:
                self._doubtful = True
                raise _doubtful() from None
            self._ring.add(envelope)
            return self.present()

    def epoch_of(self, identity: str) -> int | None:
        """The epoch of the key with this `keyid`."""
        found = self._ring.find(identity)
        return None if found is None else found[0]

    def find(self, identity: str) -> bytes | None:
        """The public key with this `keyid`, of the present epoch or an earlier one."""
        found = self._ring.find(identity)
        return None if found is None else found[1]


def sign_certificate(signer: SigningKey, certificate: KeeperCertificate) -> bytes:
    """The envelope of a certificate, signed by the key of the epoch before; the same bytes each time (RFC 8032)."""
    body = documents.encode(certificate)
    return sign_statement(signer, Predicate.KEEPER_EPOCH, digest_of("key", certificate.key), body)


def _parsed(line: bytes) -> tuple[Envelope, KeeperCertificate]:
    """A line of the chain taken apart; raises NotACertificate for any other bytes than `sign_certificate` makes."""
    envelope, inner = taken_apart(line)
    try:
        if type(inner["log"]) is not str or not is_count(inner["epoch"]):
            raise TypeError
        certificate = KeeperCertificate(log=inner["log"], epoch=inner["epoch"], key=bytes.fromhex(inner["key"]))
        same = _payload(certificate) == envelope.payload
    except (ValueError, TypeError, KeyError):
        same = False
    if not same:
        raise not_a_certificate()
    return envelope, certificate


def _payload(found: KeeperCertificate) -> bytes:
    """What `sign_certificate` signs, without the general encoder: years of hourly keys are read at each start."""
    identity = key_id(found.key)
    log = json.dumps(found.log, ensure_ascii=False)
    predicate = f'{{"epoch":{found.epoch:d},"key":"{found.key.hex()}","log":{log}}}'
    subject = f'[{{"digest":{{"sha256":"{identity}"}},"name":"key:{identity}"}}]'
    kind = Predicate.KEEPER_EPOCH.value
    return (
        f'{{"_type":"{STATEMENT_TYPE}","predicate":{predicate},"predicateType":"{kind}","subject":{subject}}}'
    ).encode()


def _doubtful() -> Unusable:
    return Unusable(
        "key-in-doubt",
        "a certificate of the keeper's key could not be written, and the disk did not say what it holds",
        remedy="mend the disk, then `greenroom down`: the guard settles it when it starts",
    )
