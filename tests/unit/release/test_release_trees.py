"""Sealing directories that hostile code may have written, and writing trees out again."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.errors import GreenroomError, NotFound, Tampered, TooLarge, Unusable
from greenroom.domain.trees import File, Link, manifest_of
from greenroom.release import trees as module
from greenroom.release.store import FileStore
from greenroom.release.trees import StoreTrees
from greenroom.testing.store import MemoryStore

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away or make devices")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory to seal."""
    path = tmp_path / "folder"
    path.mkdir()
    return path


@pytest.fixture
def trees() -> StoreTrees:
    """Trees over a store in memory."""
    return StoreTrees(MemoryStore())


def _refused(trees: StoreTrees, folder: Path) -> GreenroomError:
    with pytest.raises(Unusable) as caught:
        trees.seal(str(folder))
    return caught.value


def test_a_directory_comes_back_byte_for_byte(trees: StoreTrees, folder: Path, tmp_path: Path) -> None:
    """Seal, materialise, seal again: same digest, and files, exec bits and links are as before."""
    (folder / "bin").mkdir()
    (folder / "bin/run").write_bytes(b"#!/bin/sh\n")
    (folder / "bin/run").chmod(0o700)
    (folder / "bin/up").symlink_to("../data")
    (folder / "data").write_bytes(bytes(range(256)))
    (folder / "empty").mkdir()
    with open(os.path.join(os.fsencode(folder), b"name \xff"), "wb") as file:
        file.write(b"not UTF-8")
    tree = trees.seal(str(folder))
    trees.materialise(tree, str(tmp_path / "out"))
    assert trees.seal(str(tmp_path / "out")) == tree
    assert (tmp_path / "out/data").read_bytes() == bytes(range(256))
    assert stat.S_IMODE((tmp_path / "out/bin/run").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "out/data").stat().st_mode) == 0o644
    assert os.readlink(tmp_path / "out/bin/up") == "../data"
    assert not (tmp_path / "out/empty").exists()


def test_the_digest_depends_on_content_alone(trees: StoreTrees, folder: Path, tmp_path: Path) -> None:
    """Times, order of creation, umask bits and empty directories do not change a digest; one byte does."""
    (folder / "a").write_bytes(b"1")
    (folder / "b").write_bytes(b"2")
    other = tmp_path / "other"
    (other / "void/void").mkdir(parents=True)
    (other / "b").write_bytes(b"2")
    (other / "a").write_bytes(b"1")
    (other / "a").chmod(0o640)
    os.utime(other / "a", (1, 1))
    assert trees.seal(str(folder)) == trees.seal(str(other))
    (other / "a").write_bytes(b"x")
    assert trees.seal(str(folder)) != trees.seal(str(other))


def test_hard_links_are_refused(trees: StoreTrees, folder: Path) -> None:
    """A file with two names could be changed through the other one."""
    (folder / "a").write_bytes(b"1")
    os.link(folder / "a", folder.parent / "outside")
    found = _refused(trees, folder)
    assert (found.reference, found.where) == ("hard-link", "a")
    assert found.remedy


@pytest.mark.parametrize("bit", [stat.S_ISUID, stat.S_ISGID, stat.S_ISVTX])
def test_special_bits_are_refused(trees: StoreTrees, folder: Path, bit: int) -> None:
    """setuid, setgid and sticky files are refused."""
    (folder / "a").write_bytes(b"1")
    os.chmod(folder / "a", 0o644 | bit)
    assert _refused(trees, folder).reference == "special-bits"


def test_extended_attributes_are_refused(trees: StoreTrees, folder: Path) -> None:
    """Extended attributes on files and directories are refused."""
    (folder / "d").mkdir()
    (folder / "d/a").write_bytes(b"1")
    for path in (folder / "d/a", folder / "d", folder):
        try:
            os.setxattr(path, "user.note", b"x")
        except OSError:
            pytest.skip("this file system has no extended attributes")
        assert _refused(trees, folder).reference == "extended-attributes"
        os.removexattr(path, "user.note")
    assert trees.seal(str(folder))


@pytest.mark.parametrize("what", ["pipe", "socket"])
def test_pipes_and_sockets_are_refused(trees: StoreTrees, folder: Path, what: str) -> None:
    """What is neither file, link nor directory is refused, and never opened."""
    if what == "pipe":
        os.mkfifo(folder / "p")
    else:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(folder / "p"))
    assert _refused(trees, folder).reference == "not-a-file"


