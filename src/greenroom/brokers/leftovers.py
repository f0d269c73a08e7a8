"""What pip left in its directories: read as if a hostile program had written it, once that has ended.

No link is followed, and nothing but regular files with one name is opened.
"""

from __future__ import annotations

import itertools
import os
import stat
from io import BufferedReader

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


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
