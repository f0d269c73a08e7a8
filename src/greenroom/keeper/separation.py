"""Who sees what: the command line that starts a process of the box with only its share of the box in sight.

Bubblewrap lays the view out. The executor gets the system and the installation to read, its own share of the box to
write, no network, no capability and its own process ids; nothing else of the machine is there: neither keys nor
pointers nor an SSH agent's socket are in its reach, and the guard's own program is read-only. The keeper, as root, gets
a view in which every directory above the box and above the installation can be passed through by the sandbox's
unprivileged user.
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

WRITTEN_BY_EXECUTOR = ("db", "run/desk", "store")
READ_BY_EXECUTOR = ("box.json", "public", "run")
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
_SETTINGS = ("alternatives", "group", "ld.so.cache", "localtime", "passwd")


def executor_command(box: Box, argv: tuple[str, ...]) -> tuple[str, ...]:
    """`argv` in a view that has the system, the installation and the executor's share of the box, and no more."""
    view = ["--unshare-net", "--unshare-pid", "--unshare-ipc", "--cap-drop", "ALL"]
    if os.geteuid() != 0:
        view += ["--unshare-user"]
    for place in (*_SYSTEM, *(f"/etc/{name}" for name in _SETTINGS)):
        view += ["--ro-bind-try", place, place]
    view += ["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--tmpfs", "/var/tmp"]  # noqa: S108 - its own
    for path in _installation():
        view += ["--ro-bind", str(path), str(path)]
    for name in READ_BY_EXECUTOR:
        view += ["--ro-bind", str(box.root / name), str(box.root / name)]
    for name in WRITTEN_BY_EXECUTOR:
        view += ["--bind", str(box.root / name), str(box.root / name)]
    view += ["--die-with-parent", "--new-session"]
    return (_bwrap(), *view, "--", *argv)


def _installation() -> list[Path]:
    """What this Python and its packages are read from; plug-ins may lie anywhere on its path."""
    named = (sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable)), *sys.path)
    paths = [Path(name) for name in named if os.path.isabs(name) and name != "/" and os.path.exists(name)]
    return _outermost([*paths, Path(__file__).resolve().parents[2]])


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
