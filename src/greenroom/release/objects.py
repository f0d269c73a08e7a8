"""Git objects of our own making: blobs, trees, commits, loose files and bundles (gitformat-pack, gitformat-bundle).

The guard never reads a foreign pack. What it puts into its repositories it builds here, from bytes whose
SHA-256 it has checked; git's SHA-1 names are only what git needs to find them.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from greenroom.domain.errors import Unusable
from greenroom.domain.ports import Store
from greenroom.domain.trees import File, Manifest
from greenroom.domain.verdict import Instant
from greenroom.release.store import disk_full, sync_file_system
from greenroom.release.trees import file_bytes

ObjectKind = Literal["blob", "tree", "commit"]
MAX_MESSAGE_BYTES = 16 * 1024
MAX_COMMIT_BYTES = 1024 * 1024
_PACK_KIND: Mapping[ObjectKind, int] = {"commit": 1, "tree": 2, "blob": 3}
_AUTHOR = re.compile(r"[^<>\x00-\x1f\x7f]+ <[^<>\s\x00-\x1f\x7f]+>")
_HEADER = re.compile(rb"tree ([0-9a-f]{40})\n((?:parent [0-9a-f]{40}\n){0,64})author ")


@dataclass(frozen=True, slots=True)
class GitObject:
    """One object; `id` is git's SHA-1 name, 40 hex digits."""

    kind: ObjectKind
    data: bytes

    @property
    def framed(self) -> bytes:
        """The bytes that git hashes and compresses: header, then data."""
        return b"%s %d\0" % (self.kind.encode("ascii"), len(self.data)) + self.data

    @property
    def id(self) -> str:
        """The object's name."""
        return hashlib.sha1(self.framed, usedforsecurity=False).hexdigest()


class LooseObjects:
    """The `objects` directory of a git repository that only this house writes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def has(self, name: str) -> bool:
        """Whether a loose object of this name stands there."""
        return (self._directory / name[:2] / name[2:]).is_file()

    def write(self, objects: Iterable[GitObject]) -> list[str]:
        """Write what is missing; all durable at return, and no name appears before its bytes are on the disk."""
        names: list[str] = []
        waiting: dict[str, Path] = {}
        with disk_full(self._directory):
            try:
                for item in objects:
                    names.append(item.id)
                    if names[-1] not in waiting and not self.has(names[-1]):
                        waiting[names[-1]] = self._scratch(zlib.compress(item.framed, 1))
                sync_file_system(self._directory)
                for name in list(waiting):
                    target = self._directory / name[:2] / name[2:]
                    target.parent.mkdir(exist_ok=True)
                    os.rename(waiting.pop(name), target)
            finally:
                for scratch in waiting.values():
                    scratch.unlink(missing_ok=True)
            sync_file_system(self._directory)
        return names

    def _scratch(self, data: bytes) -> Path:
        path = self._directory / f"tmp_obj_{secrets.token_hex(8)}"
        path.write_bytes(data)
        path.chmod(0o444)
        return path


class TreeBuilder:
    """The git objects of a manifest: iterate `objects` to the end, then `root` is the name of the tree."""

    def __init__(self, manifest: Manifest, store: Store) -> None:
        self._manifest = manifest
        self._store = store
        self.root = ""

    def objects(self) -> Iterator[GitObject]:
        """Every blob, read from the store and rehashed, then every tree, the deepest first."""
        folders: dict[bytes, dict[bytes, tuple[bytes, str]]] = {b"": {}}
        for entry in self._manifest.entries:
            if isinstance(entry, File):
                mode, blob = b"100755" if entry.executable else b"100644", file_bytes(self._store, entry)
            else:
                mode, blob = b"120000", entry.target
            item = GitObject("blob", blob)
            yield item
            parent, name = os.path.split(entry.path)
            _folder(folders, parent)[name] = (mode, item.id)
        for path in sorted(folders, key=lambda path: path.count(b"/") if path else -1, reverse=True):
            item = GitObject("tree", _tree_bytes(folders[path]))
            yield item
            if path:
                parent, name = os.path.split(path)
                folders[parent][name] = (b"40000", item.id)
        self.root = item.id


def commit(
    tree: str, parents: Iterable[str], author: str, at: Instant, message: str, *, committer: str = ""
) -> GitObject:
    """A commit object; `author` is `Name <address>`, as is `committer`, who is the author where it is empty; `at` UTC.

    Raises Unusable `bad-author`.
    """
    if not all(_AUTHOR.fullmatch(who) for who in (author, committer or author)):
        raise Unusable("bad-author", "an author is `Name <address>`", where=repr(author[:80]))
    when = f"{at // 1_000_000_000} +0000"
    people = [f"author {author} {when}", f"committer {committer or author} {when}"]
    lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents), *people, ""]
    return GitObject("commit", "\n".join([*lines, _clean(message)]).encode("utf-8", "replace"))


def read_commit(data: bytes) -> tuple[str, tuple[str, ...]]:
    """Tree and parents of a commit's raw bytes; raises Unusable `bad-commit`."""
    found = _HEADER.match(data) if len(data) <= MAX_COMMIT_BYTES else None
    if found is None:
        raise Unusable("bad-commit", "these bytes are not a git commit with a SHA-1 tree")
    parents = found[2].decode("ascii").split()[1::2]
    return found[1].decode("ascii"), tuple(parents)


def bundle(ref: str, head: str, objects: Iterable[GitObject]) -> bytes:
    """A version 2 git bundle without prerequisites: `git clone FILE` gives the files back."""
    return b"# v2 git bundle\n%s %s\n\n" % (head.encode("ascii"), ref.encode("ascii")) + pack(objects)


def pack(objects: Iterable[GitObject]) -> bytes:
    """A version 2 pack of `objects`, each whole and once."""
    seen: dict[str, bytes] = {}
    for item in objects:
        seen.setdefault(item.id, _packed(item))
    body = b"".join([b"PACK", struct.pack(">II", 2, len(seen)), *seen.values()])
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def _packed(item: GitObject) -> bytes:
    size = len(item.data)
    head = bytearray([(_PACK_KIND[item.kind] << 4) | (size & 0x0F)])
    size >>= 4
    while size:
        head[-1] |= 0x80
        head.append(size & 0x7F)
        size >>= 7
    return bytes(head) + zlib.compress(item.data, 1)


def _folder(folders: dict[bytes, dict[bytes, tuple[bytes, str]]], path: bytes) -> dict[bytes, tuple[bytes, str]]:
    at = path
    while at not in folders:
        folders[at] = {}
        at = os.path.dirname(at)
    return folders[path]


def _tree_bytes(items: Mapping[bytes, tuple[bytes, str]]) -> bytes:
    # git sorts a directory as if its name ended with a slash
    ordered = sorted(items.items(), key=lambda item: item[0] + (b"/" if item[1][0] == b"40000" else b""))
    return b"".join(b"%s %s\0" % (mode, name) + bytes.fromhex(oid) for name, (mode, oid) in ordered)


def _clean(message: str) -> str:
    text = "".join(c for c in message if c == "\n" or c.isprintable()).strip()
    text = text.encode("utf-8", "replace")[:MAX_MESSAGE_BYTES].decode("utf-8", "ignore")
    return (text or "(no message)") + "\n"
