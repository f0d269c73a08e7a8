"""What pip left in its directories: read and removed as if a hostile program had written it, once that has ended.

No link is followed, nothing but regular files with one name is opened, and no depth of directories is too deep.
"""

from __future__ import annotations

import itertools
import os
import secrets
import stat
import time
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
REMOVE_SECONDS = 60
_AT_ONCE = 1000


def opened(name: str, folder: int) -> BufferedReader | None:
    """The regular file `name` in the directory `folder`; None for a link, a second name of a file, and all else."""
    try:
        handle = os.open(name, _FILE, dir_fd=folder)
    except OSError:
        return None
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        os.close(handle)
        return None
    return open(handle, "rb")


def names_in(folder: int, limit: int) -> list[str]:
    """At most `limit` names of what lies in the directory `folder`, sorted."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in itertools.islice(entries, limit))


def removed(tree: Path) -> bool:
    """Remove a directory and all below; False where something stays."""
    if not emptied(tree):
        return False
    with suppress(OSError):
        tree.rmdir()
    return not os.path.lexists(tree)


def emptied(tree: Path) -> bool:
    """Remove all below a directory, for at most `REMOVE_SECONDS`; False where something stays."""
    ends = time.monotonic() + REMOVE_SECONDS
    try:
        if os.geteuid() != 0:
            tree.chmod(0o700)
        place = os.open(tree, FOLDER)
    except OSError:
        return False
    try:
        while names := names_in(place, _AT_ONCE):
            for name in names:
                if time.monotonic() > ends:
                    return False
                _remove(name, place, place)
        return True
    except OSError:
        return False
    finally:
        os.close(place)


def _remove(name: str, folder: int, top: int) -> None:
    """Remove `name` in `folder`; a directory gives its own directories to `top` first, so that none lies deep."""
    if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=folder)
        return
    if os.geteuid() != 0:
        # Whoever made it may have shut it, also to its own user. Root passes anyway.
        os.chmod(name, 0o700, dir_fd=folder)
    if folder != top:
        os.rename(name, secrets.token_hex(16), src_dir_fd=folder, dst_dir_fd=top)
        return
    inner = os.open(name, FOLDER, dir_fd=folder)
    try:
        for below in names_in(inner, _AT_ONCE):
            _remove(below, inner, top)
        empty = not names_in(inner, 1)
    finally:
        os.close(inner)
    if empty:
        os.rmdir(name, dir_fd=folder)
