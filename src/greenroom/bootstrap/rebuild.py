"""`doctor --rebuild`: the box database is brought in line with what stands above it, with the processes down.

Pointers, log and the guard's ledger are read and never changed by it, but for the entry that it was done. The file that
was there is kept beside the one that takes its place, before anything takes its place.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from greenroom.audit.keys import load_public
from greenroom.audit.reader import read_copy
from greenroom.bootstrap import parts, replacing
from greenroom.bootstrap.backup import check_log
from greenroom.bootstrap.foreign import private_copy
from greenroom.bootstrap.ledger import first_missing, has_table
from greenroom.bootstrap.making import at_guard
from greenroom.bootstrap.ownership import quiet
from greenroom.config import Box
from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Bug, GreenroomError, Tampered, Unusable
from greenroom.domain.events import Event
from greenroom.domain.proof import Import, Predicate
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import ChangeId, subject_of
from greenroom.keeper.separation import users_of
from greenroom.pipeline import rebuilding, tables
from greenroom.pipeline.board import read_changes
from greenroom.pipeline.changes import Board, Deliveries, Delivery, Settings, columns_of
from greenroom.pipeline.decisions import Decisions
from greenroom.pipeline.settings import TEST_COMMAND
from greenroom.release.refs import RefRelease
from greenroom.release.store import FileStore, disk_full
from greenroom.release.trees import StoreTrees

if TYPE_CHECKING:
    from greenroom.guard.client import GuardClient
    from greenroom.guard.service import GuardService

QUEUED = "a proposal of which nothing was tried is in no log: `greenroom improve REPO` finds it again"
BRANCHES = "which commit a branch of `pr` was made on is in no log: `greenroom pr ID` makes it anew"
MODES = "in which mode a change was proposed is in no log: what was lost counts as `propose`, where a person agrees"


@dataclass(slots=True, kw_only=True)
class Plan:
    """What a rebuild would write. `database` and `runs` say how the files were found: whole, missing or damaged."""

    database: str
    runs: str
    log: int
    changes: list[tuple[rebuilding.Rebuilt, Change, str]] = field(default_factory=list)
    """What is told, the change to write, and why: lost or behind."""
    words: list[rebuilding.Rebuilt] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def needed(self) -> bool:
        """Whether there is anything to write or to set aside."""
        return bool(self.changes) or self.database != "whole" or self.runs == "damaged"


def rebuild(box: Box, *, act: bool) -> Mapping[str, Any]:
    """What would be rebuilt of the box database, and, where `act`, what was.

    Raises Unusable `processes-up`, Tampered `log-broken`, and Tampered `ledger-lost`, `ledger-damaged` or
    `ledger-behind`: the guard's own records can be made again from nothing else.
    """
    _require_down(box)
    _require_ledger(box)
    with quiet(box):
        if not act:
            return _said(_plan(box), (), act=False)
        with at_guard(box, users_of(box)) as guard:
            # Its start signs what a crash left unsigned, and settles its ledger to the pointers.
            plan = _plan(box)
            aside = _write(box, plan, partial(_note, guard, plan)) if plan.needed else ()
        return _said(plan, aside, act=True)


def _note(guard: GuardService | GuardClient, plan: Plan) -> None:
    """Have the log say it, before anything takes the place of what is there."""
    key = f"database.rebuilt/{secrets.token_hex(16)}"
    about = f"{plan.database}, {len(plan.changes)} changes"
    guard.append(Event(key=key, at=Instant(time.time_ns()), actor="person", name="database.rebuilt", about=about))


def _require_down(box: Box) -> None:
    from greenroom.bootstrap.local import locked

    if (box.run / "rescue.lock").exists() and locked(box.run / "rescue.lock"):
        remedy = "greenroom down, which loses nothing; then run this command again"
        raise Unusable("processes-up", "the box's processes write its databases", where=str(box.run), remedy=remedy)


def _require_ledger(box: Box) -> None:
    """The guard's ledger holds what was agreed to and what is spent: no log brings that back."""
    path, remedy = box.guard / "guard.db", parts.RESTORE
    if not path.exists():
        raise Tampered("ledger-lost", "the guard's own records are gone", where=str(path), remedy=remedy)
    with private_copy(path) as copy:
        if not _whole(copy):
            raise Tampered("ledger-damaged", "the guard's own records are damaged", where=str(path), remedy=remedy)
        events = _events(box)
        with contextlib.closing(sqlite3.connect(copy)) as connection:
            begun = has_table(connection, "generations")
            missing = first_missing(connection, events) if begun else None
        if not begun or (not parts.has_policy(copy) and any(parts.makes_box(event) for event in events)):
            raise Tampered("ledger-lost", "the guard's own records are empty", where=str(path), remedy=remedy)
    if missing is not None:
        number, what = missing
        message = f"the guard's own records do not have what entry {number} of the log says was {what}"
        raise Tampered("ledger-behind", message, where=str(path), remedy=remedy)


