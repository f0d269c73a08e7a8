"""What the guard's ledger says was spent: read from its file alone, without a guard."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from greenroom.domain.errors import Tampered
from greenroom.domain.verdict import Instant
from greenroom.guard.ledger import day_of

_TABLE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"


def read_spent(ledger: Path, begins: int, ends: int) -> tuple[dict[str, tuple[int, int]], int]:
    """Lines and risk of each warrant, and the money of the UTC days from `begins` to `ends`, in millionths.

    Nothing of a ledger that is not there yet. Raises Tampered `ledger-damaged`.
    """
    if not ledger.exists():
        return {}, 0
    try:
        with contextlib.closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True, timeout=5)) as connection:
            weights, money = {}, 0
            if connection.execute(_TABLE, ("warrants",)).fetchone():
                found = connection.execute("SELECT digest, lines, risk FROM warrants WHERE spent = 1")
                weights = {str(row[0]): (int(row[1]), int(row[2])) for row in found}
            if connection.execute(_TABLE, ("spends",)).fetchone():
                query = "SELECT COALESCE(SUM(spend_micro), 0) FROM spends WHERE day BETWEEN ? AND ?"
                (money,) = connection.execute(query, (day_of(Instant(begins)), day_of(Instant(ends)))).fetchone()
            return weights, int(money)
    except sqlite3.DatabaseError as error:
        message = f"the guard's own records cannot be read: {error}"
        remedy = "`greenroom doctor` says what the box lacks"
        raise Tampered("ledger-damaged", message, where=str(ledger), remedy=remedy) from None
