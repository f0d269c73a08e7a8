"""The guard's last checkpoint, kept apart from the log, so that a log cut short is noticed.

A chain of hashes does not show that its end is missing; an earlier signed head kept elsewhere does. A
witness, when there is one, is another box or the person's own copy of an exported checkpoint.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from greenroom.audit import files
from greenroom.audit.epochs import KeyRing, ring_of
from greenroom.audit.note import Checkpoint
from greenroom.domain.errors import GreenroomError, NotFound, Tampered

NO_WITNESS = "no outside witness: give a checkpoint that was exported earlier to find out whether the end is missing"
_SLOT = 4096


class KeptCheckpoint:
    """A file with two slots, written in turn and in place; the larger valid one counts.

    After a power loss at most the slot being written is torn, and the other still holds.
    """

    def __init__(self, path: Path, publics: Iterable[bytes] | KeyRing) -> None:
        self._path = path
        self._ring = ring_of(publics)
        self._descriptor: int | None = None
        self._next = 0

    def latest(self) -> tuple[Checkpoint, bytes] | None:
        """The last kept checkpoint, parsed and as a note; None before the first.

        Raises Tampered `kept-checkpoint-damaged` when the file is there and neither slot holds.
        """
        try:
            data = files.read_bounded(self._path, 2 * _SLOT)
        except NotFound:
            return None
        found = []
        for note in (data[:_SLOT].rstrip(b"\0"), data[_SLOT:].rstrip(b"\0")):
            try:
                found.append((self._ring.open(note), note))
            except GreenroomError:
                continue
        if not found:
            raise Tampered(
                "kept-checkpoint-damaged",
                "the guard's kept checkpoint is damaged",
                where=str(self._path),
                remedy="check the log against a checkpoint that you exported, then move this file away",
            )
        return max(found, key=lambda item: item[0].size)

    def keep(self, note: bytes) -> None:
        """Keep `note` as the last one. Not flushed: a log that fell back after power loss fell back with it."""
        if len(note) > _SLOT:
            raise ValueError(f"a kept checkpoint has at most {_SLOT} bytes")
        if self._descriptor is None:
            self._open(note)
            return
        os.pwrite(self._descriptor, note + bytes(_SLOT - len(note)), self._next * _SLOT)
        self._next = 1 - self._next

    def close(self) -> None:
        """Flush, and give the file back."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self, note: bytes) -> None:
        files.replace(self._path, (note + bytes(_SLOT - len(note))) * 2, durable=True)
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
