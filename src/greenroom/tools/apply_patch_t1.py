"""Applies a unified diff in git's format to the tree at `work`.

Argument `patch`: the digest of the diff. Result: ``{"applied": true, "files": [...], "added": n, "removed": n,
"log": "..."}``; with `dry_run` nothing is written and `applied` is false. What does not apply is refused as
`patch-does-not-apply`, what steps out of the tree or makes a link or a submodule as `patch-not-allowed`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _body
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body

_MODES = re.compile(
    rb"^(?:new file mode|new mode|deleted file mode|old mode|index [0-9a-f]+\.\.[0-9a-f]+) (\d{6})$", re.M
)
_ALLOWED_MODES = frozenset({b"100644", b"100755"})
_GIT = ("git", "-c", "core.autocrlf=false", "-c", "core.hooksPath=/dev/null", "-c", "core.attributesFile=/dev/null")


def run(request: _body.Request) -> Mapping[str, Any]:
    """Check the patch; apply it unless this is a rehearsal."""
    work = request.mount("work")
    patch = request.blob("patch")
    _check_modes(patch)
    home = _body.scratch()
    try:
        (home / "patch").write_bytes(patch)
        counts = _numstat(home, work)
        _apply(home, work, check=True)
        log = b"" if request.dry_run else _apply(home, work, check=False)
    finally:
        _body.discard(home)
    return {
        "applied": not request.dry_run,
        "files": [path for path, _, _ in counts],
        "added": sum(added for _, added, _ in counts),
        "removed": sum(removed for _, _, removed in counts),
        "log": log.decode("utf-8", "backslashreplace")[:4000],
    }


def _check_modes(patch: bytes) -> None:
    """Links and submodules come only from the person's own commits."""
    for mode in _MODES.findall(patch):
        if mode not in _ALLOWED_MODES:
            raise _body.Refusal(
                "patch-not-allowed", f"file mode {mode.decode('ascii')}", "a patch changes regular files only"
            )


def _numstat(home: Path, work: Path) -> list[tuple[str, int, int]]:
    """(path, added, removed) of each file; a binary file counts no lines."""
    ended = _git(home, work, "apply", "--numstat", "-z", str(home / "patch"))
    counts = []
    for record in ended.stdout.split(b"\0"):
        if record:
            added, removed, path = record.split(b"\t", 2)
            name = path.decode("utf-8", "backslashreplace")
            counts.append((name, _count(added), _count(removed)))
    return counts


def _count(field: bytes) -> int:
    return int(field) if field.isdigit() else 0


def _apply(home: Path, work: Path, *, check: bool) -> bytes:
    flags = ["--check"] if check else []
    return _git(home, work, "apply", "--whitespace=nowarn", *flags, str(home / "patch")).stderr


def _git(home: Path, work: Path, *args: str) -> _body.Ended:
    """Git, blind to repositories around `work`: the ceiling stops its search for a .git above it."""
    env = _body.git_env(home) | {"GIT_CEILING_DIRECTORIES": str(work.resolve().parent)}
    ended = _body.program([*_GIT, *args], cwd=work, env=env)
    if ended.timed_out or ended.code < 0:
        raise RuntimeError(f"git ended with {ended.code}")
    if ended.code:
        message = ended.stderr.decode("utf-8", "backslashreplace").strip()
        raise _body.Refusal(
            "patch-does-not-apply", message[:500], "propose the change again over the tree that is live now"
        )
    return ended


if __name__ == "__main__":
    _body.main(run)
