"""What a finding is, so that it can be told again: its rule, its path, and the text around it; never its line.

A finding is one run of changed lines of a patch. Its identity stays while the lines that it changes and the base's
lines next to them stay, wherever in the file they move, and whatever else the patch does.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from greenroom.domain.diffs import Hunk, Line, Section, parse, render
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import ChangeId

AROUND = 3
"""Lines of base on either side that belong to a finding; git's diffs carry as many."""
Said = Literal["rejected", "deferred"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A person's word on a finding: no, or not before `until`. `change` is the change it was said of."""

    finding: str
    change: ChangeId
    said: Said
    until: Instant | None = None

    def holds(self, now: Instant) -> bool:
        """True while the finding is not to come back."""
        return self.until is None or now < self.until


def findings(rule: str, patch: bytes) -> tuple[str, ...]:
    """The identities of what `patch` mends by `rule`, in order; raises Unusable `bad-patch`.

    Where one file has the same text twice, the second is another finding.
    """
    return tuple(name for name, _ in _numbered(rule, parse(patch)))


def without(rule: str, patch: bytes, gone: Collection[str]) -> bytes:
    """`patch` without the findings in `gone`; empty when nothing is left. What is left applies to the same base."""
    sections = parse(patch)
    drop = [place for name, place in _numbered(rule, sections) if name in gone]
    if not drop:
        return patch
    kept = (_section(section, [p for p in drop if p.section == at]) for at, section in enumerate(sections))
    return render([section for section in kept if section is not None])


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a finding stands in a patch: lines `first` to before `last` of a hunk; a whole section has hunk -1."""

    section: int
    hunk: int
    first: int
    last: int


def _numbered(rule: str, sections: tuple[Section, ...]) -> Iterator[tuple[str, _Place]]:
    seen: Counter[str] = Counter()
    for at, section in enumerate(sections):
        for place, text in _places(at, section):
            digest = hashlib.sha256()
            for part in (rule.encode("utf-8", "replace"), section.path, *text):
                digest.update(b"%d:" % len(part) + part)
            name = digest.hexdigest()
            seen[name] += 1
            yield (f"{name}-{seen[name]}" if seen[name] > 1 else name), place


def _places(at: int, section: Section) -> Iterator[tuple[_Place, list[bytes]]]:
    if section.whole:
        words = [line for line in section.header if not line.startswith(b"index ")]
        yield _Place(at, -1, 0, 0), words + [line.sign + line.text for hunk in section.hunks for line in hunk.lines]
        return
    for number, hunk in enumerate(section.hunks):
        for first, last in _runs(hunk):
            yield _Place(at, number, first, last), _text(hunk, first, last)


def _runs(hunk: Hunk) -> Iterator[tuple[int, int]]:
    """The runs of changed lines of a hunk."""
    first = None
    for at, line in enumerate((*hunk.lines, Line(sign=b" ", text=b""))):
        if line.sign != b" " and first is None:
            first = at
        elif line.sign == b" " and first is not None:
            yield first, at
            first = None


def _text(hunk: Hunk, first: int, last: int) -> list[bytes]:
    """The changed lines, and the base's lines next to them: what else the patch adds there does not count."""
    before = [line.text for line in hunk.lines[:first] if line.sign != b"+"][-AROUND:]
    after = [line.text for line in hunk.lines[last:] if line.sign != b"+"][:AROUND]
    return [*before, *(line.sign + line.text for line in hunk.lines[first:last]), *after]


def _section(section: Section, drop: list[_Place]) -> Section | None:
    if not drop:
        return section
    if section.whole:
        return None
    shift, kept = 0, []
    for number, hunk in enumerate(section.hunks):
        ranges = [(place.first, place.last) for place in drop if place.hunk == number]
        left = _hunk(hunk, ranges)
        if any(line.sign != b" " for line in left):
            kept.append(dataclasses.replace(hunk, new=hunk.new + shift, lines=left))
        after = Hunk(old=hunk.old, new=hunk.new, lines=left)
        shift += after.count(b"+") - hunk.count(b"+")
    return dataclasses.replace(section, hunks=tuple(kept)) if kept else None


def _hunk(hunk: Hunk, ranges: list[tuple[int, int]]) -> tuple[Line, ...]:
    """The hunk's lines with what stands in `ranges` left as it is in base."""

    def left(at: int, line: Line) -> Line | None:
        if line.sign == b" " or not any(first <= at < last for first, last in ranges):
            return line
        return None if line.sign == b"+" else dataclasses.replace(line, sign=b" ")

    return tuple(found for at, line in enumerate(hunk.lines) if (found := left(at, line)) is not None)
