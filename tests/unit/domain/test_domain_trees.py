"""Tree manifests: canonical, bounded, and empty of what a tree may not hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain.digest import digest_of
from greenroom.domain.errors import GreenroomError, Unusable
from greenroom.domain.trees import Entry, File, Link, manifest_of, parse_manifest, show_path

BLOB = digest_of("blob", b"")
names = st.text("abcdé .%\u202e", min_size=1, max_size=6).map(str.encode).filter(lambda n: n not in (b".", b".."))
files = st.builds(File, path=names, executable=st.booleans(), size=st.integers(0, 10**6), blob=st.just(BLOB))
trees = st.lists(files, max_size=8, unique_by=lambda file: file.path)


def file(path: bytes) -> File:
    return File(path=path, executable=False, size=0, blob=BLOB)


@given(trees)
def test_a_manifest_reads_back_the_same(entries: list[File]) -> None:
    """parse(encode) is the identity, whatever the order the entries came in."""
    manifest = manifest_of(entries)
    assert parse_manifest(manifest.encode()) == manifest
    assert manifest_of(reversed(entries)).digest == manifest.digest


@given(st.binary(max_size=200))
def test_any_bytes_are_a_manifest_or_refused(data: bytes) -> None:
    """The parser raises nothing but its own errors, and accepts only canonical bytes."""
    for candidate in (data, b"greenroom-tree 1\n" + data):
        try:
            assert parse_manifest(candidate).encode() == candidate
        except GreenroomError as error:
            assert error.reference


@pytest.mark.parametrize(
    ("entry", "reference"),
    [
        (file(b"/etc/passwd"), "bad-path"),
        (file(b"a/../b"), "bad-path"),
        (file(b""), "bad-path"),
        (file(b"a//b"), "bad-path"),
        (file(b"x" * 2000), "bad-path"),
        (file(b"evil\nname"), "name-control-characters"),
        (file(b"evil\x1b[31m"), "name-control-characters"),
        (file(b"sub/.git/config"), "git-directory-in-tree"),
        (file(b".GIT/config"), "git-directory-in-tree"),
        (Link(path=b"a", target=b"/etc/passwd"), "link-leaves-tree"),
        (Link(path=b"d/a", target=b"../../x"), "link-leaves-tree"),
        (Link(path=b"a", target=b""), "link-leaves-tree"),
    ],
)
def test_what_a_tree_may_not_hold_is_refused_by_name(entry: Entry, reference: str) -> None:
    """Each has its stable reference."""
    with pytest.raises(Unusable) as caught:
        manifest_of([entry])
    assert caught.value.reference == reference


def test_a_link_inside_the_tree_is_kept() -> None:
    """A relative target that stays inside is fine."""
    manifest = manifest_of([Link(path=b"d/a", target=b"../b"), file(b"b")])
    assert parse_manifest(manifest.encode()) == manifest


def test_a_file_cannot_stand_where_a_directory_is_needed() -> None:
    """`a` and `a/b` cannot both be in one tree."""
    with pytest.raises(Unusable):
        manifest_of([file(b"a"), file(b"a/b")])


def test_paths_are_shown_without_control_or_bidi_characters() -> None:
    """What a screen would act on is percent-encoded."""
    assert show_path(b"a\x1bb") == "a%1Bb"
    assert "\u202e" not in show_path("x\u202ey".encode())
