"""Signed notes and checkpoints (C2SP signed-note and tlog-checkpoint), with Ed25519 keys.

A checkpoint says: the log `origin` has `size` entries, and their Merkle root is `root`. Signatures by
unknown keys are ignored, as the format wants; a bad signature by a known key rejects the note.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from greenroom.audit.merkle import HASH_BYTES
from greenroom.domain.errors import Tampered, TooLarge, Unusable

MAX_NOTE_BYTES = 16 * 1024
MAX_SIGNATURES = 32
MAX_SIZE = 2**62
_ED25519 = b"\x01"
_DASH = "\u2014"
_CONTROL = re.compile(rb"[\x00-\x09\x0b-\x1f]")


class SigningKey(Protocol):
    """An Ed25519 key that can sign: a file, or an agent that holds it."""

    @property
    def public(self) -> bytes:
        """The raw public key, 32 bytes."""
        ...

    def sign(self, data: bytes) -> bytes:
        """The Ed25519 signature (RFC 8032) over `data`, 64 bytes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The head of a log: 32-byte `root` over the first `size` entries."""

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Verifier:
    """A key name and a raw Ed25519 public key (32 bytes)."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self.public) != 32:
            raise Unusable("bad-public-key", "an Ed25519 public key has 32 bytes")

    @property
    def key_id(self) -> bytes:
        """The first four bytes of SHA-256(name || newline || 0x01 || public key)."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(_ED25519 + self.public).decode()}"


class NoteSigner:
    """Signs notes under a key name."""

    def __init__(self, name: str, key: SigningKey) -> None:
        self.verifier = Verifier(name, key.public)
        self._key = key
        self._prefix = f"{_DASH} {name} ".encode()
        self._key_id = self.verifier.key_id

    @property
    def name(self) -> str:
        """The key name; for a log, its origin."""
        return self.verifier.name

    def sign(self, text: bytes) -> bytes:
        """`text` (which ends in a newline) as a note with one signature."""
        _check_text(text)
        signature = base64.b64encode(self._key_id + self._key.sign(text))
        return text + b"\n" + self._prefix + signature + b"\n"

    def derive(self, label: bytes) -> bytes:
        """32 secret bytes for `label` and this name, which only the holder of the key can make.

        They are the hash of a signature, which is the same each time (RFC 8032) and is shown to nobody. `label`
        begins with NUL: no note and no statement that the key signs does.
        """
        if not label.startswith(b"\0"):
            raise ValueError("a label begins with NUL")
        return hashlib.sha256(self._key.sign(label + self.name.encode())).digest()


def sign_checkpoint(signer: NoteSigner, size: int, root: bytes) -> bytes:
    """The checkpoint of the log named like its signer, as a signed note."""
    text = f"{signer.name}\n{size}\n{base64.b64encode(root).decode()}\n"
    return signer.sign(text.encode())


def open_checkpoint(note: bytes, publics: Iterable[bytes], origin: str | None = None) -> Checkpoint:
    """The checkpoint in a signed note, verified with one of the raw public keys.

    The key name is the origin line. Raises Unusable `bad-note` or `bad-checkpoint`, and Tampered
    `checkpoint-forged` when no given key signed it or the origin is another one.
    """
    text, _ = split_note(note)
    checkpoint = parse_checkpoint(text)
    if origin is not None and checkpoint.origin != origin:
        raise Tampered("checkpoint-forged", f"this is a checkpoint of {checkpoint.origin!r}, not of {origin!r}")
    open_note(note, [Verifier(checkpoint.origin, public) for public in publics])
    return checkpoint


def open_note(note: bytes, verifiers: Iterable[Verifier]) -> bytes:
    """The text of a note that at least one known key signed; raises Unusable `bad-note`, Tampered."""
    text, signatures = split_note(note)
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    verified = False
    for name, key_id, signature in signatures:
        verifier = known.get((name, key_id))
        if verifier is None:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(verifier.public).verify(signature, text)
        except (InvalidSignature, ValueError):
            raise Tampered(
                "checkpoint-forged",
                "a signature of a known key does not hold",
                where=name,
                remedy="it was altered: use another copy of the checkpoint, and find out who changed this one",
            ) from None
        verified = True
    if not verified:
        raise Tampered("checkpoint-forged", "no known key signed this note", remedy="check it with the box's own keys")
    return text


def split_note(note: bytes) -> tuple[bytes, list[tuple[str, bytes, bytes]]]:
    """The text and the (name, key id, signature) lines of a note, not verified; raises Unusable `bad-note`."""
    if len(note) > MAX_NOTE_BYTES:
        raise TooLarge("note-too-large", f"a note here has at most {MAX_NOTE_BYTES} bytes")
    head, blank, tail = note.rpartition(b"\n\n")
    text = head + b"\n"
    if not blank or not tail.endswith(b"\n"):
        raise _bad("the blank line or the signatures are missing")
    _check_text(text)
    lines = tail[:-1].split(b"\n")
    if len(lines) > MAX_SIGNATURES:
        raise TooLarge("note-too-large", f"a note here has at most {MAX_SIGNATURES} signatures")
    return text, [_signature(line) for line in lines]


def parse_checkpoint(text: bytes) -> Checkpoint:
    """The checkpoint that a note's text holds; raises Unusable `bad-checkpoint`."""
    lines = text.decode("utf-8", "replace").split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
        raise Unusable("bad-checkpoint", "a checkpoint has an origin, a size and a root, one on each line")
    digits = lines[1]
    plain = digits.isascii() and digits.isdigit() and len(digits) < 20 and (digits == "0" or digits[0] != "0")
    if not plain or int(digits) > MAX_SIZE:
        raise Unusable("bad-checkpoint", "the size of the checkpoint is not a decimal number")
    root = _base64(lines[2].encode())
    if root is None or len(root) != HASH_BYTES:
        raise Unusable("bad-checkpoint", "the root of the checkpoint is not a SHA-256 hash in base64")
    return Checkpoint(origin=lines[0], size=int(digits), root=root)


def _signature(line: bytes) -> tuple[str, bytes, bytes]:
    try:
        dash, name, encoded = line.decode("utf-8").split(" ")
    except ValueError:
        raise _bad("a signature line is malformed") from None
    blob = _base64(encoded.encode())
    if dash != _DASH or blob is None or len(blob) < 5:
        raise _bad("a signature line is malformed")
    _check_name(name)
    return name, blob[:4], blob[4:]


def _check_text(text: bytes) -> None:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        raise _bad("a note is UTF-8") from None
    if not text.endswith(b"\n") or _CONTROL.search(text):
        raise _bad("a note's text ends in a newline and has no control characters")


def _check_name(name: str) -> None:
    if not name or "+" in name or not name.isprintable() or any(c.isspace() for c in name):
        raise _bad("a key name is not empty and has no spaces and no plus sign")


def _base64(text: bytes) -> bytes | None:
    """Strict RFC 4648 section 4: one spelling for each value."""
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return value if base64.b64encode(value) == text else None


def _bad(message: str) -> Unusable:
    return Unusable("bad-note", message, remedy="give a checkpoint as `greenroom log checkpoint` prints it")
