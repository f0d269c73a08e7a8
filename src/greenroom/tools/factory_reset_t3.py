"""Empties `system/` of the tree at `work`. Tier 3: the policy refuses it without a tripcode.

No arguments. Result: how many files were removed; a rehearsal only counts them.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _body, _files, _system
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _files
    import _system


def run(request: _body.Request) -> Mapping[str, Any]:
    """Count, then remove."""
    system = request.mount("work") / _system.NAME
    if system.is_symlink() or not system.is_dir():
        raise _body.Refusal("file-missing", _system.NAME, "there is no system directory to empty")
    count = sum(1 for _ in _files.walk(system))
    if not request.dry_run:
        for entry in sorted(system.iterdir()):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    return {"removed": 0 if request.dry_run else count, "found": count, "applied": not request.dry_run}


if __name__ == "__main__":
    _body.main(run)
