"""Which test framework a tree uses, where its tests are, and which of its settings hold here; all read as data."""

from __future__ import annotations

import ast
import itertools
import os
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from greenroom.tools import _body, _files, _projects, _python, _testfiles
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _files
    import _projects
    import _python
    import _testfiles

Framework = Literal["pytest", "unittest", "none"]

_DROP_WITH_VALUE = frozenset(
    {"-n", "--numprocesses", "--dist", "--maxprocesses", "--maxfail", "--junitxml", "--junit-xml", "--html", "--reruns",
     "--cov", "--cov-report", "--cov-config", "--cov-fail-under", "--cov-context", "--color", "--tb", "--durations",
     "--durations-min", "--basetemp", "--rootdir", "-c", "--config-file", "--debug", "--log-file", "--pastebin"}
)  # fmt: skip
_DROP = re.compile(
    r"-[xqvs]+|-[rn]\S+|--(?:exitfirst|lf|last-failed|ff|failed-first|nf|new-first|sw|stepwise|stepwise-skip|cache-clear"
    r"|cov-branch|cov-append|no-cov(?:-on-fail)?|verbose|quiet|no-header|no-summary|showlocals|strict|strict-config"
    r"|self-contained-html|pdb|trace|looponfail|benchmark-\S+|codspeed|mypy\S*|flake8|pylint|black|isort|ruff\S*"
    r"|profile\S*|cov-fail-under|exitfirst)(?:=.*)?"
)
MAX_ADDOPTS = 20_000
"""How many characters the options are read from: shlex takes a time that grows with the square of a word's length."""
MAX_PATHS = 1_000
"""How many paths one pattern names at most."""
_WILD = frozenset("*?[")
MAX_STARS = 4
"""How many stars a pattern of paths has at most: the time that it takes grows with the power of their number."""
_SOURCE_ROOTS = ("src", "lib", "python")


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """How to run a tree's tests. For pytest `args` are options and paths, for unittest directories."""

    framework: Framework
    args: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def detect(work: Path) -> Suite:
    """The suite of a tree: pytest where anything speaks of it, else unittest where all tests are TestCases."""
    tests = _test_files(work)
    configured = pytest_settings(work)
    if not tests and configured is None:
        return Suite(framework="none", notes=("no test files were found; set a test command to run others",))
    sorts = {_sort(work / path) for path in tests}
    if configured is None and not _mentions_pytest(work) and tests and sorts <= {"unittest", "helper"}:
        if "unittest" in sorts:
            return Suite(framework="unittest", args=_directories(p for p in tests if _sort(work / p) == "unittest"))
        return Suite(framework="none", notes=("the test files hold no tests",))
    settings = configured or {}
    kept, dropped = addopts(settings.get("addopts"))
    paths = [path for path in _words(settings.get("testpaths")) if _inside(work, path)]
    files = () if paths else _odd_names(tests, settings)
    notes = tuple(f"left out of addopts: {option}" for option in dropped)
    return Suite(framework="pytest", args=(*kept, *(paths or files or ["."])), notes=notes)


def from_command(text: str) -> Suite:
    """A test command that a person gave: pytest or unittest, called directly or by `python -m`."""
    try:
        argv = shlex.split(text)
    except ValueError as error:
        raise _body.Refusal("test-command", text[:200], f"write it as one command line ({error})") from None
    if argv and re.fullmatch(r"(?:.*/)?python[0-9.]*", argv[0]) and len(argv) > 2 and argv[1] == "-m":
        argv = argv[2:]
    name = os.path.basename(argv[0]) if argv else ""
    if name in ("pytest", "py.test"):
        return Suite(framework="pytest", args=tuple(argv[1:]) or (".",))
    if name == "unittest":
        rest = [word for word in argv[1:] if word != "discover" and not word.startswith("-")]
        return Suite(framework="unittest", args=tuple(rest) or (".",))
    raise _body.Refusal("test-command", text[:200], "name pytest or `python -m unittest` as the test command")


def pytest_settings(work: Path) -> dict[str, Any] | None:
    """The ini options by pytest's own order of files, or None where no file speaks of pytest."""
    for name in ("pytest.toml", ".pytest.toml"):
        if (work / name).is_file():
            return _projects.table(_projects.toml(work, name), "pytest")
    for name in ("pytest.ini", ".pytest.ini"):
        if (work / name).is_file():
            parser = _projects.ini(work, name)
            return dict(parser.items("pytest")) if parser.has_section("pytest") else {}
    tool = _projects.table(_projects.toml(work, "pyproject.toml"), "tool", "pytest")
    if tool:
        return _projects.table(tool, "ini_options") or tool
    for name, section in (("tox.ini", "pytest"), ("setup.cfg", "tool:pytest")):
        parser = _projects.ini(work, name)
        if parser.has_section(section):
            return dict(parser.items(section))
    return {} if (work / "conftest.py").is_file() else None


