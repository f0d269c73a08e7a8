"""Green's system directory, which the tools of tier 2 and 3 act on: ``system/`` of the tree at `work`."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenroom.tools import _body
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body

NAME = "system"


def below(work: Path, relative: str, *, must_exist: bool = True) -> Path:
    """`relative` (``system/...``) as a path below `work`, no link on the way; Refusal `path-outside-system`."""
    parts = relative.split("/")
    if len(parts) < 2 or parts[0] != NAME or any(part in ("", ".", "..") for part in parts) or "\0" in relative:
        raise _body.Refusal("path-outside-system", relative, f"name a path below {NAME}/")
    path = work
    for part in parts:
        path = path / part
        if path.is_symlink():
            raise _body.Refusal("path-outside-system", relative, "name a path without links")
    if must_exist and not path.is_file():
        raise _body.Refusal("file-missing", relative, "name a file that exists")
    if not path.parent.is_dir():
        raise _body.Refusal("file-missing", str(Path(relative).parent), "name a directory that exists")
    return path


def replace(path: Path, data: bytes) -> None:
    """Replace the file's content in one rename; its permission bits stay."""
    beside = path.with_name(f".{path.name}.greenroom")
    mode = stat.S_IMODE(path.stat().st_mode) & 0o777
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
