"""Pointer files and the dispatcher: what the conformance suite does not ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenroom.domain.digest import Digest
from greenroom.domain.errors import NotFound, Tampered, Unusable
from greenroom.domain.trees import File, manifest_of
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import Kind, Subject
from greenroom.release.kinds import ReleaseByKind
from greenroom.release.pointers import PointerRelease
from greenroom.release.trees import StoreTrees
from greenroom.testing.store import MemoryStore

SUBJECT = Subject(kind=Kind.CONFIG, address="lamp")
OTHER = Subject(kind=Kind.CONFIG, address="door")
AT = Instant(1_760_000_000_000_000_000)


def _tree(store: MemoryStore, text: bytes) -> Digest:
    blob = store.put("blob", text)
    return store.put("tree", manifest_of([File(path=b"f", executable=False, size=len(text), blob=blob)]).encode())


@pytest.fixture
def store() -> MemoryStore:
    """A store in memory."""
    return MemoryStore()


@pytest.fixture
def release(store: MemoryStore, tmp_path: Path) -> PointerRelease:
    """A driver with two living subjects of one tree."""
    made = PointerRelease(tmp_path, store, StoreTrees(store))
    for subject in (SUBJECT, OTHER):
        made.begin(subject, _tree(store, b"one"), {}, b"")
    return made


@pytest.mark.parametrize("broken", [b"", b"{}", b'{"generation":1}', b"x" * 10_000, b"\xff"])
def test_a_broken_pointer_is_tampered(release: PointerRelease, tmp_path: Path, broken: bytes) -> None:
    """A pointer file that is torn or forged is never followed."""
    for path in tmp_path.glob("*.json"):
        path.write_bytes(broken)
    with pytest.raises(Tampered, match="live-broken"):
        release.live(SUBJECT)


def test_a_generation_of_another_subject_is_not_taken(release: PointerRelease, store: MemoryStore) -> None:
    """What was staged for one subject is not swapped in for another."""
    one, two = _tree(store, b"one"), _tree(store, b"two")
    staged = release.stage(OTHER, two, "message", AT)
    assert not release.swap(SUBJECT, one, two, staged)
    assert release.live(SUBJECT) == one


def test_a_generation_that_was_never_staged_is_not_found(release: PointerRelease, store: MemoryStore) -> None:
    """A staged name must be a digest of stored bytes."""
    one = _tree(store, b"one")
    with pytest.raises(Unusable, match="bad-digest"):
        release.swap(SUBJECT, one, one, "HEAD")
    with pytest.raises(NotFound):
        release.swap(SUBJECT, one, one, "entry:" + "0" * 64)


def test_rehash_finds_a_lost_file(release: PointerRelease, store: MemoryStore) -> None:
    """A live file that was changed or erased in the store is Tampered."""
    blob = store.put("blob", b"one")
    store.spoil(blob, b"eno")
    with pytest.raises(Tampered):
        release.rehash(SUBJECT)
    store.erase(blob)
    with pytest.raises(Tampered, match="live-broken"):
        release.rehash(SUBJECT)


def test_no_scratch_file_stays(release: PointerRelease, store: MemoryStore, tmp_path: Path) -> None:
    """After a swap the directory holds the pointers and their locks only."""
    two = _tree(store, b"two")
    assert release.swap(SUBJECT, _tree(store, b"one"), two, release.stage(SUBJECT, two, "message", AT))
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".json", ".lock", ".lock"]


def test_a_kind_without_driver_is_named(release: PointerRelease) -> None:
    """The dispatcher refuses a kind that it has no driver for, and says which ones it has."""
    by_kind = ReleaseByKind({Kind.CONFIG: release})
    assert by_kind.live(SUBJECT) == release.live(SUBJECT)
    with pytest.raises(Unusable) as caught:
        by_kind.live(Subject(kind=Kind.IMAGE, address="x"))
    assert caught.value.reference == "kind-not-supported"
    assert "config" in caught.value.remedy
