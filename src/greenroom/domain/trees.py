"""Tree manifests: sorted byte paths, type, exec bit, size, hash or link target.

A tree's digest is the digest of its manifest bytes. What a manifest cannot say (devices, setuid, hard
links, extended attributes, links that leave the tree, control characters in names) a tree cannot hold.

The stored form is one line an entry, sorted by path bytes::

    f <exec 0|1> <size> <sha256 hex> <path, percent-encoded>
    l <target, percent-encoded> <path, percent-encoded>
"""

from __future__ import annotations

import itertools
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote_from_bytes, unquote_to_bytes

from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.errors import TooLarge, Unusable

MAX_ENTRIES = 100_000
MAX_MANIFEST_BYTES = 32 * 1024 * 1024
MAX_PATH_BYTES = 1024
MAX_TREE_BYTES = 2 * 1024 * 1024 * 1024
_HEADER = b"greenroom-tree 1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A regular file; `blob` is the digest of its content, `size` in bytes."""

    path: bytes
    executable: bool
    size: int
    blob: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A symbolic link whose target stays inside the tree."""

    path: bytes
    target: bytes


Entry = File | Link


@dataclass(frozen=True, slots=True)
class Manifest:
    """The entries of a tree, sorted by path; build with `manifest_of`, read with `parse_manifest`."""

    entries: tuple[Entry, ...]

    def __post_init__(self) -> None:
        check_entries(self.entries)

    @property
    def digest(self) -> Digest:
        """The tree's digest."""
        return digest_of("tree", self.encode())

    def encode(self) -> bytes:
        """The stored bytes."""
        return _HEADER + b"".join(_line(entry) for entry in self.entries)

    def by_path(self) -> Mapping[bytes, Entry]:
        """Entries by path."""
        return {entry.path: entry for entry in self.entries}

    def blobs(self) -> tuple[Digest, ...]:
        """The distinct blobs that the tree names, in path order."""
        return tuple(dict.fromkeys(e.blob for e in self.entries if isinstance(e, File)))


def manifest_of(entries: Iterable[Entry]) -> Manifest:
    """A manifest of `entries`, sorted; raises Unusable when an entry is not allowed in a tree."""
    return Manifest(tuple(sorted(entries, key=lambda entry: entry.path)))


def parse_manifest(data: bytes) -> Manifest:
    """Stored bytes as a manifest; raises Unusable `bad-manifest` or TooLarge. Canonical: encode() gives `data` back."""
    if len(data) > MAX_MANIFEST_BYTES:
        raise TooLarge("manifest-too-large", f"a tree manifest has at most {MAX_MANIFEST_BYTES} bytes")
    if not data.startswith(_HEADER) or not data.endswith(b"\n"):
        raise Unusable("bad-manifest", "not a tree manifest")
    lines = data[len(_HEADER) : -1].split(b"\n") if len(data) > len(_HEADER) else []
    manifest = Manifest(tuple(_entry(line) for line in lines))
    if manifest.encode() != data:
        raise Unusable("bad-manifest", "the manifest is not in its canonical form")
    return manifest


def check_entries(entries: tuple[Entry, ...]) -> None:
    """Raise Unusable unless the entries are sorted, unique and each may stand in a tree."""
    if len(entries) > MAX_ENTRIES:
        raise TooLarge("tree-too-large", f"a tree has at most {MAX_ENTRIES} entries, this one has {len(entries)}")
    leaves: set[bytes] = set()
    before = b""
    total = 0
    for entry in entries:
        check_path(entry.path)
        if entry.path <= before:
            raise Unusable("bad-manifest", "paths are not sorted and unique", where=show_path(entry.path))
        before = entry.path
        leaves.add(entry.path)
        if isinstance(entry, Link):
            check_target(entry)
        else:
            total += entry.size
    if total > MAX_TREE_BYTES:
        raise TooLarge("tree-too-large", f"a tree has at most {MAX_TREE_BYTES} bytes, this one has {total}")
    for entry in entries:
        if any(parent in leaves for parent in _parents(entry.path)):
            raise Unusable("bad-manifest", "a file stands where a directory should be", where=show_path(entry.path))


def check_path(path: bytes) -> None:
    """Raise Unusable unless `path` is relative, normal, bounded, free of control characters and outside `.git`."""
    parts = path.split(b"/")
    if not path or len(path) > MAX_PATH_BYTES or any(part in (b"", b".", b"..") for part in parts):
        raise Unusable("bad-path", "a path in a tree is relative, normal and bounded", where=show_path(path))
    if any(byte < 0x20 or byte == 0x7F for byte in path):
        raise Unusable(
            "name-control-characters",
            "a file name has control characters",
            where=show_path(path),
            remedy="rename the file; such names can forge what a screen shows",
        )
    if any(part.lower() in (b".git", b"git~1") for part in parts):
        raise Unusable("git-directory-in-tree", "a tree may not hold a .git", where=show_path(path))


def check_target(link: Link) -> None:
    """Raise Unusable `link-leaves-tree` when the target is absolute or steps out of the tree.

    A `..` may stand only at the target's beginning: after a name it would step up from wherever that name
    leads, and a name may be another link.
    """
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(link.path), link.target))
    steps = [step for step in link.target.split(b"/") if step not in (b"", b".")]
    turns_back = any(after == b".." and before != b".." for before, after in itertools.pairwise(steps))
    leaves = turns_back or link.target.startswith(b"/") or joined == b".." or joined.startswith(b"../")
    if not link.target or len(link.target) > MAX_PATH_BYTES or b"\0" in link.target or leaves:
        raise Unusable(
            "link-leaves-tree",
            f"the symbolic link points to {show_path(link.target)}",
            where=show_path(link.path),
            remedy="remove the link, or make its target relative and inside the tree",
        )


def show_path(path: bytes) -> str:
    """`path` for a screen: UTF-8 where it is, everything else percent-encoded."""
    text = path.decode("utf-8", "surrogateescape")
    return "".join(c if c.isprintable() else quote_from_bytes(c.encode("utf-8", "surrogateescape")) for c in text)


def _parents(path: bytes) -> Iterable[bytes]:
    at = path.find(b"/")
    while at != -1:
        yield path[:at]
        at = path.find(b"/", at + 1)


def _quote(path: bytes) -> bytes:
    return quote_from_bytes(path, safe="/").encode("ascii")


def _line(entry: Entry) -> bytes:
    if isinstance(entry, Link):
        return b"l %s %s\n" % (_quote(entry.target), _quote(entry.path))
    digits = entry.blob.partition(":")[2].encode("ascii")
    return b"f %d %d %s %s\n" % (entry.executable, entry.size, digits, _quote(entry.path))


def _entry(line: bytes) -> Entry:
    parts = line.split(b" ")
    if len(parts) == 3 and parts[0] == b"l":
        return Link(path=unquote_to_bytes(parts[2]), target=unquote_to_bytes(parts[1]))
    if len(parts) == 5 and parts[0] == b"f" and parts[1] in (b"0", b"1") and parts[2].isdigit() and len(parts[2]) < 16:
        if len(parts[3]) != 64 or not set(parts[3]) <= set(b"0123456789abcdef"):
            raise Unusable("bad-manifest", "a hash in the manifest is malformed")
        return File(
            path=unquote_to_bytes(parts[4]),
            executable=parts[1] == b"1",
            size=int(parts[2]),
            blob=Digest("blob:" + parts[3].decode("ascii")),
        )
    raise Unusable("bad-manifest", "a line of the manifest is malformed")
