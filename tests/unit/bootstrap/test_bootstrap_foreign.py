"""A private copy of another user's database: of regular files, whole, and bounded."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.bootstrap import foreign
from greenroom.domain.errors import Exit, TooLarge


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Path]:
    """A database in WAL mode, whose log is not empty."""
    path = tmp_path / "box.db"
    connection = sqlite3.connect(path)
    connection.execute("pragma journal_mode = wal")
    connection.execute("create table t (x text)")
    connection.execute("insert into t values (?)", ("x" * 100_000,))
    connection.commit()
    yield path
    connection.close()


def both(database: Path) -> int:
    """Bytes of the database and its log."""
    return database.stat().st_size + Path(f"{database}-wal").stat().st_size


def test_the_copy_has_what_the_log_says(database: Path) -> None:
    """What is not in the database yet is read from its log; the copy goes away."""
    with foreign.private_copy(database) as copy:
        connection = sqlite3.connect(copy)
        assert connection.execute("select length(x) from t").fetchone() == (100_000,)
        connection.close()
    assert not copy.exists()


def test_a_database_at_the_bound_is_copied_and_one_above_is_refused(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Database and log count together; the refusal says how much, where, and what helps."""
    monkeypatch.setattr(foreign, "_ours", lambda _: False)
    monkeypatch.setattr(foreign, "MAX_COPY_BYTES", both(database))
    with foreign.private_copy(database) as copy:
        assert both(copy) == both(database)
    monkeypatch.setattr(foreign, "MAX_COPY_BYTES", both(database) - 1)
    with pytest.raises(TooLarge, match="board-too-large") as caught, foreign.private_copy(database):
        pytest.fail("it was copied")
    assert caught.value.exit_code == Exit.USAGE
    assert caught.value.where == str(database)
    assert "TMPDIR" in caught.value.remedy
    monkeypatch.setattr(foreign, "_ours", lambda _: True)
    with foreign.private_copy(database) as copy:
        assert both(copy) == both(database)


def test_a_file_that_says_it_is_endless_costs_nothing(database: Path) -> None:
    """A sparse file of a tebibyte is refused before a byte of it is copied."""
    os.truncate(database, 2**40)
    with pytest.raises(TooLarge, match="board-too-large"), foreign.private_copy(database):
        pytest.fail("it was copied")


def test_a_file_that_grows_while_it_is_copied_is_bounded(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound holds for what is copied, not for what the file said before."""
    monkeypatch.setattr(foreign, "_ours", lambda _: False)
    monkeypatch.setattr(foreign, "MAX_COPY_BYTES", both(database))
    sendfile = os.sendfile

    def growing(out: int, source: int, offset: None, count: int) -> int:
        with database.open("ab") as more:
            more.write(b"x" * 4096)
        return sendfile(out, source, offset, count)

    monkeypatch.setattr(os, "sendfile", growing)
    with pytest.raises(TooLarge, match="board-too-large"), foreign.private_copy(database):
        pytest.fail("it was copied")


def test_a_full_disk_is_foreseen(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more is copied than there is room for."""
    usage = foreign.shutil.disk_usage(database.parent)
    monkeypatch.setattr(foreign.shutil, "disk_usage", lambda folder: usage._replace(free=both(database) - 1))
    with pytest.raises(TooLarge, match="board-too-large"), foreign.private_copy(database):
        pytest.fail("it was copied")


def test_links_are_no_database(database: Path, tmp_path: Path) -> None:
    """A link of either kind in the owner's directory leads root nowhere."""
    (tmp_path / "soft.db").symlink_to(database)
    os.link(database, tmp_path / "hard.db")
    for name in ("soft.db", "hard.db", "box.db"):
        with foreign.private_copy(tmp_path / name) as copy:
            assert not copy.exists()
