"""Which files of the tree a suite's process took its tests from, and which of its modules refer to which others.

Imported by name in the process of the suite, so it imports nothing of ours. What it tells is only what this process can
see: paths below the directory that it was made for, as they are and with links resolved.
"""

from __future__ import annotations

import functools
import os
import sys
import types
from typing import Any

FRAMEWORKS = ("pytest", "_pytest", "unittest", "doctest", "hypothesis", "nose", "testtools")
MAX_MODULES, MAX_NAMES = 20_000, 5_000
_PLAIN = (types.FunctionType, types.ModuleType, type)


class Sources:
    """The files of one tree, as relative paths."""

    def __init__(self, root: str) -> None:
        self._root = os.path.realpath(root)
        self._tests: set[str] = set()
        self._others: set[str] = set()
        self._known: dict[str, frozenset[str]] = {}

    def test(self, path: str) -> None:
        """A file that tests were collected from; what a link leads to counts, too."""
        self._tests.update(self._inside(path))

    def other(self, path: str) -> None:
        """A file that holds or serves tests in another way."""
        self._others.update(self._inside(path))

    def code(self, function: Any) -> None:
        """The file of a function of a test, decorators looked through."""
        seen = 0
        while seen < 20 and function is not None:
            function = function.func if isinstance(function, functools.partial) else function
            path = getattr(getattr(function, "__code__", None), "co_filename", None)
            if isinstance(path, str):
                self.other(path)
            function, seen = getattr(function, "__wrapped__", None), seen + 1

    def module(self, name: Any) -> None:
        """The file of a loaded module."""
        path = getattr(sys.modules.get(name), "__file__", None) if isinstance(name, str) else None
        if isinstance(path, str):
            self.other(path)

    def told(self) -> dict[str, Any]:
        """The lines for the report: tests, others, modules that use a test framework, and who refers to whom."""
        refers: dict[str, list[str]] = {}
        framed: list[str] = []
        for module in list(sys.modules.values())[:MAX_MODULES]:
            path = _file(module)
            for inside in self._inside(path) if path else ():
                named = set(_named(module))
                if "load_tests" in vars(module) or any(name.split(".")[0] in FRAMEWORKS for name in named):
                    framed.append(inside)
                files = (_file(sys.modules.get(name)) for name in named)
                refers[inside] = sorted({each for file in files if file for each in self._inside(file)} - {inside})
        return {
            "tests": sorted(self._tests),
            "others": sorted(self._others - self._tests),
            "framed": sorted(set(framed)),
            "refers": {path: found for path, found in refers.items() if found},
        }

    def _inside(self, path: str) -> frozenset[str]:
        if path not in self._known:
            both = {os.path.abspath(path), os.path.realpath(path)}
            inside = (os.path.relpath(each, self._root) for each in both if each.startswith(self._root + os.sep))
            self._known[path] = frozenset(each.encode("utf-8", "surrogateescape").hex() for each in inside)
        return self._known[path]


def _file(module: Any) -> str | None:
    path = vars(module).get("__file__") if isinstance(module, types.ModuleType) else None
    return path if isinstance(path, str) and path.endswith(".py") else None


def _named(module: types.ModuleType) -> list[str]:
    """The modules that stand behind what a module's names are bound to; nothing of these objects is run."""
    found = []
    for bound, value in list(vars(module).items())[:MAX_NAMES]:
        kind = type(value)
        if not issubclass(kind, _PLAIN):
            continue
        name = value.__dict__.get("__name__") if issubclass(kind, types.ModuleType) else _module_of(value)
        # Whoever imports a submodule binds its name in the package: that is not the package's doing.
        if isinstance(name, str) and name not in (module.__name__, f"{module.__name__}.{bound}"):
            found.append(name)
    return found


def _module_of(value: Any) -> Any:
    try:
        return value.__module__
    except Exception:
        return None
