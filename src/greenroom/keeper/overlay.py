"""The overlay: base's tests, conftest files and test configuration in the place of another tree's (design, hole 1).

Which files these are says `domain.testfiles`, by their names and by what a run of base's tests told.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from itertools import islice

from greenroom.domain.testfiles import SuiteFiles, doubtful, laid_over, root_of, shown
from greenroom.domain.trees import Entry, Link, Manifest, manifest_of

MAX_UNPROVEN = 50
"""How many files a receipt names for which base's tests are no proof."""
MAX_PROTECTED = 32
"""How many places are mounted read-only one by one: by their names, and as many beyond names."""
BY_NAME = SuiteFiles()
"""What is known where no run told of more."""


def overlaid(source: Manifest, onto: Manifest, suite: SuiteFiles = BY_NAME) -> Manifest:
    """`onto` with the tests of `source` instead of its own; tests that only `onto` has are gone.

    Where a path of the overlay needs a directory and `onto` has a file or a link, the overlay wins.
    """
    tests = [entry for entry in source.entries if laid_over(_text(entry.path), suite)]
    taken = {entry.path for entry in tests}
    needed = {parent for path in taken for parent in _parents(path)}
    kept = [
        entry
        for entry in onto.entries
        if not laid_over(_text(entry.path), suite)
        and entry.path not in needed
        and not any(parent in taken for parent in _parents(entry.path))
    ]
    return manifest_of([*kept, *tests])


def unproven(source: Manifest, onto: Manifest, suite: SuiteFiles) -> tuple[str, ...]:
    """The files that differ between the trees and give or serve the tests of `source` without being laid over.

    So are those that are laid over and that the tests themselves could write to. At most MAX_UNPROVEN: one is enough
    for a person to be asked.
    """
    return tuple(islice(_unproven(source, onto, suite), MAX_UNPROVEN))


def _unproven(source: Manifest, onto: Manifest, suite: SuiteFiles) -> Iterator[str]:
    before, after = source.by_path(), onto.by_path()
    behind = tuple(_behind_links(source, suite))
    mounted = set(singly(source, onto, suite))
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) == after.get(path):
            continue
        text = _text(path)
        linked = any(path == place or path.startswith(place + b"/") for place in behind)
        over = laid_over(text, suite)
        bare = over and root_of(text) is None and path not in mounted
        if bare or doubtful(text, suite) or (linked and not over):
            yield text


def _behind_links(tree: Manifest, suite: SuiteFiles) -> Iterator[bytes]:
    """Where links that are tests', or lie among them, lead to."""
    for entry in tree.entries:
        if isinstance(entry, Link) and laid_over(_text(entry.path), suite):
            yield posixpath.normpath(posixpath.join(posixpath.dirname(entry.path), entry.target))


def read_only(tree: Manifest) -> tuple[bytes, ...]:
    """The topmost paths that hold nothing but tests by their names, to be mounted read-only.

    Links cannot be mounted over.
    """
    roots: dict[bytes, Entry] = {}
    for entry in tree.entries:
        root = root_of(os.fsdecode(entry.path))
        if root is not None:
            roots.setdefault(os.fsencode(root), entry)
    return tuple(sorted(r for r, e in roots.items() if not (isinstance(e, Link) and e.path == r)))


def singly(source: Manifest, onto: Manifest, suite: SuiteFiles) -> tuple[bytes, ...]:
    """The files beyond names that are laid over `onto` and mounted read-only: each alone, at most MAX_PROTECTED.

    Never their directories: tests may write beside themselves, on Green as on base. Those that `onto` changes come
    first.
    """
    changed = onto.by_path()
    found = [
        entry
        for entry in source.entries
        if not isinstance(entry, Link)
        and root_of(os.fsdecode(entry.path)) is None
        and laid_over(_text(entry.path), suite)
    ]
    found.sort(key=lambda entry: (changed.get(entry.path) == entry, entry.path))
    return tuple(sorted(entry.path for entry in found[:MAX_PROTECTED]))


def _text(path: bytes) -> str:
    return shown(os.fsdecode(path))


def _parents(path: bytes) -> list[bytes]:
    parts = path.split(b"/")
    return [b"/".join(parts[:index]) for index in range(1, len(parts))]
