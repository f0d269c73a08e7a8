"""Boxes of earlier schemas: opened by the code of today, nothing lost."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from pipeline_cases import SUBJECT, a_change

from greenroom.domain import documents
from greenroom.domain.findings import Decision
from greenroom.domain.vocabulary import ChangeId
from greenroom.pipeline import tables
from greenroom.pipeline.changes import Board, DatabaseChanges, Deliveries, Settings
from greenroom.pipeline.decisions import Decisions
from greenroom.testing.clock import ManualClock

SECOND_SCHEMA = """
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL,
  CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));
INSERT INTO alembic_version VALUES ('0002');
CREATE TABLE changes (id VARCHAR NOT NULL, subject VARCHAR NOT NULL, state VARCHAR NOT NULL, open BOOLEAN NOT NULL,
  version INTEGER NOT NULL, created INTEGER NOT NULL, document BLOB NOT NULL, PRIMARY KEY (id));
CREATE INDEX ix_changes_subject ON changes (subject);
CREATE TABLE board ("change" VARCHAR NOT NULL, summary VARCHAR NOT NULL, rule VARCHAR NOT NULL,
  fingerprint VARCHAR NOT NULL, PRIMARY KEY ("change"));
CREATE INDEX ix_board_fingerprint ON board (fingerprint);
CREATE TABLE deliveries (subject VARCHAR NOT NULL, "change" VARCHAR NOT NULL, repository VARCHAR NOT NULL,
  branch VARCHAR NOT NULL, delivered VARCHAR NOT NULL, wanted VARCHAR NOT NULL, pending VARCHAR NOT NULL,
  PRIMARY KEY (subject));
CREATE TABLE settings (subject VARCHAR NOT NULL, name VARCHAR NOT NULL, value VARCHAR NOT NULL,
  PRIMARY KEY (subject, name));
INSERT INTO board VALUES ('k3f9x2', 'Mend a word', 'typo', 'teh');
"""
"""A box as the second schema left it, word for word."""


def test_a_box_of_the_second_schema_is_opened_and_takes_decisions(tmp_path: Path) -> None:
    """Its changes, board, deliveries and settings are there, and a person's word on a finding can be kept; twice is
    once."""
    path = tmp_path / "box.db"
    stored = documents.encode(a_change(version=1))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(SECOND_SCHEMA)
        row = ("k3f9x2", str(SUBJECT), "proposed", True, 1, 1, stored)
        connection.execute("INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        connection.execute("INSERT INTO deliveries VALUES (?, 'k3f9x2', '/r', 'main', 'a', 'b', 'c')", (str(SUBJECT),))
        connection.execute("INSERT INTO settings VALUES (?, 'test-command', 'pytest')", (str(SUBJECT),))
        connection.commit()
    for _ in range(2):
        engine = tables.open_database(path)
        assert documents.encode(DatabaseChanges(engine, ManualClock()).get(ChangeId("k3f9x2"))) == stored
        line, delivery = Board(engine).line(ChangeId("k3f9x2")), Deliveries(engine).get(SUBJECT)
        assert line is not None
        assert delivery is not None
        assert (line.fingerprint, delivery.branch) == ("teh", "main")
        assert Settings(engine).get(SUBJECT, "test-command") == "pytest"
        said = Decision(finding="f", change=ChangeId("k3f9x2"), said="rejected")
        Decisions(engine).put(SUBJECT, [said])
        assert Decisions(engine).among(SUBJECT, ["f", "g"]) == {"f": said}
        engine.dispose()


def test_migrations_and_tables_are_one_schema(tmp_path: Path) -> None:
    """What the migrations make is what the code declares, column by column."""
    engine = tables.open_database(tmp_path / "box.db")
    with contextlib.closing(sqlite3.connect(tmp_path / "box.db")) as connection:
        for table in tables.METADATA.sorted_tables:
            found = connection.execute("SELECT name FROM pragma_table_info(?)", (table.name,)).fetchall()
            assert [name for (name,) in found] == [column.name for column in table.columns], table.name
    engine.dispose()
