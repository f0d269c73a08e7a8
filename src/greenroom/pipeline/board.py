"""The board: one row a change. `read_board` gives it from the file alone, without starting anything.

The quick reader uses the standard library's SQLite and no Alembic, so that `greenroom list` answers at once;
the schema is that of `pipeline.tables`.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.errors import Tampered, Unreachable
from greenroom.domain.vocabulary import State

QUERY = """
    SELECT changes.document, board.summary, board.rule FROM changes
    LEFT JOIN board ON board.change = changes.id ORDER BY changes.created, changes.id
"""

REPOSITORIES = "SELECT repository, branch FROM deliveries WHERE branch != '' ORDER BY 1, 2"
DELIVERED_TO = "SELECT DISTINCT repository FROM deliveries WHERE delivered != '' AND change != '' ORDER BY 1"


def row(change: Change, summary: str, rule: str) -> dict[str, Any]:
    """One change at a glance, as JSON values."""
    return {
        "id": change.id,
        "subject": str(change.subject),
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


def read_board(database: Path, *, everything: bool) -> list[dict[str, Any]]:
    """The board of a box database; empty when there is none yet. Raises as `read_changes`."""
    return [row(*each) for each in read_changes(database) if shown(each[0], everything=everything)]


def read_changes(database: Path) -> list[tuple[Change, str, str]]:
    """Each change of a box database with its summary and rule, oldest first; none when there is no database yet.

    Raises Unreachable `board-busy`, or Tampered `board-broken` for a file that is no database.
    """
    if not database.exists():
        return []
    try:
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)) as connection:
            found = connection.execute(QUERY).fetchall()
    except sqlite3.OperationalError as error:
        raise Unreachable("board-busy", f"the box database cannot be read: {error}", where=str(database)) from None
    except sqlite3.DatabaseError as error:
        raise Tampered("board-broken", f"the box database is damaged: {error}", where=str(database)) from None
    return [(documents.decode(Change, bytes(line[0])), str(line[1] or ""), str(line[2] or "")) for line in found]


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


def repositories(database: Path) -> list[tuple[str, str]]:
    """(path, branch) of each repository that the box delivers to; none when there is no database, or it is damaged."""
    if not database.exists():
        return []
    try:
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)) as connection:
            return [(str(line[0]), str(line[1])) for line in connection.execute(REPOSITORIES).fetchall()]
    except sqlite3.DatabaseError:
        return []
