"""Whose each path of a box is, and reading a database that another user writes."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from greenroom.bootstrap import ownership
from greenroom.bootstrap.foreign import private_copy
from greenroom.config import Box
from greenroom.keeper.separation import Users
from greenroom.release.store import FileStore

USERS = Users(guard=701, guard_group=801, executor=702, executor_group=802, shared=900)
BOX = Box(Path("/b"))


def by_path(users: Users | None, me: tuple[int, int]) -> dict[str, ownership.Place]:
    found = ownership.places(BOX, users, me)
    assert len({place.path for place in found}) == len(found)
    return {str(place.path.relative_to("/b")): place for place in found}


def may(place: ownership.Place, uid: int, groups: set[int], bit: int) -> bool:
    """Whether the mode of a path lets a user without capabilities read (4), write (2) or pass (1)."""
    shift = 6 if place.uid == uid else 3 if place.gid in groups else 0
    return bool(place.mode >> shift & bit)


def test_the_executor_passes_only_its_own_and_what_is_shared() -> None:
    """By the modes alone, without any view."""
    found = by_path(USERS, (0, 0))
    passed = {name for name, place in found.items() if may(place, 702, {802, 900}, 1)}
    assert passed == {".", "public", "db", "store", "keeper", "run", "run/guard", "run/keeper", "run/desk"}
    assert not may(found["keeper"], 702, {802, 900}, 4)


def test_the_guard_reads_its_own_key_and_not_the_keys() -> None:
    """It passes `keys/` and cannot list it; log, pointers and its own directory are its."""
    found = by_path(USERS, (0, 0))
    assert may(found["keys"], 701, {801, 900}, 1)
    assert not may(found["keys"], 701, {801, 900}, 4)
    assert (found["keys/guard.key"].uid, found["keys/guard.key"].mode) == (701, 0o600)
    assert all(found[name].uid == 701 and found[name].below for name in ("log", "live", "guard"))
    assert not may(found["db"], 701, {801, 900}, 1)


def test_only_a_socket_s_own_user_may_put_one_there() -> None:
    """Else the executor could answer in the guard's name."""
    found = by_path(USERS, (0, 0))
    for name, writers in (("guard", {701}), ("keeper", set()), ("desk", {702})):
        place = found[f"run/{name}"]
        assert {uid for uid in (701, 702) if may(place, uid, {uid + 100, 900}, 2)} == writers
    assert not any(may(found["run"], uid, {uid + 100, 900}, 2) for uid in (701, 702))


def test_others_get_to_what_is_public_and_to_the_cells_only() -> None:
    """The sandbox's user passes the box and the keeper's directory, and lists neither."""
    found = by_path(USERS, (0, 0))
    assert {name for name, place in found.items() if may(place, 54321, set(), 1)} == {".", "public", "keeper"}
    assert not may(found["keeper"], 54321, set(), 4)


def test_the_mark_is_set_last_and_taken_first() -> None:
    """A hand-over that is cut short is never taken for a finished one."""
    assert ownership.places(BOX, USERS, (0, 0))[-1].path == BOX.run
    assert ownership.places(BOX, None, (0, 0))[0].path == BOX.run


def test_the_box_of_an_ordinary_user_is_open_to_nobody() -> None:
    """All directories are 0700 and that user's."""
    for place in by_path(None, (1000, 1000)).values():
        assert (place.uid, place.gid, place.mode) == (1000, 1000, 0o700)


def test_handing_over_follows_no_link_and_sets_modes(tmp_path: Path) -> None:
    """A directory that is a link is refused; the modes of the rest are as the table says."""
    box = Box(tmp_path / "box")
    for directory in box.directories():
        directory.mkdir(parents=True, mode=0o755)
    ownership.hand_over(box, None)
    assert stat.S_IMODE(box.keys.stat().st_mode) == 0o700
    box.live.rmdir()
    box.live.symlink_to(tmp_path)
    with pytest.raises(OSError, match="symbolic"):
        ownership.hand_over(box, None)


def test_without_root_there_are_no_users_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary user cannot start a process as another."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert ownership.users_to_be_had(BOX) is None


def test_a_store_s_folders_have_the_mode_of_the_store(tmp_path: Path) -> None:
    """Whatever the umask is: the group that shares the store writes in all of them."""
    shared = tmp_path / "store"
    shared.mkdir()
    shared.chmod(0o2770)
    before = os.umask(0o077)
    try:
        digest = FileStore(shared).put("blob", b"x")
    finally:
        os.umask(before)
    folders = [path for path in shared.rglob("*") if path.is_dir() and path.parent.name != ".incoming"]
    assert len(folders) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o2770}
    assert FileStore(shared).get(digest) == b"x"


def test_the_store_writes_through_no_link(tmp_path: Path) -> None:
    """Whoever shares it could else have root write anywhere."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "blob").symlink_to(elsewhere)
    with pytest.raises(OSError, match="blob"):
        FileStore(tmp_path / "store").put("blob", b"x")
    assert list(elsewhere.iterdir()) == []


def test_leftovers_behind_a_link_stay(tmp_path: Path) -> None:
    """What the scratch directory's name points to is not ours to clean."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "home").mkdir(parents=True)
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / ".incoming").symlink_to(elsewhere)
    FileStore(tmp_path / "store")
    assert (elsewhere / "home").is_dir()


def test_a_private_copy_has_what_was_written_last(tmp_path: Path) -> None:
    """Also what is still in the write-ahead log; and nothing is made beside the database."""
    database = tmp_path / "box.db"
    writer = sqlite3.connect(database)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("CREATE TABLE t (x)")
    writer.execute("INSERT INTO t VALUES (7)")
    writer.commit()
    before = sorted(tmp_path.iterdir())
    with private_copy(database) as copy:
        reader = sqlite3.connect(f"file:{copy}?mode=ro", uri=True)
        assert reader.execute("SELECT x FROM t").fetchall() == [(7,)]
        reader.close()
    assert sorted(tmp_path.iterdir()) == before
    assert not copy.exists()
    writer.close()


def test_a_link_is_no_database(tmp_path: Path) -> None:
    """It is as if there were none."""
    (tmp_path / "other").write_bytes(b"secret")
    (tmp_path / "box.db").symlink_to(tmp_path / "other")
    with private_copy(tmp_path / "box.db") as copy:
        assert not copy.exists()
