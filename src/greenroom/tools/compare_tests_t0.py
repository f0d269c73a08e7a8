"""Finds tests that the step from the tree `base` to `green` deleted, skipped or made less strict.

No arguments. Result: a domain ScanResult whose blocking findings are: test-deleted, test-skipped, assertion-removed,
assertion-weakened, tolerance-widened, cases-removed, failure-swallowed, collection-changed. Expectations and data that
changed without becoming weaker weigh, and do not block. Files are compared by their syntax trees; nothing is run.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _body, _files, _projects, _python, _strictness, _suites, _testfiles
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _files
    import _projects
    import _python
    import _strictness
    import _suites
    import _testfiles

Place = tuple[str, _strictness.Test]
Arrived = dict[str, list[Place]]
"""By name, the tests that files of green gained: where each stands, and what it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """The paths that pytest is given on either side by the settings (`testpaths`); everywhere where there are none."""

    base: tuple[str, ...] = ()
    green: tuple[str, ...] = ()


EVERYWHERE = Looked()
MAX_FINDINGS = 500
_BLOCK_POINTS = 60
_COLLECTION_HOOKS = frozenset(
    {
        "pytest_collection_modifyitems", "pytest_ignore_collect", "pytest_collect_file", "pytest_runtest_makereport",
        "pytest_runtest_protocol", "pytest_runtest_call", "pytest_pyfunc_call", "pytest_report_teststatus",
        "pytest_runtest_logreport", "pytest_sessionfinish", "pytest_pycollect_makeitem", "pytest_generate_tests",
        "pytest_runtest_setup", "pytest_deselected", "pytest_exception_interact", "load_tests",
    }
)  # fmt: skip
_COLLECTION_NAMES = frozenset({"collect_ignore", "collect_ignore_glob", "__test__", "pytest_plugins"})
_NOT_ENTERED = frozenset({"build", "dist", "node_modules", "venv", "CVS", "_darcs", "{arch}"})
"""Folders that pytest does not look into where no setting says otherwise, next to those named `.*` and `*.egg`."""
_SELECTING = (
    "testpaths",
    "python_files",
    "python_classes",
    "python_functions",
    "norecursedirs",
    "addopts",
    "xfail_strict",
    "usefixtures",
    "doctest_optionflags",
    "collect_imported_tests",
)


def run(request: _body.Request) -> Mapping[str, Any]:
    """The ScanResult document."""
    base, green = request.mount("base"), request.mount("green")
    before, after = _suites.pytest_settings(base), _suites.pytest_settings(green)
    looked = Looked(base=_suites.test_paths(base, before), green=_suites.test_paths(green, after))
    patterns = _suites.test_patterns(base)
    named = _strictness.naming(_suites.listed(base, "python_functions"))
    changed = [change for change in _files.changes(base, green) if _compared(change, patterns, named)]
    arrived = _arrived(changed, named)
    findings = [finding for change in changed for finding in compare(change, arrived, named, looked)]
    findings += _settings(before, after)
    findings += _coverage_settings(request)
    return {"findings": findings[:MAX_FINDINGS], "tools": {"python": sys.version.split()[0]}}


def _compared(change: _files.Changed, patterns: Sequence[str], named: _strictness.Naming) -> bool:
    """True for files of tests by their names, and for what unittest would take for one where it holds tests."""
    path = _files.show(change.path)
    if _files.is_test(change.path, patterns):
        return True
    return _testfiles.chosen(path, (_testfiles.UNITTEST,)) and bool(_tests(change.base.text, named))


def compare(
    change: _files.Changed, arrived: Arrived, named: _strictness.Naming, looked: Looked = EVERYWHERE
) -> Iterator[Mapping[str, Any]]:
    """What became less strict in one test file; of `arrived` what was moved from it is taken."""
    path = _files.show(change.path)
    if not change.path.endswith(".py"):
        if change.base.data is not None:
            yield _finding("test-data-changed", path, 0, "data that tests may compare with changed", points=5)
        return
    before, after = _modules(change)
    if before is None:
        yield _finding("test-file-unreadable", path, 0, "the file on base cannot be parsed", points=20)
        return
    if change.green.data is None:
        yield from _deleted(path, _strictness.tests(before, named), arrived, looked)
        return
    if after is None:
        yield _finding("test-deleted", path, 0, "the file can no longer be parsed", blocks=True)
        return
    yield from _compare_modules(path, before, after, arrived, named, looked)


def _compare_modules(
    path: str, before: ast.Module, after: ast.Module, arrived: Arrived, named: _strictness.Naming, looked: Looked
) -> Iterator[Mapping[str, Any]]:
    old, new = _strictness.tests(before, named), _strictness.tests(after, named)
    yield from _deleted(path, {name: node for name, node in old.items() if name not in new}, arrived, looked)
    for name, node in old.items():
        if name in new and not _strictness.same(node, new[name]):
            yield from _loosened(path, name, node, new[name])
    for line, message in _strictness.module_skips(before, after):
        yield _finding("test-skipped", path, line, message, blocks=True)
    yield from _helpers(path, before, after, named)


