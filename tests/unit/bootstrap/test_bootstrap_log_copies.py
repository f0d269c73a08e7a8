"""A copy of a log is checked with the keys that go with it, and says whose keys it was checked with."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenroom.audit import keys
from greenroom.audit.epochs import CHAIN
from greenroom.audit.log import TileLog
from greenroom.audit.note import NoteSigner
from greenroom.bootstrap.local import LocalServices
from greenroom.config import Box
from greenroom.domain.errors import NotFound
from greenroom.domain.events import Event
from greenroom.domain.verdict import Instant

KEY, OTHER = keys.generate(), keys.generate()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A directory with `log` and `public`, as a box has them."""
    place = tmp_path / "copy"
    with TileLog(place / "log", NoteSigner("box.example/one", KEY), kept=tmp_path / "kept") as log:
        for number in range(3):
            log.append(Event(key=f"key-{number}", at=Instant(1_000 + number), actor="guard", name="live.promoted"))
    _public(place / "public", KEY)
    return place


def _public(directory: Path, key: keys.PrivateKey) -> Path:
    directory.mkdir()
    keys.save_public(directory / "guard.pub", key.public)
    return directory


def _services(tmp_path: Path) -> LocalServices:
    return LocalServices(Box(tmp_path / "none"))


@pytest.mark.parametrize("named", [".", "log"])
def test_keys_beside_a_copy_are_found_and_named(tmp_path: Path, copy: Path, named: str) -> None:
    """The log directory or the one above it; a checkpoint holds too, and the note says whose keys these are."""
    checkpoint = (copy / "log" / "checkpoint").read_bytes()
    found = _services(tmp_path).log_check(str(copy / named), None, checkpoint)
    assert (found["ok"], found["size"], found["foreign"]) == (True, 3, False)
    [note] = [note for note in found["notes"] if str(copy / "public") in note]
    assert "compare" in note
    told = _services(tmp_path).log_check(str(copy / named), str(copy / "public"), checkpoint)
    assert (told["ok"], told["notes"]) == (True, [])


def test_without_keys_beside_it_they_are_asked_for(tmp_path: Path, copy: Path) -> None:
    """No key is guessed."""
    (copy / "public" / "guard.pub").unlink()
    with pytest.raises(NotFound, match="public keys are not named"):
        _services(tmp_path).log_check(str(copy), None, None)


def test_keys_of_another_box_are_a_possibility_that_is_named(tmp_path: Path, copy: Path) -> None:
    """Where nothing is signed with the given keys; not where a byte was changed."""
    strange = _public(tmp_path / "strange", OTHER)
    found = _services(tmp_path).log_check(str(copy), str(strange), None)
    assert (found["ok"], found["foreign"]) == (False, True)
    assert "another box's" in found["remedy"]
    checkpoint = copy / "log" / "checkpoint"
    checkpoint.write_bytes(checkpoint.read_bytes().replace(b"\n3\n", b"\n4\n"))
    altered = _services(tmp_path).log_check(str(copy), str(copy / "public"), None)
    assert (altered["ok"], altered["foreign"]) == (False, False)
    assert "another box's" not in altered["remedy"]


@pytest.mark.parametrize(
    "chain", [b"", b"junk\n", b"[]\n", b'{"signatures": 3}\n', b'{"signatures": [{}]}\n', b"[" * 9000]
)
def test_a_chain_that_names_nobody_says_nothing(tmp_path: Path, copy: Path, chain: bytes) -> None:
    """The checkpoint's signer then decides."""
    (copy / "log" / CHAIN).write_bytes(chain)
    found = _services(tmp_path).log_check(str(copy), str(copy / "public"), None)
    assert found["foreign"] is False
    strange = _public(tmp_path / "strange", OTHER)
    assert _services(tmp_path).log_check(str(copy), str(strange), None)["foreign"] is True
