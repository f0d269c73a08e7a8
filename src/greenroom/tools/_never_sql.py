"""SQL that deletes a table or a database, or all rows of one: plain statements, read without a parser."""

from __future__ import annotations

import re
from collections.abc import Iterator

_NAME = r"[\w\"`\[\].$%{}:<@-]"
_DROP = re.compile(
    rf"\s*(?:drop\s+(?:table|database|schema)\s+(?:if\s+exists\s+)?{_NAME}|truncate\s+table\s+(?:only\s+)?{_NAME})",
    re.IGNORECASE,
)
_TRUNCATE = re.compile(rf"\s*truncate\s+{_NAME}+(?:\s+(?:cascade|restart\s+identity))?\s*\Z", re.IGNORECASE)
_DELETE_ALL = re.compile(rf"\s*delete\s+from\s+{_NAME}+\s*\Z", re.IGNORECASE)
_HINTS = ("drop", "truncate", "delete")
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_MAX_STATEMENT = 100_000


def deletes(text: str, *, whole: bool = True) -> bool:
    """True when a statement of `text` deletes; `whole` False when more may follow, as in a sum of strings."""
    low = text[:_MAX_STATEMENT].lower()
    if not any(word in low for word in _HINTS):
        return False
    parts = _blank(text[:_MAX_STATEMENT]).split(";")
    for index, part in enumerate(parts):
        ended = whole or index < len(parts) - 1
        if _DROP.match(part) or (ended and (_DELETE_ALL.match(part) or _TRUNCATE.match(part))):
            return True
    return False


def statements(text: str) -> Iterator[tuple[int, int, str]]:
    """(first line, last line, statement) of each deleting statement of a file of SQL."""
    line = 1
    for part in _blank(text).split(";"):
        lead = len(part) - len(part.lstrip())
        first = line + part[:lead].count("\n")
        line += part.count("\n")
        if deletes(part):
            yield first, line, " ".join(part.split())


def _blank(text: str) -> str:
    """`text` without comments, on as many lines."""
    return _COMMENT.sub(lambda found: "\n" * found[0].count("\n") or " ", text)