def _helpers(
    path: str, before: ast.Module, after: ast.Module, named: _strictness.Naming
) -> Iterator[Mapping[str, Any]]:
    """Helpers' assertions hold for every test that calls them; hooks decide what runs and what is reported."""
    old, new = _strictness.helpers(before, named), _strictness.helpers(after, named)
    for name, node in new.items():
        if name in _COLLECTION_HOOKS and (name not in old or not _strictness.same(old[name], node)):
            yield _finding("collection-changed", path, node.tree.lineno, f"the hook {name} changed", blocks=True)
    for name, node in old.items():
        if name in new and not _strictness.same(node, new[name]):
            for rule, line, message in _strictness.loosened(node, new[name]):
                if rule != "expectation-changed":
                    yield _finding(rule, path, line, f"helper {name}: {message}", blocks=True)
        elif name not in new and _strictness.assertions(node.tree):
            yield _finding(
                "helper-removed", path, node.tree.lineno, f"a helper that asserts is gone: {name}", points=15
            )
    old_names, new_names = _assigned(before), _assigned(after)
    for name, value in new_names.items():
        if name in _COLLECTION_NAMES and old_names.get(name) != value:
            yield _finding("collection-changed", path, 0, f"{name} changed", blocks=True)


def _assigned(module: ast.Module) -> dict[str, str]:
    """Names that the module or its classes assign, with the value's tree."""
    found: dict[str, str] = {}
    for node in ast.walk(module):
        targets = (
            node.targets
            if isinstance(node, ast.Assign)
            else [node.target]
            if isinstance(node, ast.AugAssign | ast.AnnAssign)
            else []
        )
        for target in targets:
            if isinstance(target, ast.Name) and target.id in _COLLECTION_NAMES:
                found[target.id] = found.get(target.id, "") + ast.dump(node)
    return found


def _deleted(
    path: str, tests: Mapping[str, _strictness.Test], arrived: Arrived, looked: Looked = EVERYWHERE
) -> Iterator[Mapping[str, Any]]:
    """A test of the same name that another file gained is moved, not deleted; it stays as strict as it was."""
    for name, test in tests.items():
        place = _moved(path, test, arrived.get(name, []), looked)
        if place is None:
            yield _finding("test-deleted", path, test.tree.lineno, f"{name} is gone", blocks=True)
        else:
            yield _finding("test-moved", path, test.tree.lineno, f"{name} stands in {place[0]} now", points=5)
            yield from _loosened(place[0], name, test, place[1])


def _moved(path: str, test: _strictness.Test, places: list[Place], looked: Looked) -> Place | None:
    """Takes, of the tests of its name that arrived, the one that `test` became: the same, else the least loosened.

    Each stands for one test that is gone. A file that no test runner looks at is no place for one.
    """
    there = _collected(path, looked.base)
    fit = [place for place in places if _collected(place[0], looked.green) or not there]
    taken = next((place for place in fit if _strictness.same(test, place[1])), None)
    taken = taken or min(fit, key=lambda place: len(list(_strictness.loosened(test, place[1]))), default=None)
    if taken is not None:
        places.remove(taken)
    return taken


def _collected(path: str, roots: Sequence[str]) -> bool:
    """True for a file that pytest reads when it is given `roots`, where no other setting says otherwise."""
    if roots and not any(root in (".", path) or path.startswith(f"{root}/") for root in roots):
        return False
    *folders, name = path.split("/")
    if any(part.startswith(".") for part in (*folders, name)):
        return False
    if any(folder in _NOT_ENTERED or folder.endswith(".egg") for folder in folders):
        return False
    return name.endswith(".py") and (name.startswith("test_") or name.endswith("_test.py"))


def _loosened(path: str, name: str, before: _strictness.Test, after: _strictness.Test) -> Iterator[Mapping[str, Any]]:
    for rule, line, message in _strictness.loosened(before, after):
        yield _finding(rule, path, line, f"{name}: {message}", blocks=rule != "expectation-changed")


def _arrived(changed: Sequence[_files.Changed], named: _strictness.Naming) -> Arrived:
    """The tests that files of green gained."""
    found: Arrived = {}
    for change in changed:
        known = _tests(change.base.text, named)
        for name, test in _tests(change.green.text, named).items():
            if name not in known:
                found.setdefault(name, []).append((_files.show(change.path), test))
    return found


def _settings(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    """Settings that choose tests."""
    for key in _SELECTING:
        old, new = (before or {}).get(key), (after or {}).get(key)
        if old != new:
            yield _finding(
                "collection-changed", "pytest settings", 0, f"{key}: {old!r} became {new!r}"[:300], blocks=True
            )


def _coverage_settings(request: _body.Request) -> Iterator[Mapping[str, Any]]:
    """The share of code that tests must reach."""
    names = ("tool", "coverage", "report")
    before = _projects.table(_projects.toml(request.mount("base"), "pyproject.toml"), *names).get("fail_under")
    after = _projects.table(_projects.toml(request.mount("green"), "pyproject.toml"), *names).get("fail_under")
    if isinstance(before, int | float) and (not isinstance(after, int | float) or after < before):
        yield _finding("coverage-lowered", "pyproject.toml", 0, f"fail_under: {before} became {after}", points=20)


def _tests(text: str | None, named: _strictness.Naming) -> Mapping[str, _strictness.Test]:
    module = _python.parse(text) if text else None
    return _strictness.tests(module, named) if module else {}


def _modules(change: _files.Changed) -> tuple[ast.Module | None, ast.Module | None]:
    """The trees of both sides; a file that is not on base holds no tests there."""
    before, after = change.base.text, change.green.text
    if change.base.data is None:
        before = ""
    return (_python.parse(before) if before is not None else None, _python.parse(after) if after is not None else None)


def _finding(
    rule: str, path: str, line: int, message: str, *, points: int = 10, blocks: bool = False
) -> Mapping[str, Any]:
    points = _BLOCK_POINTS if blocks else points
    return {"rule": rule, "path": path, "line": line, "message": message[:300], "points": points, "blocks": blocks}


if __name__ == "__main__":
    _body.main(run)
