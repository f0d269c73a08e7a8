"""Whose a log is that does not check: altered, or only signed with other keys than those that were given."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from greenroom.audit import files
from greenroom.audit.attest import MAX_ENVELOPE_BYTES, key_id
from greenroom.audit.epochs import CHAIN
from greenroom.audit.note import MAX_NOTE_BYTES, Verifier, split_note
from greenroom.domain.errors import GreenroomError


def signed_by_others(directory: Path, publics: Iterable[bytes]) -> bool:
    """True where the log names who signed it, and none of these is one of `publics` (raw Ed25519 keys, the anchors).

    That is the first certificate of the chain; where there is none, the checkpoint. It proves nothing: who alters a
    log can write other names into it.
    """
    anchors = tuple(publics)
    named = list(_first_certificate(directory, anchors)) or list(_checkpoint(directory, anchors))
    return bool(named) and not any(named)


def _first_certificate(directory: Path, anchors: tuple[bytes, ...]) -> Iterator[bool]:
    """For each signature of the chain's first line, whether it names one of the anchors."""
    try:
        with open(directory / CHAIN, "rb") as chain:
            line = chain.readline(MAX_ENVELOPE_BYTES)
        signatures = json.loads(line)["signatures"]
        signers = [str(each["keyid"]) for each in signatures]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return
    known = {key_id(public) for public in anchors}
    yield from (signer in known for signer in signers)


def _checkpoint(directory: Path, anchors: tuple[bytes, ...]) -> Iterator[bool]:
    """For each signature of the checkpoint, whether it names one of the anchors."""
    try:
        _, signatures = split_note(files.read_bounded(directory / "checkpoint", MAX_NOTE_BYTES))
    except GreenroomError:
        return
    for name, mark, _ in signatures:
        yield mark in {Verifier(name, public).key_id for public in anchors}
