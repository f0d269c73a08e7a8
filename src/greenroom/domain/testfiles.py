"""Which files of a tree are its tests: one list for whoever lays tests over, classifies, compares or judges them.

A name alone tells of most (`root_of`, `named`). Other names only tell that a file may be one (`is_test`): product code
has them too, and there a run of base's tests says where it found them (`SuiteFiles`). Paths are relative, with forward
slashes, and written as `shown` gives them. The module stands alone: it goes into the cells too, as a neighbour of the
tools.
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
_FURTHER = frozenset({"test.py", "tests.py"})
"""Names of tests in many projects, and of product code in others (a command called `test`)."""
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
    """The topmost directory or file of `path` that is a test's, or configures tests, by its name; None: none is."""
    parts = path.split("/")
    for index, part in enumerate(parts):
        if part in _DIRECTORIES:
            return "/".join(parts[: index + 1])
    return path if parts[-1] in _SETTINGS or _by_name(parts[-1]) else None


def named(path: str) -> bool:
    """True for what lies in a tests directory or is named like a test and like nothing else; conftest included."""
    *folders, name = path.split("/")
    return any(part in _DIRECTORIES for part in folders) or name == "conftest.py" or _by_name(name)


def is_test(path: str, patterns: Sequence[str] = ()) -> bool:
    """True for what may be a test: `named`, or a name that product code has too, or one that `patterns` names.

    Directories count in any case of letters: `Tests` is one.
    """
    *folders, name = path.split("/")
    further = name in _FURTHER or name.endswith("_tests.py") or any(part.lower() in _DIRECTORIES for part in folders)
    return further or named(path) or chosen(path, patterns)


def _by_name(name: str) -> bool:
    return name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py"))


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

    Beyond `root_of`: what tests were collected from and its name, a pattern or its form tells for a test's. Code that
    tests stand in is not laid over: then base's code would be tested in the place of the other.
    """
    if root_of(path) is not None:
        return True
    if path not in suite.tests or path in suite.others:
        return False
    return not path.endswith(".py") or is_test(path, (*suite.patterns, UNITTEST))


def doubtful(path: str, suite: SuiteFiles) -> bool:
    """True for a file for which base's tests are no proof where it changed: it gives or serves them as it is.

    A text of examples is one although it is laid over: nothing compares how strict it is. So is what may be a test by
    its name, and that no test of base was collected from.
    """
    if path in suite.others:
        return True
    if laid_over(path, suite):
        return root_of(path) is None and not path.endswith(".py")
    if path in suite.tests or is_test(path, suite.patterns):
        return True
    return any(path == place or path.startswith(f"{place}/") for place in suite.places)
