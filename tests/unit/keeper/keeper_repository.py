"""Real git repositories for tests, made with a fixed environment."""

from __future__ import annotations

import hashlib
import os
import subprocess
import zlib
from collections.abc import Mapping
from pathlib import Path

ENV = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.invalid",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.invalid",
    "GIT_AUTHOR_DATE": "1700000000 +0000",
    "GIT_COMMITTER_DATE": "1700000000 +0000",
}


def git(repository: Path, *args: str) -> bytes:
    """Run git in `repository`; its output."""
    ran = subprocess.run(["git", *args], cwd=repository, env=ENV, check=True, capture_output=True)
    return ran.stdout.strip()


def make(repository: Path, files: Mapping[str, bytes], *options: str) -> Path:
    """A repository with one commit of `files` on the branch main."""
    repository.mkdir(parents=True)
    git(repository, "init", "-q", "-b", "main", *options)
    for name, data in files.items():
        path = repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "--allow-empty", "-m", "first")
    return repository


def put_object(repository: Path, kind: bytes, data: bytes, *, name: str | None = None) -> str:
    """Write a loose object as it is, well-formed or not, under its hash or under `name`; the name."""
    framed = b"%s %d\0" % (kind, len(data)) + data
    oid = name or hashlib.sha1(framed, usedforsecurity=False).hexdigest()
    path = repository / ".git" / "objects" / oid[:2] / oid[2:]
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(zlib.compress(framed))
    return oid


def put_commit(repository: Path, tree: str) -> str:
    """A commit of `tree` at the head of main."""
    data = f"tree {tree}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nmade by hand\n".encode()
    oid = put_object(repository, b"commit", data)
    (repository / ".git" / "refs" / "heads" / "main").write_text(oid + "\n")
    return oid


def entry(mode: bytes, name: bytes, oid: str) -> bytes:
    """One entry of a tree object."""
    return mode + b" " + name + b"\0" + bytes.fromhex(oid)
