"""Runs a unittest suite and writes what became of each test, one JSON line at a time, between two sentinels.

Started as a script in the process of the suite: ``_unittest_run.py START [START ...]``, where each START is a directory
to discover tests in or a dotted name. It imports nothing of ours but `_room.py`.
"""

from __future__ import annotations

import importlib
import os
import sys
import unittest
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _room
else:
    _room = importlib.import_module("greenroom_room")

_MAX_ID = 400


class _Result(unittest.TestResult):
    """Writes each outcome as it comes; subtests count for their test."""

    def __init__(self, report: str) -> None:
        super().__init__()
        self.write = _room.Lines(report).write
        self._bad: set[str] = set()

    def startTest(self, test: Any) -> None:  # noqa: N802 - unittest's name
        super().startTest(test)
        self.write(event="start", id=_name(test))

    def addSuccess(self, test: Any) -> None:  # noqa: N802 - unittest's name
        super().addSuccess(test)
        if _name(test) not in self._bad:
            self._note(test, "passed")

    def addError(self, test: Any, err: Any) -> None:  # noqa: N802 - unittest's name
        super().addError(test, err)
        self._note(test, "error", err[1])

    def addFailure(self, test: Any, err: Any) -> None:  # noqa: N802 - unittest's name
        super().addFailure(test, err)
        self._note(test, "failed", err[1])

    def addSkip(self, test: Any, reason: str) -> None:  # noqa: N802 - unittest's name
        super().addSkip(test, reason)
        self._note(test, "skipped")

    def addExpectedFailure(self, test: Any, err: Any) -> None:  # noqa: N802 - unittest's name
        super().addExpectedFailure(test, err)
        self._note(test, "xfailed")

    def addUnexpectedSuccess(self, test: Any) -> None:  # noqa: N802 - unittest's name
        super().addUnexpectedSuccess(test)
        self._note(test, "xpassed")

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:  # noqa: N802 - unittest's name
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._bad.add(_name(test))
            self._note(test, "failed" if issubclass(err[0], test.failureException) else "error", err[1])

    def _note(self, test: Any, outcome: str, error: BaseException | None = None) -> None:
        lines = str(error or "").strip().splitlines()
        bound = _room.bound_met(error, 0)
        self.write(event="outcome", id=_name(test), outcome=outcome, why=lines[0][:200] if lines else "", bound=bound)


def main(starts: list[str]) -> int:
    """Load, put the sentinels around, run."""
    result = _Result(os.environ.pop("GREENROOM_REPORT"))
    token = os.environ.pop("GREENROOM_SENTINEL")
    probes = _probes()
    sources = _Sources()
    loader = unittest.TestLoader()
    suite = unittest.TestSuite()
    for start in starts:
        suite.addTests(_load(loader, start))
    sources.collected(suite)
    result.write(event="collected", count=suite.countTestCases(), sentinels=2)
    unittest.TestSuite([_sentinel(f"test_{token}_0"), suite, _sentinel(f"test_{token}_1")]).run(result)
    if probes is not None:
        result.write(event="lines", ran=probes.ran(), unseen=sorted(probes.unseen))
    if (told := sources.told()) is not None:
        result.write(event="files", **told)
    result.write(event="end", exit=0 if result.wasSuccessful() else 1)
    return 0


class _Sources:
    """Where the tests come from.

    Tests and modules can be of any making: where one breaks the look at it, nothing is told, and the suite goes on.
    """

    def __init__(self) -> None:
        self._sources: Any = importlib.import_module("greenroom_sources").Sources(os.getcwd())

    def collected(self, suite: unittest.TestSuite) -> None:
        """Note where each test comes from."""
        try:
            _note(suite, self._sources)
        except Exception:
            self._sources = None

    def told(self) -> dict[str, Any] | None:
        """The line for the report; None where it cannot be told."""
        try:
            return dict(self._sources.told())
        except Exception:
            return None


def _note(suite: Any, sources: Any) -> None:
    """Where each test comes from: its module, its method, its classes; of an example, the code it stands in."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            _note(test, sources)
            continue
        example = getattr(getattr(test, "_dt_test", None), "filename", None)
        if isinstance(example, str):
            (sources.other if example.endswith(".py") else sources.test)(example)
            continue
        path = getattr(sys.modules.get(type(test).__module__), "__file__", None)
        if isinstance(path, str):
            sources.test(path)
        sources.code(getattr(type(test), str(getattr(test, "_testMethodName", "")), None))
        for cls in type(test).__mro__[1:]:
            sources.module(cls.__module__)


def _probes() -> Any:
    """The probes of this process, put in here; None where no lines are wanted."""
    return importlib.import_module("greenroom_probes").ACTIVE if "GREENROOM_PROBES" in os.environ else None


def _load(loader: unittest.TestLoader, start: str) -> unittest.TestSuite:
    path = Path(start)
    if not path.is_dir():
        return loader.loadTestsFromName(start)
    top = path
    while (top / "__init__.py").is_file():
        top = top.parent
    pattern = "test*.py" if any(path.glob("test*.py")) else "*test*.py"
    return loader.discover(str(path), pattern=pattern, top_level_dir=str(top))


def _sentinel(name: str) -> unittest.TestCase:
    def must_fail(test: unittest.TestCase) -> None:
        test.fail(name)

    made: unittest.TestCase = type("Sentinel", (unittest.TestCase,), {name: must_fail})(name)
    return made


def _name(test: Any) -> str:
    name = str(test.id()).encode("unicode_escape").decode("ascii")
    return name if len(name) <= _MAX_ID else name[:_MAX_ID] + f"~{len(name)}"


if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())
    sys.exit(main(sys.argv[1:]))
