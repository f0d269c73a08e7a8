"""Box and repository lie apart: what the box's processes write is nobody's repository, and none holds the box."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from greenroom.config import Box
from greenroom.domain.errors import Unusable
from greenroom.domain.verdict import Refused
from greenroom.domain.vocabulary import address_of

if TYPE_CHECKING:
    from greenroom.domain.proof import Import

IN_BOX = "repository-in-box"
_REMEDY = "name a repository outside of the box; a clone of it elsewhere is one"


def in_box(box: Box, path: str) -> bool:
    """True where `path` as it is written, or as its links lead, is the box or lies in it."""
    own = {os.path.abspath(box.root), os.path.realpath(box.root)}
    return any(str(place) in own or _is(place, box.root) for place in _ways(path))


def require_outside(box: Box, path: str) -> None:
    """Raises Unusable `repository-in-box` for a directory that lies in the box."""
    if in_box(box, path):
        message = "the directory lies in the box, where the box's processes write"
        raise Unusable(IN_BOX, message, where=path, remedy=_REMEDY)


def require_around(box: Box, path: str) -> None:
    """Raises Unusable `box-in-repository` for a repository, or a release, that the box and its keys lie in."""
    if box.identity.is_file() and any(_is(place, Path(path)) for place in _ways(str(box.root))):
        remedy = "make the box elsewhere (`greenroom init DIR`), and name it: greenroom --box DIR, or GREENROOM_HOME"
        raise Unusable("box-in-repository", "the box lies in the directory", where=path, remedy=remedy)


def refusal(box: Box, path: str) -> Refused | None:
    """The refusal to act in a repository at `path` that lies in the box; None for any other."""
    return Refused(rule=IN_BOX, where=path[:500], remedy=_REMEDY) if in_box(box, path) else None


def belongs(box: Box, brought: Import) -> bool:
    """Whether an import was read at the place that its subject names, and this is not in the box."""
    return brought.subject.address == address_of(brought.source, brought.branch) and not in_box(box, brought.source)


def _ways(path: str) -> Iterator[Path]:
    for place in {Path(os.path.abspath(path)), Path(os.path.realpath(path))}:
        yield from (place, *place.parents)


def _is(place: Path, other: Path) -> bool:
    """The same directory, whatever it is called: bind mounts, too. Not where one of them is out of sight."""
    try:
        return place.samefile(other)
    except OSError:
        return False