def test_paths(work: Path, settings: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Where the settings (`testpaths`) have pytest look: paths that are there, patterns resolved; nothing: anywhere."""
    found: list[str] = []
    for name in _words((settings or {}).get("testpaths")):
        if not _inside(work, name):
            continue
        paths = itertools.islice(work.glob(name), MAX_PATHS) if set(name) & _WILD else [work / os.path.normpath(name)]
        found += [path.relative_to(work).as_posix() for path in paths]
    return tuple(dict.fromkeys(found))


def listed(work: Path, key: str) -> list[str]:
    """The words of one of pytest's settings of the tree, as pytest reads a list."""
    return _words((pytest_settings(work) or {}).get(key))


def test_patterns(work: Path) -> list[str]:
    """The patterns by which pytest's settings of the tree choose files."""
    return listed(work, "python_files")[: _testfiles.MAX_PATTERNS]


def settings_file(work: Path) -> Path | None:
    """The file that pytest itself would take its settings from."""
    for name in ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini"):
        if (work / name).is_file():
            return work / name
    if _projects.table(_projects.toml(work, "pyproject.toml"), "tool", "pytest"):
        return work / "pyproject.toml"
    for name, section in (("tox.ini", "pytest"), ("setup.cfg", "tool:pytest")):
        if _projects.ini(work, name).has_section(section):
            return work / name
    return None


def addopts(value: Any) -> tuple[list[str], list[str]]:
    """Options of the project that choose tests, and those left out: how to show, measure and spread them."""
    if isinstance(value, str) and len(value) > MAX_ADDOPTS:
        return [], [value[:200]]
    try:
        words = list(value) if isinstance(value, list) else shlex.split(str(value or ""), comments=False)
    except ValueError:
        return [], [str(value)[:200]]
    kept: list[str] = []
    dropped: list[str] = []
    at = 0
    while at < len(words):
        word, name = str(words[at]), str(words[at]).split("=", 1)[0]
        at += 1
        if name in _DROP_WITH_VALUE:
            dropped.append(name)
            bare = "=" not in word and at < len(words) and not str(words[at]).startswith("-")
            at += 1 if bare and name not in ("--cov", "--debug") else 0
        elif _DROP.fullmatch(word):
            dropped.append(name)
        else:
            kept.append(word)
    return kept, dropped


def source_roots(work: Path) -> list[Path]:
    """Directories that hold the project's packages: src layouts, what setup.cfg and pyproject say, then the root."""
    found = [
        name for name in _SOURCE_ROOTS if any((work / name).glob("*/__init__.py")) or any((work / name).glob("*.py"))
    ]
    found = [name for name in found if not (work / name / "__init__.py").is_file()]
    where = _projects.table(_projects.toml(work, "pyproject.toml"), "tool", "setuptools", "packages", "find").get(
        "where"
    )
    package_dir = _projects.table(_projects.toml(work, "pyproject.toml"), "tool", "setuptools", "package-dir").get("")
    listed = [*_words(where), *_words(package_dir)]
    for line in (_projects.ini(work, "setup.cfg").get("options", "package_dir", fallback="") or "").splitlines():
        key, _, value = line.partition("=")
        if not key.strip() and value.strip():
            listed.append(value.strip())
    roots = [name for name in dict.fromkeys([*found, *listed]) if _inside(work, name) and (work / name).is_dir()]
    return [*(work / name for name in roots), work]


def _test_files(work: Path) -> list[str]:
    paths = [path for path in _files.walk(work) if path.endswith(".py") and not _files.is_vendored(path)]
    return [path for path in paths if _looks_like_test(path)]


def _looks_like_test(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    in_tests = any(part in ("tests", "test") for part in path.split("/")[:-1])
    named = name.startswith("test") or name.endswith(("_test.py", "_tests.py"))
    return (
        named
        and name != "testing.py"
        and (in_tests or name.startswith("test_") or name.endswith("_test.py") or name in ("test.py", "tests.py"))
    )


def _sort(path: Path) -> str:
    """What a test file holds: 'pytest', 'unittest' or only helpers."""
    data = _body.read_if_there(path, _files.MAX_TEXT_BYTES) or b""
    tree = _python.parse(data.decode("utf-8", "replace"))
    if tree is None:
        return "helper"
    text = data.decode("utf-8", "replace")
    if re.search(r"^[^\S\n]*(?:import|from)\s+(?:pytest|_pytest|nose)\b", text, re.M):
        return "pytest"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            return "pytest"
        plain = isinstance(node, ast.ClassDef) and node.name.startswith("Test") and not node.bases
        if plain and any(getattr(item, "name", "").startswith("test") for item in getattr(node, "body", ())):
            return "pytest"
    return "unittest" if re.search(r"TestCase|load_tests|unittest", text) else "helper"


def _mentions_pytest(work: Path) -> bool:
    names = ("pyproject.toml", "setup.cfg", "tox.ini", "setup.py", "noxfile.py", "Makefile", "PKG-INFO")
    extra = [path.name for path in sorted(work.glob("*requirements*.txt"))[:20]]
    return any(b"pytest" in (_body.read_if_there(work / name, _projects.MAX_BYTES) or b"") for name in (*names, *extra))


def _odd_names(tests: Sequence[str], settings: dict[str, Any]) -> list[str]:
    """Test files to give one by one, where none is named as pytest looks for them."""
    if settings.get("python_files"):
        return []
    usual = [path for path in tests if re.fullmatch(r"test_.*\.py|.*_test\.py", path.rsplit("/", 1)[-1])]
    return [] if usual else list(tests[:500])


def _directories(tests: Iterable[str]) -> tuple[str, ...]:
    """The highest directories that hold tests, below which unittest discovers."""
    found = sorted({os.path.dirname(path) or "." for path in tests}, key=lambda name: (name.count("/"), name))
    kept: list[str] = []
    for name in found:
        if not any(name.startswith(above + "/") for above in kept):
            kept.append(name)
    return tuple(kept)


def _words(value: Any) -> list[str]:
    words = value if isinstance(value, list) else str(value or "").split()
    return [word for word in words[: _projects.MAX_LIST] if isinstance(word, str)]


def _inside(work: Path, name: str) -> bool:
    if len(name) > _projects.MAX_ITEM or name.startswith(("/", "-", "~")) or ".." in name.split("/"):
        return False
    if not set(name) & _WILD:
        return (work / name).exists()
    return name.count("*") <= MAX_STARS and any(work.glob(name))
