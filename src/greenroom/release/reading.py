"""A commit's files read back through git and hashed anew; what a person would check out."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import IO

from greenroom.domain.digest import digest_of
from greenroom.domain.errors import Tampered, TooLarge
from greenroom.domain.trees import MAX_ENTRIES, Entry, File, Link, Manifest, manifest_of, show_path
from greenroom.release.git import GitFailed, git, start
from greenroom.release.trees import MAX_FILE_BYTES

_LINE = re.compile(rb"(100644|100755|120000) blob ([0-9a-f]{40})\t(.+)", re.DOTALL)
_ANSWER = re.compile(rb"([0-9a-f]{40}) blob ([0-9]{1,12})\n")


def manifest_of_commit(git_dir: Path, commit: str) -> Manifest:
    """The manifest of `commit`; raises GitFailed, Tampered `not-a-file` for what no tree may hold, TooLarge."""
    lines = git(git_dir, "ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0")[:-1]
    if len(lines) > MAX_ENTRIES:
        raise TooLarge("tree-too-large", f"a tree has at most {MAX_ENTRIES} entries", where=commit)
    with start(git_dir, "cat-file", "--batch") as reader:
        try:
            entries = [_entry(reader, line) for line in lines]
        finally:
            reader.stdin.close()  # type: ignore[union-attr]
    return manifest_of(entries)


def _entry(reader: subprocess.Popen[bytes], line: bytes) -> Entry:
    found = _LINE.fullmatch(line)
    if found is None:
        raise Tampered("not-a-file", "the commit holds something that is neither file nor link", where=show_path(line))
    mode, name, path = found.groups()
    data = _ask(reader, name)
    if mode == b"120000":
        return Link(path=path, target=data)
    return File(path=path, executable=mode == b"100755", size=len(data), blob=digest_of("blob", data))


def _ask(reader: subprocess.Popen[bytes], name: bytes) -> bytes:
    asked, answered = _pipes(reader)
    try:
        asked.write(name + b"\n")
        asked.flush()
    except BrokenPipeError:
        raise GitFailed("cat-file", 1, b"git ended before it answered") from None
    found = _ANSWER.fullmatch(answered.readline(128))
    if found is None or found[1] != name:
        raise GitFailed("cat-file", 1, b"object missing or broken: " + name)
    size = int(found[2])
    if size > MAX_FILE_BYTES:
        raise TooLarge("file-too-large", f"a file in a tree has at most {MAX_FILE_BYTES} bytes", where=name.decode())
    data = answered.read(size + 1)
    if len(data) != size + 1:
        raise GitFailed("cat-file", 1, b"object cut short: " + name)
    return data[:-1]


def _pipes(reader: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if reader.stdin is None or reader.stdout is None:
        raise TypeError("a git process to talk with has both pipes")
    return reader.stdin, reader.stdout
