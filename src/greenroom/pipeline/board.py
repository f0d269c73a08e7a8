"""The board: one row a change. `read_board` gives it from the file alone, without starting anything.

The quick reader uses the standard library's SQLite and no Alembic, so that `greenroom list` answers at once;
the schema is that of `pipeline.tables`.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.errors import Tampered, Unreachable
from greenroom.domain.vocabulary import State

_ROWS = """
    SELECT changes.document, board.summary, board.rule, changes.created, changes.id FROM changes
    LEFT JOIN board ON board.change = changes.id WHERE {where} ORDER BY changes.created DESC, changes.id DESC LIMIT ?
"""
_HELD = "coalesce(json_extract(CAST(changes.document AS TEXT), '$.hold.rule'), '')"
"""The rule of a change's hold in a database that no executor has brought up to date yet."""
_UNBOUNDED = -1
_AT_ONCE = 500
"""SQLite bounds the values of one statement."""

REPOSITORIES = "SELECT repository, branch FROM deliveries WHERE branch != '' ORDER BY 1, 2"
BRANCHED = """
    SELECT deliveries.repository, branches.branch FROM branches JOIN deliveries ON deliveries.subject = branches.subject
    WHERE branches.fate != 'closed' ORDER BY 1, 2
"""
WAITING = "SELECT repository, branch, pending FROM deliveries WHERE pending != '' ORDER BY 1, 2"
DELIVERED_TO = "SELECT DISTINCT repository FROM deliveries WHERE delivered != '' AND change != '' ORDER BY 1"


def row(change: Change, summary: str, rule: str) -> dict[str, Any]:
    """One change at a glance, as JSON values."""
    return {
        "id": change.id,
        "subject": str(change.subject),
        "mode": change.mode.value,
        "state": change.state.value,
        "held": documents.to_plain(change.hold) if change.hold else None,
        "window": None if change.window is None else str(change.window),
        "ended": change.ended,
        "refused": documents.to_plain(change.refused) if change.refused else None,
        "summary": summary,
        "rule": rule,
        "proposer": change.origin.actor.removeprefix("proposer:"),
        "risk": change.risk.score if change.risk else None,
        "level": int(change.risk.level) if change.risk else None,
        "commit": change.commit,
        "base": change.base,
        "green": change.green,
        "parent": change.parent,
    }


