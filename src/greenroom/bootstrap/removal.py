"""Takes a box away, and says what is not the box's to take."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from greenroom.bootstrap.ownership import quiet
from greenroom.clearing import remove
from greenroom.config import Box
from greenroom.domain.errors import GreenroomError, Unusable

KEPT_WITH_LOG = ("log", "public", "box.json")
"""What another machine needs to check the log: the log, the public keys, whose box it was."""
MOST = 20
"""How many branches of a repository are named."""
STAYS = (
    "the `greenroom` command and what was installed with it: `make uninstall` in the clone takes it away",
    "backups, exported checkpoints, manual pages, completion scripts, and what `pr` or `improve` wrote with --out",
)


def remove_box(box: Box, *, keep_log: bool) -> Mapping[str, Any]:
    """Remove everything that is the box's; `stays` lists what is left and why.

    Raises Unusable `not-only-a-box` before anything is removed, where the directory has files that no box has.
    """
    strange = sorted(path.name for path in box.root.iterdir() if path not in _of_a_box(box))
    if strange:
        remedy = "move them out of the box, then run the command again"
        names = ", ".join(strange[:5])
        raise Unusable("not-only-a-box", f"not ours: {names}", where=str(box.root), remedy=remedy)
    if box.only_log:
        if keep_log:
            box.require()
        return _remove_log(box)
    stays = [*_in_repositories(box)]
    kept = {box.root / name for name in KEPT_WITH_LOG} if keep_log else set()
    with quiet(box):
        # The keys last: until then a removal that was cut short can be run again.
        for path in sorted(_of_a_box(box) - kept, key=lambda path: path in (box.keys, box.identity)):
            remove(path)
    if not kept:
        box.root.rmdir()
    return {
        "removed": str(box.root),
        "kept": sorted(str(path) for path in kept if path.exists()),
        "stays": [*stays, *STAYS],
    }


def _remove_log(box: Box) -> Mapping[str, Any]:
    """Remove what an earlier removal kept; no process of a box can run there."""
    for path in sorted(_of_a_box(box), key=lambda path: path == box.identity):
        remove(path)
    box.root.rmdir()
    return {"removed": str(box.root), "kept": [], "stays": [*STAYS]}


def _of_a_box(box: Box) -> set[Path]:
    below = {path for path in box.directories() if path.parent == box.root}
    return {path for path in below | {box.identity, box.constitution, box.settings} if os.path.lexists(path)}


def _in_repositories(box: Box) -> Iterator[str]:
    """What stays in the repositories, as far as the box's database can be read."""
    from greenroom.bootstrap.foreign import private_copy
    from greenroom.pipeline.board import branches_in, delivered_to

    try:
        with private_copy(box.db / "box.db") as database:
            delivered, branches = delivered_to(database), branches_in(database)
    except GreenroomError as error:
        yield f"what the box delivered to your repositories; which they are could not be read ({error})"
        return
    for repository in delivered:
        yield f"{repository}: the commits that you had delivered to your branch are yours"
    for repository in dict.fromkeys(place for place, _ in branches):
        names = [branch for place, branch in branches if place == repository]
        more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
        yield f"{repository}: branches that `greenroom pr` made and you did not delete: {', '.join(names[:MOST])}{more}"
