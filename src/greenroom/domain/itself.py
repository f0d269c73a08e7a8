"""Which trees are Greenroom itself, told by marks: every change of such a tree is for a person (consent level 3).

One mark is enough, and they lie apart, so that no single rename takes the last one away. A tree that only looks like
Greenroom's costs a person's yes, and nothing else. Paths are relative, with forward slashes. The module stands alone:
it goes into the cells too, as a neighbour of the tools.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

MAX_METADATA_BYTES = 4 * 1024 * 1024
"""How much of a project's metadata is read for its name; a longer file counts as a mark."""

_PACKAGE = "greenroom"
_METADATA = frozenset({"pyproject.toml", "setup.cfg", "setup.py", "pkg-info"})
_NAMED = re.compile(rb"(?<![\w-])name[\"']?\s*[=:]\s*[\"']?greenroom(?![\w.-])", re.IGNORECASE)
_SIGNS = {
    "gate.cedar": frozenset({"constitution.yaml", "gate.cedar"}),
    "rescue.py": frozenset({"rescue.py", "guard/", "keeper/"}),
}
"""What stands together in one directory of Greenroom and hardly anywhere else; a room is a directory with Python."""


def mark(paths: Iterable[str], read: Callable[[str], bytes]) -> str | None:
    """The path by which the tree with `paths` is Greenroom itself; None where there is no mark. In order:

    1. metadata that names the project `greenroom`, at any depth, or that is longer than is read;
    2. Python below a directory `greenroom`;
    3. whatever the package is called: the constitution beside the gate's rules, `rescue.py` beside guard and keeper.

    Capitals and small letters are alike. `read` gives the first MAX_METADATA_BYTES + 1 bytes of a file, and none of
    what cannot be read.
    """
    known = sorted(paths)
    return next(chain(_named(known, read), _packages(known), _rooms(known)), None)


def _named(paths: Sequence[str], read: Callable[[str], bytes]) -> Iterator[str]:
    for path in paths:
        if _parted(path)[1] in _METADATA:
            data = read(path)
            if len(data) > MAX_METADATA_BYTES or _NAMED.search(data):
                yield path


def _packages(paths: Sequence[str]) -> Iterator[str]:
    for path in paths:
        directory, name = _parted(path)
        if name.endswith(".py") and _PACKAGE in directory.split("/"):
            yield path


def _rooms(paths: Sequence[str]) -> Iterator[str]:
    holds: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        directory, name = _parted(path)
        holds[directory].add(name)
        if name.endswith(".py"):
            above, room = _parted(directory)
            holds[above].add(f"{room}/")
    for path in paths:
        directory, name = _parted(path)
        if name in _SIGNS and _SIGNS[name] <= holds[directory]:
            yield path


def _parted(path: str) -> tuple[str, str]:
    directory, _, name = path.lower().rpartition("/")
    return directory, name
