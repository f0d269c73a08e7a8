"""Trees of the store as directories, and back; the walk trusts nothing that it meets."""

from __future__ import annotations

import errno
import os
import pwd
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from greenroom.domain.digest import Digest, prefix_of
from greenroom.domain.errors import Tampered, TooLarge, Unusable
from greenroom.domain.ports import Store
from greenroom.domain.trees import (
    MAX_ENTRIES,
    MAX_MANIFEST_BYTES,
    MAX_TREE_BYTES,
    Entry,
    File,
    Link,
    Manifest,
    check_path,
    check_target,
    manifest_of,
    parse_manifest,
    show_path,
)
from greenroom.release.store import disk_full, put_all

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_DIRECTORY_DEPTH = 100
_LABELS = frozenset({"security.selinux"})
_SPECIAL_BITS = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX


class StoreTrees:
    """The Trees port over a Store.

    `seal` opens every name relative to its directory's descriptor and follows no link, so code that changes
    the directory meanwhile can make it fail, but can not make it read anything outside. Empty directories are
    not part of a tree. Errors: Unusable with the references `hard-link`, `special-bits`, `extended-attributes`,
    `not-a-file`, `unreadable`, `link-leaves-tree`, `name-control-characters`, `git-directory-in-tree`,
    `bad-path`, `already-there`, `disk-full`; TooLarge `tree-too-large`, `file-too-large`, `tree-too-deep`.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def manifest(self, tree: Digest) -> Manifest:
        """The manifest that `tree` names; NotFound, Tampered, or Unusable `bad-manifest`."""
        if prefix_of(tree) != "tree":
            raise Unusable("bad-digest", "this digest does not name a tree", where=str(tree)[:80])
        return parse_manifest(self._store.get(tree, MAX_MANIFEST_BYTES))

    def verify(self, tree: Digest) -> Manifest:
        """The manifest, after every file of the tree was read and rehashed."""
        manifest = self.manifest(tree)
        for entry in manifest.entries:
            if isinstance(entry, File):
                file_bytes(self._store, entry)
        return manifest

    def materialise(self, tree: Digest, into: str, *, uid: int | None = None) -> None:
        """Write the tree below the directory `into`, which must not exist; owned by `uid` when one is given."""
        manifest = self.manifest(tree)
        root = os.fsencode(into)
        try:
            os.mkdir(root)
        except FileExistsError:
            raise Unusable("already-there", "a tree is written into a directory of its own", where=into) from None
        with disk_full(Path(into)):
            directories = _directories(manifest)
            for path in directories:
                os.mkdir(os.path.join(root, path))
            for entry in manifest.entries:
                self._write(os.path.join(root, entry.path), entry)
        for path in (b"", *directories):
            os.chmod(os.path.join(root, path), 0o755)  # noqa: S103 - a sandbox under another uid walks these
        if uid is not None:
            _give(root, manifest, uid)

    def seal(self, directory: str) -> Digest:
        """Put the files and the manifest of `directory` into the store; the tree's digest."""
        walk = _Walk()
        try:
            root = os.open(directory, _DIRECTORY)
        except OSError as error:
            raise Unusable("unreadable", f"no directory to seal: {error.strerror}", where=directory) from None
        try:
            blobs = put_all(self._store, "blob", walk.files(root))
        finally:
            os.close(root)
        manifest = manifest_of(walk.entries(blobs))
        return self._store.put("tree", manifest.encode())

    def _write(self, path: bytes, entry: Entry) -> None:
        if isinstance(entry, Link):
            os.symlink(entry.target, path)
            return
        mode = 0o755 if entry.executable else 0o644
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        with open(fd, "wb") as file:
            file.write(file_bytes(self._store, entry))
            os.fchmod(fd, mode)


def file_bytes(store: Store, file: File) -> bytes:
    """The bytes of one file of a manifest; Tampered when the store has something else."""
    data = store.get(file.blob, MAX_FILE_BYTES)
    if len(data) != file.size:
        raise Tampered("wrong-size", "the manifest states another size for this file", where=show_path(file.path))
    return data


