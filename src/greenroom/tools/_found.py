"""Where a suite's tests are beyond names: what its process told, sorted by the one list of test files."""

from __future__ import annotations

import os
import posixpath
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _suites, _testfiles
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _suites
    import _testfiles


def suite(files: Mapping[str, Any] | None, settings_root: Path) -> Mapping[str, Any] | None:
    """The SuiteFiles document, or None where the process told nothing, or of too much."""
    if files is None:
        return None
    patterns = _suites.test_patterns(settings_root)
    tests, others = set(_paths(files.get("tests"))), set(_paths(files.get("others")))
    told = files.get("refers")
    refers = {one: set(_paths(several)) for path, several in _items(told) for one in _paths([path])}
    beyond = {path for path in tests if _testfiles.root_of(path) is None}
    serving = {path for path in (*others, *_paths(files.get("framed"))) if _testfiles.root_of(path) is None} - beyond
    used = set(_used_by_code(refers, beyond))
    places = set(_places(tests, _suites.listed(settings_root, "testpaths"), refers))
    found = [sorted(each) for each in (beyond, serving | used, places)]
    if any(len(each) > _testfiles.MAX_LISTED for each in found):
        return None
    return {"tests": found[0], "others": found[1], "places": found[2], "patterns": patterns}


def _used_by_code(refers: Mapping[str, set[str]], beyond: set[str]) -> Iterator[str]:
    """What is a test's by its name or by the run, and is imported by what is not."""
    for path, several in refers.items():
        if not _testfiles.named(path) and path not in beyond:
            yield from (each for each in several if _testfiles.named(each) or each in beyond)


def _places(tests: set[str], named: Iterable[str], refers: Mapping[str, set[str]]) -> Iterator[str]:
    """Directories that settings name, no name tells of, and that hold tests and nothing that code elsewhere imports."""
    roots = [posixpath.normpath(name.replace("*", "")) for name in named]
    for folder in {posixpath.dirname(path) for path in tests}:
        if not folder or _testfiles.root_of(f"{folder}/x") is not None:
            continue
        if any(folder == root or folder.startswith(f"{root}/") for root in roots) and not _imported(folder, refers):
            yield folder


def _imported(folder: str, refers: Mapping[str, set[str]]) -> bool:
    """True when code outside of `folder` imports code in it."""
    inside = f"{folder}/"
    return any(
        each.startswith(inside) and not _testfiles.is_test(each)
        for path, several in refers.items()
        if not path.startswith(inside) and not _testfiles.is_test(path)
        for each in several
    )


def _items(plain: Any) -> Iterable[tuple[Any, Any]]:
    return plain.items() if isinstance(plain, dict) else ()


def _paths(plain: Any) -> Iterator[str]:
    for item in plain if isinstance(plain, list) else ():
        try:
            yield _testfiles.shown(bytes.fromhex(item).decode("utf-8", "surrogateescape"))
        except (TypeError, ValueError):
            continue
