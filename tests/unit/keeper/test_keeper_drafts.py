from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from greenroom.clearing import remove
from greenroom.domain.errors import Unreachable
from greenroom.keeper import drafts as drafts_module
from greenroom.keeper.drafts import Drafts


def test_a_draft_is_gone_afterwards_whatever_happened(tmp_path: Path) -> None:
    """Also an exception removes it."""
    drafts = Drafts(tmp_path / "runs", uid=None)
    seen = []

    def work() -> None:
        with drafts.open() as path:
            seen.append(path)
            (path / "file").write_bytes(b"x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert not seen[0].exists()
    drafts.close()


def test_leftovers_of_an_earlier_keeper_are_removed_at_the_start(tmp_path: Path) -> None:
    """A keeper that was killed leaves drafts; the next one begins clean."""
    (tmp_path / "runs" / "old" / "deep").mkdir(parents=True)
    (tmp_path / "runs" / "stray").write_bytes(b"")
    Drafts(tmp_path / "runs", uid=None).close()
    assert list((tmp_path / "runs").iterdir()) == []


def test_leftovers_that_take_long_do_not_hold_the_start_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keeper works meanwhile, and what it makes is none of them."""
    (tmp_path / "runs" / "old").mkdir(parents=True)
    go_on, gone = threading.Event(), threading.Event()

    def slow(path: Path) -> None:
        if path.name == "old":
            assert go_on.wait(10)
            remove(path)
            gone.set()

    monkeypatch.setattr(drafts_module, "remove", slow)
    monkeypatch.setattr(drafts_module, "CLEAR_S", 0.0)
    drafts = Drafts(tmp_path / "runs", uid=None)
    with drafts.open() as path:
        assert (tmp_path / "runs" / "old").is_dir()
        go_on.set()
        assert gone.wait(10)
        assert list((tmp_path / "runs").iterdir()) == [path]
    drafts.close()


def test_a_second_keeper_is_turned_away_until_the_first_ends(tmp_path: Path) -> None:
    """Two keepers would remove each other's drafts."""
    first = Drafts(tmp_path / "runs", uid=None)
    with pytest.raises(Unreachable) as raised:
        Drafts(tmp_path / "runs", uid=None)
    assert raised.value.reference == "keeper-runs-already"
    first.close()
    Drafts(tmp_path / "runs", uid=None).close()


def test_remove_follows_no_link(tmp_path: Path) -> None:
    """A link out of the tree is removed, not what it points to."""
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_bytes(b"x")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").symlink_to(kept)
    (tmp_path / "top").symlink_to(kept)
    remove(tree)
    remove(tmp_path / "top")
    assert (kept / "file").read_bytes() == b"x"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kept"]


def test_remove_takes_any_depth_and_any_mode(tmp_path: Path) -> None:
    """Hostile code may nest thousands of directories and take all rights away."""
    tree = tmp_path / "tree"
    tree.mkdir()
    before = os.getcwd()
    try:
        os.chdir(tree)
        for _ in range(3000):
            os.mkdir("d")
            os.chdir("d")
        Path("leaf").write_bytes(b"")
    finally:
        os.chdir(before)
    (tree / "closed").mkdir(mode=0o000)
    (tree / "d").chmod(0o000)
    remove(tree)
    assert not tree.exists()


def test_what_is_given_to_the_sandbox_is_open_to_it_and_a_draft_is_passable(tmp_path: Path) -> None:
    """The sandbox's user passes through a draft, and cannot list other drafts."""
    drafts = Drafts(tmp_path / "runs", uid=None)
    with drafts.open() as path:
        out = drafts.give(path / "out")
        modes = [p.stat().st_mode & 0o777 for p in (tmp_path / "runs", path, out)]
    drafts.close()
    assert modes == [0o711, 0o711, 0o755]
