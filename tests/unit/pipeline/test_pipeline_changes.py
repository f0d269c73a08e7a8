"""Changes, board and deliveries in the box database; and the board read from the file alone."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pipeline_cases import GREEN, PLAN, RISK, SUBJECT, a_change

from greenroom.domain.change import Change
from greenroom.domain.errors import NotFound, Tampered, Unreachable, Unusable
from greenroom.domain.verdict import Held, Instant
from greenroom.domain.vocabulary import ChangeId, State
from greenroom.pipeline import tables
from greenroom.pipeline.board import Tally, read_board, read_tally
from greenroom.pipeline.changes import AT_ONCE, Board, DatabaseChanges, Deliveries, Delivery, Line
from greenroom.testing.clock import ManualClock

OTHER = dataclasses.replace(SUBJECT, address="/home/ada/other")
HOLD = Held(rule="day-cap", where="50 changes", remedy="tomorrow", ask_again=Instant(1_760_000_000_000_000_000))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    made = tables.open_database(tmp_path / "box.db")
    yield made
    made.dispose()


@pytest.fixture
def changes(engine: sa.Engine) -> DatabaseChanges:
    return DatabaseChanges(engine, ManualClock())


def test_changes_come_back_as_they_were_saved(changes: DatabaseChanges) -> None:
    """Every member survives the database, instants included."""
    full = a_change(
        State.VERIFIED, plan=PLAN, green=GREEN, seals=(PLAN,), evidence=(PLAN, GREEN), risk=RISK, hold=HOLD, commit="c"
    )
    saved = changes.save(full)
    assert saved == dataclasses.replace(full, version=1)
    assert changes.get(full.id) == saved


def test_changes_are_saved_by_compare_and_swap(changes: DatabaseChanges) -> None:
    """A save of an old version loses and leaves what is stored."""
    first = changes.save(a_change())
    second = changes.save(dataclasses.replace(first, ended="x"))
    for old in (first, dataclasses.replace(second, version=7), a_change()):
        with pytest.raises(Unusable) as caught:
            changes.save(old)
        assert caught.value.reference == "version-conflict"
        assert caught.value.remedy
    assert changes.get(first.id) == second


def test_changes_that_were_never_saved_cannot_be_updated(changes: DatabaseChanges) -> None:
    """A version above 0 needs a stored change."""
    with pytest.raises(Unusable):
        changes.save(a_change(version=3))
    assert changes.list() == []


def test_only_one_of_many_savers_wins(changes: DatabaseChanges) -> None:
    """Of threads that save the same version at once, one succeeds and the others are told."""
    start = changes.save(a_change())
    barrier, won, lost = threading.Barrier(4), list[Change](), list[str]()

    def save(number: int) -> None:
        barrier.wait()
        try:
            won.append(changes.save(dataclasses.replace(start, ended=str(number))))
        except Unusable as error:
            lost.append(error.reference)

    threads = [threading.Thread(target=save, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert lost == ["version-conflict"] * 3
    assert changes.get(start.id) == won[0]


def test_unknown_changes_are_named(changes: DatabaseChanges) -> None:
    """An id that is not there says how to find those that are."""
    with pytest.raises(NotFound) as caught:
        changes.get(ChangeId("nope"))
    assert caught.value.reference == "no-change-by-that-id"
    assert "greenroom list" in caught.value.remedy


def test_changes_are_listed_oldest_first(engine: sa.Engine) -> None:
    """All, those of a subject, and the open ones."""
    clock = ManualClock()
    changes = DatabaseChanges(engine, clock)
    for number, (subject, state) in enumerate(
        [(SUBJECT, State.KEPT), (OTHER, State.VERIFIED), (SUBJECT, State.PROMOTED), (SUBJECT, State.ABORTED)]
    ):
        changes.save(a_change(state, id=ChangeId(f"z{9 - number}"), subject=subject))
        clock.advance(1)
    assert [change.id for change in changes.list()] == ["z9", "z8", "z7", "z6"]
    assert [change.id for change in changes.list(subject=SUBJECT)] == ["z9", "z7", "z6"]
    assert [change.id for change in changes.list(open_only=True)] == ["z8", "z7"]


def test_board_finds_a_finding_again(engine: sa.Engine, changes: DatabaseChanges) -> None:
    """By subject and fingerprint, only where the change itself was saved."""
    board = Board(engine)
    change = changes.save(a_change())
    line = Line(change=change.id, summary="Mend", rule="typo", fingerprint="f1")
    board.put(line)
    board.put(dataclasses.replace(line, change="never-saved"))
    assert board.line(change.id) == line
    assert board.line(ChangeId("nope")) is None
    assert board.known(SUBJECT, "f1") == [change.id]
    assert board.known(SUBJECT, "f2") == []
    assert board.known(OTHER, "f1") == []


def test_deliveries_are_one_a_subject(engine: sa.Engine) -> None:
    """A later delivery takes the place of the earlier; only those with a reason are pending."""
    deliveries = Deliveries(engine)
    assert deliveries.get(SUBJECT) is None
    first = Delivery(
        subject=str(SUBJECT), change="a", repository="/r", branch="main", delivered="1", wanted="2", pending="dirty"
    )
    deliveries.put(first)
    assert deliveries.pending() == [first]
    second = dataclasses.replace(first, delivered="2", pending="")
    deliveries.put(second)
    assert deliveries.get(SUBJECT) == second
    assert deliveries.pending() == []


def test_the_database_writes_ahead(engine: sa.Engine) -> None:
    """Readers do not wait for the writer; a commit is on the disk when it returns."""
    with engine.connect() as connection:
        assert connection.execute(sa.text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(sa.text("PRAGMA synchronous")).scalar() == 2


def test_migrations_make_the_tables_that_the_code_uses(engine: sa.Engine) -> None:
    """The schema of the migrations is the schema of `tables`, column by column."""
    found = sa.inspect(engine)
    assert set(found.get_table_names()) == {*tables.METADATA.tables, "alembic_version"}
    for name, table in tables.METADATA.tables.items():
        columns = {column["name"]: column for column in found.get_columns(name)}
        assert {c.name: (str(c.type), c.nullable) for c in table.columns} == {
            key: (str(column["type"]), column["nullable"]) for key, column in columns.items()
        }
        indexed = {tuple(index["column_names"]) for index in found.get_indexes(name)}
        assert {tuple(c.name for c in index.columns) for index in table.indexes} == indexed


def test_opening_twice_keeps_what_is_there(tmp_path: Path) -> None:
    """A database is brought up to date, never made anew."""
    for number in range(2):
        engine = tables.open_database(tmp_path / "box.db")
        changes = DatabaseChanges(engine, ManualClock())
        assert len(changes.list()) == number
        changes.save(a_change(id=ChangeId(f"c{number}")))
        engine.dispose()


def test_read_board_reads_what_the_executor_wrote(tmp_path: Path, engine: sa.Engine, changes: DatabaseChanges) -> None:
    """While the executor has the database open; ended changes only when asked for."""
    board = Board(engine)
    waiting = changes.save(a_change(State.VERIFIED, risk=RISK, hold=HOLD, green=GREEN))
    board.put(Line(change=waiting.id, summary="Mend a word", rule="typo", fingerprint="f"))
    changes.save(a_change(State.ABORTED, id=ChangeId("aborted"), ended="no"))
    changes.save(a_change(State.KEPT, id=ChangeId("kept"), commit="c0ffee"))
    rows = read_board(tmp_path / "box.db", everything=False)
    assert [row["id"] for row in rows] == [waiting.id, "kept"]
    (row, _) = rows
    assert (row["summary"], row["rule"], row["state"]) == ("Mend a word", "typo", "verified")
    assert (row["risk"], row["level"]) == (3, 1)
    assert row["held"]["rule"] == "day-cap"
    assert [row["ended"] for row in read_board(tmp_path / "box.db", everything=True)] == ["no", None, None]


def one_after_another(engine: sa.Engine) -> Callable[[Change], Change]:
    """Saves changes of which each is a second later than the one before."""
    clock = ManualClock()

    def save(change: Change) -> Change:
        clock.advance(1)
        return DatabaseChanges(engine, clock).save(change)

    return save


def test_read_board_takes_the_newest_of_what_is_open_then_of_what_is_live(tmp_path: Path, engine: sa.Engine) -> None:
    """Within a bound; what waits goes before what is live, and rows stay in the order in which they came."""
    save, ended = one_after_another(engine), State.ABORTED
    for name, state in (("k1", State.KEPT), ("w1", State.VERIFIED), ("a1", ended), ("w2", State.PROPOSED)):
        save(a_change(state, id=ChangeId(name), hold=HOLD if name == "w1" else None))
    save(a_change(State.KEPT, id=ChangeId("k2")))

    def ids(**words: Any) -> list[str]:
        return [row["id"] for row in read_board(tmp_path / "box.db", **words)]

    assert ids(everything=False, most=1) == ["w2"]
    assert ids(everything=False, most=3) == ["w1", "w2", "k2"]
    assert ids(everything=True, most=3) == ["a1", "w2", "k2"]
    assert ids(everything=True) == ["k1", "w1", "a1", "w2", "k2"]
    assert ids(everything=False, begins="w") == ["w1", "w2"]
    assert ids(everything=False, held=[HOLD.rule, "other"]) == ["w1"]
    assert read_tally(tmp_path / "box.db") == Tally(held={HOLD.rule: 1}, moving=1, live=2, ended=1)


def test_changes_are_found_by_what_they_are_asked_by(engine: sa.Engine, changes: DatabaseChanges) -> None:
    """A save moves a change from one answer to the other; those of a subject come the latest first, in batches."""
    save = one_after_another(engine)
    first = save(a_change(State.VERIFIED, hold=HOLD, plan=PLAN))
    assert changes.list(held=HOLD.rule, plan=PLAN, states=(State.VERIFIED,)) == [first]
    after = changes.save(dataclasses.replace(first, hold=None, state=State.KEPT))
    assert changes.list(held=HOLD.rule) == []
    assert changes.list(held="", base=after.base, states=(State.KEPT, State.PROMOTED)) == [after]
    more = [save(a_change(id=ChangeId(f"c{number:03}"), parent=first.id)) for number in range(AT_ONCE * 2)]
    assert [change.id for change in changes.newest(SUBJECT)] == [change.id for change in reversed([after, *more])]
    assert changes.list(parent=first.id) == changes.list(children=True) == more
    assert list(changes.newest(OTHER)) == []
    save(a_change(id=ChangeId("other"), subject=OTHER))
    assert changes.subjects() == [SUBJECT, OTHER]


def test_read_board_without_a_database_is_empty(tmp_path: Path) -> None:
    """A box whose executor never ran has no board, and reading makes none."""
    assert read_board(tmp_path / "box.db", everything=True) == []
    assert list(tmp_path.iterdir()) == []


def test_read_board_of_something_else_is_named(tmp_path: Path) -> None:
    """A file without the tables is unreachable, one that is no database is damaged; neither is empty."""
    (tmp_path / "box.db").write_bytes(b"")
    with pytest.raises(Unreachable) as caught:
        read_board(tmp_path / "box.db", everything=True)
    assert caught.value.reference == "board-busy"
    (tmp_path / "box.db").write_bytes(b"not a database at all, but long enough to be taken for one" * 20)
    with pytest.raises(Tampered) as broken:
        read_board(tmp_path / "box.db", everything=True)
    assert broken.value.reference == "board-broken"
