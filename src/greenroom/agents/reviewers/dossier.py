"""The dossier as a reviewer reads it: JSON from the store, decoded defensively."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass

from greenroom.domain import documents
from greenroom.domain.digest import Digest, parse_digest
from greenroom.domain.errors import Unusable
from greenroom.domain.ports import Store

MAX_DOSSIER_BYTES = 1024 * 1024
MAX_PATCH_BYTES = 4 * 1024 * 1024
MAX_COUNT = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One change under debate. `history` holds the counts of `agents.reviewers.estimate`; `added` the new lines."""

    patch: bytes
    files: tuple[str, ...]
    lines: int
    rule: str
    history: Mapping[str, int]
    added: tuple[str, ...]


def read_case(store: Store, dossier: Digest) -> Case:
    """The dossier and its patch; raises Unusable `bad-dossier`, NotFound, Tampered or TooLarge."""
    plain = documents.load_json(store.get(dossier, MAX_DOSSIER_BYTES), limit=MAX_DOSSIER_BYTES)
    if not isinstance(plain, dict):
        raise _bad("an object is expected")
    files, lines, rule, patch = (plain.get(name) for name in ("files", "lines", "rule", "patch"))
    if not isinstance(files, list) or not files or not all(isinstance(file, str) for file in files):
        raise _bad("files: a list of paths is expected")
    if not isinstance(lines, int) or isinstance(lines, bool) or lines < 0:
        raise _bad("lines: a count is expected")
    if not isinstance(rule, str) or not isinstance(patch, str):
        raise _bad("rule and patch: text is expected")
    data = store.get(parse_digest(patch), MAX_PATCH_BYTES)
    return Case(
        patch=data,
        files=tuple(files),
        lines=lines,
        rule=rule,
        history=_counts(plain.get("history", {})),
        added=tuple(_added(data)),
    )


def _counts(plain: object) -> Mapping[str, int]:
    if not isinstance(plain, dict):
        raise _bad("history: an object of counts is expected")
    for name, count in plain.items():
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= MAX_COUNT:
            raise _bad(f"history: {str(name)[:80]!r} is not a count")
    return plain


def _added(patch: bytes) -> list[str]:
    """The lines that the patch adds; headers of files end at the first hunk.

    A byte order mark that the file had already, on a line that the same hunk takes away, is not one that is added.
    """
    added, in_hunk, marked = [], False, False
    for line in patch.split(b"\n"):
        if line.startswith((b"diff --git ", b"@@ ")):
            in_hunk, marked = line.startswith(b"@@ "), False
        elif in_hunk and line.startswith(b"-"):
            marked = marked or line[1:].startswith(codecs.BOM_UTF8)
        elif in_hunk and line.startswith(b"+"):
            text = line[1:]
            if marked and text.startswith(codecs.BOM_UTF8):
                text, marked = text.removeprefix(codecs.BOM_UTF8), False
            added.append(text.decode("utf-8", "replace"))
    return added


def _bad(message: str) -> Unusable:
    return Unusable("bad-dossier", message)
