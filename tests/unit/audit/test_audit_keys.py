"""Keys on disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.audit import keys
from greenroom.domain.errors import NotFound, Unusable

pytestmark = pytest.mark.slow

FULL = os.environ.get("GREENROOM_SUITE") == "full"
PHRASE = "four words nobody guesses"


@pytest.fixture(autouse=True)
def cheap_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_SCRYPT_N", 2**15)


@pytest.mark.parametrize("phrase", [None, PHRASE])
def test_a_saved_key_is_the_same_key(tmp_path: Path, phrase: str | None) -> None:
    """A key comes back from its file, which only its owner may read."""
    key, path = keys.generate(), tmp_path / "owner.key"
    keys.save_private(path, key, phrase)
    loaded = keys.load_private(path, phrase)
    assert (loaded.public, loaded.sign(b"x")) == (key.public, key.sign(b"x"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keys.is_protected(path) is (phrase is not None)
    assert key.raw() not in path.read_bytes()


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    """Making a key where one is fails and leaves the first."""
    path = tmp_path / "k"
    keys.save_private(path, keys.generate())
    before = path.read_bytes()
    with pytest.raises(Unusable, match="key-exists"):
        keys.save_private(path, keys.generate())
    assert path.read_bytes() == before


def test_a_wrong_or_missing_passphrase_is_told(tmp_path: Path) -> None:
    """A protected key opens with its passphrase only, and says which of the two is wrong."""
    path = tmp_path / "k"
    keys.save_private(path, keys.generate(), PHRASE)
    with pytest.raises(Unusable, match="passphrase-wrong"):
        keys.load_private(path, PHRASE + "x")
    with pytest.raises(Unusable, match="passphrase-needed"):
        keys.load_private(path)
    with pytest.raises(Unusable, match="passphrase-too-short"):
        keys.save_private(tmp_path / "l", keys.generate(), "short")


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """A key file with a loose mode is not used."""
    path = tmp_path / "k"
    keys.save_private(path, keys.generate())
    path.chmod(0o640)
    with pytest.raises(Unusable, match="key-unprotected-file"):
        keys.load_private(path)


def test_other_files_are_not_keys(tmp_path: Path) -> None:
    """A missing file, junk, and a key of another kind are each told."""
    path = tmp_path / "k"
    with pytest.raises(NotFound):
        keys.load_private(path)
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for data in (b"junk", b"", other, b"-----BEGIN PRIVATE KEY-----\njunk\n"):
        path.write_bytes(data)
        path.chmod(0o600)
        with pytest.raises(Unusable, match="bad-key") as caught:
            keys.load_private(path, PHRASE)
        assert "backup" in caught.value.remedy
    for data in (b"junk", b""):
        path.write_bytes(data)
        with pytest.raises(Unusable, match="bad-key"):
            keys.is_protected(path)


@settings(max_examples=100 if FULL else 6, deadline=None)
@given(at=st.integers(0, 10_000))
def test_a_changed_sealed_key_never_opens(at: int) -> None:
    """Any changed byte of a sealed key is refused, also in its parameters and its public half."""
    at %= len(SEALED) - 1
    forged = SEALED[:at] + bytes([SEALED[at] ^ 1]) + SEALED[at + 1 :]
    with pytest.raises(Unusable):
        keys.unseal(forged, PHRASE)


def test_public_keys_are_one_line_of_base64(tmp_path: Path) -> None:
    """A public key file is readable text, and anything else in it is told."""
    path = tmp_path / "owner.pub"
    key = keys.generate()
    keys.save_public(path, key.public)
    assert keys.load_public(path) == key.public
    path.write_bytes(b"c2hvcnQ=\n")
    with pytest.raises(Unusable, match="bad-public-key"):
        keys.load_public(path)


def test_a_key_does_not_show_its_secret() -> None:
    """The representation of a private key holds only the public half."""
    key = keys.generate()
    assert repr(key) == f"PrivateKey(public={key.public.hex()})"
    assert key.raw().hex() not in repr(key)


def _sealed() -> bytes:
    before = keys._SCRYPT_N
    keys._SCRYPT_N = 2**15
    try:
        return keys.seal(keys.generate(), PHRASE)
    finally:
        keys._SCRYPT_N = before


SEALED = _sealed()