def _plan(box: Box) -> Plan:
    size = check_log(box)
    store = FileStore(box.store)
    records = _records(box, store)
    with _copy_of(box) as copy:
        found, rows = _found(copy)
    plan = Plan(database=found, runs=_runs(box), log=size)
    now = Instant(time.time_ns())
    for name in records.by_change:
        told = rebuilding.rebuild(records, name)
        row = rows.get(name)
        if told is None:
            if row is None and any(event.name.startswith("plan.") for event in records.by_change[name]):
                plan.unknown.append(name)
            continue
        if told.rejected or told.deferred or told.change.cancelled:
            plan.words.append(told)
        if row is None:
            plan.changes.append((told, told.change, "lost"))
        elif rebuilding.behind(row, told, now):
            plan.changes.append((told, rebuilding.merged(row, told), "behind"))
    _name_lost_parents(plan, rows)
    plan.deliveries = list(_deliveries(box, store, records)) if plan.changes or found != "whole" else []
    return plan


def _name_lost_parents(plan: Plan, rows: Mapping[ChangeId, Change]) -> None:
    """A proposal that was queued when another took its place is told by nothing: no change can follow it."""
    known = {*rows, *(change.id for _, change, _ in plan.changes)}
    parted = [(told, rebuilding.without_lost_parent(change, known), why) for told, change, why in plan.changes]
    plan.changes = [(told, change, why) for told, (change, _), why in parted]
    lost = {parent for _, (_, parent), _ in parted if parent is not None}
    plan.unknown += sorted(lost - set(plan.unknown))


def _records(box: Box, store: FileStore) -> rebuilding.Records:
    with private_copy(box.guard / "guard.db") as copy, contextlib.closing(sqlite3.connect(copy)) as connection:
        made = connection.execute(
            "SELECT subject, change, state, paper, staged FROM generations WHERE change IS NOT NULL ORDER BY id"
        ).fetchall()
        standing = connection.execute(
            "SELECT subject, green FROM generations WHERE state IN ('baking', 'kept', 'reverting') ORDER BY id"
        ).fetchall()
    return rebuilding.Records(
        events=_events(box),
        generations=[
            rebuilding.Generation(subject=row[0], change=row[1], state=row[2], warrant=Digest(row[3]), commit=row[4])
            for row in made
        ],
        live={str(subject): Digest(green) for subject, green in standing},
        store=store,
        cards=rebuilding.index_cards(store, store.digests("card")),
        proposals=rebuilding.index_proposals(store, store.digests("text")),
    )


def _events(box: Box) -> Sequence[Event]:
    copy = read_copy(box.log, (load_public(box.public / "guard.pub"),))
    return [documents.decode(Event, entry) for entry in copy.entries]


def _deliveries(box: Box, store: FileStore, records: rebuilding.Records) -> Iterator[Delivery]:
    """Where each subject's branch is and what it should have: of its last import and the last delivery."""
    opener = parts.opener_of(box)
    release = RefRelease(box.live, store, StoreTrees(store))
    brought: dict[str, Import] = {}
    delivered: dict[str, str] = {}
    changes: dict[str, str] = {}
    subjects = {each.change: each.subject for each in records.generations}
    for event in records.events:
        if event.name == "live.adopted":
            with contextlib.suppress(GreenroomError):
                body = opener.open(store.get(event.digests["import"]), Predicate.IMPORT, "keeper").body
                found = documents.decode(Import, body)
                brought[str(found.subject)], delivered[str(found.subject)] = found, found.commit
        elif event.name == "live.promoted" and event.change in subjects:
            changes[subjects[event.change]] = event.change
        elif event.change in subjects and (commit := rebuilding.delivered_by(event)) is not None:
            delivered[subjects[event.change]] = commit
    for name, each in brought.items():
        wanted = release.position(subject_of(name))
        waits = each.branch and delivered[name] != wanted
        yield Delivery(
            subject=name,
            change=changes.get(name, ""),
            repository=each.source,
            branch=each.branch,
            delivered=delivered[name],
            wanted=wanted,
            pending="delivery-pending" if waits else "",
        )


