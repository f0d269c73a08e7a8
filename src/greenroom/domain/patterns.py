"""Patterns that match in linear time, whatever the value: no backtracking (Thompson 1968, Cox 2007).

The dialect is a small part of regular expressions: literals, ``.``, ``[...]``, ``\\d \\w \\s`` (ASCII), groups,
``|`` and ``* + ? {m} {m,} {m,n}``. There are no anchors, back-references, look-around or flags: `matches` always means
the whole value, `found_in` any part of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from greenroom.domain.errors import TooLarge, Unusable

MAX_PATTERN_CHARS = 4096
MAX_STATES = 8192
MAX_REPEAT = 1024
MAX_GROUPS_DEEP = 16
_MAX_CACHED_MOVES = 8192
_SHORTHAND = {
    "d": "0123456789",
    "w": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_",
    "s": " \t\n\r\f\v",
}
_PLAIN_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


@dataclass(frozen=True, slots=True)
class _Chars:
    """A set of characters: single ones and inclusive ranges, or everything but them."""

    singles: frozenset[str]
    ranges: tuple[tuple[str, str], ...] = ()
    negated: bool = False

    def has(self, char: str) -> bool:
        inside = char in self.singles or any(low <= char <= high for low, high in self.ranges)
        return inside != self.negated


@dataclass(frozen=True, slots=True)
class _Sequence:
    parts: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Choice:
    options: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Repeat:
    node: _Node
    low: int
    high: int | None


_Node = _Chars | _Sequence | _Choice | _Repeat
_Positions = frozenset[int]


@lru_cache(maxsize=1024)
def compile_pattern(text: str) -> Pattern:
    """`text` as a Pattern; raises Unusable `bad-pattern` or TooLarge `pattern-too-large`."""
    return Pattern(text)


class Pattern:
    """A compiled pattern: time linear in the value, space bounded (cached moves are dropped at a limit)."""

    def __init__(self, text: str) -> None:
        self.text = text
        builder = _Builder()
        self._start, self._accept = builder.build(_Parser(text).parse())
        self._steps = builder.steps
        self._whole = _Walk(self, search=False)
        self._part = _Walk(self, search=True)

    def matches(self, value: str) -> bool:
        """True when the whole of `value` matches."""
        at = self._whole.begin
        for char in value:
            at = at.moves.get(char) or self._whole.move(at, char)
            if at.dead:
                return False
        return at.accepts

    def found_in(self, value: str) -> bool:
        """True when any part of `value` matches, the empty part included."""
        at = self._part.begin
        for char in value:
            if at.accepts:
                return True
            at = at.moves.get(char) or self._part.move(at, char)
        return at.accepts

    def closure(self, positions: Iterable[int]) -> _Positions:
        """The positions reachable without reading a character."""
        seen: set[int] = set()
        waiting = list(positions)
        while waiting:
            position = waiting.pop()
            if position not in seen:
                seen.add(position)
                chars, following = self._steps[position]
                if chars is None:
                    waiting.extend(following)
        return frozenset(seen)

    def after(self, positions: _Positions, char: str) -> Iterable[int]:
        """The positions after reading `char`."""
        for position in positions:
            chars, following = self._steps[position]
            if chars is not None and chars.has(char):
                yield from following

    @property
    def start(self) -> int:
        """The position before the first character."""
        return self._start

    @property
    def accept(self) -> int:
        """The position after the last character."""
        return self._accept


class _Stand:
    """One state of the automaton: a set of positions, and the moves from it that were made before."""

    __slots__ = ("accepts", "dead", "moves", "positions")

    def __init__(self, positions: _Positions, accept: int) -> None:
        self.positions = positions
        self.accepts = accept in positions
        self.dead = not positions
        self.moves: dict[str, _Stand] = {}


class _Walk:
    """The deterministic automaton, built as it is walked."""

    def __init__(self, pattern: Pattern, *, search: bool) -> None:
        self._pattern = pattern
        self._again = (pattern.start,) if search else ()
        self._stands: dict[_Positions, _Stand] = {}
        self._cached = 0
        self.begin = self._stand(pattern.closure((pattern.start,)))

    def move(self, at: _Stand, char: str) -> _Stand:
        if self._cached >= _MAX_CACHED_MOVES:
            for stand in list(self._stands.values()):
                stand.moves = {}
            self._stands = {self.begin.positions: self.begin}
            self._cached = 0
        positions = self._pattern.closure((*self._pattern.after(at.positions, char), *self._again))
        at.moves[char] = reached = self._stand(positions)
        self._cached += 1
        return reached

    def _stand(self, positions: _Positions) -> _Stand:
        known = self._stands.get(positions)
        if known is None:
            known = self._stands[positions] = _Stand(positions, self._pattern.accept)
        return known


class _Builder:
    """Positions with their steps: characters to read (None: nothing) and the positions that follow."""

    def __init__(self) -> None:
        self.steps: list[tuple[_Chars | None, tuple[int, ...]]] = []

    def build(self, node: _Node) -> tuple[int, int]:
        accept = self._add(None, ())
        return self._before(node, accept), accept

    def _add(self, chars: _Chars | None, following: tuple[int, ...]) -> int:
        if len(self.steps) >= MAX_STATES:
            raise TooLarge("pattern-too-large", f"a pattern has at most {MAX_STATES} positions")
        self.steps.append((chars, following))
        return len(self.steps) - 1

    def _before(self, node: _Node, following: int) -> int:
        """The position from which reading `node` leads to `following`."""
        if isinstance(node, _Chars):
            return self._add(node, (following,))
        if isinstance(node, _Sequence):
            for part in reversed(node.parts):
                following = self._before(part, following)
            return following
        if isinstance(node, _Choice):
            return self._add(None, tuple(self._before(option, following) for option in node.options))
        return self._repeat(node, following)

    def _repeat(self, node: _Repeat, following: int) -> int:
        if node.high is None:
            loop = self._add(None, ())
            self.steps[loop] = (None, (self._before(node.node, loop), following))
            at = loop
        else:
            at = following
            for _ in range(node.high - node.low):
                at = self._add(None, (self._before(node.node, at), following))
        for _ in range(node.low):
            at = self._before(node.node, at)
        return at


class _Parser:
    """Recursive descent over the pattern's text."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_PATTERN_CHARS:
            raise TooLarge("pattern-too-large", f"a pattern has at most {MAX_PATTERN_CHARS} characters")
        self._text = text
        self._at = 0
        self._depth = 0

    def parse(self) -> _Node:
        node = self._choice()
        if self._at != len(self._text):
            raise self._bad("a bracket closes that was not opened")
        return node

    def _choice(self) -> _Node:
        options = [self._sequence()]
        while self._take("|"):
            options.append(self._sequence())
        return options[0] if len(options) == 1 else _Choice(tuple(options))

    def _sequence(self) -> _Node:
        parts: list[_Node] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            parts.append(self._quantified(self._atom()))
        return parts[0] if len(parts) == 1 else _Sequence(tuple(parts))

    def _quantified(self, node: _Node) -> _Node:
        for sign, low, high in (("*", 0, None), ("+", 1, None), ("?", 0, 1)):
            if self._take(sign):
                node = _Repeat(node, low, high)
                break
        else:
            if not self._take("{"):
                return node
            node = self._counted(node)
        if self._at < len(self._text) and self._text[self._at] in "*+?{":
            raise self._bad("a quantifier follows a quantifier")
        return node

    def _counted(self, node: _Node) -> _Node:
        end = self._text.find("}", self._at)
        low, comma, high = self._text[self._at : max(end, self._at)].partition(",")
        numbers = [n for n in (low, high) if n]
        if end == -1 or not low or not all(n.isascii() and n.isdigit() and len(n) < 6 for n in numbers):
            raise self._bad("a count is {m}, {m,} or {m,n}")
        self._at = end + 1
        least, most = int(low), (int(high) if high else None) if comma else int(low)
        if least > MAX_REPEAT or (most is not None and (most > MAX_REPEAT or most < least)):
            raise self._bad(f"a count goes from small to large, at most {MAX_REPEAT}")
        return _Repeat(node, least, most)

    def _atom(self) -> _Node:
        char = self._text[self._at]
        self._at += 1
        if char == "(":
            return self._group()
        if char == "[":
            return self._class()
        if char == ".":
            return _Chars(frozenset("\n"), negated=True)
        if char == "\\":
            return _Chars(self._escape())
        if char in "*+?{}^$])":
            raise self._bad(f"{char!r} stands for itself only after a backslash")
        return _Chars(frozenset(char))

    def _group(self) -> _Node:
        self._depth += 1
        if self._depth > MAX_GROUPS_DEEP or self._text.startswith("?", self._at):
            raise self._bad(f"groups are plain and nest at most {MAX_GROUPS_DEEP} deep")
        node = self._choice()
        if not self._take(")"):
            raise self._bad("a bracket is not closed")
        self._depth -= 1
        return node

    def _class(self) -> _Node:
        negated = self._take("^")
        singles: set[str] = set()
        ranges: list[tuple[str, str]] = []
        while not self._take("]"):
            found = self._member()
            if len(found) == 1 and self._text.startswith("-", self._at) and not self._text.startswith("-]", self._at):
                self._at += 1
                low, high = next(iter(found)), self._member()
                if len(high) != 1 or next(iter(high)) < low:
                    raise self._bad("a range goes from a smaller character to a larger one")
                ranges.append((low, next(iter(high))))
            else:
                singles |= found
        if not singles and not ranges:
            raise self._bad("a class names at least one character")
        return _Chars(frozenset(singles), tuple(ranges), negated)

    def _member(self) -> frozenset[str]:
        if self._at >= len(self._text):
            raise self._bad("a class is not closed")
        char = self._text[self._at]
        self._at += 1
        if char == "[":
            raise self._bad("'[' stands for itself only after a backslash")
        return self._escape() if char == "\\" else frozenset(char)

    def _escape(self) -> frozenset[str]:
        if self._at >= len(self._text):
            raise self._bad("a backslash ends the pattern")
        char = self._text[self._at]
        self._at += 1
        if char in _SHORTHAND:
            return frozenset(_SHORTHAND[char])
        if char in _PLAIN_ESCAPES:
            return frozenset(_PLAIN_ESCAPES[char])
        if char.isalnum() or not char.isascii():
            raise self._bad(f"there is no escape for {char!r}")
        return frozenset(char)

    def _take(self, char: str) -> bool:
        taken = self._text.startswith(char, self._at)
        self._at += len(char) if taken else 0
        return taken

    def _bad(self, message: str) -> Unusable:
        return Unusable("bad-pattern", message, where=f"{self._text[:200]!r} at {self._at}")
