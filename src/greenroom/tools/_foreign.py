"""Files of a tree that somebody or something else writes: other people's code, environments, output of programs.

What the tree itself says counts first: `.gitattributes` with `linguist-generated` and `linguist-vendored`, read by git
in an empty repository of our own with nobody's configuration. Then names of directories and files, and the first lines.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenroom.tools import _body, _files
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _files

HEAD_BYTES = 4096
HEAD_LINES = 10
_COMMAND_LINE = 200_000
ATTRIBUTES: Mapping[str, str] = {"linguist-vendored": "vendored", "linguist-generated": "generated"}
_VENDORED = frozenset({"3rdparty", "3rd-party", "3rd_party", "thirdparty", "external-libs", "bower_components"})
_ENVIRONMENTS = frozenset(
    {".venv", ".direnv", ".eggs", ".ipynb_checkpoints", ".mypy_cache", ".nox", ".pants.d", ".pyenv",
     ".pytest_cache", ".pytype", ".ruff_cache", ".tox", "__pypackages__", ".bzr", ".hg", ".svn", ".git-rewrite"}
)  # fmt: skip
"""Directories of environments and caches that ruff leaves out by itself."""
_UNLESS_PACKAGE: Mapping[str, str] = {
    "venv": "vendored", "build": "generated", "dist": "generated", "_build": "generated", "buck-out": "generated"
}  # fmt: skip
"""More directories that ruff leaves out by itself; a package may have such a name."""
_ENVIRONMENT_FILE = "pyvenv.cfg"
_BY = rb"(?:from|by|with|using|via)\b"
_SAID = re.compile(
    rb"(?:file|code|module|source|script|header|document|content)s?(?: \S+){0,2} (?:was|is|were|are|has been|have been)"
    rb" (?:\S+ ){0,2}(?:auto-?)?(?:generated|created|produced|written) (?:\S+ ){0,2}" + _BY + rb"|machine[- ]generated"
    rb"|^\W*(?:auto-?)?generated (?:\S+ ){0,3}(?:at\b|on\b|" + _BY + rb")"
    rb"|(?:do not|don't|never) (?:edit|modify|change)(?: (?:it |this )?(?:file|by hand|manually|directly)|\W*$)"
    rb"|(?:edits|changes|modifications)(?: \S+){0,6} (?:will be|are) (?:lost|overwritten)",
    re.IGNORECASE,
)
_COMMENT = b"#/.*<;\"'-%!{"


class Foreign:
    """What in a tree is somebody else's; `rule` names why."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._said = attributes(base)
        paths = [path for path in _files.walk(base) if path.rsplit("/", 1)[-1] in (_ENVIRONMENT_FILE, "__init__.py")]
        self._packages = {os.path.dirname(path) for path in paths if path.endswith("__init__.py")}
        self._environments = {os.path.dirname(path) for path in paths if path.endswith(_ENVIRONMENT_FILE)} - {""}

    def rule(self, path: str) -> str:
        """`vendored` or `generated` for a file that its place or the tree's own attributes tell; else empty."""
        said = self._said.get(path)
        if said is not None:
            return said
        parts = path.split("/")[:-1]
        above = ["/".join(parts[: n + 1]) for n in range(len(parts))]
        if any(part.lower() in _VENDORED or part in _ENVIRONMENTS for part in parts):
            return "vendored"
        if any(directory in self._environments for directory in above):
            return "vendored"
        for part, place in zip(parts, above, strict=True):
            if part in _UNLESS_PACKAGE and place not in self._packages:
                return _UNLESS_PACKAGE[part]
        return "vendored" if _files.is_vendored(path) else ""


def is_generated(data: bytes) -> bool:
    """True when the first lines, as far as they are comments, say that a program wrote the file."""
    lines = [line for line in data[:HEAD_BYTES].splitlines()[:HEAD_LINES] if line.lstrip()[:1] in _COMMENT]
    return _files.is_generated(data) or any(line.strip() and _SAID.search(line) for line in lines)


def attributes(base: Path) -> dict[str, str]:
    """What `.gitattributes` say of files: `vendored`, `generated`, or empty where they say that it is neither.

    Refusal `gitattributes-unusable` where git cannot say within a minute.
    """
    paths = list(_files.walk(base))
    if not any(path.rsplit("/", 1)[-1] == ".gitattributes" and _speaks(base / path) for path in paths):
        return {}
    found: dict[str, str] = {}
    with _body.borrowed_git(base) as git:
        for part in _parts(paths):
            said = git("check-attr", "-z", *ATTRIBUTES, "--", *part)
            fields = said.stdout.split(b"\0")[:-1]
            if said.code or len(fields) != 3 * len(ATTRIBUTES) * len(part):
                break
            found |= _answers(fields)
        else:
            return found
    remedy = "write its patterns so that git reads them in a minute"
    raise _body.Refusal("gitattributes-unusable", ".gitattributes", remedy)


def _parts(paths: Iterable[str]) -> Iterator[list[str]]:
    """The paths, so many at a time as a command line carries."""
    part: list[str] = []
    size = 0
    for path in paths:
        if size > _COMMAND_LINE:
            yield part
            part, size = [], 0
        part.append(path)
        size += len(os.fsencode(path)) + 1
    if part:
        yield part


def _answers(fields: Sequence[bytes]) -> dict[str, str]:
    """Of git's answers, three fields each: what is set beats what is unset, and both beat names."""
    found: dict[str, str] = {}
    for raw, name, value in zip(fields[::3], fields[1::3], fields[2::3], strict=True):
        path = os.fsdecode(raw)
        if value in (b"set", b"true", b"1"):
            found[path] = ATTRIBUTES[name.decode("ascii")]
        elif value in (b"unset", b"false", b"0"):
            found.setdefault(path, "")
    return found


def _speaks(path: Path) -> bool:
    return b"linguist-" in (_body.read_if_there(path, _files.MAX_TEXT_BYTES) or b"")
