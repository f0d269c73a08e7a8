"""Which files of a tree are its tests: one list for whoever lays tests over, classifies, compares or judges them.

A name alone tells of most (`root_of`, `is_test`). Beyond names a run of base's tests says where it found them
(`SuiteFiles`). Paths are relative, with forward slashes, and written as `shown` gives them. The module stands alone: it
goes into the cells too, as a neighbour of the tools.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

MAX_LISTED = 2_000
"""How many files beyond names a run may tell of; one that has more tells of none."""
MAX_PATTERNS, MAX_PATTERN = 64, 200
"""How many patterns are read, and how many characters of one."""
UNITTEST = "test*.py"
"""What unittest looks for where nobody says otherwise; product code can be called so too."""

_DIRECTORIES = frozenset({"tests", "test", "testing"})
_SETTINGS = frozenset(
    {
        "conftest.py",
        "pytest.ini",
        ".pytest.ini",
        "pytest.toml",
        ".pytest.toml",
        "tox.ini",
        "setup.cfg",
        "pyproject.toml",
    }
)
_NAMES = frozenset({"conftest.py", "test.py", "tests.py"})
_BRACKETS = re.compile(r"\[[^\]]*\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteFiles:
    """Where a run found its tests, beyond what `root_of` knows by name.

    `tests` are the files that tests were collected from. `others` hold or serve tests in another way: examples in the
    docstrings of code, plugins, fixtures, inherited tests, modules that import a test framework; and what is named like
    a test and is used by code. `places` are the directories of tests that only settings name. `patterns` are those by
    which the settings choose files (pytest's `python_files`).
    """

    tests: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()


def shown(path: str) -> str:
    """`path` (file-system text, with surrogates) as text that JSON and a screen can carry."""
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def root_of(path: str) -> str | None:
    """The topmost directory or file of `path` that is a test's, or configures tests, by its name; None where none is.

    Directories count in any case of letters: `Tests` is one.
    """
    parts = path.split("/")
    for index, part in enumerate(parts):
        if part.lower() in _DIRECTORIES:
            return "/".join(parts[: index + 1])
    return path if parts[-1] in _SETTINGS or _named(parts[-1]) else None


def is_test(path: str, patterns: Sequence[str] = ()) -> bool:
    """True for what lies in a tests directory, is named like a test, or is named by `patterns`; conftest included."""
    *folders, name = path.split("/")
    return any(part.lower() in _DIRECTORIES for part in folders) or _named(name) or chosen(path, patterns)


def _named(name: str) -> bool:
    return name in _NAMES or (
        name.endswith(".py") and (name.startswith("test_") or name.endswith(("_test.py", "_tests.py")))
    )


def chosen(path: str, patterns: Sequence[str]) -> bool:
    """True for a Python file that one of `patterns` names; one that says nothing of the name (`*.py`) names none.

    As in pytest, a pattern without a slash is for the name, one with a slash for the end of the path.
    """
    if not path.endswith(".py"):
        return False
    name = path.rsplit("/", 1)[-1]
    for pattern in patterns[:MAX_PATTERNS]:
        if len(pattern) > MAX_PATTERN or not _says_something(pattern):
            continue
        if fnmatchcase(f"/{path}", f"*/{pattern.lstrip('/')}") if "/" in pattern else fnmatchcase(name, pattern):
            return True
    return False


def _says_something(pattern: str) -> bool:
    stem = _BRACKETS.sub("", pattern.rsplit("/", 1)[-1]).removesuffix(".py")
    return any(c.isalnum() for c in stem)


def laid_over(path: str, suite: SuiteFiles) -> bool:
    """True for a file of base that is put in the place of another tree's.

    Beyond names: what tests were collected from and a pattern or its form tells for a test's. Code that tests stand in
    is not laid over: then base's code would be tested in the place of the other.
    """
    if root_of(path) is not None:
        return True
    if path not in suite.tests or path in suite.others:
        return False
    return not path.endswith(".py") or chosen(path, (*suite.patterns, UNITTEST))


def doubtful(path: str, suite: SuiteFiles) -> bool:
    """True for a file for which base's tests are no proof where it changed: it gives or serves them as it is.

    A text of examples is one although it is laid over: nothing compares how strict it is.
    """
    if path in suite.others:
        return True
    if laid_over(path, suite):
        return root_of(path) is None and not path.endswith(".py")
    return path in suite.tests or any(path == place or path.startswith(f"{place}/") for place in suite.places)
