"""Where the hunks of a patch stand in a file that changed meanwhile: only where there is no doubt.

1. all lines up to the hunk's end are unchanged: at its own line;
2. all lines from its beginning are unchanged: as far from the end as it was;
3. else where its old lines stand, when they stand exactly once in the file, before and after.

By the first two only where its old lines stand as often as before: nobody put a copy of them beside it.

Restacking places hunks by this rule, and the guard checks by it that a moved patch is still the same one. Files that
are created, deleted or binary have no place to look for (`FilePatch.moves`): they must be as they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from greenroom.domain.errors import Unusable
from greenroom.domain.patches import FilePatch, Hunk, split

MAX_COMPARED = 20_000_000
"""Lines times hunks that are compared for one file at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """A hunk that has no place: the lines it was made on, those it wants, and those that are there."""

    path: bytes
    why: str
    line: int
    base: tuple[bytes, ...]
    ours: tuple[bytes, ...]
    theirs: tuple[bytes, ...]


def place(each: FilePatch, before: bytes, after: bytes) -> tuple[int, ...] | Conflict:
    """Where the hunks of `each`, made on `before`, stand in `after`; or the first one that has no place."""
    old, live = split(before), split(after)
    if before == after:
        return tuple(hunk.at for hunk in each.hunks)
    same = _Same.between(old, live)
    large = len(each.hunks) * (len(old) + len(live)) > MAX_COMPARED
    places: list[int] = []
    done = 0
    for hunk in each.hunks:
        found = "the file is too large to look for so many places" if large else _place(hunk, old, live, same)
        if isinstance(found, int) and (found < done or (hunk.ends_in_change and found + len(hunk.old) != len(live))):
            found = "the end of the file, or the order of its parts, is another"
        if isinstance(found, str):
            return Conflict(
                path=each.path,
                why=found,
                line=hunk.at + 1,
                base=hunk.old,
                ours=hunk.new,
                theirs=tuple(live[slice(*same.across(hunk, len(old), len(live)))]),
            )
        places.append(found)
        done = found + len(hunk.old)
    return tuple(places)


def fits(each: FilePatch, data: bytes) -> bool:
    """True where the old lines of each hunk stand in `data` in their order, as git applies a patch: wherever they are,
    but one from the first line there, and one to the end there.
    """
    lines, done = split(data), 0
    if len(each.hunks) * len(lines) > MAX_COMPARED:
        return True
    for hunk in each.hunks:
        starts = _standing(hunk.old, lines) if hunk.old else [len(lines)]
        if hunk.at == 0:
            starts = [at for at in starts if at == 0]
        if hunk.ends_in_change:
            starts = [at for at in starts if at + len(hunk.old) == len(lines)]
        found = next((at for at in starts if at >= done), None)
        if found is None:
            return False
        done = found + len(hunk.old)
    return True


def apply(each: FilePatch, before: bytes, places: Sequence[int]) -> bytes:
    """The file after the hunks at `places`; raises Unusable `bad-patch` where the old lines are not there."""
    lines, done = split(before), 0
    out: list[bytes] = []
    for hunk, at in zip(each.hunks, places, strict=True):
        end = at + len(hunk.old)
        if at < done or tuple(lines[at:end]) != hunk.old:
            raise Unusable("bad-patch", "the old lines of a hunk are not there")
        out += [*lines[done:at], *hunk.new]
        done = end
    return b"".join((*out, *lines[done:]))


@dataclass(frozen=True, slots=True)
class _Same:
    """How many lines two versions share at the beginning and at the end."""

    head: int
    tail: int

    @classmethod
    def between(cls, old: Sequence[bytes], live: Sequence[bytes]) -> _Same:
        most = min(len(old), len(live))
        head = next((n for n in range(most) if old[n] != live[n]), most)
        tail = next((n for n in range(most - head) if old[-1 - n] != live[-1 - n]), most - head)
        return cls(head, tail)

    def across(self, hunk: Hunk, old: int, live: int) -> tuple[int, int]:
        """The live lines that face a hunk: those of its own that are unchanged, and all that changed between them."""
        end = hunk.at + len(hunk.old)
        start = min(hunk.at, self.head) if hunk.at < old - self.tail else hunk.at + live - old
        stop = end if end <= self.head else max(live - self.tail, end + live - old)
        return max(0, start), max(start, stop)


def _place(hunk: Hunk, old: Sequence[bytes], live: Sequence[bytes], same: _Same) -> int | str:
    """Its index in `live`, or in words why it has none."""
    before, there = _standing(hunk.old, old), _standing(hunk.old, live)
    if not there:
        return "the lines are others there"
    end = hunk.at + len(hunk.old)
    if len(before) == len(there) and hunk.at in before:
        if end <= same.head:
            return hunk.at
        if hunk.at >= len(old) - same.tail:
            return hunk.at + len(live) - len(old)
    if (len(before), len(there)) != (1, 1):
        return "the same lines stand there more than once"
    return there[0]


def _standing(wanted: tuple[bytes, ...], lines: Sequence[bytes]) -> list[int]:
    """Every place where those lines stand one after another."""
    if not wanted:
        return []
    starts = range(len(lines) - len(wanted) + 1)
    return [at for at in starts if lines[at] == wanted[0] and tuple(lines[at : at + len(wanted)]) == wanted]
