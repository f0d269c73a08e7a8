"""The chain of the guard's keys: each epoch's key is certified by the one before, from the anchor on.

The anchor is the public key that `init` made; a person may hold it elsewhere. A certificate is a signed statement
(`domain.proof.EpochCertificate`): from `size` entries on, whose root is `root`, the next key signs. So each key counts
for its own span of sizes only, and whoever holds the present key cannot write the past again: its root is fixed by
keys that are destroyed. The chain lies beside the tiles, one envelope a line, and travels with a copy of the log.
"""

from __future__ import annotations

import base64
import json
import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from greenroom.audit.attest import (
    PAYLOAD_TYPE,
    STATEMENT_TYPE,
    Envelope,
    key_id,
    pre_authentication_encoding,
    sign_statement,
)
from greenroom.audit.note import Checkpoint, SigningKey, Verifier, open_checkpoint, parse_checkpoint, split_note
from greenroom.domain import documents
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.errors import GreenroomError, Tampered, TooLarge, Unusable
from greenroom.domain.proof import EpochCertificate, Predicate
from greenroom.domain.verdict import Instant

CHAIN = "epochs"
"""The name of the chain's file in the directory of a log."""
MAX_LINE = 4096
MAX_EPOCHS = 500_000
"""An hourly key for 57 years."""
_MAX_INT = 2**53 - 1
_MAX_INSTANT = 20
_REMEDY = "compare the chain of keys with another copy of the log; what follows the bad place does not count"


class NotACertificate(Tampered):
    """A line of the chain is nothing that a key could have signed as a certificate: reference `bad-epoch`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certified:
    """A key that the chain certifies: the certificate, and the digest of its envelope."""

    certificate: EpochCertificate
    digest: Digest

    @property
    def head(self) -> Checkpoint:
        """The head of the log at which the key took over, in the word of the key before."""
        found = self.certificate
        return Checkpoint(origin=found.log, size=found.size, root=found.root)


class KeyRing:
    """The keys of a log, each with its span: epoch k signs heads of more than its size, up to that of epoch k + 1.

    `anchors` are the public keys that are trusted beforehand (more than one where a box was given another by hand).
    One thread adds, others may look meanwhile.
    """

    def __init__(self, anchors: Iterable[bytes]) -> None:
        self._keys: list[tuple[bytes, ...]] = [tuple(anchors)]
        self._ids = {key_id(public): (0, public) for public in self._keys[0]}
        self._sizes: list[int] = []
        self.certified: list[Certified] = []

    def add(self, line: bytes) -> Certified:
        """Take the next certificate of the chain in.

        Raises Tampered `epoch-forged` unless the key before it signed it, and `epoch-misplaced` where it does not
        follow; NotACertificate for another shape.
        """
        envelope, certificate = _parsed(line)
        self.check_place(certificate)
        check_signed(envelope, self._keys[-1], certificate.epoch)
        found = Certified(certificate=certificate, digest=digest_of("statement", line))
        # In this order, so that who looks meanwhile never finds a span without its key.
        self._keys.append((certificate.key,))
        self._ids[key_id(certificate.key)] = (certificate.epoch, certificate.key)
        self.certified.append(found)
        self._sizes.append(certificate.size)
        return found

    def open(self, note: bytes, origin: str | None = None) -> Checkpoint:
        """The checkpoint in a note that the key of its size's epoch signed.

        Raises Tampered `key-outlived` when another epoch's key signed it, `checkpoint-forged` when none did, and
        Unusable `bad-note` or `bad-checkpoint`.
        """
        checkpoint = parse_checkpoint(split_note(note)[0])
        epoch = self.epoch_at(checkpoint.size)
        try:
            return open_checkpoint(note, self._keys[epoch], origin)
        except Tampered:
            other = self._signed_by(note, checkpoint)
            if other is None or other == epoch:
                raise
        raise Tampered(
            "key-outlived",
            f"a head of {checkpoint.size} entries is signed with the key of epoch {other}: "
            f"that size belongs to epoch {epoch}",
            where=f"epoch {other}",
            remedy="somebody has a copy of that key: trust no head that it signed beyond its span",
        )

    def epoch_at(self, size: int) -> int:
        """The number of the epoch whose key signs the head of `size` entries; 0 is the anchor's."""
        return bisect_left(self._sizes, size)

    def find(self, identity: str) -> tuple[int, bytes] | None:
        """(epoch, public key) for the `keyid` of a signature."""
        return self._ids.get(identity)

    @property
    def publics(self) -> tuple[bytes, ...]:
        """The public keys of the last epoch; more than one only before the first certificate."""
        return self._keys[-1]

    def check_place(self, found: EpochCertificate) -> None:
        """Raise Tampered `epoch-misplaced` or `bad-epoch`, or TooLarge, unless `found` can be the next of the chain."""
        last = self.certified[-1].certificate if self.certified else None
        number = len(self.certified) + 1
        if found.epoch != number:
            raise misplaced(f"epoch {found.epoch} stands where epoch {number} belongs")
        if number > MAX_EPOCHS:
            raise TooLarge("chain-too-long", f"a chain of keys has at most {MAX_EPOCHS} certificates")
        if found.size <= (last.size if last else 0):
            raise misplaced(f"epoch {number} has no entries after the epoch before it")
        if last is not None and (found.at < last.at or found.log != last.log):
            raise misplaced(f"epoch {number} is older than the one before it, or of another log")
        if len(found.key) != 32 or len(found.root) != 32:
            raise Tampered("bad-epoch", "a certificate names a key and a root of 32 bytes each")
        if key_id(found.key) in self._ids:
            raise misplaced(f"epoch {number} has the key of an earlier epoch")

    def _signed_by(self, note: bytes, checkpoint: Checkpoint) -> int | None:
        """The epoch of whatever key signed the note; slow, for what is refused already."""
        marks = {mark for name, mark, _ in split_note(note)[1] if name == checkpoint.origin}
        for epoch, keys in enumerate(self._keys):
            for public in keys:
                if Verifier(checkpoint.origin, public).key_id in marks:
                    try:
                        open_checkpoint(note, (public,))
                    except Tampered:
                        continue
                    return epoch
        return None


