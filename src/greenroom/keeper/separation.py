"""Who sees what: the command line that starts a process of the box with only its share of the box in sight.

Bubblewrap lays the view out. The executor gets the box without `keys/`, `log/`, `live/`, `guard/` and
`keeper/`, no network and its own process ids. The keeper, as root, gets a view in which every directory
above the box and above the installation can be passed through by the sandbox's unprivileged user.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

from greenroom.config import Box
from greenroom.domain.errors import Unusable

HIDDEN_FROM_EXECUTOR = ("keys", "log", "live", "guard", "keeper")


def executor_command(box: Box, argv: tuple[str, ...]) -> tuple[str, ...]:
    """`argv` in a view of the machine without what the executor must not touch."""
    view = ["--dev-bind", "/", "/", "--proc", "/proc", "--unshare-net", "--unshare-pid", "--unshare-ipc"]
    if os.geteuid() != 0:
        view += ["--unshare-user"]
    for name in HIDDEN_FROM_EXECUTOR:
        view += ["--tmpfs", str(box.root / name), "--remount-ro", str(box.root / name)]
    view += ["--die-with-parent", "--new-session"]
    return (_bwrap(), *view, "--", *argv)


def keeper_command(box: Box, argv: tuple[str, ...]) -> tuple[str, ...]:
    """`argv` in a view in which the sandbox's user can reach what it is given; `argv` itself where it can already."""
    needed = [box.root, Path(sys.prefix), Path(sys.base_prefix), Path(__file__).resolve().parents[2]]
    closed = sorted({wall for path in needed if (wall := closed_above(path)) is not None})
    if os.geteuid() != 0 or not closed:
        return argv
    view = ["--dev-bind", "/", "/", "--cap-add", "ALL", "--die-with-parent"]
    for wall in _outermost(closed):
        view += ["--tmpfs", str(wall)]
        for path in _outermost([p.resolve() for p in needed]):
            if path.is_relative_to(wall):
                view += ["--bind", str(path), str(path)]
    return (_bwrap(), *view, "--", *argv)


def closed_above(path: Path) -> Path | None:
    """The first directory above `path` that other users cannot pass through."""
    for parent in reversed(path.resolve().parents):
        if not stat.S_IMODE(parent.stat().st_mode) & stat.S_IXOTH:
            return parent
    return None


def _outermost(paths: Iterable[Path]) -> list[Path]:
    kept: list[Path] = []
    for path in sorted(set(paths)):
        if not any(path.is_relative_to(other) for other in kept):
            kept.append(path)
    return kept


def _bwrap() -> str:
    found = shutil.which("bwrap")
    if found is None:
        raise Unusable("no-bubblewrap", "bubblewrap is not installed", remedy="apt-get install bubblewrap")
    return found
