"""Gathers what a briefing is made from: log, database, ledger and store of a box. Reads files, starts nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from greenroom.audit.keys import load_public
from greenroom.audit.reader import read_copy
from greenroom.bootstrap.foreign import private_copy, readable
from greenroom.bootstrap.parts import opener_of
from greenroom.config import Box
from greenroom.domain import documents
from greenroom.domain.briefing import Briefing, Pending, brief, touched
from greenroom.domain.verdict import Instant
from greenroom.guard.spent import read_spent
from greenroom.pipeline.board import read_board, read_changes, row, waiting_deliveries
from greenroom.pipeline.measuring import read_papers
from greenroom.release.store import FileStore


def brief_box(box: Box, begins: int, ends: int, now: int) -> Briefing:
    """The briefing of `box` about the time from `begins` to `ends` (UTC nanoseconds), made at `now`."""
    copy = read_copy(box.log, (load_public(box.public / "guard.pub"),))
    entries = [documents.load_json(entry) for entry in copy.entries]
    named = touched(entries, begins, ends)
    with readable(box) as database:
        rows = {each["id"]: each for each in read_board(database, everything=False)}
        found = read_changes(database, named)
        pending = [Pending(repository=r, branch=b, rule=p) for r, b, p in waiting_deliveries(database)]
    with _ledger(box) as ledger:
        weights, money = read_spent(ledger, begins, ends)
    rows |= {change.id: row(change, summary, rule) for change, summary, rule in found}
    carried = [change for change, _, _ in found if change.plan is not None]
    papers = read_papers(carried, FileStore(box.store), opener_of(box))
    return brief(
        entries,
        begins=Instant(begins),
        ends=Instant(ends),
        now=Instant(now),
        rows=list(rows.values()),
        weights=weights,
        money_micro=money,
        papers=papers,
        pending=pending,
        stopped=(box.guard / "stop").exists(),
    )


@contextlib.contextmanager
def _ledger(box: Box) -> Iterator[Path]:
    """The guard's ledger: itself where it is this user's, else a private copy."""
    ledger = box.guard / "guard.db"
    try:
        mine = ledger.stat().st_uid == os.geteuid()
    except FileNotFoundError:
        mine = True
    if mine:
        yield ledger
        return
    with private_copy(ledger) as copy:
        yield copy
