"""The overlay: base's tests, conftest files and test configuration in the place of another tree's (design, hole 1).

Which files these are says `domain.testfiles`, by their names and by what a run of base's tests told.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from itertools import islice

from greenroom.domain.testfiles import SuiteFiles, chosen, doubtful, laid_over, root_of, shown
from greenroom.domain.trees import Entry, Link, Manifest, manifest_of

MAX_UNPROVEN = 50
"""How many files a receipt names for which base's tests are no proof."""
MAX_PROTECTED = 32
"""How many places are mounted read-only one by one."""
BY_NAME = SuiteFiles()
"""What is known where no run told of more."""


def overlaid(source: Manifest, onto: Manifest, suite: SuiteFiles = BY_NAME) -> Manifest:
    """`onto` with the tests of `source` instead of its own; tests that only `onto` has are gone.

    Where a path of the overlay needs a directory and `onto` has a file or a link, the overlay wins.
    """
    tests = [entry for entry in source.entries if laid_over(_text(entry.path), suite)]
    taken = {entry.path for entry in tests}
    had = {entry.path for entry in source.entries}
    needed = {parent for path in taken for parent in _parents(path)}
    kept = [
        entry
        for entry in onto.entries
        if not laid_over(_text(entry.path), suite)
        and (entry.path in had or not chosen(_text(entry.path), suite.patterns))
        and entry.path not in needed
        and not any(parent in taken for parent in _parents(entry.path))
    ]
    return manifest_of([*kept, *tests])


def unproven(source: Manifest, onto: Manifest, suite: SuiteFiles) -> tuple[str, ...]:
    """The files that differ between the trees and give or serve the tests of `source` without being laid over.

    At most MAX_UNPROVEN: one is enough for a person to be asked.
    """
    return tuple(islice(_unproven(source, onto, suite), MAX_UNPROVEN))


def _unproven(source: Manifest, onto: Manifest, suite: SuiteFiles) -> Iterator[str]:
    before, after = source.by_path(), onto.by_path()
    behind = tuple(_behind_links(source, suite))
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) == after.get(path):
            continue
        text = _text(path)
        linked = any(path == place or path.startswith(place + b"/") for place in behind)
        if doubtful(text, suite) or (linked and not laid_over(text, suite)):
            yield text


def _behind_links(tree: Manifest, suite: SuiteFiles) -> Iterator[bytes]:
    """Where links that are tests', or lie among them, lead to."""
    for entry in tree.entries:
        if isinstance(entry, Link) and laid_over(_text(entry.path), suite):
            yield posixpath.normpath(posixpath.join(posixpath.dirname(entry.path), entry.target))


def read_only(tree: Manifest, suite: SuiteFiles = BY_NAME) -> tuple[bytes, ...]:
    """The topmost paths that hold nothing but tests, to be mounted read-only; links cannot be mounted over.

    Where the files beyond names are too many to mount one by one, the directories that hold them.
    """
    roots: dict[bytes, Entry] = {}
    beyond: list[bytes] = []
    for entry in tree.entries:
        root = root_of(os.fsdecode(entry.path))
        if root is not None:
            roots.setdefault(os.fsencode(root), entry)
        elif not isinstance(entry, Link) and laid_over(_text(entry.path), suite):
            beyond.append(entry.path)
    by_name = [r for r, e in roots.items() if not (isinstance(e, Link) and e.path == r)]
    if len(by_name) + len(beyond) > MAX_PROTECTED:
        beyond = _topmost([posixpath.dirname(path) or path for path in beyond])
        by_name = [path for path in by_name if not any(parent in beyond for parent in _parents(path))]
    return tuple(sorted({*by_name, *beyond}))


def _topmost(paths: list[bytes]) -> list[bytes]:
    found = set(paths)
    return [path for path in found if not any(parent in found for parent in _parents(path))]


def _text(path: bytes) -> str:
    return shown(os.fsdecode(path))


def _parents(path: bytes) -> list[bytes]:
    parts = path.split(b"/")
    return [b"/".join(parts[:index]) for index in range(1, len(parts))]
