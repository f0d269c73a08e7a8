"""Which unused imports somebody needs all the same.

Re-exports, fixtures, names for text that runs as code, and imports that load the project's own code.
"""

from __future__ import annotations

import ast
import itertools
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenroom.tools import _body, _files
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _files

_NAMED = re.compile(r"`([^`]+)`")
_DOTTED = re.compile(r"\b([A-Za-z_]\w*)\.([A-Za-z_]\w*)\b")
_UNSEEN = re.compile(r"^[ \t]*(?:>>>|\.\.\.).*$|#[ \t]*type:.*$", re.MULTILINE)
_WORD = re.compile(r"[A-Za-z_]\w*")
_RUN_TEXT = frozenset({"eval", "exec"})
_EFFECTS = frozenset({"readline", "rlcompleter", "antigravity", "sitecustomize", "cgitb", "gevent", "eventlet"})


class Uses:
    """What the files of a tree take from each other's modules, by the last part of the module's name."""

    def __init__(self, tree: Path) -> None:
        self._tree = tree
        self._taken: set[tuple[str, str]] = set()
        self._starred: set[str] = set()
        self._modules = {_stem(path) for path in _files.walk(tree)} | _packages(tree)
        for path in _files.walk(tree):
            module = _parse(tree / path)
            for node in ast.walk(module) if module else ():
                self._note(node)

    def needed(self, path: str, messages: Sequence[str]) -> bool:
        """True when an import that `messages` of the file call unused may be needed."""
        if path.endswith("conftest.py") or _stem(path) in self._starred:
            return True
        module = _parse(self._tree / path)
        if module and _runs_text(module):
            return True
        arguments = _arguments(module) | _unseen(module, self._tree / path) if module else set()
        for message in messages:
            named = _NAMED.search(message)
            full = named[1] if named else ""
            name = full.split(" as ")[-1].rsplit(".", 1)[-1]
            source = full.split(" as ", maxsplit=1)[0]
            if not name or name in arguments or (_stem(path), name) in self._taken:
                return True
            if source.split(".")[0] in _EFFECTS or source.rsplit(".", 1)[-1] in self._modules:
                return True
        return False

    def _note(self, node: ast.AST) -> None:
        if isinstance(node, ast.ImportFrom) and node.module:
            last = node.module.rsplit(".", 1)[-1]
            for alias in node.names:
                if alias.name == "*":
                    self._starred.add(last)
                self._taken.add((last, alias.name))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            self._taken.add((owner, node.attr))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 200:
            self._taken.update((left, right) for left, right in _DOTTED.findall(node.value))
            parts = node.value.split(".")
            self._taken.update(itertools.pairwise(parts))


def _stem(path: str) -> str:
    name = os.path.basename(path).rsplit(".", 1)[0]
    return os.path.basename(os.path.dirname(path)) if name == "__init__" else name


def _packages(tree: Path) -> set[str]:
    return {os.path.basename(os.path.dirname(path)) for path in _files.walk(tree)} - {""}


def _arguments(module: ast.Module) -> set[str]:
    return {node.arg for node in ast.walk(module) if isinstance(node, ast.arg)} | set(_fixture_names(module))


def _runs_text(module: ast.Module) -> bool:
    """True for a module that runs text as code, which may use any name."""
    return any(
        (isinstance(node, ast.Name) and node.id in _RUN_TEXT)
        or (isinstance(node, ast.Attribute) and node.attr in _RUN_TEXT and _is_builtins(node.value))
        or (isinstance(node, ast.alias) and node.name in _RUN_TEXT)
        for node in ast.walk(module)
    )


def _is_builtins(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("builtins", "__builtins__")


def _fixture_names(module: ast.Module) -> Iterator[str]:
    """Names that usefixtures and the like take as texts."""
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            yield node.value


def _unseen(module: ast.Module, path: Path) -> set[str]:
    """Names that a linter does not see used: in doctests, in type comments, and imported for type checkers alone."""
    names: set[str] = set()
    text = (_body.read_if_there(path, _files.MAX_TEXT_BYTES) or b"").decode("utf-8", "replace")
    for match in _UNSEEN.finditer(text):
        names.update(_WORD.findall(match[0]))
    for node in ast.walk(module):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Import | ast.ImportFrom):
                    names.update((alias.asname or alias.name).rsplit(".", 1)[-1] for alias in inner.names)
    return names


def _parse(path: Path) -> ast.Module | None:
    data = _body.read_if_there(path, _files.MAX_TEXT_BYTES)
    try:
        return ast.parse(data or b"")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
