"""Probes: which of the wanted lines of a tree's own Python files run in this process.

A wanted file is compiled with a probe before each wanted statement: one call of a set's `add`, as a constant of the
code object. No name is added to the module, no Python frame to the stack, no trace function is set: `sys.settrace`,
coverage, debuggers and profilers of the suite work as without. All other code is untouched. What is not loaded by
Python's own loader of source files (assertion rewriting, a compiler of types, a copy) or runs in another process is
not seen, and then counts as not run.

Loaded by name in the process of the suite, so it imports nothing of ours. The environment's GREENROOM_PROBES names a
JSON file: an object with a list of line numbers for each real path.
"""

from __future__ import annotations

import ast
import json
import os
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

_TOKEN = b"greenroom probe " + os.urandom(16)
_BODIES = ("body", "orelse", "finalbody")
_BRANCH = (ast.ExceptHandler, ast.match_case)


class Probe:
    """What stands in the code object: `add` of the set of one file's lines. Hashable, as all constants are."""

    __slots__ = ("add", "lines")

    def __init__(self) -> None:
        self.lines: set[int] = set()
        self.add = self.lines.add


class Probes:
    """The wanted lines of each file by its real path, and what was seen of them."""

    def __init__(self, wanted: Mapping[str, Sequence[int]]) -> None:
        self._wanted = {path: frozenset(lines) for path, lines in wanted.items()}
        self._probes = {path: Probe() for path in wanted}
        self.unseen: set[str] = set()

    def ran(self) -> Mapping[str, Sequence[int]]:
        """The lines that ran until this moment, by path."""
        return {path: sorted(probe.lines.copy()) for path, probe in self._probes.items()}

    def install(self) -> None:
        """Put probes into the wanted files that are loaded from here on."""
        loaded = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
        self.unseen |= {path for name in loaded if isinstance(name, str) and (path := os.path.realpath(name)) in self}
        setattr(SourceFileLoader, "get_code", self._hook(SourceFileLoader.get_code))  # noqa: B010 - a method

    def __contains__(self, path: object) -> bool:
        return path in self._wanted

    def code(self, data: bytes, filename: str) -> types.CodeType:
        """The code of a file with its probes; raises what the compiler raises."""
        path = os.path.realpath(filename)
        tree = ast.parse(data, filename)
        _plant(tree, self._wanted[path])
        return _filled(compile(tree, filename, "exec", dont_inherit=True), self._probes[path])

    def _hook(self, original: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
        def get_code(loader: SourceFileLoader, fullname: str) -> Any:
            if type(loader) is SourceFileLoader and os.path.realpath(loader.path) in self:
                try:
                    return self.code(loader.get_data(loader.path), loader.path)
                except Exception:
                    # The original says what is wrong with the file, in its own words.
                    self.unseen.add(os.path.realpath(loader.path))
            return original(loader, fullname)

        return get_code


def places(tree: ast.Module) -> Mapping[int, int]:
    """For each line of a statement that does something, the line whose probe tells of it.

    A simple statement is told by its first line, a compound one's head by the head's, `except` and `case` by the
    first statement below them. Docstrings, other lone constants and declarations (`global`) do nothing.
    """
    found: dict[int, int] = {}
    for node, block in _blocks(tree):
        for probe, first, last in _heads(node, block):
            for line in range(first, last + 1):
                found.setdefault(line, probe)
    return found


def _heads(node: ast.AST, block: Sequence[ast.stmt]) -> Iterator[tuple[int, int, int]]:
    """The probe and the range of lines of a branch's own line, then of each statement of the block."""
    if isinstance(node, _BRANCH):
        line = _line_of(node)
        yield line, line, max(line, _first(block[0]) - 1)
    for statement in block:
        if _acts(statement):
            below = [_first(child) for child in ast.iter_child_nodes(statement) if isinstance(child, ast.stmt)]
            branches = [child for child in ast.iter_child_nodes(statement) if isinstance(child, _BRANCH)]
            below += [_line_of(child) for child in branches]
            first = _first(statement)
            last = min(below) - 1 if below else statement.end_lineno or first
            yield first, first, max(statement.lineno, last)


def _plant(tree: ast.Module, wanted: frozenset[int]) -> None:
    for node, block in list(_blocks(tree)):
        planted: list[ast.stmt] = []
        waiting: list[ast.stmt] = []
        if isinstance(node, _BRANCH) and _line_of(node) in wanted:
            waiting.append(_probe(_line_of(node)))
        for statement in block:
            future = isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
            if _acts(statement) and _first(statement) in wanted:
                waiting.append(_probe(_first(statement)))
            if not future and _acts(statement):
                planted += waiting
                waiting = []
            planted.append(statement)
        block[:] = [*planted, *waiting]
    ast.fix_missing_locations(tree)


def _blocks(tree: ast.Module) -> Iterator[tuple[ast.AST, list[ast.stmt]]]:
    """Each list of statements with the node that it belongs to, outer ones first."""
    for node in ast.walk(tree):
        for name in _BODIES:
            block = getattr(node, name, None)
            if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                yield node, block


def _acts(statement: ast.stmt) -> bool:
    lone = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return not lone and not isinstance(statement, ast.Global | ast.Nonlocal)


def _line_of(node: ast.ExceptHandler | ast.match_case) -> int:
    return node.pattern.lineno if isinstance(node, ast.match_case) else node.lineno


def _first(statement: ast.stmt) -> int:
    """The first line of a statement, its decorators counted."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(each.lineno for each in decorators)])


def _probe(line: int) -> ast.stmt:
    function = ast.Attribute(value=ast.Constant(value=_TOKEN), attr="add", ctx=ast.Load())
    made = ast.Expr(value=ast.Call(func=function, args=[ast.Constant(value=line)], keywords=[]))
    for node in ast.walk(made):
        if isinstance(node, ast.stmt | ast.expr):
            node.lineno, node.end_lineno, node.col_offset, node.end_col_offset = line, line, 0, 0
    return made


def _filled(code: types.CodeType, probe: Probe) -> types.CodeType:
    """`code` with `probe` where the token stood."""
    constants = [
        _filled(each, probe)
        if isinstance(each, types.CodeType)
        else probe
        if type(each) is bytes and each == _TOKEN
        else each
        for each in code.co_consts
    ]
    return code.replace(co_consts=tuple(constants))


def _of_environment() -> Probes | None:
    name = os.environ.pop("GREENROOM_PROBES", "")
    if not name:
        return None
    found = Probes(json.loads(Path(name).read_bytes()))
    found.install()
    return found


ACTIVE = _of_environment()
"""The probes of this process, put in when the module is loaded."""
