"""Unified diffs in git's format (git-diff(1)) as values: parsed strictly, and written back with counts that fit.

A patch comes from a tool or a person and is untrusted: whatever is not laid out as git does it is Unusable `bad-patch`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from greenroom.domain.errors import Unusable

_HUNK = re.compile(rb"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@.*\n?", re.DOTALL)
_SECTION = b"diff --git "
_NO_NEWLINE = b"\\ "
_NOWHERE = b"/dev/null"
_SIGNS = (b" ", b"-", b"+")
_ESCAPES = {b"a": 7, b"b": 8, b"t": 9, b"n": 10, b"v": 11, b"f": 12, b"r": 13, b'"': 34, b"\\": 92}
_WHOLE = (b"new file mode ", b"deleted file mode ", b"rename ", b"copy ", b"similarity ", b"old mode ", b"GIT binary")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a hunk: its sign (` `, `-` or `+`), its text, and whether no newline ends it."""

    sign: bytes
    text: bytes
    unended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunk:
    """Lines around one place; `old` and `new` are the numbers of the first line on either side."""

    old: int
    new: int
    lines: tuple[Line, ...]

    def count(self, sign: bytes) -> int:
        """How many lines stand on the side of `sign`: `-` the old one, `+` the new one."""
        return sum(line.sign in (b" ", sign) for line in self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What a patch does to one file: header lines as git wrote them, then hunks."""

    header: tuple[bytes, ...]
    hunks: tuple[Hunk, ...]

    @property
    def path(self) -> bytes:
        """The file's path: where it is afterwards, or, of a deleted one, where it was."""
        found = [path for path in (_named(self.header, b"+++ "), _named(self.header, b"--- ")) if path]
        return found[0] if found else _from_first(self.header[0])

    @property
    def whole(self) -> bool:
        """True when it makes, deletes, renames or re-modes the file, or is binary: part of it alone makes no sense."""
        return not self.hunks or any(line.startswith(_WHOLE) for line in self.header)


def parse(patch: bytes) -> tuple[Section, ...]:
    """The sections of `patch`, in order; raises Unusable `bad-patch`."""
    lines = patch.split(b"\n")
    if lines and lines[-1] == b"":
        lines.pop()
    sections: list[Section] = []
    at = 0
    while at < len(lines):
        if sections and not lines[at]:
            at += 1
            continue
        if not lines[at].startswith(_SECTION):
            raise _bad(at, "a patch is a list of sections that begin with `diff --git`")
        section, at = _section(lines, at)
        sections.append(section)
    return tuple(sections)


def render(sections: Sequence[Section]) -> bytes:
    """The patch of `sections`; every count in it fits its lines."""
    return b"".join(line + b"\n" for section in sections for line in _lines(section))


def paths(sections: Sequence[Section]) -> tuple[str, ...]:
    """The paths of `sections` as text, in order; raises Unusable `bad-patch` for one that is not UTF-8."""
    try:
        return tuple(dict.fromkeys(section.path.decode("utf-8") for section in sections))
    except UnicodeDecodeError:
        raise Unusable("bad-patch", "a path in the patch is not UTF-8", remedy="rename the file") from None


def _section(lines: Sequence[bytes], at: int) -> tuple[Section, int]:
    header = [lines[at]]
    at += 1
    while at < len(lines) and not lines[at].startswith((b"@@ ", _SECTION)):
        header.append(lines[at])
        at += 1
    hunks: list[Hunk] = []
    while at < len(lines) and lines[at].startswith(b"@@ "):
        hunk, at = _hunk(lines, at)
        hunks.append(hunk)
    return Section(header=tuple(header), hunks=tuple(hunks)), at


def _hunk(lines: Sequence[bytes], at: int) -> tuple[Hunk, int]:
    found = _HUNK.fullmatch(lines[at])
    if found is None:
        raise _bad(at, "a hunk begins with `@@ -line,count +line,count @@`")
    old, olds, new, news = (int(group) if group is not None else 1 for group in found.groups())
    at += 1
    body: list[Line] = []
    while olds or news:
        if at >= len(lines):
            raise _bad(at, "a hunk ends before its counts are reached")
        sign, text = lines[at][:1] or b" ", lines[at][1:]
        if sign not in _SIGNS:
            raise _bad(at, "a line of a hunk begins with a space, - or +")
        olds, news = olds - (sign != b"+"), news - (sign != b"-")
        if olds < 0 or news < 0:
            raise _bad(at, "a hunk has more lines than its counts say")
        at += 1
        unended = at < len(lines) and lines[at].startswith(_NO_NEWLINE)
        at += unended
        body.append(Line(sign=sign, text=text, unended=unended))
    return Hunk(old=old, new=new, lines=tuple(body)), at


def _lines(section: Section) -> Iterator[bytes]:
    yield from section.header
    for hunk in section.hunks:
        yield b"@@ -%d,%d +%d,%d @@" % (hunk.old, hunk.count(b"-"), hunk.new, hunk.count(b"+"))
        for line in hunk.lines:
            yield line.sign + line.text
            if line.unended:
                yield b"\\ No newline at end of file"


def _named(header: Sequence[bytes], mark: bytes) -> bytes:
    """The path on the header line that begins with `mark`, without git's a/ or b/; empty where there is none."""
    for line in header:
        if line.startswith(mark):
            path = unquoted(line[len(mark) :].partition(b"\t")[0])
            return b"" if path == _NOWHERE else path.partition(b"/")[2] if path[:2] in (b"a/", b"b/") else path
    return b""


def _from_first(line: bytes) -> bytes:
    """The path of `diff --git a/PATH b/PATH`, the same on both sides where no other header line names it."""
    names = line.removeprefix(_SECTION)
    if names.endswith(b'"') and b' "b/' in names:
        return unquoted(b'"' + names.rpartition(b' "b/')[2])
    half = len(names) // 2
    return names[half + 1 :].removeprefix(b"b/")


def unquoted(path: bytes) -> bytes:
    """`path` as git's C-style quoting writes it (core.quotePath of git-config(1)), or as it is."""
    if len(path) < 2 or path[:1] != b'"' or path[-1:] != b'"':
        return path

    def char(found: re.Match[bytes]) -> bytes:
        code = found[1]
        return bytes([int(code, 8) & 0xFF if len(code) == 3 else _ESCAPES.get(code, code[0])])

    return re.sub(rb"\\([0-7]{3}|.)", char, path[1:-1], flags=re.DOTALL)


def _bad(at: int, message: str) -> Unusable:
    return Unusable("bad-patch", message, where=f"line {at + 1}", remedy="make it with `git diff`, or keep its layout")
