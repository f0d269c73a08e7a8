"""A directory of another user is read as that user, shut up in it."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from greenroom.bootstrap import as_owner, foreign
from greenroom.bootstrap.as_owner import Unable
from greenroom.config import Box
from greenroom.domain.errors import Tampered, TooLarge, Unreachable

SOMEBODY = 54321
"""A user that this machine need not know."""
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A directory of another user, below one that only root can pass through, with a secret of root's beside it."""
    (tmp_path / "secret").write_text("root's own")
    place = tmp_path / "db"
    place.mkdir()
    with sqlite3.connect(place / "box.db") as made:
        made.execute("pragma journal_mode = wal")
        made.execute("create table t (x)")
        made.execute("insert into t values (7)")
    made.close()
    if os.geteuid() == 0:
        tmp_path.chmod(0o700)
        for path in (place, *place.iterdir()):
            os.chown(path, SOMEBODY, SOMEBODY)
    return place


def seven(directory: Path) -> list[Any]:
    """What the table has, asked of SQLite as the board asks it."""
    connection = sqlite3.connect(f"file:{directory / 'box.db'}?mode=ro", uri=True)
    try:
        return connection.execute("select x from t").fetchall()
    finally:
        connection.close()


@root_only
def test_a_database_below_a_closed_directory_is_read_in_place(theirs: Path) -> None:
    """Nothing is copied, and nothing in the directory belongs to root afterwards."""
    assert as_owner.as_owner(theirs, seven) == [[7]]
    assert {path.stat().st_uid for path in theirs.iterdir()} == {SOMEBODY}


@root_only
def test_who_reads_has_no_right_but_the_owner_s_and_no_way_out(theirs: Path) -> None:
    """User, groups, capabilities, descriptors and the root directory are those of somebody shut up there."""

    def look(directory: Path) -> dict[str, Any]:
        try:
            os.chroot(".")
        except PermissionError:
            again = "refused"
        else:
            again = "granted"
        try:
            if os.fork() == 0:
                os._exit(0)
        except OSError:
            child = "refused"
        else:
            child = "made"
        return {
            "child": child,
            "ids": [*os.getresuid(), *os.getresgid(), *os.getgroups()],
            "sees": sorted(os.listdir("/")),
            "above": sorted(os.listdir("/..")),
            "directory": str(directory),
            "descriptors": [number for number in range(3, 1024) if _is_open(number)],
            "chroot": again,
        }

    found = as_owner.as_owner(theirs, look)
    assert found["ids"] == [SOMEBODY] * 6
    assert found["sees"] == found["above"]
    assert "box.db" in found["sees"]
    assert "secret" not in found["sees"]
    assert len(found["descriptors"]) == 1, "the pipe of the answer, and nothing else"
    assert found["chroot"] == "refused"
    assert found["child"] == "refused", "no process of its own"


@root_only
def test_a_link_out_of_the_directory_leads_nowhere(theirs: Path, tmp_path: Path) -> None:
    """A name that the owner points at root's file ends inside the directory."""
    (theirs / "box.db").unlink()
    (theirs / "box.db").symlink_to(tmp_path / "secret")
    assert as_owner.as_owner(theirs, lambda directory: (directory / "box.db").exists()) is False


@root_only
def test_what_the_reader_finds_wrong_is_told_with_its_place(theirs: Path) -> None:
    """Its kind, reference and message come through; the place is the one that a person knows."""

    def damaged(_: Path) -> None:
        raise Tampered("board-broken", "torn", where="/box.db")

    with pytest.raises(Tampered, match="board-broken: torn") as caught:
        as_owner.as_owner(theirs, damaged)
    assert caught.value.where == str(theirs)


@root_only
@pytest.mark.parametrize("how", ["dies", "raises", "says nonsense"])
def test_a_reader_that_ends_without_an_answer_is_a_damaged_board(
    theirs: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash of the parser, a mistake in it, an answer that is none: all are told, none ends the command otherwise."""

    def ask(_: Path) -> None:
        if how == "dies":
            os.kill(os.getpid(), 9)
        raise ValueError

    if how == "says nonsense":
        monkeypatch.setattr(as_owner, "_answer", lambda _: (b"answer", b"[" * 100_000))
    with pytest.raises(Tampered, match="board-broken"):
        as_owner.as_owner(theirs, ask)


@root_only
def test_an_answer_is_bounded_in_size_and_in_time(theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hostile database keeps nobody waiting and fills no memory; the reader is ended."""
    monkeypatch.setattr(as_owner, "MAX_ANSWER_BYTES", 1000)
    with pytest.raises(TooLarge, match="board-too-large"):
        as_owner.as_owner(theirs, lambda _: "x" * 2000)
    monkeypatch.setattr(as_owner, "MAX_MEMORY_BYTES", 2 * 2**30)
    with pytest.raises(TooLarge, match="board-too-large"):
        as_owner.as_owner(theirs, lambda _: len(bytearray(3 * 2**30)))
    monkeypatch.setattr(as_owner, "ANSWER_S", 0.05)
    os.mkfifo(theirs / "never")
    with pytest.raises(Unreachable, match="board-busy"):
        as_owner.as_owner(theirs, lambda directory: (directory / "never").read_text())
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_who_cannot_be_shut_up_is_asked_nothing(tmp_path: Path) -> None:
    """Root's own directory, or a caller who is not root: nothing is read, and the caller can tell."""
    asked: list[Path] = []
    with pytest.raises(Unable):
        as_owner.as_owner(tmp_path, asked.append)
    assert asked == []


@root_only
@pytest.mark.parametrize("able", [True, False])
def test_the_board_of_another_user_is_asked_in_place_or_from_a_copy(
    theirs: Path, able: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same answer comes both ways; the copy only where nobody can become the owner."""
    copies: list[Path] = []
    copy = foreign.private_copy

    def counted(database: Path) -> Any:
        copies.append(database)
        return copy(database)

    def unable(*_: object) -> None:
        raise Unable

    monkeypatch.setattr(foreign, "private_copy", counted)
    if not able:
        monkeypatch.setattr(foreign, "as_owner", unable)
    box = cast("Box", SimpleNamespace(db=theirs))
    assert [tuple(line) for line in foreign.asked(box, lambda database: seven(database.parent))] == [(7,)]
    assert bool(copies) is not able


@root_only
def test_what_opens_in_no_way_in_place_is_read_from_a_copy(theirs: Path, tmp_path: Path) -> None:
    """A link beside the database, left by its owner, keeps the child from opening it: regular files are copied."""
    wal = theirs / "box.db-wal"
    wal.unlink(missing_ok=True)
    wal.symlink_to(tmp_path / "secret")

    def board(database: Path) -> list[Any]:
        try:
            return seven(database.parent)
        except sqlite3.OperationalError as error:
            raise Unreachable("board-busy", str(error)) from None

    with pytest.raises(Unable):
        as_owner.as_owner(theirs, lambda directory: board(directory / "box.db"))
    box = cast("Box", SimpleNamespace(db=theirs))
    assert [tuple(line) for line in foreign.asked(box, board)] == [(7,)]
    assert (tmp_path / "secret").read_text() == "root's own"


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
