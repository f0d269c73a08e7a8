"""The keeper's record of runs, in one SQLite file: attempts at check runs, and the last uses of each tool.

Each line is on the disk before the work goes on.

A run is named by a key of what determines it. Its attempts are numbered from 1 and have one of four states: `begun`
(it ran and has not ended, or the keeper died, or a stop cut it), `bad` (it ended without a result), `concluded` (its
receipt is the run's answer from then on) and `lost` (it was concluded, and neither the store nor this record has its
papers any more). The papers of a conclusion are kept here too, compressed: the store is shared with others.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenroom.domain.digest import Digest, parse_digest
from greenroom.domain.errors import Unusable
from greenroom.domain.rates import Uses
from greenroom.domain.verdict import Instant

KEPT_NS = 90 * 86_400_000_000_000
"""How long a run's attempts are remembered after the last of them."""
MAX_ATTEMPTS = 1_000_000
"""How many attempts are remembered, about 280 MB. Where there are more, nothing is forgotten early: that would be a
way to a second draw. No run is made then until the oldest are KEPT_NS old."""
MAX_KEPT_BYTES = 512 * 1024 * 1024
"""How many bytes of papers, compressed, are kept. What is kept stays: where there is no room, papers are not kept."""
_TIDY_EVERY = 256
_SCHEMA = """
CREATE TABLE IF NOT EXISTS attempts (
  key TEXT NOT NULL, number INTEGER NOT NULL, state TEXT NOT NULL, envelope TEXT, at INTEGER NOT NULL,
  PRIMARY KEY (key, number)) STRICT;
CREATE INDEX IF NOT EXISTS attempts_by_time ON attempts (at);
CREATE TABLE IF NOT EXISTS papers (
  key TEXT NOT NULL, digest TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (key, digest)) STRICT;
CREATE TABLE IF NOT EXISTS uses (tool TEXT PRIMARY KEY, used TEXT NOT NULL, until INTEGER NOT NULL) STRICT;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The attempts of one run: how many of each kind, and the envelope of the receipt that concluded it.

    `full` is True when the record has no room for another attempt of any run.
    """

    bad: int = 0
    unfinished: int = 0
    concluded: Digest | None = None
    full: bool = False


