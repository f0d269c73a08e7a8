"""Gathers what the metrics of a box are counted from: its log, its database, its store. Reads files, starts nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from greenroom.audit.keys import load_public
from greenroom.audit.reader import read_copy
from greenroom.bootstrap.foreign import readable
from greenroom.bootstrap.parts import opener_of
from greenroom.config import Box
from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.metrics import Metrics, measure
from greenroom.pipeline.board import read_changes
from greenroom.pipeline.measuring import read_papers
from greenroom.release.store import FileStore


def measure_box(box: Box, since: int) -> Metrics:
    """The metrics of `box` from the instant `since` (UTC nanoseconds) on."""
    copy = read_copy(box.log, (load_public(box.public / "guard.pub"),))
    entries = [entry for entry in map(documents.load_json, copy.entries) if int(entry["at"]) >= since]
    touched = {entry["change"] for entry in entries if entry["change"]}
    found = [(change, rule) for change, _, rule in _changes(box, touched)]
    papers = read_papers((change for change, _ in found), FileStore(box.store), opener_of(box))
    return measure(
        entries,
        rules={change.id: rule for change, rule in found if rule},
        papers=papers,
        log_bytes=_size(box.log),
        backup_bytes=_backup_bytes(entries),
    )


def _changes(box: Box, changes: Collection[str]) -> list[tuple[Change, str, str]]:
    with readable(box) as database:
        return read_changes(database, changes)


def _size(directory: Path) -> int:
    """Bytes of the regular files below; files that go away meanwhile count for nothing."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(OSError):
                total += (Path(folder) / name).lstat().st_size
    return total


def _backup_bytes(entries: Iterable[Mapping[str, Any]]) -> int:
    """The size of the newest backup, as the log tells it; 0 without one."""
    sizes = [str(entry["about"]) for entry in entries if entry["name"] == "backup.made"]
    return int(sizes[-1]) if sizes and sizes[-1].isdecimal() else 0
