"""Which files of a tree a generator may touch, and by which rule the others are left out.

Everything is read from the tree as data: `.gitignore` and `.gitattributes` by git itself, in a repository of our own
that is empty, with nobody's configuration. A file that the tree holds and `.gitignore` names was put there by force; it
is left alone.
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenroom.tools import _body, _files, _foreign, _settings
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _files
    import _foreign
    import _settings

_LOCKS = frozenset(
    {
        "package-lock.json",
        "npm-shrinkwrap.json",
        "pnpm-lock.yaml",
        "composer.lock",
        "conda-lock.yml",
        "pylock.toml",
        "go.sum",
    }
)
_MINIFIED = re.compile(r"[.-]min\.[a-z0-9]+\Z")


class Scope:
    """Reads the files of `base` that are a generator's business, and counts the others by rule."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._gitignored = gitignored(base)
        self._foreign = _foreign.Foreign(base)
        self._allow, self._deny = _settings.paths(base)
        self.scanned = 0
        self.ignored: Counter[str] = Counter()

    def files(self, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
        """Path and content of each file in scope among those that `wanted` accepts by their paths."""
        for path in _files.walk(self._base):
            data = self.open(path) if wanted(path) else None
            if data is not None:
                yield path, data

    def open(self, path: str) -> bytes | None:
        """The content of a file in scope; None, and counted, for any other."""
        rule, data = self._rule(path)
        if rule:
            self.ignored[rule] += 1
            return None
        self.scanned += 1
        return data

    def leave(self, rule: str, scanned: int = 0) -> None:
        """Count a file that a generator leaves out by a rule of its own; `scanned` 1 takes it from the scanned."""
        self.ignored[rule] += 1
        self.scanned -= scanned

    def _rule(self, path: str) -> tuple[str, bytes | None]:
        if not is_utf8(path):
            return "name-not-utf-8", None
        if (self._base / path).is_symlink():
            return "link", None
        if path in self._gitignored:
            return "gitignore", None
        if not _settings.permitted(path, self._allow, self._deny):
            return _settings.FILE, None
        foreign = self._foreign.rule(path)
        if foreign or is_made(path):
            return foreign or "generated", None
        data = _body.read_if_there(self._base / path, _files.MAX_TEXT_BYTES)
        if data is None:
            return "too-large", None
        return ("generated", None) if _foreign.is_generated(data) else ("", data)


def is_made(path: str) -> bool:
    """True for lock files and minified files, which programs write."""
    name = path.rsplit("/", 1)[-1].lower()
    return name in _LOCKS or name.endswith(".lock") or bool(_MINIFIED.search(name))


def is_utf8(path: str) -> bool:
    """False for names that JSON cannot carry."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def gitignored(base: Path) -> frozenset[str]:
    """The files of the tree that its own `.gitignore` files name.

    Refusal `gitignore-unusable` where git cannot say within a minute.
    """
    if not any(path.rsplit("/", 1)[-1] == ".gitignore" for path in _files.walk(base)):
        return frozenset()
    with _body.borrowed_git(base) as git:
        listed = git("ls-files", "--others", "--ignored", "--exclude-per-directory=.gitignore", "-z")
    if listed.code:
        raise _body.Refusal("gitignore-unusable", ".gitignore", "write its patterns so that git reads them in a minute")
    return frozenset(os.fsdecode(name) for name in listed.stdout.split(b"\0") if name)
