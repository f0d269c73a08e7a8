"""The overlay: base's tests, conftest files and test configuration in the place of another tree's (design, hole 1)."""

from __future__ import annotations

from greenroom.domain.trees import Entry, Link, Manifest, manifest_of

TEST_DIRECTORIES = frozenset({b"tests", b"test", b"testing"})
TEST_FILES = frozenset(
    {
        b"conftest.py",
        b"pytest.ini",
        b".pytest.ini",
        b"pytest.toml",
        b".pytest.toml",
        b"tox.ini",
        b"setup.cfg",
        b"pyproject.toml",
    }
)


def overlaid(source: Manifest, onto: Manifest) -> Manifest:
    """`onto` with the tests of `source` instead of its own; tests that only `onto` has are gone.

    Where a path of the overlay needs a directory and `onto` has a file or a link, the overlay wins.
    """
    tests = [entry for entry in source.entries if root_of(entry.path) is not None]
    taken = {entry.path for entry in tests}
    needed = {parent for path in taken for parent in _parents(path)}
    kept = [
        entry
        for entry in onto.entries
        if root_of(entry.path) is None
        and entry.path not in needed
        and not any(parent in taken for parent in _parents(entry.path))
    ]
    return manifest_of([*kept, *tests])


def read_only(tree: Manifest) -> tuple[bytes, ...]:
    """The topmost paths that hold nothing but tests, to be mounted read-only; links cannot be mounted over."""
    roots: dict[bytes, Entry] = {}
    for entry in tree.entries:
        root = root_of(entry.path)
        if root is not None:
            roots.setdefault(root, entry)
    return tuple(sorted(r for r, e in roots.items() if not (isinstance(e, Link) and e.path == r)))


def root_of(path: bytes) -> bytes | None:
    """The topmost directory or file of `path` that is a test's; None when it is none."""
    parts = path.split(b"/")
    for index, part in enumerate(parts):
        if part in TEST_DIRECTORIES:
            return b"/".join(parts[: index + 1])
    return path if _is_test_file(parts[-1]) else None


def _is_test_file(name: bytes) -> bool:
    named = name.startswith(b"test_") or name.endswith(b"_test.py")
    return name in TEST_FILES or (named and name.endswith(b".py"))


def _parents(path: bytes) -> list[bytes]:
    parts = path.split(b"/")
    return [b"/".join(parts[:index]) for index in range(1, len(parts))]
