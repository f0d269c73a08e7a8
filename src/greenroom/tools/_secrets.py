"""Finds secrets in text: fixed formats first, then keys assigned to names that say what they are.

A rule is a pattern with the part that is secret as group 1, words without which it is not tried, the least entropy,
and, where the format carries one, a check. Formats with a checksum (GitHub, npm, Grafana) are reported whatever their
entropy when it is right, and are still reported by form when it is not. Findings name the rule, never the secret.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenroom.tools import _secret_forms, _secret_names, _secret_rule
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _secret_forms
    import _secret_names
    import _secret_rule

MAX_LINE = 20_000
MIN_LINE = 12
RULES: tuple[_secret_rule.Rule, ...] = (*_secret_forms.FORMS, *_secret_names.NAMED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One secret: the rule, the line, the columns of the secret, and whether a checksum proves it."""

    rule: str
    line: int
    start: int
    end: int
    proven: bool


def scan(text: str) -> Iterator[Found]:
    """The secrets of a text, by line; each stretch of text is reported once, by the first rule that finds it."""
    before = ""
    rules = _that_could_apply(text.lower())
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) >= MIN_LINE:
            yield from _scan_line(line[:MAX_LINE], number, before, rules)
        before = line if line.strip() else before


def scan_line(line: str, number: int, before: str = "") -> Iterator[Found]:
    """The secrets of one line; `before` is the line above it, whose open assignment or element it may continue."""
    yield from _scan_line(line, number, before, _that_could_apply(line.lower()))


def _that_could_apply(lower: str) -> Sequence[_secret_rule.Rule]:
    return [rule for rule in RULES if any(word in lower for word in rule.words)]


def _scan_line(line: str, number: int, before: str, rules: Sequence[_secret_rule.Rule]) -> Iterator[Found]:
    lower = line.lower()
    taken: list[tuple[int, int]] = []
    for rule in rules:
        if not any(word in lower for word in rule.words):
            continue
        for match in rule.pattern.finditer(line):
            start, end = match.span(1)
            if any(start < right and left < end for left, right in taken):
                continue
            proven = rule.proof is not None and rule.proof(match[1])
            if proven or rule.counts(match[1]):
                taken.append((start, end))
                yield Found(rule=rule.name, line=number, start=start, end=end, proven=proven)
    if not taken:
        span = _secret_names.continued(line, before)
        if span:
            yield Found(rule="assigned-secret", line=number, start=span[0], end=span[1], proven=False)
