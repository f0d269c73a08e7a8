"""The guard's own memory: generations of each subject, papers given and spent, what a day has used.

One SQLite file, written with full synchronisation; every change of it is one transaction. The pointer and the
log stand above it: `recover` reconciles this to them.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from greenroom.domain.digest import Digest
from greenroom.domain.errors import Bug, NotFound
from greenroom.domain.ports import Totals
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import ChangeId, Subject, Trust, subject_of

GenerationState = Literal["intended", "baking", "kept", "reverting", "reverted", "forgotten"]
STANDING: tuple[GenerationState, ...] = ("baking", "kept", "reverting")
_DAY_NS = 86_400_000_000_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS nonces (nonce TEXT PRIMARY KEY, spent_on TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS warrants (
  digest TEXT PRIMARY KEY, change TEXT NOT NULL, lines INTEGER NOT NULL, risk INTEGER NOT NULL,
  spent INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE IF NOT EXISTS papers (digest TEXT PRIMARY KEY, envelope BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS keeper_epochs (epoch INTEGER PRIMARY KEY, since TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS keeper_papers (digest TEXT PRIMARY KEY, epoch INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS withdrawals (change TEXT PRIMARY KEY, at TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS carried (change TEXT NOT NULL, given TEXT NOT NULL, PRIMARY KEY (change, given)) STRICT;
CREATE TABLE IF NOT EXISTS generations (
  id INTEGER PRIMARY KEY AUTOINCREMENT, subject TEXT NOT NULL, change TEXT, base TEXT, green TEXT NOT NULL,
  paper TEXT NOT NULL, state TEXT NOT NULL, before TEXT NOT NULL DEFAULT 'baking',
  staged TEXT NOT NULL DEFAULT '', at TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS generations_by_subject ON generations (subject, id);
CREATE TABLE IF NOT EXISTS imports (
  subject TEXT NOT NULL, source_commit TEXT NOT NULL, tree TEXT NOT NULL, trust INTEGER NOT NULL, at TEXT NOT NULL,
  PRIMARY KEY (subject, source_commit, tree)) STRICT;
CREATE TABLE IF NOT EXISTS days (
  subject TEXT NOT NULL, day INTEGER NOT NULL, changes INTEGER NOT NULL, lines INTEGER NOT NULL,
  risk INTEGER NOT NULL, PRIMARY KEY (subject, day)) STRICT;
CREATE TABLE IF NOT EXISTS spends (
  reservation TEXT PRIMARY KEY, change TEXT NOT NULL, day INTEGER NOT NULL, spend_micro INTEGER NOT NULL,
  settled INTEGER NOT NULL DEFAULT 0, subject TEXT NOT NULL DEFAULT '') STRICT;
CREATE TABLE IF NOT EXISTS opt_ins (
  id TEXT PRIMARY KEY, rule TEXT NOT NULL, repository TEXT NOT NULL, until TEXT, added TEXT NOT NULL,
  actor TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS windows (
  subject TEXT NOT NULL, base TEXT NOT NULL, green TEXT NOT NULL, change TEXT NOT NULL, plan TEXT NOT NULL,
  opt_in TEXT NOT NULL, opened TEXT NOT NULL, ends TEXT NOT NULL, boot TEXT NOT NULL, awake TEXT NOT NULL,
  asleep TEXT NOT NULL, cancelled TEXT NOT NULL DEFAULT '', PRIMARY KEY (subject, base, green)) STRICT;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One swap of a subject's pointer: an import (no change) or a promotion. `paper` names import or warrant."""

    id: int
    subject: Subject
    change: ChangeId | None
    base: Digest | None
    green: Digest
    paper: Digest
    state: GenerationState
    staged: str
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """A change that went live, with the lines and the risk that it counted for."""

    generation: Generation
    lines: int
    risk: int