class Ring(Protocol):
    """Takes the certificates of a chain in, one after the other."""

    def add(self, line: bytes) -> object:
        """Take the next one in; raises GreenroomError where it does not follow."""
        ...


R = TypeVar("R", bound=Ring)


@dataclass(slots=True)
class Walk(Generic[R]):
    """A chain as it was read: the ring up to the first bad place, what is wrong there, and how much is good.

    `good` and `size` are bytes; `lines_after` counts what follows the bad place; `torn`: the last line has no end.
    """

    ring: R
    good: int = 0
    size: int = 0
    error: GreenroomError | None = None
    lines_after: int = 0
    torn: bool = False


def walk(path: Path, anchors: Iterable[bytes]) -> Walk[KeyRing]:
    """Read the chain at `path` from the anchors on; no file is a chain without certificates.

    Every signature is verified. A last line without its end is what a crash leaves: it is passed over. What cannot be
    read or does not hold ends the walk, as its `error`.
    """
    return walk_into(KeyRing(anchors), path)


def walk_into(ring: R, path: Path) -> Walk[R]:
    """The same, of a chain whose certificates `ring` takes in."""
    found = Walk(ring)
    try:
        for line in _lines(path):
            _walk_on(found, line)
    except Unusable as error:
        found.error = error
    return found


def _walk_on(found: Walk[R], line: bytes) -> None:
    found.size += len(line)
    if found.error is not None or found.torn:
        found.lines_after += 1
    elif not line.endswith(b"\n") and len(line) <= MAX_LINE:
        found.torn = True
    else:
        try:
            if len(line) > MAX_LINE:
                raise Tampered("bad-epoch", f"a certificate has at most {MAX_LINE} bytes")
            found.ring.add(line[:-1])
            found.good += len(line)
        except GreenroomError as error:
            found.error = error


def walked(found: Walk[R]) -> R:
    """The ring of a chain that only this process writes; raises what is wrong with the chain.

    A last line that is no certificate is what a power loss leaves, like one without its end: it is passed over.
    """
    if found.error is not None and (found.lines_after or not isinstance(found.error, NotACertificate)):
        raise found.error
    return found.ring


def ring_of(keys: Iterable[bytes] | KeyRing) -> KeyRing:
    """`keys` themselves, or a ring of these anchors without a chain."""
    return keys if isinstance(keys, KeyRing) else KeyRing(keys)


def sign_certificate(signer: SigningKey, certificate: EpochCertificate) -> bytes:
    """The envelope of a certificate, signed by the key of the epoch before."""
    body = documents.encode(certificate)
    return sign_statement(signer, Predicate.EPOCH, digest_of("key", certificate.key), body)


