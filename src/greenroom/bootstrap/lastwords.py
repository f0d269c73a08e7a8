"""The last words of a process that an error ends: said over its lifeline, which needs no room on a disk."""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass

from greenroom.domain import documents
from greenroom.domain.errors import GreenroomError, Unusable
from greenroom.domain.refusals import remedy_of
from greenroom.rescue import MAX_SAID_BYTES

_BOUNDS = {"reference": 60, "message": 400, "where": 200, "remedy": 300}


@dataclass(frozen=True, slots=True, kw_only=True)
class LastWords:
    """What ended a process; only an error of ours has a reference and a place."""

    reference: str = ""
    message: str = ""
    where: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        return f"{self.reference}: {self.message}{place}" if self.reference else f"{self.message}{place}"


def say(lifeline: int, error: Exception) -> None:
    """Say what ended this process to whoever holds the other end; one that is gone, or takes no words, hears none."""
    if isinstance(error, GreenroomError):
        words = LastWords(
            reference=error.reference, message=error.message, where=str(error.where), remedy=remedy_of(error)
        )
    else:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        words = LastWords(message=f"{type(error).__name__}: {error}", remedy="free space" if full else "")
    bounds = dict(_BOUNDS)
    while len(said := documents.encode(_cut(words, bounds))) > MAX_SAID_BYTES:
        bounds = {name: bound // 2 for name, bound in bounds.items()}
    with contextlib.suppress(OSError):
        os.write(lifeline, said)


def heard(said: str) -> LastWords | None:
    """What `say` said; None for anything else."""
    try:
        words = documents.from_plain(LastWords, documents.load_json(said.encode()))
    except (Unusable, UnicodeError):
        return None
    return _cut(words, _BOUNDS) if isinstance(words, LastWords) else None


def _cut(words: LastWords, bounds: dict[str, int]) -> LastWords:
    return LastWords(**{name: _printable(getattr(words, name))[:bound] for name, bound in bounds.items()})


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