@contextlib.contextmanager
def _copy_of(box: Box) -> Iterator[Path]:
    with private_copy(box.db / "box.db") as copy:
        yield copy


def _found(copy: Path) -> tuple[str, Mapping[ChangeId, Change]]:
    if not copy.exists():
        return "missing", {}
    if not _whole(copy):
        return "damaged", {}
    try:
        return "whole", {change.id: change for change, _, _ in read_changes(copy)}
    except GreenroomError:
        return "damaged", {}


def _runs(box: Box) -> str:
    with private_copy(box.db / "dbos.db") as copy:
        return "missing" if not copy.exists() else "whole" if _whole(copy) else "damaged"


def _whole(path: Path) -> bool:
    try:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            return [row[0] for row in connection.execute("PRAGMA integrity_check")] == ["ok"]
    except sqlite3.DatabaseError:
        return False


def _write(box: Box, plan: Plan, note: Callable[[], None]) -> Sequence[str]:
    """Copy what is there aside, `note` it, then put what was made in its place; the names of what was kept.

    Killed at any moment, the database is the old one or the new, and the next run goes on from there.
    """
    crash_point = parts.crash_points("cli")
    stamp = f"before-{time.time_ns()}"
    wanted = bool(plan.changes) or plan.database != "whole"
    aside: list[str] = []
    with disk_full(box.db), private_copy(box.db / "box.db") as old, replacing.place(box.db) as place:
        made = old.with_name("made.db")
        if wanted:
            _make(box, made, old if plan.database == "whole" else None, plan)
            crash_point("rebuild.made")
            aside += place.keep("box.db", stamp)
        if plan.runs == "damaged":
            aside += place.keep("dbos.db", stamp)
        crash_point("rebuild.kept")
        note()
        crash_point("rebuild.logged")
        if wanted and plan.database == "whole":
            # The write-ahead log is in it: laid over it once more, it changes nothing, so it can go in the next step.
            place.put("box.db", old)
            crash_point("rebuild.folded")
        if wanted:
            place.bare("box.db")
            crash_point("rebuild.bared")
            place.put("box.db", made)
            crash_point("rebuild.placed")
        if plan.runs == "damaged":
            place.drop("dbos.db")
            crash_point("rebuild.runs-dropped")
    return aside


def _make(box: Box, made: Path, old: Path | None, plan: Plan) -> None:
    """Make the database at `made`, from the private copy of one that is whole where there is one.

    Never in the executor's directory: SQLite makes files beside a database, and follows names.
    """
    store = FileStore(box.store)
    if old is not None:
        _fold(old)
        shutil.copyfile(old, made)
    engine = tables.open_database(made)
    _put_changes(engine, plan)
    decisions, settings, deliveries = Decisions(engine), Settings(engine), Deliveries(engine)
    for told in plan.words:
        rebuilding.put_words(decisions, store, told)
    for delivery in plan.deliveries:
        deliveries.put(delivery)
    for told, _, why in plan.changes:
        if why == "lost" and told.test_command:
            settings.put(told.change.subject, TEST_COMMAND, told.test_command)
    engine.dispose()
    _fold(made)


def _fold(database: Path) -> None:
    """Bring the write-ahead log into the database, which is then one file."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise Bug(
            "database-not-folded", f"{database} is open elsewhere, and what its write-ahead log holds is not in it"
        )


def _put_changes(engine: sa.Engine, plan: Plan) -> None:
    board = Board(engine)
    for told, change, why in plan.changes:
        values = columns_of(change)
        with engine.begin() as connection:
            if why == "behind":
                connection.execute(sa.update(tables.CHANGES).where(tables.CHANGES.c.id == change.id).values(**values))
                continue
            fixed = {"id": change.id, "subject": str(change.subject), "created": told.created}
            connection.execute(sa.insert(tables.CHANGES).values(**fixed, **values))
        if board.line(change.id) is None:
            board.put(told.line)


def _said(plan: Plan, aside: Sequence[str], *, act: bool) -> Mapping[str, Any]:
    notes: list[str] = []
    if plan.database != "whole":
        notes = [QUEUED, BRANCHES, MODES]
    rows = [{"id": change.id, "state": change.state.value, "why": why} for _, change, why in plan.changes]
    return {
        "rebuilt": act and plan.needed,
        "needed": plan.needed,
        "log": plan.log,
        "database": plan.database,
        "runs": plan.runs,
        "changes": rows,
        "deliveries": [delivery.subject for delivery in plan.deliveries],
        "decisions": len(plan.words),
        "unknown": plan.unknown,
        "kept_aside": list(aside),
        "notes": notes,
    }
