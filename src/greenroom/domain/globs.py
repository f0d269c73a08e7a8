"""Path globs in the manner of gitignore, matched in linear time and anchored to whole paths.

A glob without a slash matches a name at any depth; one with a slash is anchored at the top. ``*`` and ``?`` stay
inside a name, ``**`` crosses them, and a match of a directory covers all that lies below. There is no negation.
"""

from __future__ import annotations

from collections.abc import Sequence

from greenroom.domain.errors import TooLarge, Unusable
from greenroom.domain.patterns import MAX_PATTERN_CHARS, compile_pattern

MAX_GLOBS = 256
MAX_GLOB_CHARS = 256
_ANYTHING = "(.|\\n)"
_IN_NAME = "[^/]"


class Globs:
    """A list of globs, ready to match; raises Unusable `bad-glob` for a glob of another shape."""

    def __init__(self, globs: Sequence[str]) -> None:
        if len(globs) > MAX_GLOBS:
            raise TooLarge("too-many-globs", f"at most {MAX_GLOBS} path globs, not {len(globs)}")
        self._patterns = tuple(compile_pattern(text) for text in _together([_translate(glob) for glob in globs]))

    def match(self, path: str) -> bool:
        """True when any of the globs matches `path` (relative, with forward slashes)."""
        return any(pattern.matches(path) for pattern in self._patterns)


def _together(texts: Sequence[str]) -> list[str]:
    """The patterns as few alternations, so that a path is read once for many globs."""
    joined: list[str] = []
    for text in texts:
        if joined and len(joined[-1]) + len(text) + 3 <= MAX_PATTERN_CHARS:
            joined[-1] += f"|({text})"
        else:
            joined.append(f"({text})")
    return joined


def _translate(glob: str) -> str:
    parts = glob.removesuffix("/").split("/")
    odd = not glob.isprintable() or not set("\\[]!").isdisjoint(glob) or any(p in ("", ".", "..") for p in parts)
    if odd or len(glob) > MAX_GLOB_CHARS or any("**" in part and part != "**" for part in parts):
        raise Unusable(
            "bad-glob",
            "a path glob is relative, with names, '*', '?' and '**' between slashes",
            where=repr(glob[:80]),
            remedy="write it as in 'docs/**' or '*.pem'",
        )
    if parts == ["**"]:
        return _ANYTHING + "+"
    anchored = len(parts) > 1
    below = f"(/{_ANYTHING}+)?"
    return ("" if anchored else f"({_ANYTHING}*/)?") + _join(parts) + ("" if parts[-1] == "**" else below)


def _join(parts: list[str]) -> str:
    written = ""
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part == "**":
            written += f"{_ANYTHING}+" if last else f"({_ANYTHING}*/)?"
        else:
            written += "".join(_char(char) for char in part) + ("" if last else "/")
    return written


def _char(char: str) -> str:
    if char == "*":
        return f"{_IN_NAME}*"
    if char == "?":
        return _IN_NAME
    return char if char.isalnum() or not char.isascii() else "\\" + char
