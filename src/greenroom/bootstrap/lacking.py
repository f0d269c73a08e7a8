"""What a box needs of the machine that it is on, and does not find: after a restore, or a home that was moved.

A subject is a path and a branch: the guard takes a repository in, and delivers, at that path only. All else that binds
a box to a machine is found by trying at each start (walls, users, the interpreter), or made again (launcher, sockets).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from greenroom.bootstrap.foreign import private_copy
from greenroom.config import Box
from greenroom.pipeline.board import repositories

REMEDY = (
    "put the repository there again (a clone, a bind mount or a link to where it is now); what is live stays in the "
    "box until then. Elsewhere it is another subject: `greenroom improve PATH`"
)


def missing_repositories(box: Box) -> Sequence[Mapping[str, str]]:
    """Each repository of the box that is not where it was: `repository`, `branch`, `message`, `remedy`."""
    with contextlib.ExitStack() as stack:
        database: Path = box.db / "box.db"
        if os.geteuid() == 0:
            database = stack.enter_context(private_copy(database))
        named = repositories(database)
    return [
        {
            "repository": path,
            "branch": branch,
            "message": f"the repository {path} ({branch}) is not on this machine; nothing can be delivered to it",
            "remedy": REMEDY,
        }
        for path, branch in named
        if not os.path.isdir(path)
    ]
