"""Installed-looking metadata for a project that runs from its sources.

Suites ask `importlib.metadata` for the project's version and entry points. The project is not installed, because that
would run its build; what it states as data is written as a dist-info directory instead.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenroom.tools import _body, _projects
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _projects

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_VERSION = re.compile(r"[0-9][A-Za-z0-9.!+_-]{0,60}")
_SAFE = re.compile(r"[A-Za-z0-9_.:\[\], -]{1,200}")
_LITERAL = re.compile(rb"""^__version__\s*(?::\s*str\s*)?=\s*["']([0-9][A-Za-z0-9.!+_-]{0,60})["']""", re.M)


def write(work: Path, into: Path) -> str:
    """Write the dist-info of the project in `work` below `into`; what was done, for the notes, or nothing."""
    name, version = _projects.project_name(work)
    if not _NAME.fullmatch(name):
        return ""
    guessed = not _VERSION.fullmatch(version)
    if guessed:
        version = _literal_version(work, name) or "0.0.0"
    info = into / f"{re.sub(r'[-_.]+', '_', name)}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(_entry_points(work), encoding="utf-8")
    (info / "RECORD").write_text("", encoding="utf-8")
    if guessed and version == "0.0.0":
        return f"the version of {name} is not stated as data; the tests see 0.0.0"
    return ""


def same(one: Path, other: Path) -> bool:
    """Whether two trees give the same metadata."""
    return _written(one) == _written(other)


def _written(work: Path) -> tuple[str, Mapping[str, bytes]]:
    into = _body.scratch()
    try:
        said = write(work, into)
        return said, {str(path.relative_to(into)): path.read_bytes() for path in into.rglob("*") if path.is_file()}
    finally:
        _body.discard(into)


def _literal_version(work: Path, name: str) -> str:
    package = re.sub(r"[-.]+", "_", name)
    for place in (f"{package}.py", f"{package}/__init__.py", f"{package}/_version.py", f"{package}/version.py"):
        for root in ("", "src/", "lib/"):
            for spelt in (place, place.lower()):
                found = _LITERAL.search(_body.read_if_there(work / (root + spelt), _projects.MAX_BYTES) or b"")
                if found:
                    return found[1].decode("ascii")
    return ""


def _entry_points(work: Path) -> str:
    project = _projects.table(_projects.toml(work, "pyproject.toml"), "project")
    groups = {"console_scripts": _projects.table(project, "scripts")}
    for group, entries in _projects.table(project, "entry-points").items():
        groups[group] = _projects.table(entries)
    parser = _projects.ini(work, "setup.cfg")
    if parser.has_section("options.entry_points"):
        for group, text in parser.items("options.entry_points"):
            pairs = (line.partition("=") for line in (text or "").splitlines() if "=" in line)
            groups.setdefault(group, {}).update({key.strip(): value.strip() for key, _, value in pairs})
    lines = []
    for group, entries in sorted(groups.items()):
        if entries and _SAFE.fullmatch(group):
            lines.append(f"[{group}]")
            lines += [f"{key} = {value}" for key, value in entries.items() if _SAFE.fullmatch(f"{key}{value}")]
    return "\n".join(lines) + "\n"
