"""Ed25519 keys on disk: the owner's, the guard's, the keeper's.

A private key without a passphrase is PKCS #8 in PEM (RFC 5958), mode 0600. With one it is a JSON document:
the raw key sealed with ChaCha20-Poly1305 (RFC 8439) under a key that scrypt (RFC 7914) derives from the
passphrase. A public key file is the raw key in base64 on one line.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from greenroom.audit import files
from greenroom.domain import documents
from greenroom.domain.errors import TooLarge, Unusable

MAX_KEY_BYTES = 8 * 1024
MIN_PASSPHRASE = 8
_SCRYPT_N = 2**17
_SCRYPT_R = 8
_SCRYPT_P = 1
_CONTEXT = b"greenroom private key"
_PEM = b"-----BEGIN PRIVATE KEY-----"


class PrivateKey:
    """An Ed25519 private key in memory; never shown by its representation."""

    __slots__ = ("_key", "public")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        """The signature over `data`, 64 bytes (RFC 8032)."""
        return self._key.sign(data)

    def raw(self) -> bytes:
        """The 32 secret bytes, for sealing them."""
        return self._key.private_bytes_raw()

    def __repr__(self) -> str:
        return f"PrivateKey(public={self.public.hex()})"


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedKey:
    """A private key under a passphrase, as stored."""

    schema: int
    kdf: str
    n: int
    r: int
    p: int
    salt: bytes
    cipher: str
    nonce: bytes
    sealed: bytes


def generate() -> PrivateKey:
    """A fresh key from the system's random source."""
    return PrivateKey(Ed25519PrivateKey.generate())


def save_private(path: Path, key: PrivateKey, passphrase: str | None = None) -> None:
    """Write `key` to a file that must not exist, mode 0600, durably.

    Raises Unusable `key-exists`: a key is never overwritten; or `passphrase-too-short`.
    """
    data = _pem(key) if passphrase is None else seal(key, passphrase)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Unusable(
            "key-exists", "there is a key already; it is never overwritten", where=str(path), remedy="move it away"
        ) from None
    try:
        os.write(descriptor, data)
        os.fsync(descriptor)
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink()
        raise
    finally:
        os.close(descriptor)
    files.sync_directory(path.parent)


def load_private(path: Path, passphrase: str | None = None) -> PrivateKey:
    """The key in a file.

    Raises NotFound, Unusable `key-unprotected-file` when others may read the file, `passphrase-needed`,
    `passphrase-wrong`, or `bad-key`.
    """
    data = files.read_bounded(path, MAX_KEY_BYTES)
    if path.stat().st_mode & 0o077:
        raise Unusable(
            "key-unprotected-file",
            "others than its owner may read this key file",
            where=str(path),
            remedy="chmod 600, and think about who may have read it",
        )
    if not data.startswith(_PEM):
        return unseal(data, passphrase, where=str(path))
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError):
        raise _bad(str(path)) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise _bad(str(path))
    return PrivateKey(key)


def is_protected(path: Path) -> bool:
    """True when the key file asks for a passphrase; raises Unusable `bad-key` for what is neither form."""
    data = files.read_bounded(path, MAX_KEY_BYTES)
    if data.startswith(_PEM):
        return False
    _sealed_key(data, str(path))
    return True


def seal(key: PrivateKey, passphrase: str) -> bytes:
    """`key` under a passphrase, as stored bytes."""
    if len(passphrase) < MIN_PASSPHRASE:
        raise Unusable(
            "passphrase-too-short",
            f"a passphrase has at least {MIN_PASSPHRASE} characters",
            remedy="take a few words that nobody else would put together",
        )
    salt, nonce = os.urandom(16), os.urandom(12)
    secret = _derive(passphrase, salt, _SCRYPT_N, _SCRYPT_R, _SCRYPT_P)
    sealed = ChaCha20Poly1305(secret).encrypt(nonce, key.raw(), _CONTEXT + key.public)
    document = SealedKey(
        schema=1,
        kdf="scrypt",
        n=_SCRYPT_N,
        r=_SCRYPT_R,
        p=_SCRYPT_P,
        salt=salt,
        cipher="chacha20-poly1305",
        nonce=nonce,
        sealed=key.public + sealed,
    )
    return documents.encode(document) + b"\n"


def unseal(data: bytes, passphrase: str | None, where: str = "") -> PrivateKey:
    """The key in stored bytes; raises Unusable `bad-key`, `passphrase-needed` or `passphrase-wrong`."""
    document = _sealed_key(data, where)
    if passphrase is None:
        raise Unusable("passphrase-needed", "this key has a passphrase", where=where, remedy="give the passphrase")
    public, sealed = document.sealed[:32], document.sealed[32:]
    secret = _derive(passphrase, document.salt, document.n, document.r, document.p)
    try:
        raw = ChaCha20Poly1305(secret).decrypt(document.nonce, sealed, _CONTEXT + public)
    except InvalidTag:
        raise Unusable("passphrase-wrong", "the passphrase does not open this key", where=where) from None
    return PrivateKey(Ed25519PrivateKey.from_private_bytes(raw))


def save_public(path: Path, public: bytes) -> None:
    """Write a raw public key as base64, readable by all, durably."""
    files.replace(path, base64.b64encode(public) + b"\n", durable=True)


def load_public(path: Path) -> bytes:
    """The raw public key in a file; raises NotFound or Unusable `bad-public-key`."""
    text = files.read_bounded(path, MAX_KEY_BYTES).strip()
    try:
        public = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        public = b""
    if len(public) != 32:
        raise Unusable("bad-public-key", "a public key file holds 32 bytes in base64", where=str(path))
    return public


def _pem(key: PrivateKey) -> bytes:
    private = Ed25519PrivateKey.from_private_bytes(key.raw())
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _derive(passphrase: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=n, r=r, p=p).derive(passphrase.encode("utf-8"))


def _sealed_key(data: bytes, where: str) -> SealedKey:
    try:
        document = documents.decode(SealedKey, data, limit=MAX_KEY_BYTES)
    except (Unusable, TooLarge):
        raise _bad(where) from None
    _check_sealed(document, where)
    return document


def _check_sealed(document: SealedKey, where: str) -> None:
    """Refuse parameters that would take all memory, or hardly any work."""
    powers = {2**15, 2**16, 2**17, 2**18, 2**19, 2**20}
    known = (document.schema, document.kdf, document.cipher) == (1, "scrypt", "chacha20-poly1305")
    bounded = document.n in powers and document.r == _SCRYPT_R and document.p == _SCRYPT_P
    if not known or not bounded or (len(document.salt), len(document.nonce), len(document.sealed)) != (16, 12, 80):
        raise _bad(where)


def _bad(where: str) -> Unusable:
    remedy = "the file is damaged or another: put it back from your backup of the key"
    return Unusable("bad-key", "this is not an Ed25519 private key of Greenroom", where=where, remedy=remedy)
