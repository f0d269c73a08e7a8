"""A box with two findings, so that one change stands on another: the base of one moves, and both are taken back.

`one` is the change that is promoted first, `other` the one whose base that moves.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crash_box import BEFORE, CrashBox, Stage

from greenroom.bootstrap.foreign import private_copy
from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.vocabulary import State
from greenroom.pipeline.board import read_changes

FINDINGS = {
    "README.md": "# Small\n\nThe words that you recieve.\n",
    "GUIDE.md": "# Guide\n\nThe words that you seperate.\n",
}
BOTH_FOUND = BEFORE | FINDINGS
ONE = {"README.md": "# Small\n\nThe words that you receive.\n"}
OTHER = {"GUIDE.md": "# Guide\n\nThe words that you separate.\n"}
ONE_MENDED, OTHER_MENDED, BOTH_MENDED = BOTH_FOUND | ONE, BOTH_FOUND | OTHER, BOTH_FOUND | ONE | OTHER
"""The live files with both findings, and with one, the other or both of them mended."""
ONLY_THERE = "known to the database alone"


class PairBox(CrashBox):
    """The box, the repository and the copies; see CrashBox."""

    waits = (*CrashBox.waits, "base-moved")
    one = other = ""

    def make(self) -> Mapping[str, Stage]:
        """Two places to begin from: an approved change whose base moved; two changes live, one on the other."""
        self.index.mkdir()
        self.begin_with({})
        self.commit(
            {name: text for name, text in BOTH_FOUND.items() if name not in BEFORE or text != BEFORE[name]}, "Two"
        )
        self.must("improve", str(self.repository), "--only", "codespell")
        ids = {file: row["id"] for row in self.rows() for file in (*ONE, *OTHER) if file in row["summary"]}
        self.one, self.other = ids["README.md"], ids["GUIDE.md"]
        self.must("approve", self.other, "--yes", "--no-promote")
        self.must("approve", self.one, "--yes")
        self.change = self.other
        stages = {"moved": self._keep("moved")}
        self.must("promote", self.other)
        self.change = self.one
        return {**stages, "stacked": self._keep("stacked")}

    def row_of_the_case(self) -> Mapping[str, Any]:
        """The newest of what the journey's change became: one that stands for each finding."""
        rows = self.rows()
        standing = [row["summary"] for row in rows if row["ended"] != "superseded"]
        assert len(set(standing)) == len(standing), f"one finding became several changes: {rows}"
        return self.newest(self.change)

    def newest(self, change: str) -> Mapping[str, Any]:
        """The row of a change, or of the child that has its place."""
        rows = {row["id"]: row for row in self.rows()}
        child = next(
            (row["id"] for row in rows.values() if row["parent"] == change and row["proposer"] != "undo"), None
        )
        return rows[change] if child is None else self.newest(child)

    def undo(self) -> Mapping[str, Any] | None:
        """The row of the opposite change, once there is one."""
        return next((row for row in self.rows() if row["proposer"] == "undo"), None)

    # The database, spoiled while nothing runs.

    @property
    def database(self) -> Path:
        """The box database."""
        return self.box.db / "box.db"

    def lose(self) -> None:
        """As after a disk that lost them: neither database is there."""
        for path in (*self.box.db.glob("box.db*"), *self.box.db.glob("dbos.db*")):
            path.unlink()

    def spoil(self) -> Sequence[bytes]:
        """Neither database, nor what is beside it, is one any more; the bytes that are there instead."""
        left = []
        for name in ("box.db", "dbos.db"):
            (self.box.db / f"{name}-shm").unlink(missing_ok=True)
            for path in (self.box.db / name, self.box.db / f"{name}-wal"):
                left.append(f"{path.name} was here\n".encode() * 500)
                self._write(path, left[-1])
        return left

    def put_back(self) -> None:
        """The approved change as it was before anybody agreed, and a word that is in no log; all in the WAL alone."""
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            before = self.database.read_bytes()
            connection.execute("PRAGMA wal_autocheckpoint=0")
            change = next(each for each, _, _ in read_changes(self.database) if each.id == self.other)
            earlier: Change = dataclasses.replace(change, state=State.VERIFIED, consents=(), version=change.version - 1)
            row = (earlier.state.value, earlier.version, documents.encode(earlier), earlier.id)
            connection.execute("UPDATE changes SET state = ?, version = ?, document = ? WHERE id = ?", row)
            word = (str(change.subject), "suite", ONLY_THERE, "rejected")
            connection.execute("INSERT INTO decisions (subject, finding, change, said) VALUES (?, ?, ?, ?)", word)
            connection.commit()
            written = Path(f"{self.database}-wal").read_bytes()
        self._write(self.database, before)
        self._write(Path(f"{self.database}-wal"), written)

    def _write(self, path: Path, data: bytes) -> None:
        path.write_bytes(data)
        whose = self.box.db.stat()
        os.chown(path, whose.st_uid, whose.st_gid)

    def remembered(self) -> bool:
        """True while the database has, read as any process would, what is in no log."""
        with private_copy(self.database) as copy, contextlib.closing(sqlite3.connect(copy)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            found = connection.execute("SELECT count(*) FROM decisions WHERE change = ?", (ONLY_THERE,)).fetchone()
        return found == (1,)

    def databases(self) -> Sequence[bytes]:
        """Each database file of the box, those set aside as well."""
        return [path.read_bytes() for path in self.box.db.iterdir() if path.is_file()]
