"""The lowest Python that each file of a tree must run on, as the projects in the tree state it.

A tree may hold several projects: a file answers to every project whose directory is above it, and to the lowest Python
that any of them names. Nothing here runs what it reads.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenroom.tools import _body, _files, _projects
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _files
    import _projects

Version = tuple[int, int]
KNOWN: tuple[Version, ...] = ((3, 7), (3, 8), (3, 9), (3, 10), (3, 11), (3, 12), (3, 13), (3, 14))
LOWEST = KNOWN[0]
"""The lowest Python that ruff writes for."""
ANY: Version = (3, 0)
"""What an alternative without a lower bound stands for."""
FILES = frozenset({"pyproject.toml", "setup.cfg", "setup.py", "PKG-INFO"})
_BOUND = re.compile(r"(===|[~<>=!]=|[<>^~])?[ \t]*v?(\d{1,4})(?:\.(\d{1,4}))?[\w.*+-]*")
_UPPER = frozenset({"<", "<=", "!="})
_CLASSIFIER = re.compile(r"Programming Language :: Python :: (\d+)(?:\.(\d+)|(?=\s*(?:::\s*Only\s*)?$))", re.M)


class Floors:
    """What the projects of one tree state, by directory."""

    def __init__(self, root: Path) -> None:
        above = {os.path.dirname(path) for path in _files.walk(root) if os.path.basename(path) in FILES}
        stated = {directory: declared_python(root / directory) for directory in above}
        self._stated = {directory: version for directory, version in stated.items() if version is not None}

    def of(self, path: str) -> Version | None:
        """The lowest Python that a project around the file names; None where they are all silent."""
        found = [self._stated[directory] for directory in directories(path) if directory in self._stated]
        return min(found, default=None)


def directories(path: str) -> Iterable[str]:
    """The directories above a file of the tree, the nearest first; the root is the empty text."""
    directory = os.path.dirname(path)
    while directory:
        yield directory
        directory = os.path.dirname(directory)
    yield ""


def within(version: Version | None) -> Version:
    """The version, brought to those that ruff writes for; the lowest of those where there is none."""
    return min(max(version or LOWEST, LOWEST), KNOWN[-1])


def target(text: object) -> Version | None:
    """What ruff's word for a version (``py38``) stands for; None for anything else."""
    found = re.fullmatch(r"py3(\d{1,2})", text) if isinstance(text, str) else None
    return (3, int(found[1])) if found else None


def declared_python(root: Path) -> Version | None:
    """The lowest Python that the project's metadata names, whatever it is; None where it is silent."""
    declared = [lowest_of(text) for text in _requires_python(root)]
    return min((version for version in declared if version), default=_lowest_classifier(root))


def lowest_of(text: str) -> Version | None:
    """The lowest Python that a specifier or a constraint of Poetry's admits; None where it names no lower bound."""
    bounds = [_bound(part) for part in text[: _projects.MAX_ITEM].split("|") if part.strip()]
    if len(bounds) < 2:
        return bounds[0] if bounds else None
    return min(bound or ANY for bound in bounds)


def _bound(part: str) -> Version | None:
    found = [(int(major), int(minor or 0)) for op, major, minor in _BOUND.findall(part) if op not in _UPPER]
    return max(found, default=None)


def _requires_python(root: Path) -> Iterable[str]:
    pyproject = _projects.toml(root, "pyproject.toml")
    yield str(_projects.table(pyproject, "project").get("requires-python", ""))
    yield str(_projects.table(pyproject, "tool", "flit", "metadata").get("requires-python", ""))
    yield _poetry(_projects.table(pyproject, "tool", "poetry", "dependencies").get("python"))
    old = _projects.ini(root, "setup.cfg")
    yield old.get("options", "python_requires", fallback="") or ""
    for name in ("python_requires", "python-requires", "requires-python"):
        yield old.get("metadata", name, fallback="") or ""
    yield _projects.setup_call(root).get("python_requires", "")
    for line in (_body.read_if_there(root / "PKG-INFO", _projects.MAX_BYTES) or b"").splitlines()[:200]:
        if line.startswith(b"Requires-Python:"):
            yield line.partition(b":")[2].decode("utf-8", "replace")


def _poetry(value: object) -> str:
    """Poetry's constraint: a text, a table with a version, or a list of such tables, which are alternatives."""
    items = value if isinstance(value, list) else [value]
    texts = (item.get("version") if isinstance(item, dict) else item for item in items[: _projects.MAX_LIST])
    return "||".join(text for text in texts if isinstance(text, str))


def _lowest_classifier(root: Path) -> Version | None:
    project = _projects.table(_projects.toml(root, "pyproject.toml"), "project")
    text = "\n".join(_projects.texts(project.get("classifiers")))
    text = text or _projects.ini(root, "setup.cfg").get("metadata", "classifiers", fallback="") or ""
    found = _CLASSIFIER.findall(text or _projects.setup_call(root).get("classifiers", ""))
    # `:: 3` alone names no lowest version, `:: 2` alone is below every one that is of interest
    versions = [(int(major), int(minor or 0)) for major, minor in found if minor or int(major) < 3]
    return min(versions, default=None)
