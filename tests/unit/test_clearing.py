"""Trees that foreign code wrote go away whole, whatever they are like, and nothing outside them does."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom import clearing
from greenroom.clearing import emptied, remove, removed

DEPTH = 5000


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Path]:
    """A directory outside; it is as it was in the end."""
    place = tmp_path / "kept"
    (place / "folder").mkdir(parents=True)
    (place / "file").write_bytes(b"x")
    (place / "folder").chmod(0o500)
    yield place
    assert sorted(path.name for path in place.iterdir()) == ["file", "folder"]
    assert (place / "file").read_bytes() == b"x"
    assert (place / "folder").stat().st_mode & 0o777 == 0o500


def descend(top: Path, depth: int, each: Callable[[], None] = lambda: None) -> None:
    """Directories in directories below `top`; `each` is done in every one."""
    before = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.chdir(top)
        for _ in range(depth):
            os.mkdir("d")
            os.chdir("d")
            each()
    finally:
        os.fchdir(before)
        os.close(before)


def test_a_tree_deeper_than_any_path_and_any_stack_goes(tmp_path: Path, kept: Path) -> None:
    """Five thousand directories in each other, each with a link out of the tree."""
    tree = tmp_path / "tree"
    tree.mkdir()
    assert sys.getrecursionlimit() < DEPTH
    descend(tree, DEPTH, lambda: os.symlink(kept, "link"))
    remove(tree)
    assert not os.path.lexists(tree)


def test_what_is_shut_goes(tmp_path: Path) -> None:
    """Directories of mode 0 at the top, below and deep, with something in them."""
    tree = tmp_path / "tree"
    shut = [tree, tree / "a", tree / "a" / "b", tree / "c"]
    for path in shut:
        path.mkdir()
        (path / "file").write_bytes(b"x")
    for path in reversed(shut):
        path.chmod(0)
    remove(tree)
    assert not os.path.lexists(tree)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_what_an_ordinary_user_shut_goes_as_that_user() -> None:
    """Root passes every mode; this user does not."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o777)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.setgid(65534)
                os.setuid(65534)
                test_what_is_shut_goes(place)
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert list(place.iterdir()) == []


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=8))
def test_names_of_any_bytes_go(tmp_path_factory: pytest.TempPathFactory, names: list[bytes]) -> None:
    """Also those that are no UTF-8, begin with a dash, or have line ends."""
    tree = tmp_path_factory.mktemp("names")
    for name in names:
        if b"/" in name or b"\0" in name or name in (b".", b".."):
            continue
        path = os.path.join(os.fsencode(tree), name)
        if not os.path.lexists(path):
            os.mkdir(path)
            os.mkfifo(os.path.join(path, name))
    remove(tree)
    assert not os.path.lexists(tree)


def test_no_link_is_followed(tmp_path: Path, kept: Path) -> None:
    """Not the top, not below, not to a directory, a file, or nowhere."""
    tree = tmp_path / "tree"
    (tree / "below").mkdir(parents=True)
    for name, target in (("dir", kept), ("file", kept / "file"), ("nowhere", tmp_path / "gone"), ("up", tmp_path)):
        (tree / name).symlink_to(target)
        (tree / "below" / name).symlink_to(target)
    (tmp_path / "top").symlink_to(kept)
    remove(tmp_path / "top")
    remove(tree)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_file_and_nothing_go_too(tmp_path: Path) -> None:
    """Whoever cleans up does not know what was left."""
    (tmp_path / "file").write_bytes(b"x")
    remove(tmp_path / "file")
    remove(tmp_path / "never")
    assert removed(tmp_path / "never" / "there")
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_one_in_the_directory_that_is_given(tmp_path: Path) -> None:
    """Whatever the working directory is."""
    (tmp_path / "tree" / "a").mkdir(parents=True)
    place = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert removed("tree", dir_fd=place)
    finally:
        os.close(place)
    assert list(tmp_path.iterdir()) == []


def test_a_directory_is_emptied_and_stays(tmp_path: Path) -> None:
    """More entries than are read at once; what is no directory is not emptied."""
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(clearing._AT_ONCE + 50):
        (tree / str(number)).write_bytes(b"")
    (tree / "a" / "b").mkdir(parents=True)
    assert emptied(tree)
    assert list(tree.iterdir()) == []
    assert not emptied(tmp_path / "never")


def test_the_work_grows_with_the_entries_and_no_faster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each directory is read twice, however many files it has and however deep it lies: the second time it is empty.

    Where more directories come up than are kept in memory, the top is read once more.
    """
    tree = tmp_path / "tree"
    (tree / "full" / "deep").mkdir(parents=True)
    for number in range(60):
        (tree / str(number)).write_bytes(b"")
        (tree / "full" / str(number)).write_bytes(b"")
        (tree / "full" / f"d{number}").mkdir()
    descend(tree / "full" / "deep", 60)
    directories = sum(1 for _ in os.walk(tree))
    scandir, read = os.scandir, []

    def counted(place: int) -> Any:
        read.append(place)
        return scandir(place)

    monkeypatch.setattr(os, "scandir", counted)
    monkeypatch.setattr(clearing, "_AT_ONCE", 10)
    remove(tree)
    assert not os.path.lexists(tree)
    assert len(read) <= 2 * directories + 1


def acts(path: Path, outside: Path) -> tuple[Callable[[], object], ...]:
    """What may become of an entry, one after the other."""
    return (
        lambda: (path / "x" / "y").mkdir(parents=True),
        lambda: (path / "x" / "file").write_bytes(b"x"),
        lambda: (path / "x").rename(path.with_suffix(".moved")),
        path.rmdir,
        lambda: path.symlink_to(outside),
        path.unlink,
    )


def test_what_changes_meanwhile_goes(tmp_path: Path, kept: Path) -> None:
    """Entries come, go and turn into links to outside while the tree is removed."""
    tree = tmp_path / "tree"
    tree.mkdir()
    descend(tree, 200)
    done = threading.Event()

    def change(number: int) -> None:
        for turn in range(400):
            for act in acts(tree / f"{number}-{turn % 7}", kept):
                with contextlib.suppress(OSError):
                    act()
        done.set()

    threads = [threading.Thread(target=change, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    while not done.is_set():
        removed(tree, seconds=5)
        tree.mkdir(exist_ok=True)
    for thread in threads:
        thread.join()
    remove(tree)
    assert not os.path.lexists(tree)


@pytest.mark.parametrize("code", [errno.EBUSY, errno.EPERM])
def test_what_cannot_go_is_told_and_the_rest_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """The reason is the last one; nobody tries for ever."""
    tree = tmp_path / "tree"
    (tree / "a").mkdir(parents=True)
    for name in ("stuck", "file", "a/file"):
        (tree / name).write_bytes(b"")
    unlink = os.unlink

    def unlinked(path: str, *, dir_fd: int | None = None) -> None:
        if path == "stuck":
            raise OSError(code, os.strerror(code), path)
        unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", unlinked)
    with pytest.raises(OSError, match="stuck") as raised:
        remove(tree)
    assert raised.value.errno == code
    assert not removed(tree)
    assert not emptied(tree)
    assert [path.name for path in tree.iterdir()] == ["stuck"]


def test_a_tree_that_never_ends_is_given_up(tmp_path: Path) -> None:
    """After its time, and no later than at the next entry."""
    (tmp_path / "tree" / "a").mkdir(parents=True)
    with pytest.raises(TimeoutError):
        remove(tmp_path / "tree", seconds=-1)
    assert not removed(tmp_path / "tree", seconds=-1)
    assert (tmp_path / "tree" / "a").is_dir()
