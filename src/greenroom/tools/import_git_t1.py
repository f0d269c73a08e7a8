"""Reads one commit of a repository's raw copy at /mnt/git: its tree to /out/tree, its bytes to /out/artifacts/commit.

Runs between walls. Git gets a directory with a configuration of our own beside the copied refs and objects; no
attribute, filter, hook or setting of the repository applies. Instead of trusting git's checks, every object that the
tree is made of is hashed here again, and the trees are built again, so that what is written is exactly what the
commit's id stands for (and nothing is read of the history, which Greenroom does not use).

Result: {"branch", "commit", "tree", "files"}. Refusals: detached-head, no-commits, branch-unknown, bad-branch,
submodule-in-tree, damaged-object, malformed-tree, bad-path, tree-too-large, import-failed.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from greenroom.tools import _body
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body

MAX_ENTRIES = 100_000
MAX_DEPTH = 100
MAX_OBJECT_BYTES = 64 * 1024 * 1024
MAX_TREE_BYTES = 2 * 1024 * 1024 * 1024
_OID = re.compile(rb"[0-9a-f]{40}")
_BRANCH = re.compile(r"[^\x00-\x20\x7f~^:?*\[\\]{1,250}")
_HEADS = "refs/heads/"
_CONFIG = b"[core]\n\trepositoryformatversion = 0\n\tbare = true\n"
_FLAGS = ("-c", "core.hooksPath=/dev/null", "-c", "protocol.allow=never", "-c", "safe.directory=*")


@dataclass(frozen=True, slots=True)
class Entry:
    """One leaf of the tree: mode, object id, path."""

    mode: bytes
    oid: bytes
    path: bytes


class Repository:
    """A git directory made of our own configuration and the copied refs and objects."""

    def __init__(self, copied: Path, scratch: Path) -> None:
        self.home = scratch
        self.git = scratch / "git"
        self.git.mkdir()
        (self.git / "config").write_bytes(_CONFIG)
        for name in ("HEAD", "packed-refs", "shallow"):
            if (copied / name).exists():
                (self.git / name).write_bytes((copied / name).read_bytes())
        for name in ("refs", "objects"):
            (self.git / name).symlink_to(copied / name)

    def run(self, *args: str) -> _body.Ended:
        """One git command."""
        return _body.program(self.argv(*args), cwd=self.home, env=_body.git_env(self.home))

    def argv(self, *args: str) -> list[str]:
        """The command line of a git command."""
        return ["/usr/bin/git", *_FLAGS, f"--git-dir={self.git}", *args]


class Objects:
    """Reads objects through one `git cat-file --batch`, and hashes what it gets."""

    def __init__(self, repository: Repository) -> None:
        self._process = subprocess.Popen(
            repository.argv("cat-file", "--batch"),
            cwd=repository.home,
            env=_body.git_env(repository.home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> Objects:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def read(self, oid: bytes, kind: bytes) -> bytes:
        """The content of the object `oid`, which is of `kind`; Refusal `damaged-object`."""
        ask, answer = _pipe(self._process.stdin), _pipe(self._process.stdout)
        try:
            ask.write(oid + b"\n")
            ask.flush()
            head = answer.readline(256).split()
        except BrokenPipeError:
            raise _damaged(oid, "git ended") from None
        if len(head) != 3 or head[0] != oid or head[1] != kind or not head[2].isdigit():
            raise _damaged(oid, b" ".join(head).decode("ascii", "replace")[:100] or "git ended")
        size = int(head[2])
        if size > MAX_OBJECT_BYTES:
            raise _body.Refusal(
                "tree-too-large", oid.decode(), f"a file in a tree has at most {MAX_OBJECT_BYTES} bytes"
            )
        data = answer.read(size)
        answer.read(1)
        if len(data) != size or object_id(kind, data) != oid:
            raise _damaged(oid, "its bytes have another hash")
        return data


class Walk:
    """Reads the trees below a commit; every tree is hashed as it is read, and its form checked as git writes it."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._count = 0

    def entries(self, oid: bytes, prefix: bytes = b"", depth: int = 0) -> Iterator[Entry]:
        """The leaves below the tree `oid`; Refusal submodule-in-tree, malformed-tree, bad-path or tree-too-large."""
        if depth > MAX_DEPTH:
            raise _body.Refusal("tree-too-large", shown(prefix), f"at most {MAX_DEPTH} directories deep")
        for entry in parse_tree(self._objects.read(oid, b"tree"), prefix):
            self._count += 1
            if self._count > MAX_ENTRIES:
                raise _body.Refusal("tree-too-large", "tree", f"a tree has at most {MAX_ENTRIES} entries")
            if entry.mode == b"40000":
                yield from self.entries(entry.oid, entry.path + b"/", depth + 1)
            else:
                yield entry


def run(request: _body.Request) -> Mapping[str, Any]:
    """Import the branch of the request."""
    repository = Repository(request.mount("git"), _body.scratch())
    branch = request.text("branch", "") or head_branch(repository)
    commit = resolve(repository, branch)
    with Objects(repository) as objects:
        data = objects.read(commit, b"commit")
        tree = tree_of(data, commit)
        count = write(Walk(objects).entries(tree), objects, request.out / "tree")
    request.artifact("commit", data)
    return {"branch": branch, "commit": commit.decode(), "tree": tree.decode(), "files": count}


