"""The conformance suite of the Store port: the files and the fake answer alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from greenroom.domain.digest import Digest, digest_of, hex_of
from greenroom.domain.errors import NotFound, Tampered, TooLarge, Unusable
from greenroom.domain.ports import Store
from greenroom.release.store import FileStore, put_all
from greenroom.testing.store import MemoryStore

Spoil = Callable[[Digest, bytes], None]


def _file_store(directory: Path) -> tuple[Store, Spoil]:
    def spoil(digest: Digest, data: bytes) -> None:
        path = directory / digest.partition(":")[0] / hex_of(digest)[:2] / hex_of(digest)[2:]
        path.chmod(0o600)
        path.write_bytes(data)

    return FileStore(directory), spoil


def _memory_store(directory: Path) -> tuple[Store, Spoil]:
    store = MemoryStore()
    return store, store.spoil


@pytest.fixture(params=[_file_store, _memory_store], ids=["files", "memory"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Store, Spoil]:
    """A store, and a way to spoil its bytes."""
    answer: tuple[Store, Spoil] = request.param(tmp_path / "store")
    return answer


def test_what_was_put_comes_back(made: tuple[Store, Spoil]) -> None:
    """The digest is that of the bytes, and gives the same bytes back."""
    store, _ = made
    for data in (b"", b"text", bytes(range(256)) * 5000):
        digest = store.put("blob", data)
        assert digest == digest_of("blob", data)
        assert store.get(digest) == data
        assert store.has(digest)


def test_put_is_idempotent(made: tuple[Store, Spoil]) -> None:
    """Putting the same bytes twice changes nothing."""
    store, _ = made
    assert store.put("text", b"same") == store.put("text", b"same")
    assert store.get(digest_of("text", b"same")) == b"same"


def test_the_prefix_belongs_to_the_name(made: tuple[Store, Spoil]) -> None:
    """Bytes that were put as one kind are not found as another."""
    store, _ = made
    store.put("blob", b"bytes")
    assert not store.has(digest_of("plan", b"bytes"))
    with pytest.raises(NotFound):
        store.get(digest_of("plan", b"bytes"))


def test_an_unknown_digest_is_not_found(made: tuple[Store, Spoil]) -> None:
    """get names the digest that is missing."""
    store, _ = made
    missing = digest_of("blob", b"never put")
    with pytest.raises(NotFound) as caught:
        store.get(missing)
    assert (caught.value.reference, caught.value.where) == ("not-stored", missing)


@pytest.mark.parametrize(
    "name", ["blob:../../etc/passwd", "blob:" + "0" * 63, "cat:" + "0" * 64, "", "blob:" + "G" * 64]
)
def test_a_malformed_digest_is_unusable(made: tuple[Store, Spoil], name: str) -> None:
    """A name that is no digest never becomes a path."""
    store, _ = made
    for call in (store.get, store.has, store.erase):
        with pytest.raises(Unusable) as caught:
            call(Digest(name))
        assert caught.value.reference == "bad-digest"


@pytest.mark.parametrize("wrong", [b"other bytes", b"", b"original bytes and more"])
def test_changed_bytes_are_tampered(made: tuple[Store, Spoil], wrong: bytes) -> None:
    """get rehashes: what was changed is never served."""
    store, spoil = made
    digest = store.put("blob", b"original bytes")
    spoil(digest, wrong)
    with pytest.raises(Tampered) as caught:
        store.get(digest)
    assert caught.value.reference == "wrong-bytes"


def test_get_is_bounded(made: tuple[Store, Spoil]) -> None:
    """Exactly the limit is read, one more byte is refused."""
    store, _ = made
    digest = store.put("blob", b"x" * 1000)
    assert len(store.get(digest, 1000)) == 1000
    with pytest.raises(TooLarge) as caught:
        store.get(digest, 999)
    assert caught.value.reference == "blob-too-large"


def test_erased_bytes_are_gone(made: tuple[Store, Spoil]) -> None:
    """erase removes, may be repeated, and the bytes can be put again."""
    store, _ = made
    digest = store.put("blob", b"private")
    store.erase(digest)
    store.erase(digest)
    assert not store.has(digest)
    with pytest.raises(NotFound):
        store.get(digest)
    assert store.get(store.put("blob", b"private")) == b"private"


def test_many_blobs_in_order(made: tuple[Store, Spoil]) -> None:
    """put_all gives the digests in order, also for bytes that come twice."""
    store, _ = made
    blobs = [b"a", b"b", b"a", b"c" * 100_000, b""]
    assert list(put_all(store, "blob", iter(blobs))) == [digest_of("blob", data) for data in blobs]
    assert all(store.get(digest_of("blob", data)) == data for data in blobs)
