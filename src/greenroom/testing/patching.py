"""A patch applied in memory: what `git apply` does with text files, for houses without git."""

from __future__ import annotations

from collections.abc import MutableMapping

from greenroom.domain.diffs import Hunk, parse
from greenroom.domain.verdict import Refused


def apply(patch: bytes, files: MutableMapping[bytes, bytes]) -> Refused | None:
    """Do to `files` what `patch` says; Refused `patch-does-not-apply` with nothing done where it does not fit."""
    changed: dict[bytes, bytes | None] = {}
    for section in parse(patch):
        lines = files.get(section.path, b"").splitlines(keepends=True)
        for hunk in section.hunks:
            at = _find(lines, hunk)
            if at is None:
                where = section.path.decode("utf-8", "replace")
                return Refused(rule="patch-does-not-apply", where=where, remedy="greenroom improve")
            lines[at : at + hunk.count(b"-")] = _side(hunk, b"+")
        gone = any(line.startswith(b"deleted file mode ") for line in section.header)
        changed[section.path] = None if gone else b"".join(lines)
    for path, data in changed.items():
        if data is None:
            files.pop(path, None)
        else:
            files[path] = data
    return None


def _side(hunk: Hunk, sign: bytes) -> list[bytes]:
    return [line.text + (b"" if line.unended else b"\n") for line in hunk.lines if line.sign in (b" ", sign)]


def _find(lines: list[bytes], hunk: Hunk) -> int | None:
    """Where the hunk's old lines stand: nearest to where the patch says."""
    wanted = _side(hunk, b"-")
    starts = sorted(range(len(lines) - len(wanted) + 1), key=lambda at: abs(at - (hunk.new - 1)))
    return next((at for at in starts if lines[at : at + len(wanted)] == wanted), None)
