"""Digests name stored bytes: `<prefix>:<sha256 hex>`; nothing is re-serialised to be hashed.

The prefix says what kind of bytes they are, so that a plan can never be taken for a tree.
"""

from __future__ import annotations

import hashlib
import re
from typing import NewType

from greenroom.domain.errors import Unusable

Digest = NewType("Digest", str)
PREFIXES = (
    "blob",
    "tree",
    "plan",
    "tool",
    "golden",
    "output",
    "statement",
    "card",
    "entry",
    "text",
    "undo",
    "policy",
    "lock",
    "dossier",
    "key",
)
_SHAPE = re.compile(r"(?P<prefix>[a-z]{1,16}):(?P<hex>[0-9a-f]{64})")


def digest_of(prefix: str, data: bytes) -> Digest:
    """The digest of `data` as kind `prefix` (FIPS 180-4 SHA-256 over the bytes, prefix outside the hash)."""
    if prefix not in PREFIXES:
        raise ValueError(f"unknown digest prefix {prefix!r}")
    return Digest(f"{prefix}:{hashlib.sha256(data).hexdigest()}")


def parse_digest(text: str) -> Digest:
    """`text` as a digest; raises Unusable `bad-digest` when it has another shape or an unknown prefix."""
    found = _SHAPE.fullmatch(text)
    if found is None or found["prefix"] not in PREFIXES:
        raise Unusable("bad-digest", f"not a digest: {text[:80]!r}", remedy="a digest is KIND:64 hex digits")
    return Digest(text)


def prefix_of(digest: Digest) -> str:
    """The kind of bytes that `digest` names."""
    return digest.partition(":")[0]


def hex_of(digest: Digest) -> str:
    """The 64 hex digits of `digest`."""
    return digest.partition(":")[2]
