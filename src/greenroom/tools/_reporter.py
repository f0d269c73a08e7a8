"""A pytest plugin that writes what became of each test, one JSON line at a time; and the sentinels.

It is loaded by name (``-p``) in the process of the suite, so it imports nothing of ours but `_room.py`, which lies
beside it. Sentinels are tests that must
fail: one before all others and one at the end of each directory's tests. Each stands in a module of the suite itself,
so that the hooks and fixtures of every conftest.py hold for one of them: what turns failures into passes, or into
nothing, shows by them. At the end it tells which files the tests came from.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from greenroom.tools import _room
else:
    _room = importlib.import_module("greenroom_room")

_MAX_ID = 400
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}")
_REPORT = os.environ.pop("GREENROOM_REPORT", "")
_TOKEN = os.environ.pop("GREENROOM_SENTINEL", "")


_lines = _room.Lines(_REPORT)
_errors: dict[str, BaseException] = {}


class _Suite:
    """Where the collected tests are: the files they were collected from, and all that is code of theirs.

    Items and plugins can be of any making: where one breaks the look at it, nothing is told, and the suite goes on.
    """

    def __init__(self) -> None:
        self.sources: Any = importlib.import_module("greenroom_sources").Sources(os.getcwd())

    def collected(self, items: list[pytest.Item]) -> None:
        """Note where each test comes from: its file, its function, its classes and its fixtures."""
        try:
            for item in items:
                self._note(item)
        except Exception:
            self.sources = None

    def _note(self, item: pytest.Item) -> None:
        if not isinstance(item, pytest.Function):
            # An example in the docstring of code, as a rule.
            (self.sources.other if item.path.suffix == ".py" else self.sources.test)(str(item.path))
            return
        self.sources.test(str(item.path))
        self.sources.code(item.function)
        for cls in getattr(item.cls, "__mro__", ()):
            self.sources.module(getattr(cls, "__module__", None))
        for several in item._fixtureinfo.name2fixturedefs.values():
            for fixture in several:
                self.sources.code(fixture.func)

    def told(self, plugins: set[Any]) -> None:
        """Write the line for the report, with the plugins that are files of the tree; every conftest is one."""
        try:
            for plugin in plugins:
                path = getattr(plugin, "__file__", None)
                if isinstance(path, str):
                    self.sources.other(path)
            line = dict(self.sources.told())
        except Exception:
            return
        _lines.write(event="files", **line)


_SUITE = _Suite()


def node_name(nodeid: str) -> str:
    """A node id that is the same in the next run: no addresses, bounded, no control characters."""
    steady = _ADDRESS.sub("0x", nodeid).encode("unicode_escape").decode("ascii")
    return steady if len(steady) <= _MAX_ID else steady[:_MAX_ID] + f"~{len(steady)}"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the sentinels among the collected tests, each beside tests of its own module."""
    modules = [(at, module) for at, item in enumerate(items) if (module := _module_of(item)) is not None]
    last = {module.path.parent: (at + 1, module) for at, module in modules}
    places = [*((at, module) for at, module in modules[:1]), *last.values()]
    _lines.write(event="collected", count=len(items), sentinels=len(places))
    _SUITE.collected(items)
    made = [(at, _sentinel(module, number)) for number, (at, module) in enumerate(places)]
    for at, sentinel in sorted(made, key=lambda pair: pair[0], reverse=True):
        items.insert(at, sentinel)


def _module_of(item: pytest.Item) -> pytest.Module | None:
    return item.getparent(pytest.Module) if isinstance(item, pytest.Function) else None


def _sentinel(module: pytest.Module, number: int) -> pytest.Item:
    name = f"test_{_TOKEN}_{number}"

    def must_fail() -> None:
        raise AssertionError(name)

    made: pytest.Item = pytest.Function.from_parent(module, name=name, callobj=must_fail)
    return made


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A module that cannot be collected is an error of its own, one that skips itself a skip."""
    if report.failed and report.nodeid:
        _lines.write(event="outcome", id=node_name(report.nodeid), outcome="error", why=_why(report))
    elif report.skipped and report.nodeid:
        _lines.write(event="outcome", id=node_name(report.nodeid), outcome="skipped", why="")


def pytest_runtest_logstart(nodeid: str, location: Any) -> None:
    """Name the test that runs, for a suite that ends in it."""
    del location
    _lines.write(event="start", id=node_name(nodeid))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Keep the error of a phase until its report, which has only its words."""
    if call.excinfo is not None:
        _errors[item.nodeid] = call.excinfo.value


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """The outcome of one phase of one test."""
    outcome, error = _outcome(report), _errors.pop(report.nodeid, None)
    if not outcome:
        return
    failed = outcome in ("failed", "error")
    printed = sum(len(text) for _, text in report.sections)
    bound = _room.bound_met(error, printed) if failed else ""
    why = _why(report) if failed else ""
    _lines.write(event="outcome", id=node_name(report.nodeid), outcome=outcome, why=why, bound=bound)


def pytest_sessionfinish(session: pytest.Session, exitstatus: Any) -> None:
    """The session came to its end: the lines that the probes saw, where there are any."""
    probes = getattr(sys.modules.get("greenroom_probes"), "ACTIVE", None)
    if probes is not None:
        _lines.write(event="lines", ran=probes.ran(), unseen=sorted(probes.unseen))
    _SUITE.told(session.config.pluginmanager.get_plugins())
    _lines.write(event="end", exit=int(exitstatus))


def _outcome(report: pytest.TestReport) -> str:
    if report.outcome not in ("passed", "failed", "skipped"):
        return ""  # a plugin runs it again
    expected = hasattr(report, "wasxfail")
    if report.when == "call":
        if report.passed:
            return "xpassed" if expected else "passed"
        if report.skipped:
            return "xfailed" if expected else "skipped"
        return "failed"
    if report.failed:
        return "error"
    if report.skipped and report.when == "setup":
        return "xfailed" if expected else "skipped"
    return ""


def _why(report: Any) -> str:
    lines = str(getattr(report, "longreprtext", "")).strip().splitlines()
    return lines[-1][:200] if lines else ""