def shown(change: Change, *, everything: bool) -> bool:
    """True when the board shows a change: open or live, or any when `everything`."""
    return everything or not change.terminal or change.state is State.KEPT


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many changes are `held`, by the rule of the hold; how many are not and are moving or live; how many ended."""

    held: Mapping[str, int]
    moving: int
    live: int
    ended: int


def read_board(
    database: Path, *, everything: bool, most: int | None = None, begins: str = "", held: Collection[str] = ()
) -> list[dict[str, Any]]:
    """The board of a box database, oldest first; empty when there is none yet. Raises as `read_changes`.

    At most `most` rows: the newest of what is open, then the newest of what is live. Only ids that begin with
    `begins`; with `held` only what is held by one of these rules.
    """
    with _reading(database) as connection:
        if connection is None:
            return []
        return rows_of(connection, everything=everything, most=most, begins=begins, held=held)


def rows_of(
    connection: sqlite3.Connection, *, everything: bool, most: int | None, begins: str, held: Collection[str]
) -> list[dict[str, Any]]:
    """The same of a database that is open."""
    narrow, values = _narrowed(connection, begins, held)
    kinds = ("1",) if everything else ("changes.open = 1", f"changes.state = '{State.KEPT.value}'")
    found: list[Any] = []
    for kind in kinds:
        room = _UNBOUNDED if most is None else most - len(found)
        where = " AND ".join((kind, *narrow))
        found += connection.execute(_ROWS.format(where=where), (*values, room)).fetchall()
    found.sort(key=lambda line: (line[3], line[4]))
    return [row(*_change(line)) for line in found]


def read_tally(database: Path) -> Tally:
    """How many changes a box database has, counted without reading one. Raises as `read_changes`."""
    with _reading(database) as connection:
        return tally_of(connection) if connection else Tally(held={}, moving=0, live=0, ended=0)


def tally_of(connection: sqlite3.Connection) -> Tally:
    """The same of a database that is open."""
    query = "SELECT open, state, {held}, count(*) FROM changes GROUP BY 1, 2, 3"
    found = connection.execute(query.format(held=_held(connection))).fetchall()
    held: Counter[str] = Counter()
    moving = live = ended = 0
    for is_open, state, rule, count in found:
        if not is_open and state != State.KEPT.value:
            ended += count
        elif rule:
            held[rule] += count
        elif is_open:
            moving += count
        else:
            live += count
    return Tally(held=held, moving=moving, live=live, ended=ended)


def read_summaries(database: Path, changes: Collection[str]) -> dict[str, str]:
    """The summaries of those of `changes` that are there, by id. Raises as `read_changes`."""
    with _reading(database) as connection:
        found = _among(connection, "SELECT change, summary FROM board WHERE change IN ({})", changes)
    return {str(line[0]): str(line[1]) for line in found}


def read_changes(database: Path, changes: Collection[str] | None = None) -> list[tuple[Change, str, str]]:
    """Those of `changes` that a box database has, or all, with summary and rule; none when there is no database yet.

    Raises Unreachable `board-busy`, or Tampered `board-broken` for a file that is no database.
    """
    with _reading(database) as connection:
        if connection is not None and changes is None:
            found = connection.execute(_ROWS.format(where="1"), (_UNBOUNDED,)).fetchall()
        else:
            found = _among(connection, _ROWS.format(where="changes.id IN ({})").replace("LIMIT ?", ""), changes or ())
    return [_change(line) for line in sorted(found, key=lambda line: (line[3], line[4]))]


@contextlib.contextmanager
def _reading(database: Path) -> Iterator[sqlite3.Connection | None]:
    """The database, to read only; None when there is none yet."""
    if not database.exists():
        yield None
        return
    try:
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)) as connection:
            yield connection
    except sqlite3.OperationalError as error:
        raise Unreachable("board-busy", f"the box database cannot be read: {error}", where=str(database)) from None
    except sqlite3.DatabaseError as error:
        raise Tampered("board-broken", f"the box database is damaged: {error}", where=str(database)) from None


def _held(connection: sqlite3.Connection) -> str:
    columns = connection.execute("SELECT 1 FROM pragma_table_info('changes') WHERE name = 'held'").fetchall()
    return "changes.held" if columns else _HELD


def _narrowed(
    connection: sqlite3.Connection, begins: str, held: Collection[str]
) -> tuple[Sequence[str], Sequence[str]]:
    terms, values = [], []
    if begins:
        # What follows the last of the letters that begin so, in the order of code points.
        terms.append("changes.id >= ? AND changes.id < ?")
        values += [begins, f"{begins}\U0010ffff"]
    if held:
        terms.append(f"{_held(connection)} IN ({', '.join('?' * len(held))})")
        values += held
    return terms, values


def _among(connection: sqlite3.Connection | None, query: str, changes: Collection[str]) -> list[Any]:
    found: list[Any] = []
    waiting = iter(changes)
    while connection is not None and (names := list(itertools.islice(waiting, _AT_ONCE))):
        found += connection.execute(query.format(", ".join("?" * len(names))), names).fetchall()
    return found


def _change(line: Sequence[Any]) -> tuple[Change, str, str]:
    return documents.decode(Change, bytes(line[0])), str(line[1] or ""), str(line[2] or "")


def delivered_to(database: Path) -> list[str]:
    """The repositories to which changes were delivered; none when there is no database, or it cannot be read."""
    if not database.exists():
        return []
    try:
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)) as connection:
            found = connection.execute(DELIVERED_TO)
            return [str(line[0]) for line in found.fetchall()]
    except sqlite3.DatabaseError:
        return []


def waiting_deliveries(database: Path) -> list[tuple[str, str, str]]:
    """(repository, branch, rule) of each delivery that waits for a person's branch. Raises as `read_changes`."""
    with _reading(database) as connection:
        found = connection.execute(WAITING).fetchall() if connection is not None else []
    return [(str(line[0]), str(line[1]), str(line[2])) for line in found]


def branches_in(database: Path) -> list[tuple[str, str]]:
    """(repository, branch) of each change that was delivered as a branch, and that nobody closed; none when there is no
    database, or it cannot be read.
    """
    if not database.exists():
        return []
    try:
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)) as connection:
            return [(str(line[0]), str(line[1])) for line in connection.execute(BRANCHED).fetchall()]
    except sqlite3.DatabaseError:
        return []


def repositories(database: Path) -> list[tuple[str, str]]:
    """(path, branch) of each repository that the box delivers to; none when there is no database, or it is damaged."""
    if not database.exists():
        return []
    try:
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)) as connection:
            return [(str(line[0]), str(line[1])) for line in connection.execute(REPOSITORIES).fetchall()]
    except sqlite3.DatabaseError:
        return []
