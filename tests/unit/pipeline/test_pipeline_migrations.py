"""Boxes of earlier schemas: opened by the code of today, nothing lost."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from pipeline_cases import GREEN, PLAN, SUBJECT, a_change

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.findings import Decision
from greenroom.domain.verdict import Held
from greenroom.domain.vocabulary import ChangeId, State
from greenroom.pipeline import tables
from greenroom.pipeline.board import Tally, read_board, read_tally
from greenroom.pipeline.changes import Board, DatabaseChanges, Deliveries, Settings
from greenroom.pipeline.decisions import Decisions
from greenroom.testing.clock import ManualClock

HOLD = Held(rule="day-cap", where="50 changes", remedy="tomorrow", ask_again=None)
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


def a_box_of_the_second_schema(path: Path, *changes: Change) -> None:
    """Write `changes` as that release did."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(SECOND_SCHEMA)
        for at, change in enumerate(changes):
            stored = documents.encode(change)
            row = (change.id, str(change.subject), change.state.value, not change.terminal, 1, at, stored)
            connection.execute("INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        connection.commit()


def test_what_questions_are_asked_by_is_filled_from_the_documents(tmp_path: Path) -> None:
    """Holds, bases, plans, parents and ends of changes that an earlier release wrote are found as those of today."""
    held = a_change(State.VERIFIED, id=ChangeId("held"), hold=HOLD, plan=PLAN, evidence=(GREEN,))
    ended = a_change(State.ABORTED, id=ChangeId("ended"), ended="no", parent=ChangeId("held"))
    a_box_of_the_second_schema(tmp_path / "box.db", held, ended)
    engine = tables.open_database(tmp_path / "box.db")
    changes = DatabaseChanges(engine, ManualClock())
    assert changes.list(held=HOLD.rule) == changes.list(plan=PLAN) == changes.list(open_only=True) == [held]
    assert changes.list(parent=held.id) == changes.list(held="") == [ended]
    assert changes.list(base=held.base) == [held, ended]
    assert Board(engine).tried(besides=ended.id, most=9) == [(held, "")]
    assert Board(engine).tried(besides=held.id, most=9) == []
    engine.dispose()


def test_the_board_of_an_earlier_release_is_read_before_it_is_brought_up_to_date(tmp_path: Path) -> None:
    """The command may be the first of a release to look; it starts nothing, and the database stays as it is."""
    path = tmp_path / "box.db"
    held, moving = a_change(State.VERIFIED, id=ChangeId("held"), hold=HOLD), a_change(id=ChangeId("moving"))
    a_box_of_the_second_schema(path, held, moving, a_change(State.ABORTED, id=ChangeId("ended"), ended="no"))
    before = path.read_bytes()
    assert read_tally(path) == Tally(held={HOLD.rule: 1}, moving=1, live=0, ended=1)
    assert [row["id"] for row in read_board(path, everything=False)] == ["held", "moving"]
    assert [row["id"] for row in read_board(path, everything=False, held=[HOLD.rule])] == ["held"]
    assert path.read_bytes() == before


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
    """What the migrations make is what the code declares, column by column and index by index."""
    engine = tables.open_database(tmp_path / "box.db")
    with contextlib.closing(sqlite3.connect(tmp_path / "box.db")) as connection:
        for table in tables.METADATA.sorted_tables:
            found = connection.execute("SELECT name FROM pragma_table_info(?)", (table.name,)).fetchall()
            assert [name for (name,) in found] == [column.name for column in table.columns], table.name
            query = "SELECT name FROM pragma_index_list(?) WHERE origin = 'c'"
            found = connection.execute(query, (table.name,)).fetchall()
            assert {name for (name,) in found} == {index.name for index in table.indexes}, table.name
            for index in table.indexes:
                found = connection.execute("SELECT name FROM pragma_index_info(?)", (index.name,)).fetchall()
                assert [name for (name,) in found] == [column.name for column in index.columns], index.name
    engine.dispose()