class Ledger:
    """The tables, by what the guard does with them. Safe for several threads."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
        self._complete()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of what happens inside, or nothing; nests into one."""
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def write(self, query: str, *values: str | int | None) -> int:
        """One statement of a procedure that keeps tables of its own; how many rows it changed."""
        return self._do(query, *values)

    def rows(self, query: str, *values: str | int | None) -> Sequence[tuple[Any, ...]]:
        """What a query of such a procedure finds."""
        return self._all(query, *values)

    # Settings and nonces.

    def setting(self, name: str) -> str | None:
        """A setting, None when it was never set."""
        row = self._one("SELECT value FROM settings WHERE name = ?", name)
        return None if row is None else str(row[0])

    def set(self, name: str, value: str) -> None:
        """Set a setting."""
        self._do(
            "INSERT INTO settings VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value
        )

    def spend(self, nonce: str, on: str) -> bool:
        """Spend `nonce` for good; False when it was spent before."""
        return self._do("INSERT INTO nonces VALUES (?, ?) ON CONFLICT DO NOTHING", nonce, on) == 1

    def spent(self, nonce: str) -> bool:
        """Whether `nonce` was spent."""
        return self._one("SELECT 1 FROM nonces WHERE nonce = ?", nonce) is not None

    # Warrants.

    def issue(self, warrant: Digest, change: ChangeId, lines: int, risk: int) -> None:
        """Remember a warrant that is about to be handed out, with what it will count for."""
        self._do("INSERT INTO warrants (digest, change, lines, risk) VALUES (?, ?, ?, ?)", warrant, change, lines, risk)

    def issued(self, warrant: Digest) -> tuple[int, int] | None:
        """(lines, risk) of a warrant that this guard issued and that is not spent."""
        row = self._one("SELECT lines, risk FROM warrants WHERE digest = ? AND spent = 0", warrant)
        return None if row is None else (int(row[0]), int(row[1]))

    def spend_warrant(self, warrant: Digest) -> None:
        """Spend a warrant for good."""
        self._do("UPDATE warrants SET spent = 1 WHERE digest = ?", warrant)

    def withdraw(self, change: ChangeId, at: Instant) -> Sequence[ChangeId]:
        """Void the warrants of `change` that are not spent, and remember when: a yes of before counts no more.

        The same for each change whose yes was carried to it; all that were voided, `change` first. A warrant of which
        the swap is intended stays: what it counts for is read when the swap is known.
        """
        with self.transaction():
            rows = self._all("SELECT given FROM carried WHERE change = ? AND given <> ? ORDER BY given", change, change)
            voided = [change, *(ChangeId(str(row[0])) for row in rows)]
            for each in voided:
                self._void(each, at)
        return voided

    def remember_carry(self, change: ChangeId, given: ChangeId) -> None:
        """Remember that the yes to `given` was carried to `change`."""
        self._do("INSERT INTO carried VALUES (?, ?) ON CONFLICT DO NOTHING", change, given)

    def withdrawn(self, change: ChangeId) -> Instant | None:
        """When the yes to `change` was withdrawn last; None when it never was."""
        row = self._one("SELECT at FROM withdrawals WHERE change = ?", change)
        return None if row is None else Instant(int(row[0]))

    # Papers.

    def keep(self, paper: Digest, envelope: bytes) -> None:
        """Keep a signed envelope, whatever becomes of it in the store."""
        self._do("INSERT INTO papers VALUES (?, ?) ON CONFLICT DO NOTHING", paper, envelope)

    def kept(self, paper: Digest) -> bytes | None:
        """An envelope that was kept; None where none was."""
        row = self._one("SELECT envelope FROM papers WHERE digest = ?", paper)
        return None if row is None else bytes(row[0])

    def let_go(self, paper: Digest) -> None:
        """Keep an envelope no longer."""
        self._do("DELETE FROM papers WHERE digest = ?", paper)

    # Generations.

    def intend(
        self, subject: Subject, change: ChangeId | None, base: Digest | None, green: Digest, paper: Digest, at: Instant
    ) -> int:
        """Write down a swap that is about to be tried; its id."""
        with self._lock:
            row = self._db.execute(
                "INSERT INTO generations (subject, change, base, green, paper, state, at) "
                "VALUES (?, ?, ?, ?, ?, 'intended', ?) RETURNING id",
                (str(subject), change, base, green, paper, str(at)),
            ).fetchone()
            return int(row[0])

    def move(self, generation: int, state: GenerationState) -> None:
        """Put a generation into `state`."""
        if self._do("UPDATE generations SET state = ? WHERE id = ?", state, generation) != 1:
            raise Bug("no-generation", f"no generation {generation}")

    def mark_reverting(self, generation: int) -> None:
        """Put a generation into `reverting`; `put_back` knows what it was."""
        self._do(
            "UPDATE generations SET before = state, state = 'reverting' WHERE id = ? AND state IN ('baking', 'kept')",
            generation,
        )

    def put_back(self, generation: int) -> None:
        """Undo `mark_reverting`: the revert did not happen."""
        self._do("UPDATE generations SET state = before WHERE id = ? AND state = 'reverting'", generation)

    def stage(self, generation: int, staged: str) -> None:
        """Remember what was staged for the swap of a generation."""
        self._do("UPDATE generations SET staged = ? WHERE id = ?", staged, generation)

    def standing(self, subject: Subject) -> Sequence[Generation]:
        """The generations that the live pointer stands on, oldest first."""
        return self._generations("subject = ? AND state IN ('baking', 'kept', 'reverting')", str(subject))

    def generation(self, generation: int) -> Generation | None:
        """A generation by its id."""
        found = self._generations("id = ?", str(generation))
        return found[0] if found else None

    def promotions(self, subject: Subject, after: int) -> Sequence[Promotion]:
        """What was promoted after the generation `after`, oldest first, also what was taken back since."""
        made = self._generations(
            "subject = ? AND id > CAST(? AS INTEGER) AND change IS NOT NULL AND state NOT IN ('intended', 'forgotten')",
            str(subject),
            str(after),
        )
        weights = [self._weight(generation) for generation in made]
        return [Promotion(generation=each, lines=w[0], risk=w[1]) for each, w in zip(made, weights, strict=True)]

    def reverted(self, subject: Subject, base: Digest, green: Digest) -> bool:
        """Whether a promotion of `green` over `base` was taken back, whatever its change was called."""
        query = "SELECT 1 FROM generations WHERE subject = ? AND base = ? AND green = ? AND state = 'reverted'"
        return self._one(f"{query} AND change IS NOT NULL LIMIT 1", str(subject), base, green) is not None

    def of_change(self, change: ChangeId) -> Sequence[Generation]:
        """Every generation that a change made or tried, oldest first."""
        return self._generations("change = ?", change)

    def unsettled(self) -> Sequence[Generation]:
        """Swaps of which nothing is known but the intent: a crash came between."""
        return self._generations("state IN ('intended', 'reverting')")

    def subjects(self) -> Sequence[Subject]:
        """Every subject that has a standing generation."""
        rows = self._all(
            "SELECT DISTINCT subject FROM generations WHERE state IN ('baking', 'kept', 'reverting') ORDER BY subject"
        )
        return [subject_of(str(row[0])) for row in rows]

    # Imports.

    def remember_import(self, subject: Subject, commit: str, tree: Digest, trust: Trust, at: Instant) -> None:
        """Remember that a commit was taken in."""
        self._do(
            "INSERT INTO imports VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            str(subject), commit, tree, int(trust), str(at),
        )  # fmt: skip

    def imported(self, subject: Subject, commit: str, tree: Digest) -> bool:
        """Whether that commit with that tree was taken in before."""
        query = "SELECT 1 FROM imports WHERE subject = ? AND source_commit = ? AND tree = ?"
        return self._one(query, str(subject), commit, tree) is not None

    def last_import(self, subject: Subject) -> Instant:
        """When the latest import that was taken in was read; 0 without one."""
        row = self._one("SELECT MAX(CAST(at AS INTEGER)) FROM imports WHERE subject = ?", str(subject))
        return Instant(0 if row is None or row[0] is None else int(row[0]))

    def last_adopted(self, subject: Subject) -> str:
        """The commit of the latest import that was taken in; NotFound `no-subject` without one."""
        query = "SELECT source_commit FROM imports WHERE subject = ? ORDER BY CAST(at AS INTEGER) DESC LIMIT 1"
        row = self._one(query, str(subject))
        if row is None:
            raise NotFound("no-subject", "nothing was imported for this subject", where=str(subject))
        return str(row[0])

    def trust(self, subject: Subject) -> Trust:
        """The lowest trust that anything taken in for `subject` had."""
        row = self._one("SELECT MIN(trust) FROM imports WHERE subject = ?", str(subject))
        return Trust.UNTRUSTED if row is None or row[0] is None else Trust(int(row[0]))

    # Days and spending.

    def totals(self, subject: Subject, at: Instant) -> Totals:
        """What `subject` has used on the UTC day of `at`."""
        row = self._one("SELECT changes, lines, risk FROM days WHERE subject = ? AND day = ?", str(subject), day_of(at))
        changes, lines, risk = (0, 0, 0) if row is None else (int(n) for n in row)
        return Totals(changes=changes, lines=lines, risk=risk, spend_micro=self.spending(subject, at))

    def count(self, subject: Subject, at: Instant, lines: int, risk: int) -> None:
        """Count one promoted change."""
        self._do(
            "INSERT INTO days VALUES (?, ?, 1, ?, ?) ON CONFLICT (subject, day) DO UPDATE SET "
            "changes = changes + 1, lines = lines + excluded.lines, risk = risk + excluded.risk",
            str(subject), day_of(at), lines, risk,
        )  # fmt: skip

    def spending(self, subject: Subject, at: Instant) -> int:
        """Millionths reserved or spent on `subject` on the UTC day of `at`.

        What a ledger from before money was counted by subject holds counts for each.
        """
        query = "SELECT COALESCE(SUM(spend_micro), 0) FROM spends WHERE day = ? AND subject IN (?, '')"
        row = self._one(query, day_of(at), str(subject))
        return 0 if row is None else int(row[0])

    def reserve(self, reservation: str, change: ChangeId, subject: Subject, at: Instant, spend_micro: int) -> None:
        """Set money aside."""
        query = "INSERT INTO spends (reservation, change, subject, day, spend_micro) VALUES (?, ?, ?, ?, ?)"
        self._do(query, reservation, change, str(subject), day_of(at), spend_micro)

    def spent_on(self, change: ChangeId) -> Subject | None:
        """The subject that money was set aside for by `change`; None where none was."""
        row = self._one("SELECT subject FROM spends WHERE change = ? AND subject != '' LIMIT 1", change)
        return None if row is None else subject_of(str(row[0]))

    def reservation(self, reservation: str) -> tuple[ChangeId, int] | None:
        """(change, millionths) of a reservation that is not settled."""
        row = self._one("SELECT change, spend_micro FROM spends WHERE reservation = ? AND settled = 0", reservation)
        return None if row is None else (ChangeId(str(row[0])), int(row[1]))

    def settle(self, reservation: str, spend_micro: int) -> None:
        """Put what was used in the place of what was reserved."""
        self._do("UPDATE spends SET spend_micro = ?, settled = 1 WHERE reservation = ?", spend_micro, reservation)

    def _complete(self) -> None:
        """Give the tables of an earlier ledger the columns that were added since."""
        columns = {str(row[1]) for row in self._all("PRAGMA table_info(spends)")}
        if "subject" not in columns:
            self._do("ALTER TABLE spends ADD COLUMN subject TEXT NOT NULL DEFAULT ''")

    def _void(self, change: ChangeId, at: Instant) -> None:
        self._do(
            "INSERT INTO withdrawals VALUES (?, ?) ON CONFLICT (change) DO UPDATE SET at = excluded.at",
            change, str(at),
        )  # fmt: skip
        intended = "SELECT paper FROM generations WHERE state = 'intended'"
        query = f"UPDATE warrants SET spent = 1 WHERE change = ? AND spent = 0 AND digest NOT IN ({intended})"  # noqa: S608
        self._do(query, change)

    def _weight(self, generation: Generation) -> tuple[int, int]:
        row = self._one("SELECT lines, risk FROM warrants WHERE digest = ?", generation.paper)
        if row is None:
            raise Bug("no-warrant", f"generation {generation.id} stands on a warrant that was never issued")
        return int(row[0]), int(row[1])

    def _generations(self, where: str, *values: str) -> Sequence[Generation]:
        columns = "id, subject, change, base, green, paper, state, staged, at"
        # `where` is one of the constants above, never a caller's words.
        rows = self._all(f"SELECT {columns} FROM generations WHERE {where} ORDER BY id", *values)  # noqa: S608
        return [_generation(row) for row in rows]

    def _do(self, query: str, *values: Any) -> int:
        with self._lock:
            return self._db.execute(query, values).rowcount

    def _one(self, query: str, *values: Any) -> tuple[Any, ...] | None:
        with self._lock:
            row: tuple[Any, ...] | None = self._db.execute(query, values).fetchone()
            return row

    def _all(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(query, values).fetchall()


def day_of(at: Instant) -> int:
    """The UTC day of `at`, counted from the epoch."""
    return at // _DAY_NS


def tomorrow(at: Instant) -> Instant:
    """The beginning of the UTC day after `at`."""
    return Instant((day_of(at) + 1) * _DAY_NS)


def _generation(row: tuple[Any, ...]) -> Generation:
    return Generation(
        id=int(row[0]),
        subject=subject_of(str(row[1])),
        change=None if row[2] is None else ChangeId(str(row[2])),
        base=None if row[3] is None else Digest(str(row[3])),
        green=Digest(str(row[4])),
        paper=Digest(str(row[5])),
        state=row[6],
        staged=str(row[7]),
        at=Instant(int(row[8])),
    )