@as_root
def test_devices_are_refused(trees: StoreTrees, folder: Path) -> None:
    """A device node is refused, and never opened."""
    try:
        os.mknod(folder / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("no right to make devices here")
    assert _refused(trees, folder).reference == "not-a-file"


@pytest.mark.parametrize("target", ["/etc/passwd", "../../etc/passwd", "..", "d/../../x", "d/l/../../../x", "d/l/.."])
def test_links_that_leave_are_refused(trees: StoreTrees, folder: Path, target: str) -> None:
    """Links out of the tree are refused, also those that step up behind a name that may be a link itself."""
    (folder / "d").mkdir()
    (folder / "d/l").symlink_to("..")
    (folder / "out").symlink_to(target)
    assert _refused(trees, folder).reference == "link-leaves-tree"


def test_links_to_directories_are_not_entered(trees: StoreTrees, folder: Path, tmp_path: Path) -> None:
    """A link to a directory of the tree is sealed as a link."""
    (folder / "d").mkdir()
    (folder / "d/f").write_bytes(b"1")
    (folder / "l").symlink_to("d")
    manifest = trees.manifest(trees.seal(str(folder)))
    assert [entry.path for entry in manifest.entries] == [b"d/f", b"l"]


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31m", "a\x7f"])
def test_control_characters_in_names_are_refused(trees: StoreTrees, folder: Path, name: str) -> None:
    """Names that can forge what a screen shows are refused, and shown escaped."""
    (folder / name).write_bytes(b"1")
    found = _refused(trees, folder)
    assert found.reference == "name-control-characters"
    assert found.where.isprintable()


@pytest.mark.parametrize("name", [".git", ".GIT", "git~1", "d/.git"])
def test_git_directories_are_refused(trees: StoreTrees, folder: Path, name: str) -> None:
    """A .git in a tree would be read as configuration."""
    (folder / name).mkdir(parents=True)
    assert _refused(trees, folder).reference == "git-directory-in-tree"


def test_the_root_is_no_link(trees: StoreTrees, folder: Path, tmp_path: Path) -> None:
    """Sealing a link, or nothing, is refused."""
    (tmp_path / "link").symlink_to(folder)
    assert _refused(trees, tmp_path / "link").reference == "unreadable"
    assert _refused(trees, tmp_path / "nothing").reference == "unreadable"


def test_bounds_are_kept(trees: StoreTrees, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file over the bound, too many names and too many directories in each other are TooLarge."""
    (folder / "a").write_bytes(b"12345")
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 4)
    with pytest.raises(TooLarge, match="file-too-large"):
        trees.seal(str(folder))
    (folder / "a").unlink()
    deep = folder.joinpath(*["d"] * (module.MAX_DIRECTORY_DEPTH + 1))
    deep.mkdir(parents=True)
    with pytest.raises(TooLarge, match="tree-too-deep"):
        trees.seal(str(folder))
    monkeypatch.setattr(module, "MAX_ENTRIES", 3)
    with pytest.raises(TooLarge, match="tree-too-large"):
        trees.seal(str(folder))


def test_materialise_wants_a_new_directory(trees: StoreTrees, folder: Path) -> None:
    """A tree is never written into a directory that is there."""
    tree = trees.seal(str(folder))
    with pytest.raises(Unusable, match="already-there"):
        trees.materialise(tree, str(folder))


def test_a_spoiled_tree_is_not_written(folder: Path, tmp_path: Path) -> None:
    """Other bytes, a missing blob, or a size that lies are found when the tree is read."""
    store = MemoryStore()
    trees = StoreTrees(store)
    (folder / "a").write_bytes(b"true")
    tree = trees.seal(str(folder))
    assert trees.verify(tree).digest == tree
    store.spoil(digest_of("blob", b"true"), b"evil")
    with pytest.raises(Tampered):
        trees.verify(tree)
    with pytest.raises(Tampered):
        trees.materialise(tree, str(tmp_path / "one"))
    store.erase(digest_of("blob", b"true"))
    with pytest.raises(NotFound):
        trees.materialise(tree, str(tmp_path / "two"))
    lies = manifest_of([File(path=b"a", executable=False, size=5, blob=store.put("blob", b"true"))])
    with pytest.raises(Tampered, match="wrong-size"):
        trees.materialise(store.put("tree", lies.encode()), str(tmp_path / "three"))


def test_only_a_tree_is_a_tree(trees: StoreTrees) -> None:
    """A digest of another kind is not read as a manifest."""
    with pytest.raises(Unusable, match="bad-digest"):
        trees.manifest(digest_of("blob", b"greenroom-tree 1\n"))


@as_root
def test_a_tree_is_given_to_a_user(trees: StoreTrees, folder: Path, tmp_path: Path) -> None:
    """With a uid everything belongs to it, links and directories too."""
    (folder / "d").mkdir()
    (folder / "d/f").write_bytes(b"1")
    (folder / "l").symlink_to("d")
    trees.materialise(trees.seal(str(folder)), str(tmp_path / "out"), uid=65534)
    for path in (tmp_path / "out", tmp_path / "out/d", tmp_path / "out/d/f", tmp_path / "out/l"):
        assert path.lstat().st_uid == 65534


def test_a_narrow_umask_does_not_show(trees: StoreTrees, folder: Path, tmp_path: Path) -> None:
    """Directories are 0755 and files 0644 or 0755, whatever the umask."""
    (folder / "d").mkdir()
    (folder / "d/f").write_bytes(b"1")
    tree = trees.seal(str(folder))
    before = os.umask(0o077)
    try:
        trees.materialise(tree, str(tmp_path / "out"))
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / "out" / name).stat().st_mode) for name in (".", "d", "d/f")]
    assert modes == [0o755, 0o755, 0o644]


_NAME = st.binary(min_size=1, max_size=12).filter(
    lambda name: not set(name) & {*range(0x20), 0x2F, 0x7F} and name.lower() not in (b".", b"..", b".git", b"git~1")
)


@given(files=st.dictionaries(_NAME, st.tuples(st.binary(max_size=64), st.booleans()), max_size=8))
def test_any_tree_survives_the_disk(files: dict[bytes, tuple[bytes, bool]]) -> None:
    """Whatever the names and bytes: materialise and seal give the digest back, with files as the store too."""
    with tempfile.TemporaryDirectory() as scratch:
        store = FileStore(Path(scratch) / "store")
        entries: list[File | Link] = [
            File(path=b"d/" + name, executable=run, size=len(data), blob=store.put("blob", data))
            for name, (data, run) in files.items()
        ]
        tree: Digest = store.put("tree", manifest_of(entries).encode())
        trees = StoreTrees(store)
        trees.materialise(tree, f"{scratch}/out")
        assert trees.seal(f"{scratch}/out") == tree
        store.close()