def _parsed(line: bytes) -> tuple[Envelope, EpochCertificate]:
    """A line of the chain taken apart; raises NotACertificate for any other bytes than `sign_certificate` makes.

    Ten years of hourly keys are read at each start, so this takes the members out without looking at the rest, and
    compares with what they are when written again: six times as fast as the general decoder.
    """
    envelope, inner = taken_apart(line)
    try:
        log, epoch, size, at = inner["log"], inner["epoch"], inner["size"], inner["at"]
        if any(type(text) is not str for text in (log, at)) or not at.isdecimal() or len(at) > _MAX_INSTANT:
            raise TypeError
        if not all(map(is_count, (epoch, size))):
            raise TypeError
        certificate = EpochCertificate(
            log=log,
            epoch=epoch,
            key=bytes.fromhex(inner["key"]),
            size=size,
            root=bytes.fromhex(inner["root"]),
            at=Instant(int(at)),
        )
        same = _payload(certificate) == envelope.payload
    except (ValueError, TypeError, KeyError):
        same = False
    if not same:
        raise not_a_certificate()
    return envelope, certificate


def taken_apart(line: bytes) -> tuple[Envelope, Any]:
    """The envelope in a line of a chain, and its predicate, which nobody looked at yet; raises NotACertificate."""
    try:
        outer = json.loads(line)
        [mark] = outer["signatures"]
        payload = base64.b64decode(outer["payload"])
        if type(mark["keyid"]) is not str:
            raise TypeError
        envelope = Envelope(payload=payload, signer=mark["keyid"], signature=base64.b64decode(mark["sig"]))
        predicate = json.loads(payload)["predicate"]
        same = _line(envelope) == line
    except (ValueError, TypeError, KeyError, RecursionError):
        same = False
    if not same:
        raise not_a_certificate()
    return envelope, predicate


def check_signed(envelope: Envelope, publics: Iterable[bytes], epoch: int, whose: str = "the key") -> None:
    """Raise Tampered `epoch-forged` unless one of `publics`, the keys of the epoch before, signed the certificate."""
    present = {key_id(public): public for public in publics}.get(envelope.signer)
    if present is None:
        raise _forged(epoch, "the key before it did not sign it", whose)
    try:
        message = pre_authentication_encoding(PAYLOAD_TYPE, envelope.payload)
        Ed25519PublicKey.from_public_bytes(present).verify(envelope.signature, message)
    except InvalidSignature:
        raise _forged(epoch, "its signature does not hold", whose) from None


def is_count(number: object) -> bool:
    """True for an integer that a canonical document can hold."""
    return type(number) is int and 0 <= number <= _MAX_INT


def not_a_certificate() -> NotACertificate:
    """What to raise for a line that no key could have signed as a certificate."""
    return NotACertificate("bad-epoch", "a line of the chain of keys is not a certificate in its one form")


def _payload(found: EpochCertificate) -> bytes:
    identity = key_id(found.key)
    predicate = (
        f'{{"at":"{found.at:d}","epoch":{found.epoch:d},"key":"{found.key.hex()}",'
        f'"log":{json.dumps(found.log, ensure_ascii=False)},"root":"{found.root.hex()}","size":{found.size:d}}}'
    )
    subject = f'[{{"digest":{{"sha256":"{identity}"}},"name":"key:{identity}"}}]'
    kind = Predicate.EPOCH.value
    return (
        f'{{"_type":"{STATEMENT_TYPE}","predicate":{predicate},"predicateType":"{kind}","subject":{subject}}}'
    ).encode()


def _line(found: Envelope) -> bytes:
    payload, signature = base64.b64encode(found.payload), base64.b64encode(found.signature)
    return b'{"payload":"%b","payloadType":"%b","signatures":[{"keyid":%b,"sig":"%b"}]}' % (
        payload,
        PAYLOAD_TYPE.encode(),
        json.dumps(found.signer).encode(),
        signature,
    )


def _lines(path: Path) -> Iterator[bytes]:
    """The lines with their ends, in parts of at most one byte more than is allowed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError as error:
        raise Unusable("log-unreadable", f"cannot read: {error.strerror}", where=str(path)) from None
    try:
        with open(descriptor, "rb") as file:
            for _ in range(MAX_EPOCHS + 1):
                line = file.readline(MAX_LINE + 1)
                if not line:
                    return
                yield line
    except OSError as error:
        raise Unusable("log-unreadable", f"cannot read: {error.strerror}", where=str(path)) from None


def _forged(epoch: int, why: str, whose: str) -> Tampered:
    return Tampered("epoch-forged", f"{whose} of epoch {epoch} is not certified: {why}", remedy=_REMEDY)


def misplaced(why: str, whose: str = "keys") -> Tampered:
    """What to raise for a certificate that does not follow the one before it."""
    return Tampered("epoch-misplaced", f"the chain of {whose} was cut, reordered or forked: {why}", remedy=_REMEDY)
