"""Which code answers: every server says it on `hello`, so that an upgrade is noticed and never a riddle."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import greenroom

HELLO = "hello"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """What a server says of itself: the installation that it was started from, and how many calls it is at.

    `busy` is None where the server is from before there was a `hello`.
    """

    installation: str
    busy: int | None


@cache
def installation() -> str:
    """The release and the first digits of the SHA-256 of its code: the same for the same bytes, else another."""
    top = Path(greenroom.__file__).parent
    whole = hashlib.sha256()
    for path in sorted(top.rglob("*.py")):
        data = path.read_bytes()
        whole.update(b"%s\0%d\0" % (path.relative_to(top).as_posix().encode(), len(data)))
        whole.update(data)
    return f"{greenroom.__version__}+{whole.hexdigest()[:12]}"