def head_branch(repository: Repository) -> str:
    """The branch that HEAD names."""
    ended = repository.run("symbolic-ref", "-q", "HEAD")
    name = ended.stdout.decode("utf-8", "replace").strip()
    if ended.code != 0 or not name.startswith(_HEADS):
        raise _body.Refusal("detached-head", "HEAD", "check a branch out, or name one with --branch")
    return name.removeprefix(_HEADS)


def resolve(repository: Repository, branch: str) -> bytes:
    """The commit that `branch` points to."""
    if _BRANCH.fullmatch(branch) is None or branch.startswith("-") or ".." in branch or "@{" in branch:
        raise _body.Refusal("bad-branch", shown(branch.encode("utf-8", "replace")), "name a branch")
    ended = repository.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{_HEADS}{branch}")
    commit = ended.stdout.strip()
    if ended.code == 0 and _OID.fullmatch(commit):
        return commit
    if repository.run("for-each-ref", "--count=1", _HEADS).stdout.strip():
        raise _body.Refusal("branch-unknown", branch, "name a branch that the repository has")
    raise _body.Refusal("no-commits", branch, "make a first commit")


def tree_of(commit: bytes, oid: bytes) -> bytes:
    """The tree that a commit names in its first line."""
    line = commit.split(b"\n", 1)[0]
    if not line.startswith(b"tree ") or _OID.fullmatch(line[5:]) is None:
        raise _damaged(oid, "a commit begins with its tree")
    return line[5:]


def parse_tree(data: bytes, prefix: bytes) -> Iterator[Entry]:
    """The entries of one tree object, in git's order and each name once."""
    at, before, names = 0, b"", set()
    while at < len(data):
        space, end = data.find(b" ", at, at + 8), data.find(b"\0", at)
        if space < 0 or end < 0 or len(data) < end + 21:
            raise _malformed(prefix)
        mode, name, oid = data[at:space], data[space + 1 : end], data[end + 1 : end + 21].hex().encode()
        at = end + 21
        key = name + b"/" if mode == b"40000" else name
        if key <= before or name in names:
            raise _malformed(prefix + name)
        before = key
        names.add(name)
        yield _checked(Entry(mode, oid, prefix + name), name)


def _checked(entry: Entry, name: bytes) -> Entry:
    if entry.mode == b"160000":
        remedy = "submodules are not supported; remove it, or put its files into the repository"
        raise _body.Refusal("submodule-in-tree", shown(entry.path), remedy)
    if entry.mode not in (b"100644", b"100755", b"100664", b"120000", b"40000"):
        raise _malformed(entry.path)
    if name in (b"", b".", b"..") or b"/" in name or name.lower() in (b".git", b"git~1"):
        raise _body.Refusal("bad-path", shown(entry.path), "rename it; a tree may not hold this name")
    if any(byte < 0x20 or byte == 0x7F for byte in name):
        remedy = "rename the file; such names can forge what a screen shows"
        raise _body.Refusal("name-control-characters", shown(entry.path), remedy)
    return entry


def write(entries: Iterator[Entry], objects: Objects, into: Path) -> int:
    """Files first, links last, so that nothing is written through a link; the number of leaves."""
    root = os.fsencode(into)
    os.mkdir(root)
    links, count, total = [], 0, 0
    for entry in entries:
        count += 1
        data = objects.read(entry.oid, b"blob")
        total += len(data)
        if total > MAX_TREE_BYTES:
            raise _body.Refusal("tree-too-large", "tree", f"a tree has at most {MAX_TREE_BYTES} bytes")
        path = os.path.join(root, entry.path)
        if entry.mode == b"120000":
            links.append((path, data, entry.path))
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        mode = 0o755 if entry.mode == b"100755" else 0o644
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
    for path, target, name in links:
        if not target or b"\0" in target or len(target) > 1024:
            raise _body.Refusal("link-leaves-tree", shown(name), "remove the link, or make its target relative")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(target, path)
    return count


def object_id(kind: bytes, data: bytes) -> bytes:
    """Git's name of an object: SHA-1 over kind, size and content, in hex."""
    return hashlib.sha1(b"%s %d\0" % (kind, len(data)) + data, usedforsecurity=False).hexdigest().encode()


def shown(path: bytes) -> str:
    """`path` with nothing in it that a screen obeys."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)[:300]


def _pipe(pipe: Any) -> BinaryIO:
    if pipe is None:
        raise OSError("git has no pipe")
    stream: BinaryIO = pipe
    return stream


def _damaged(oid: bytes, why: str) -> _body.Refusal:
    return _body.Refusal("damaged-object", f"{oid.decode()}: {why}", "run `git fsck` in the repository, and mend it")


def _malformed(path: bytes) -> _body.Refusal:
    return _body.Refusal("malformed-tree", shown(path), "git would not write such a tree; run `git fsck`")


if __name__ == "__main__":
    _body.main(run)