_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class _Walk:
    """One walk: yields file contents, and remembers what the manifest needs."""

    def __init__(self) -> None:
        self._links: list[Link] = []
        self._found: list[tuple[bytes, bool, int]] = []
        self._names = 0
        self._bytes = 0

    def files(self, root: int) -> Iterator[bytes]:
        """The content of each regular file below `root`, in an order of its own."""
        _check_attributes(root, b"")
        return self._below(root, b"", 0)

    def entries(self, blobs: Sequence[Digest]) -> Iterator[Entry]:
        """The entries, once `files` is exhausted; `blobs` are the digests in the same order."""
        for (path, executable, size), blob in zip(self._found, blobs, strict=True):
            yield File(path=path, executable=executable, size=size, blob=blob)
        yield from self._links

    def _below(self, directory: int, prefix: bytes, depth: int) -> Iterator[bytes]:
        if depth > MAX_DIRECTORY_DEPTH:
            raise TooLarge("tree-too-deep", f"at most {MAX_DIRECTORY_DEPTH} directories", where=show_path(prefix[:80]))
        for name in self._list(directory):
            path = prefix + name
            check_path(path)
            mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                yield from self._enter(directory, name, path, depth)
            elif stat.S_ISLNK(mode):
                self._link(directory, name, path)
            elif stat.S_ISREG(mode):
                yield self._read(directory, name, path)
            else:
                raise Unusable("not-a-file", "a device, socket or pipe stands in the tree", where=show_path(path))

    def _list(self, directory: int) -> list[bytes]:
        names: list[bytes] = []
        with os.scandir(directory) as found:
            for item in found:
                self._names += 1
                if self._names > 2 * MAX_ENTRIES:
                    raise TooLarge("tree-too-large", f"a tree has at most {MAX_ENTRIES} entries")
                names.append(os.fsencode(item.name))
        return names

    def _enter(self, directory: int, name: bytes, path: bytes, depth: int) -> Iterator[bytes]:
        fd = _open(directory, name, _DIRECTORY, path)
        try:
            _check_attributes(fd, path)
            yield from self._below(fd, path + b"/", depth + 1)
        finally:
            os.close(fd)

    def _link(self, directory: int, name: bytes, path: bytes) -> None:
        try:
            link = Link(path=path, target=os.readlink(name, dir_fd=directory))
        except OSError as error:
            raise _unreadable(path, error) from None
        check_target(link)
        self._links.append(link)

    def _read(self, directory: int, name: bytes, path: bytes) -> bytes:
        fd = _open(directory, name, _FILE, path)
        try:
            found = os.fstat(fd)
            _check_file(found, path)
            _check_attributes(fd, path)
            data = _read_all(fd, path)
        finally:
            os.close(fd)
        self._bytes += len(data)
        if self._bytes > MAX_TREE_BYTES:
            raise TooLarge("tree-too-large", f"a tree has at most {MAX_TREE_BYTES} bytes", where=show_path(path))
        self._found.append((path, bool(found.st_mode & 0o100), len(data)))
        return data


def _open(directory: int, name: bytes, flags: int, path: bytes) -> int:
    try:
        return os.open(name, flags, dir_fd=directory)
    except OSError as error:
        raise _unreadable(path, error) from None


def _check_file(found: os.stat_result, path: bytes) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise Unusable("not-a-file", "a device, socket or pipe stands in the tree", where=show_path(path))
    if found.st_nlink > 1:
        raise Unusable(
            "hard-link",
            "the file has more than one name",
            where=show_path(path),
            remedy="replace the hard link by a copy",
        )
    if found.st_mode & _SPECIAL_BITS:
        raise Unusable(
            "special-bits",
            "the file is setuid, setgid or sticky",
            where=show_path(path),
            remedy="remove the bits with chmod",
        )


def _check_attributes(fd: int, path: bytes) -> None:
    try:
        names = set(os.listxattr(fd)) - _LABELS
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return
        raise _unreadable(path, error) from None
    if names:
        raise Unusable(
            "extended-attributes",
            f"the file has the extended attribute {min(names)[:80]!r}",
            where=show_path(path) or ".",
            remedy="remove it with setfattr -x or setfacl -b",
        )


def _read_all(fd: int, path: bytes) -> bytes:
    parts: list[bytes] = []
    left = MAX_FILE_BYTES + 1
    while left and (part := os.read(fd, min(left, 1 << 20))):
        parts.append(part)
        left -= len(part)
    if not left:
        raise TooLarge("file-too-large", f"a file in a tree has at most {MAX_FILE_BYTES} bytes", where=show_path(path))
    return b"".join(parts)


def _unreadable(path: bytes, error: OSError) -> Unusable:
    return Unusable("unreadable", f"the tree changed or cannot be read: {error.strerror}", where=show_path(path))


def _directories(manifest: Manifest) -> list[bytes]:
    found: set[bytes] = set()
    for entry in manifest.entries:
        parent = os.path.dirname(entry.path)
        while parent and parent not in found:
            found.add(parent)
            parent = os.path.dirname(parent)
    return sorted(found)


def _give(root: bytes, manifest: Manifest, uid: int) -> None:
    try:
        gid = pwd.getpwuid(uid).pw_gid
    except KeyError:
        gid = uid
    inner = [entry.path for entry in manifest.entries] + _directories(manifest)[::-1]
    for path in inner:
        os.chown(os.path.join(root, path), uid, gid, follow_symlinks=False)
    os.chown(root, uid, gid, follow_symlinks=False)
