"""What the file store does beyond its port: durability, leftovers, and a full disk."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from greenroom import clearing
from greenroom.domain.digest import Digest, digest_of, hex_of
from greenroom.domain.errors import Tampered, Unusable
from greenroom.release import store as store_module
from greenroom.release.store import FileStore


def _path(directory: Path, digest: Digest) -> Path:
    return directory / digest.partition(":")[0] / hex_of(digest)[:2] / hex_of(digest)[2:]


def test_files_are_read_only_and_private(tmp_path: Path) -> None:
    """Stored files are 0444 in directories of 0700."""
    digest = FileStore(tmp_path / "store").put("blob", b"x")
    path = _path(tmp_path / "store", digest)
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    for folder in (path.parent, path.parent.parent, tmp_path / "store"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_torn_file_is_written_again(tmp_path: Path) -> None:
    """put mends a file that has lost its bytes."""
    store = FileStore(tmp_path)
    digest = store.put("blob", b"whole bytes")
    path = _path(tmp_path, digest)
    path.unlink()
    path.touch()
    with pytest.raises(Tampered):
        store.get(digest)
    assert store.get(store.put("blob", b"whole bytes")) == b"whole bytes"
    path.unlink()
    path.touch()
    store.put_many("blob", [b"whole bytes"])
    assert store.get(digest) == b"whole bytes"


@pytest.mark.parametrize("what", ["link", "folder", "pipe"])
def test_what_is_no_file_is_tampered(tmp_path: Path, what: str) -> None:
    """A link, folder or pipe in the place of a file is never followed, nor waited for."""
    store = FileStore(tmp_path / "store")
    digest = store.put("blob", b"x")
    path = _path(tmp_path / "store", digest)
    path.unlink()
    if what == "link":
        (tmp_path / "x").write_bytes(b"x")
        path.symlink_to(tmp_path / "x")
    elif what == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    with pytest.raises(Tampered):
        store.get(digest)


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without space put raises disk-full with a remedy; nothing is stored, and no scratch file stays."""
    store = FileStore(tmp_path)

    def full(fd: int, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    for put in (lambda: store.put("blob", b"x"), lambda: store.put_many("blob", [b"x", b"y"])):
        with pytest.raises(Unusable) as caught:
            put()
        assert caught.value.reference == "disk-full"
        assert caught.value.remedy
    monkeypatch.undo()
    assert not store.has(digest_of("blob", b"x"))
    assert [path for path in (tmp_path / ".incoming").rglob("*") if path.is_file()] == []


def test_leftovers_of_a_killed_writer_are_removed(tmp_path: Path) -> None:
    """Scratch files of a process that died are removed at the next opening, those of a living one are not."""
    code = (
        "import os, sys; from pathlib import Path; from greenroom.release.store import FileStore\n"
        "store = FileStore(Path(sys.argv[1])); store._write(b'torn', sync=False); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert len(list((tmp_path / ".incoming").iterdir())) == 1
    living = FileStore(tmp_path)
    assert list((tmp_path / ".incoming").iterdir()) == []
    living.put("blob", b"x")
    FileStore(tmp_path)
    assert len(list((tmp_path / ".incoming").iterdir())) == 1
    assert living.get(living.put("blob", b"y")) == b"y"


def test_leftovers_that_no_writer_of_ours_made_stop_no_opening(tmp_path: Path) -> None:
    """Another process of the box may be taken over: what it left lies deeper than any stack."""
    FileStore(tmp_path).put("blob", b"x")
    left = tmp_path / ".incoming" / "left"
    left.mkdir(mode=0o700)
    before = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.chdir(left)
        for _ in range(sys.getrecursionlimit() + 200):
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.fchdir(before)
        os.close(before)
    store = FileStore(tmp_path)
    assert not left.exists()
    assert store.get(store.put("blob", b"x")) == b"x"


def test_leftovers_that_take_long_do_not_hold_an_opening_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a little time for all of them together; the next opening goes on."""
    for number in range(3):
        (tmp_path / ".incoming" / str(number)).mkdir(parents=True)
    now, asked = [0.0], []

    def slow(name: str, *, dir_fd: int, seconds: float = clearing.SECONDS) -> bool:
        asked.append(name)
        now[0] += min(seconds, 0.75 * store_module.LEFTOVERS_S)
        return False

    with monkeypatch.context() as patched:
        patched.setattr(store_module, "removed", slow)
        patched.setattr(store_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
        store = FileStore(tmp_path)
    assert (len(asked), now[0]) == (2, store_module.LEFTOVERS_S)
    assert store.get(store.put("blob", b"x")) == b"x"
    FileStore(tmp_path)
    assert not [number for number in range(3) if (tmp_path / ".incoming" / str(number)).exists()]


def test_many_threads_may_put_the_same(tmp_path: Path) -> None:
    """Concurrent writers of the same bytes all succeed."""
    stores = [FileStore(tmp_path) for _ in range(4)]
    answers: list[Digest] = []
    threads = [
        threading.Thread(target=lambda store=store: answers.extend(store.put_many("blob", [b"a" * 9, b"b"])))
        for store in stores
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [digest_of("blob", b"a" * 9), digest_of("blob", b"b")] * 4
    assert stores[0].get(answers[0]) == b"a" * 9


@pytest.mark.parametrize("what", ["a link to itself", "a link to a folder", "a file", "a prefix that is a link"])
def test_what_others_leave_among_the_folders_hides_no_digest(tmp_path: Path, what: str) -> None:
    """Who shares the store may put anything there: the good digests are told, and nothing is followed."""
    store = FileStore(tmp_path / "store")
    kept = store.put("card", b"x")
    folder = tmp_path / "store" / "card"
    spare = next(name for name in ("00", "ff") if not hex_of(kept).startswith(name))
    if what == "a link to itself":
        (folder / spare).symlink_to(spare)
    elif what == "a link to a folder":
        (folder / spare).symlink_to(hex_of(kept)[:2])
    elif what == "a file":
        (folder / spare).write_bytes(b"")
    else:
        (tmp_path / "store" / "text").symlink_to("card")
    assert list(store.digests("card")) == [kept]
    assert list(store.digests("text")) == []
