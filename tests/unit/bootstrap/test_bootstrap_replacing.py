"""A database replaced where another user's process may have put anything: nothing is followed, nothing is lost."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from greenroom.bootstrap import replacing

NAMES = ("box.db", "box.db-wal", "box.db-shm")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file outside the directory, which only a link could reach."""
    path = tmp_path / "victim"
    path.write_bytes(b"not the executor's")
    path.chmod(0o640)
    return path


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """The executor's directory."""
    path = tmp_path / "db"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """What is to take the database's place."""
    path = tmp_path / "made.db"
    path.write_bytes(b"made")
    return path


def replaced(db: Path, made: Path) -> list[str]:
    """The whole of it, as a rebuild does it."""
    with replacing.place(db) as place:
        aside = place.keep("box.db", "before-1")
        place.bare("box.db")
        place.put("box.db", made)
    return aside


def unharmed(victim: Path) -> bool:
    """True while the file outside has its bytes, its mode and its one name."""
    found = victim.stat()
    return (victim.read_bytes(), stat.S_IMODE(found.st_mode)) == (b"not the executor's", 0o640)


def test_what_is_there_is_copied_aside_to_the_byte(db: Path, made: Path) -> None:
    """The database and what SQLite has beside it; what takes its place stands alone."""
    for name in NAMES:
        (db / name).write_bytes(name.encode())
    aside = replaced(db, made)
    assert [Path(path).read_bytes() for path in aside] == [name.encode() for name in NAMES]
    assert sorted(os.listdir(db)) == sorted(["box.db", *(Path(path).name for path in aside)])
    assert (db / "box.db").read_bytes() == b"made"
    assert stat.S_IMODE((db / "box.db").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", NAMES)
def test_a_link_that_was_planted_is_moved_and_never_followed(db: Path, made: Path, victim: Path, name: str) -> None:
    """The file that it points to keeps its bytes, its owner and its mode; the link is kept aside as a link."""
    (db / name).symlink_to(victim)
    [aside] = replaced(db, made)
    assert Path(aside).is_symlink()
    assert unharmed(victim)
    assert not (db / "box.db").is_symlink()
    assert (db / "box.db").read_bytes() == b"made"


def test_another_name_of_a_file_elsewhere_is_moved_and_never_written(db: Path, made: Path, victim: Path) -> None:
    """A hard link: only its name goes away."""
    os.link(victim, db / "box.db")
    [aside] = replaced(db, made)
    assert os.path.samefile(aside, victim)
    assert unharmed(victim)
    assert (db / "box.db").stat().st_nlink == 1


@pytest.mark.parametrize("what", ["directory", "fifo"])
def test_what_is_no_file_is_moved_aside(db: Path, made: Path, what: str) -> None:
    """A directory or a pipe in the database's place neither stops the rebuild nor makes it wait."""
    os.mkdir(db / "box.db") if what == "directory" else os.mkfifo(db / "box.db")
    [aside] = replaced(db, made)
    assert not os.path.isfile(aside)
    assert (db / "box.db").read_bytes() == b"made"


def test_a_name_that_is_taken_is_not_written_over(db: Path, made: Path, victim: Path) -> None:
    """Whoever foresees the name of the copy gets nothing written through it."""
    (db / "box.db").write_bytes(b"old")
    (db / "box.db.before-1").symlink_to(victim)
    with pytest.raises(FileExistsError):
        replaced(db, made)
    assert unharmed(victim)
    assert (db / "box.db").read_bytes() == b"old"


def test_the_directory_itself_is_no_link(tmp_path: Path, db: Path) -> None:
    """A link in the directory's place is not gone through."""
    (tmp_path / "link").symlink_to(db)
    with pytest.raises(NotADirectoryError), replacing.place(tmp_path / "link"):
        pass


def test_what_a_killed_run_left_half_written_is_removed(db: Path) -> None:
    """By its own form of name alone; a copy that was kept stays."""
    left, kept = db / ".replacing.0123456789abcdef.part", db / "box.db.before-1"
    for path in (left, kept):
        path.write_bytes(b"x")
    with replacing.place(db):
        assert os.listdir(db) == [kept.name]


def test_a_disk_that_is_full_leaves_no_half_copy(db: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy that could not be finished is taken away; the database stays as it was."""

    def full(read: int, write: int, *bound: object) -> None:
        os.write(write, b"half")
        raise OSError(28, "No space left on device")

    (db / "box.db").write_bytes(b"old")
    monkeypatch.setattr(replacing, "copy_all", full)
    with pytest.raises(OSError, match="No space"):
        replaced(db, made)
    assert os.listdir(db) == ["box.db"]
    assert (db / "box.db").read_bytes() == b"old"


def test_a_log_laid_twice_over_a_database_changes_nothing(tmp_path: Path, db: Path) -> None:
    """Between the two steps of a swap the folded database has the earlier write-ahead log beside it."""
    with closing(sqlite3.connect(db / "box.db")) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE t (x)")
        writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        writer.executemany("INSERT INTO t VALUES (?)", [(str(number) * 200,) for number in range(300)])
        writer.execute("UPDATE t SET x = 'changed' WHERE rowid % 7 = 0")
        writer.commit()
        folded, log = tmp_path / "folded.db", (db / "box.db-wal").read_bytes()
        folded.write_bytes((db / "box.db").read_bytes())
        Path(f"{folded}-wal").write_bytes(log)
    wanted = rows(folded)
    assert len(wanted) == 300
    with replacing.place(db) as place:
        place.put("box.db", folded)
    (db / "box.db-wal").write_bytes(log)
    assert rows(db / "box.db") == wanted


def rows(database: Path) -> list[tuple[str]]:
    """The table, and the database found whole; its log is folded in when it is closed."""
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return connection.execute("SELECT x FROM t ORDER BY rowid").fetchall()
