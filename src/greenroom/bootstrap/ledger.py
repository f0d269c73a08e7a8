"""Whether the guard's ledger has all that its log says: one of before would let spent permissions count again."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from greenroom.domain.events import Event
from greenroom.guard.journal import OWN
from greenroom.guard.orders import KINDS

_INSTANT_DIGITS = 20
_ORDERS = frozenset(kind.name for kind in KINDS.values())


def first_missing(ledger: sqlite3.Connection, events: Sequence[Event]) -> tuple[int, str] | None:
    """The number of the first of the guard's entries that its ledger lacks, and what it says was done; None is whole.

    The guard notes each of them in its ledger before it logs it, and none is ever taken away.
    """
    papers = {str(paper) for (paper,) in _rows(ledger, "generations", "SELECT paper FROM generations")}
    nonces = {str(nonce) for (nonce,) in _rows(ledger, "nonces", "SELECT nonce FROM nonces")}
    withdrawn = {str(of): int(at) for of, at in _rows(ledger, "withdrawals", "SELECT change, at FROM withdrawals")}
    cancelled = set(_rows(ledger, "windows", "SELECT base, green FROM windows WHERE cancelled <> ''"))
    for number, event in enumerate(events):
        if not event.key.startswith(OWN):
            continue
        kind, _, rest = event.key.removeprefix(OWN).partition("/")
        asked = (event.digests.get("base"), event.digests.get("green"))
        if event.name == "live.promoted" and event.digests.get("warrant") not in {None, *papers}:
            return number, "promoted"
        if kind in _ORDERS and rest not in nonces:
            return number, "ordered"
        if event.name == "consent.withdrawn" and withdrawn.get(event.change or "", -1) < _at(rest):
            return number, "withdrawn"
        if event.name == "window.cancelled" and asked not in cancelled:
            return number, "cancelled"
    return None


def has_table(ledger: sqlite3.Connection, name: str) -> bool:
    """True where the ledger has a table of this name; one of an earlier release has fewer."""
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    return ledger.execute(query, (name,)).fetchone() is not None


def _rows(ledger: sqlite3.Connection, table: str, query: str) -> Sequence[tuple[Any, ...]]:
    return ledger.execute(query).fetchall() if has_table(ledger, table) else ()


def _at(rest: str) -> int:
    """When a withdrawal was made, by the end of its key; 0 where that says nothing: any one will then do."""
    _, _, at = rest.rpartition("/")
    return int(at) if at.isascii() and at.isdigit() and len(at) < _INSTANT_DIGITS else 0
