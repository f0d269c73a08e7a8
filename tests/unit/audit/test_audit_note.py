"""Signed notes and checkpoints."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.audit import keys
from greenroom.audit.merkle import EMPTY_ROOT
from greenroom.audit.note import (
    MAX_NOTE_BYTES,
    NoteSigner,
    Verifier,
    open_checkpoint,
    open_note,
    parse_checkpoint,
    sign_checkpoint,
    split_note,
)
from greenroom.domain.errors import GreenroomError, Tampered, TooLarge, Unusable

KEY = keys.generate()
SIGNER = NoteSigner("box.example/one", KEY)
NOTE = sign_checkpoint(SIGNER, 7, EMPTY_ROOT)


def test_the_specification_s_example_key_id() -> None:
    """The key id and the verifier key string are made as signed-note says (values computed by hand with sha256sum)."""
    verifier = Verifier("example.com/foo", bytes(range(32)))
    assert verifier.key_id.hex() == "676e4a76"
    assert str(verifier) == "example.com/foo+676e4a76+" + base64.b64encode(b"\x01" + bytes(range(32))).decode()


def test_a_checkpoint_has_the_published_form() -> None:
    """Origin, size and root in base64, one on each line, then a blank line and one signature line."""
    lines = NOTE.decode().split("\n")
    assert lines[:4] == ["box.example/one", "7", base64.b64encode(EMPTY_ROOT).decode(), ""]
    assert lines[4].startswith("\u2014 box.example/one ")
    assert lines[5:] == [""]


def test_a_signed_checkpoint_opens() -> None:
    """What was signed comes back, when one of the known keys signed it."""
    found = open_checkpoint(NOTE, [keys.generate().public, KEY.public], "box.example/one")
    assert (found.origin, found.size, found.root) == ("box.example/one", 7, EMPTY_ROOT)


def test_unknown_signatures_are_passed_over() -> None:
    """A witness may add its line; a known key must have signed all the same."""
    witness = NoteSigner("witness.example", keys.generate())
    text, _ = split_note(NOTE)
    both = NOTE + witness.sign(text).rpartition(b"\n\n")[2]
    assert open_checkpoint(both, [KEY.public]).size == 7
    with pytest.raises(Tampered, match="checkpoint-forged"):
        open_note(both, [Verifier("other.example", KEY.public)])


def test_a_bad_signature_of_a_known_key_rejects_the_note() -> None:
    """A good line of one known key does not make up for a bad line of another."""
    other = NoteSigner("box.example/two", keys.generate())
    text, _ = split_note(NOTE)
    bad = other.sign(b"something else\n").rpartition(b"\n\n")[2]
    with pytest.raises(Tampered, match="does not hold"):
        open_note(NOTE + bad, [SIGNER.verifier, other.verifier])
    assert open_note(NOTE, [SIGNER.verifier, other.verifier]) == text


def test_another_log_s_checkpoint_is_refused() -> None:
    """The origin is part of what is checked when it is known."""
    with pytest.raises(Tampered, match="not of"):
        open_checkpoint(NOTE, [KEY.public], "box.example/other")


def test_every_changed_byte_is_noticed() -> None:
    """No byte of a checkpoint can be changed without a refusal."""
    for at in range(len(NOTE)):
        with pytest.raises(GreenroomError):
            open_checkpoint(NOTE[:at] + bytes([NOTE[at] ^ 1]) + NOTE[at + 1 :], [KEY.public])


@pytest.mark.parametrize(
    "text",
    [
        b"o\n07\nAAAA\n",
        b"o\n7\n",
        b"o\n-1\nAAAA\n",
        b"o\n7\nAAAA\n",
        b"\n7\nAAAA\n",
        "o\n\u0667\nAAAA\n".encode(),
        b"o\n9999999999999999999\nAAAA\n",
    ],
)
def test_malformed_checkpoints_are_unusable(text: bytes) -> None:
    """Leading zeros, missing lines, other digits, short roots and absurd sizes are refused."""
    with pytest.raises(Unusable, match="bad-checkpoint"):
        parse_checkpoint(text)


@pytest.mark.parametrize("name", ["", "two words", "plus+plus", "line\nbreak", "thin\u2009space"])
def test_key_names_are_restricted(name: str) -> None:
    """A key name has no spaces and no plus sign, and is not empty."""
    with pytest.raises(Unusable, match="bad-note"):
        NoteSigner(name, KEY)


def test_notes_are_bounded() -> None:
    """Neither size nor the number of signatures is unbounded; 16 signatures are read."""
    with pytest.raises(TooLarge):
        split_note(b"x" * (MAX_NOTE_BYTES + 1))
    line = NOTE.rpartition(b"\n\n")[2]
    assert len(split_note(NOTE + line * 15)[1]) == 16
    with pytest.raises(TooLarge):
        split_note(NOTE + line * 40)


@given(junk=st.binary(max_size=300))
def test_junk_is_refused(junk: bytes) -> None:
    """Whatever bytes arrive, the answer is an error of the house."""
    with pytest.raises(Unusable):
        open_checkpoint(junk, [KEY.public])


@given(cut=st.integers(0, len(NOTE) - 1))
def test_a_cut_note_is_refused(cut: int) -> None:
    """A note that breaks off anywhere is refused."""
    with pytest.raises(Unusable):
        open_checkpoint(NOTE[:cut], [KEY.public])