class Attempts:
    """The record at `path`; safe for several threads. Raises Unusable `attempts-unreadable` for a spoiled file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._asked = 0
        self._size = 0
        self._kept = 0
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        with self._readable():
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
            ((self._size,),) = self._db.execute("SELECT count(*) FROM attempts").fetchall()
            self._weigh()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def tally(self, key: str, at: Instant) -> Tally:
        """What is on record of the run `key`; what is too old is forgotten now and then."""
        with self._lock, self._readable():
            if self._asked % _TIDY_EVERY == 0:
                self._forget(at)
            self._asked += 1
            rows = self._db.execute("SELECT state, envelope FROM attempts WHERE key = ?", (key,)).fetchall()
        states = [str(state) for state, _ in rows]
        envelopes = [parse_digest(str(envelope)) for state, envelope in rows if state == "concluded"]
        return Tally(
            bad=sum(state in ("bad", "lost") for state in states),
            unfinished=states.count("begun"),
            concluded=envelopes[-1] if envelopes else None,
            full=self._size >= MAX_ATTEMPTS,
        )

    def begin(self, key: str, at: Instant) -> int:
        """Record one more attempt, on the disk when this returns; its number, from 1."""
        with self._lock, self._readable():
            ((number,),) = self._db.execute(
                "INSERT INTO attempts SELECT ?, coalesce(max(number), 0) + 1, 'begun', NULL, ? FROM attempts "
                "WHERE key = ? RETURNING number",
                (key, at, key),
            ).fetchall()
            self._size += 1
            return int(number)

    def withdraw(self, key: str, number: int) -> None:
        """Strike out an attempt of which nothing ran."""
        with self._lock, self._readable():
            self._size -= self._db.execute(
                "DELETE FROM attempts WHERE key = ? AND number = ? AND state = 'begun'", (key, number)
            ).rowcount

    def fail(self, key: str, number: int) -> None:
        """Record that an attempt ended and that no receipt of it could be made; one that has its end keeps it."""
        self._do("UPDATE attempts SET state = 'bad' WHERE key = ? AND number = ? AND state = 'begun'", key, number)

    def end(self, key: str, number: int, envelope: Digest, papers: Mapping[Digest, bytes] | None) -> None:
        """Record how an attempt ended, with the digest of its signed receipt.

        `papers` are those of a conclusion, all kept or, where there is no room, none; None where it ended badly.
        """
        packed = {digest: zlib.compress(data) for digest, data in (papers or {}).items()}
        size = sum(map(len, packed.values()))
        state = "bad" if papers is None else "concluded"
        with self._lock, self._readable(), self._together():
            self._db.execute(
                "UPDATE attempts SET state = ?, envelope = ? WHERE key = ? AND number = ?",
                (state, envelope, key, number),
            )
            if self._kept + size <= MAX_KEPT_BYTES:
                rows = [(key, digest, data) for digest, data in packed.items()]
                self._db.executemany("INSERT OR REPLACE INTO papers VALUES (?, ?, ?)", rows)
                self._kept += size

    def papers(self, key: str) -> Mapping[Digest, bytes]:
        """What is kept of the run's conclusion."""
        with self._lock, self._readable():
            rows = self._db.execute("SELECT digest, data FROM papers WHERE key = ?", (key,)).fetchall()
        return {parse_digest(str(digest)): zlib.decompress(data) for digest, data in rows}

    def lose(self, key: str) -> None:
        """Record that the papers of the run's conclusion are gone: it counts as an attempt that ended badly."""
        self._do("UPDATE attempts SET state = 'lost' WHERE key = ? AND state = 'concluded'", key)

    def uses(self, tool: Digest) -> Uses:
        """When `tool` was used, from the first to the last, as far as that still matters."""
        with self._lock, self._readable():
            rows = self._db.execute("SELECT used FROM uses WHERE tool = ?", (tool,)).fetchall()
        return tuple(Instant(int(at)) for (used,) in rows for at in str(used).split())

    def keep_uses(self, tool: Digest, used: Uses, until: Instant, at: Instant) -> None:
        """Keep the uses of `tool` until `until`; uses of any tool that were to be kept until before `at` go."""
        text = " ".join(map(str, used))
        with self._lock, self._readable():
            self._db.execute("DELETE FROM uses WHERE until < ?", (at,))
            self._db.execute(
                "INSERT INTO uses VALUES (?, ?, ?) "
                "ON CONFLICT (tool) DO UPDATE SET used = excluded.used, until = excluded.until",
                (tool, text, until),
            )

    def _forget(self, at: Instant) -> None:
        """Forget runs that nobody tried for KEPT_NS."""
        oldest = at - KEPT_NS
        self._size -= self._db.execute(
            "DELETE FROM attempts WHERE at < ? AND NOT EXISTS "
            "(SELECT 1 FROM attempts AS later WHERE later.key = attempts.key AND later.at >= ?)",
            (oldest, oldest),
        ).rowcount
        self._db.execute("DELETE FROM papers WHERE key NOT IN (SELECT key FROM attempts)")
        self._weigh()

    def _weigh(self) -> None:
        ((self._kept,),) = self._db.execute("SELECT coalesce(sum(length(data)), 0) FROM papers").fetchall()

    @contextlib.contextmanager
    def _together(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _do(self, statement: str, *values: Any) -> None:
        with self._lock, self._readable():
            self._db.execute(statement, values)

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise Unusable(
                "attempts-unreadable",
                f"the record of runs cannot be used: {str(error)[:200]}",
                where=str(self._path),
                remedy="free space if the disk is full; else put that file back from a copy",
            ) from None
