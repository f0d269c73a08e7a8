"""Checks a log, the box's own or a copy: finds the keys that go with it, and says what was found as a door shows it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from greenroom.audit.check import check
from greenroom.audit.keys import load_public
from greenroom.audit.strangers import signed_by_others
from greenroom.config import Box
from greenroom.domain import documents
from greenroom.domain.errors import NotFound

GUARD = "guard.pub"
KEEPER = "keeper.pub"
REMEDY = "keep this log as evidence, trust no entry from there on, and go back to a copy that checks"
OTHER_KEYS = (
    "nothing in it is signed with the given keys: if these are another box's, name those of the box that it is of, "
    "`--keys DIR`; if they are right"
)
BESIDE = "checked with the keys beside it ({}): who made the copy could make them; compare with the box's"


def check_copy(box: Box, log: str, keys: str | None, checkpoint: bytes | None) -> Mapping[str, Any]:
    """The report on a copy at `log`: a log directory, or one with `log` and `public` in it.

    Keys are those in the directory `keys`, else those of `box`, else those beside the copy. Raises NotFound `no-box`
    where there are none.
    """
    directory = _log_in(Path(log))
    if keys:
        return report(directory, keys, checkpoint)
    if box.identity.is_file():
        return report(directory, box.public, checkpoint)
    beside = directory.parent / "public"
    if not (beside / GUARD).is_file():
        message = "there is no box here, and the copy's public keys are not named"
        remedy = f"greenroom log check {log} --keys DIR, the `public` directory of the box that it is of"
        raise NotFound("no-box", message, where=str(box.root), remedy=remedy)
    found = report(directory, beside, checkpoint)
    return {**found, "notes": [*found["notes"], BESIDE.format(beside)]}


def report(directory: Path, keys: str | Path, checkpoint: bytes | None, kept: bytes | None = None) -> Mapping[str, Any]:
    """What a check of the log in `directory` found; `foreign` is true where nothing in it is signed with those keys."""
    public = load_public(Path(keys) / GUARD)
    keeper = Path(keys) / KEEPER
    anchor = load_public(keeper) if keeper.is_file() else None
    found = check(directory, (public,), checkpoint, kept=kept, keeper=anchor)
    first = found.findings[0] if found.findings else None
    at = f" at entry {first.entry}" if first is not None and first.entry is not None else ""
    foreign = first is not None and signed_by_others(directory, (public,))
    return {
        "ok": found.ok,
        "size": found.size,
        "unsigned": found.unsigned,
        "root": found.root,
        "origin": found.origin,
        "notes": list(found.notes),
        "problem": f"{first.rule}{at}: {first.message}" if first else "",
        "remedy": (f"{OTHER_KEYS}, {REMEDY}" if foreign else REMEDY) if first else "",
        "foreign": foreign,
        "findings": documents.to_plain(list(found.findings)),
    }


def _log_in(directory: Path) -> Path:
    """The log directory that is meant: `directory`, or the one called `log` in it."""
    inside = directory / "log"
    return inside if inside.is_dir() and not (directory / "checkpoint").exists() else directory
