"""The conformance suite of the Release port: git refs, pointer files, the fake and the dispatcher answer alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from greenroom.domain.digest import Digest, prefix_of
from greenroom.domain.errors import NotFound, Tampered
from greenroom.domain.ports import Release
from greenroom.domain.trees import File, Link, manifest_of
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import Kind, Subject
from greenroom.release.kinds import ReleaseByKind
from greenroom.release.pointers import PointerRelease
from greenroom.release.refs import RefRelease
from greenroom.release.trees import StoreTrees
from greenroom.testing.release import MemoryRelease
from greenroom.testing.store import MemoryStore

pytestmark = pytest.mark.slow

SUBJECT = Subject(kind=Kind.WORKSPACE, address="/home/someone/project")
OTHER = Subject(kind=Kind.WORKSPACE, address="/home/someone/other")
AT = Instant(1_760_000_000_000_000_000)
Files = Mapping[bytes, bytes]


@dataclass(frozen=True)
class Rig:
    """A driver with the store behind it, and a way to make it again from what is on the disk."""

    release: Release
    store: MemoryStore
    again: Callable[[], Release]

    def tree(self, files: Files) -> Digest:
        """The digest of a stored tree with `files`; a path ending in `.sh` is executable, one in `.ln` a link."""
        entries: list[File | Link] = []
        for path, data in files.items():
            if path.endswith(b".ln"):
                entries.append(Link(path=path, target=data))
            else:
                blob = self.store.put("blob", data)
                entries.append(File(path=path, executable=path.endswith(b".sh"), size=len(data), blob=blob))
        return self.store.put("tree", manifest_of(entries).encode())


def _refs(directory: Path, store: MemoryStore) -> Release:
    return RefRelease(directory, store, StoreTrees(store))


def _pointers(directory: Path, store: MemoryStore) -> Release:
    return PointerRelease(directory, store, StoreTrees(store))


def _by_kind(directory: Path, store: MemoryStore) -> Release:
    return ReleaseByKind({Kind.WORKSPACE: _pointers(directory, store)})


@pytest.fixture(params=["refs", "pointers", "by-kind", "memory"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    """A rig for each driver."""
    store = MemoryStore()
    if request.param == "memory":
        fake = MemoryRelease(store, StoreTrees(store))
        return Rig(fake, store, lambda: fake)
    make = {"refs": _refs, "pointers": _pointers, "by-kind": _by_kind}[request.param]
    return Rig(make(tmp_path / "live", store), store, lambda: make(tmp_path / "live", store))


@pytest.fixture
def base(rig: Rig) -> Digest:
    """A first live tree."""
    tree = rig.tree({b"a.py": b"one\n", b"bin/run.sh": b"#!/bin/sh\n", b"d/e/f": b"deep", b"to.ln": b"a.py"})
    return rig.release.begin(SUBJECT, tree, {"source": "here"}, b"")


@pytest.fixture
def green(rig: Rig) -> Digest:
    """A candidate."""
    return rig.tree({b"a.py": b"two\n", b"d/e/f": b"deep", "ö name".encode(): b"", b"\xff": b"not UTF-8"})


def test_nothing_is_live_at_first(rig: Rig) -> None:
    """live is None before begin, and every verb that needs a live tree names the subject."""
    assert rig.release.live(SUBJECT) is None
    for ask in (rig.release.position, rig.release.rehash, lambda s: rig.release.save(s, AT)):
        with pytest.raises(NotFound) as caught:
            ask(SUBJECT)
        assert (caught.value.reference, caught.value.where) == ("no-subject", str(SUBJECT))


def test_begin_makes_a_tree_live(rig: Rig, base: Digest) -> None:
    """After begin the tree is live, its bytes rehash to the same digest, and begin may be repeated."""
    position = rig.release.position(SUBJECT)
    assert rig.release.begin(SUBJECT, base, {"source": "here"}, b"") == base
    assert rig.release.live(SUBJECT) == base == rig.release.rehash(SUBJECT)
    assert rig.release.position(SUBJECT) == position


def test_subjects_do_not_meet(rig: Rig, base: Digest) -> None:
    """What is live for one subject says nothing about another."""
    assert rig.release.live(OTHER) is None
    assert rig.release.live(SUBJECT) == base


def test_staging_changes_nothing(rig: Rig, base: Digest, green: Digest) -> None:
    """A staged tree is not live, and the same input is staged under the same name."""
    position = rig.release.position(SUBJECT)
    staged = rig.release.stage(SUBJECT, green, "message", AT)
    assert rig.release.stage(SUBJECT, green, "message", AT) == staged
    assert (rig.release.live(SUBJECT), rig.release.position(SUBJECT)) == (base, position)


def test_swap_makes_the_staged_tree_live(rig: Rig, base: Digest, green: Digest) -> None:
    """After a swap green is live, byte for byte, at another position; a driver made anew says the same."""
    before = rig.release.position(SUBJECT)
    staged = rig.release.stage(SUBJECT, green, "message", AT)
    assert rig.release.swap(SUBJECT, base, green, staged)
    for release in (rig.release, rig.again()):
        assert release.live(SUBJECT) == green == release.rehash(SUBJECT)
        assert release.position(SUBJECT) == staged != before


def test_swap_is_idempotent(rig: Rig, base: Digest, green: Digest) -> None:
    """The same swap again answers True and moves nothing."""
    staged = rig.release.stage(SUBJECT, green, "message", AT)
    assert rig.release.swap(SUBJECT, base, green, staged)
    assert rig.release.swap(SUBJECT, base, green, staged)
    assert rig.release.position(SUBJECT) == staged


def test_swap_compares(rig: Rig, base: Digest, green: Digest) -> None:
    """A swap that expects another live tree, or another staged one, answers False and moves nothing."""
    staged = rig.release.stage(SUBJECT, green, "message", AT)
    position = rig.release.position(SUBJECT)
    assert not rig.release.swap(SUBJECT, green, green, staged)
    assert not rig.release.swap(SUBJECT, base, base, staged)
    assert (rig.release.live(SUBJECT), rig.release.position(SUBJECT)) == (base, position)


def test_a_late_stage_loses(rig: Rig, base: Digest, green: Digest) -> None:
    """Of two stages on one base the second to swap answers False, even when the live tree has come back."""
    third = rig.tree({b"c": b"three"})
    first = rig.release.stage(SUBJECT, green, "first", AT)
    late = rig.release.stage(SUBJECT, third, "late", AT)
    assert rig.release.swap(SUBJECT, base, green, first)
    assert not rig.release.swap(SUBJECT, base, third, late)
    back = rig.release.stage(SUBJECT, base, "back", AT)
    assert rig.release.swap(SUBJECT, green, base, back)
    assert not rig.release.swap(SUBJECT, base, third, late)
    assert rig.release.live(SUBJECT) == base


def test_a_revert_goes_forward(rig: Rig, base: Digest, green: Digest) -> None:
    """Going back to the earlier tree is a swap like any other: same digest, another position."""
    start = rig.release.position(SUBJECT)
    assert rig.release.swap(SUBJECT, base, green, rig.release.stage(SUBJECT, green, "there", AT))
    back = rig.release.stage(SUBJECT, base, "back", AT)
    assert rig.release.swap(SUBJECT, green, base, back)
    assert rig.release.rehash(SUBJECT) == base
    assert rig.release.position(SUBJECT) == back != start


def test_undo_is_saved_before_the_act(rig: Rig, base: Digest) -> None:
    """The undo record names the live tree, its position and stored bytes of kind undo; it changes nothing."""
    record = rig.release.save(SUBJECT, AT)
    assert (record.subject, record.live, record.at) == (SUBJECT, base, AT)
    assert record.commit == rig.release.position(SUBJECT)
    assert prefix_of(record.bundle) == "undo"
    assert rig.store.get(record.bundle)
    assert rig.release.live(SUBJECT) == base


def test_a_spoiled_blob_is_not_staged(rig: Rig, base: Digest) -> None:
    """Staging reads every file: bytes that changed after the seal are found, and nothing moves."""
    green = rig.tree({b"evil.py": b"sealed bytes"})
    rig.store.spoil(rig.store.put("blob", b"sealed bytes"), b"other bytes!")
    with pytest.raises(Tampered):
        rig.release.stage(SUBJECT, green, "message", AT)
    assert rig.release.live(SUBJECT) == base


def test_a_missing_blob_is_not_staged(rig: Rig, base: Digest) -> None:
    """A tree whose files are not all stored cannot be staged."""
    green = rig.tree({b"gone.py": b"erased bytes"})
    rig.store.erase(rig.store.put("blob", b"erased bytes"))
    with pytest.raises(NotFound):
        rig.release.stage(SUBJECT, green, "message", AT)
    assert rig.release.live(SUBJECT) == base


def test_begin_adopts(rig: Rig, base: Digest, green: Digest) -> None:
    """begin on a living subject makes the imported tree live: the adoption of the owner's own commits."""
    before = rig.release.position(SUBJECT)
    assert rig.release.begin(SUBJECT, green, {"source": "here"}, b"") == green
    assert rig.release.live(SUBJECT) == green == rig.release.rehash(SUBJECT)
    assert rig.release.position(SUBJECT) != before


def test_the_empty_tree_can_be_live(rig: Rig, base: Digest) -> None:
    """A tree without files is a tree."""
    empty = rig.tree({})
    assert rig.release.swap(SUBJECT, base, empty, rig.release.stage(SUBJECT, empty, "nothing", AT))
    assert rig.release.rehash(SUBJECT) == empty
