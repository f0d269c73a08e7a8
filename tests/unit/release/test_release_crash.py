"""SIGKILL in the middle of promotes: what is live is the old tree or the next one, never between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from greenroom.domain.digest import Digest
from greenroom.domain.ports import Release
from greenroom.domain.trees import File, manifest_of
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import Kind, Subject
from greenroom.release.pointers import PointerRelease
from greenroom.release.refs import RefRelease
from greenroom.release.store import FileStore
from greenroom.release.trees import StoreTrees

SUBJECT = Subject(kind=Kind.WORKSPACE, address="/x")
AT = Instant(1_760_000_000_000_000_000)


def _release(mechanism: str, box: Path) -> tuple[FileStore, Release]:
    store = FileStore(box / "store")
    driver = {"refs": RefRelease, "pointers": PointerRelease}[mechanism]
    return store, driver(box / "live", store, StoreTrees(store))


def _trees(store: FileStore) -> tuple[Digest, Digest]:
    made = []
    for text in (b"one", b"two"):
        blob = store.put("blob", text)
        file = File(path=b"d/f", executable=False, size=3, blob=blob)
        made.append(store.put("tree", manifest_of([file]).encode()))
    return made[0], made[1]


def _promote_for_ever(mechanism: str, box: Path) -> None:
    """The child: swap to and fro, and dot after each act, so that the parent knows how far it is."""
    store, release = _release(mechanism, box)
    live, green = _trees(store)
    release.begin(SUBJECT, live, {}, b"")
    turn = 0
    while True:
        turn += 1
        staged = release.stage(SUBJECT, green, f"turn {turn}", AT)
        os.write(1, b".")
        release.swap(SUBJECT, live, green, staged)
        os.write(1, b".")
        live, green = green, live


@pytest.mark.slow
@pytest.mark.parametrize("mechanism", ["refs", "pointers"])
def test_a_killed_guard_leaves_old_or_new(mechanism: str, tmp_path: Path) -> None:
    """After a kill at any place live is one of the two trees, rehashes to it, and the next swap goes through."""
    for dots in range(1, 8):
        code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\nimport test_release_crash as t\n"
        code += f"from pathlib import Path\nt._promote_for_ever({mechanism!r}, Path({str(tmp_path)!r}))"
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert len(child.stdout.read(dots)) == dots
            os.kill(child.pid, signal.SIGKILL)
        store, release = _release(mechanism, tmp_path)
        one, two = _trees(store)
        live = release.live(SUBJECT)
        assert live in (one, two)
        assert release.rehash(SUBJECT) == live
        green = two if live == one else one
        staged = release.stage(SUBJECT, green, f"after {dots}", AT)
        if not release.swap(SUBJECT, live, green, staged):
            # The git of the killed guard held the lock, and ended its swap after live was read.
            assert release.live(SUBJECT) == green
        assert release.swap(SUBJECT, green, one, release.stage(SUBJECT, one, "back", AT)) or green == one
        assert release.rehash(SUBJECT) == one
        store.close()


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("point", ["ref.laid-out", "ref.made", "ref.written", "ref.moved"])
def test_a_killed_guard_makes_a_repository_whole_or_not(point: str, tmp_path: Path) -> None:
    """Killed while a repository is made for the first time, it is live or not there; the next import makes it whole."""

    def at(passed: str) -> None:
        if passed == point:
            raise _Killed

    store = FileStore(tmp_path / "store")
    live, _ = _trees(store)
    killed = RefRelease(tmp_path / "live", store, StoreTrees(store), crash_point=at)
    with pytest.raises(_Killed):
        killed.begin(SUBJECT, live, {}, b"")
    _, release = _release("refs", tmp_path)
    assert release.live(SUBJECT) == (live if point == "ref.moved" else None)
    assert release.begin(SUBJECT, live, {}, b"") == live
    assert release.rehash(SUBJECT) == live


@pytest.mark.parametrize("left", ["", "ref: refs/hea"])
def test_a_repository_without_a_whole_head_is_made_again(left: str, tmp_path: Path) -> None:
    """A HEAD that a crash left empty or half is none: git could read nothing there."""
    store, release = _release("refs", tmp_path)
    live, _ = _trees(store)
    assert isinstance(release, RefRelease)
    folder = release.git_dir(SUBJECT)
    folder.mkdir(parents=True)
    (folder / "HEAD").write_text(left)
    assert release.begin(SUBJECT, live, {}, b"") == live
    assert release.rehash(SUBJECT) == live
