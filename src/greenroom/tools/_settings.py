"""A repository's `greenroom.toml`, read as data: its keys with their lines, and the globs of its paths.

Only TOML is judged here; which keys there are, and what they may say, is for who reads the result. Nothing of the file
is run, and no link is followed.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _body, _formats
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _formats

FILE = "greenroom.toml"
MAX_BYTES = 64 * 1024
MAX_DEPTH = 3
MAX_ENTRIES = 256
MAX_GLOBS = 64
WHOLE = ("index.names",)
"""Tables that are one value."""
_LINE = re.compile(r"line (\d+)")
_HEADER = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?")
_KEY = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"\\]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"\\]*"|'[^']*'))*)\s*=""")
_GLOB = re.compile(r"[^\\\[\]!\0]{1,256}")


def read(data: bytes) -> dict[str, Any]:
    """`{"entries": [{"key", "line", "value"}], "fault", "line"}`; `fault` says why there are no entries."""
    if len(data) > MAX_BYTES:
        return _fault(f"it has more than {MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8")
        plain = _formats.toml(text)
    except UnicodeDecodeError:
        return _fault("it is not UTF-8")
    except tomllib.TOMLDecodeError as error:
        found = _LINE.search(str(error))
        return _fault(str(error)[:200], int(found[1]) if found else 0)
    except (ValueError, RecursionError) as error:
        return _fault(f"{type(error).__name__}: it cannot be parsed")
    lines = lines_of(text)
    entries: list[dict[str, Any]] = []
    for key, value in _flat(plain):
        line = lines.get(key, 0)
        if not _plain(value, MAX_DEPTH):
            return _fault(f"{key[:80]}: dates, fractions and deep nesting are not taken", line)
        if len(entries) >= MAX_ENTRIES:
            return _fault(f"it has more than {MAX_ENTRIES} keys")
        entries.append({"key": key[:200], "line": line, "value": value})
    return {"entries": entries, "fault": "", "line": 0}


def lines_of(text: str) -> dict[str, int]:
    """The line of each key, as far as it stands at the beginning of one; for messages only."""
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.fullmatch(line):
            table = _bare(header[1])
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            name = _bare(key[1])
            found.setdefault(f"{table}.{name}" if table else name, number)
    return found


def paths(root: Path) -> tuple[tuple[re.Pattern[str], ...] | None, tuple[re.Pattern[str], ...]]:
    """What `paths.allow` (None: everything) and `paths.deny` of a tree match; nothing where they cannot be read."""
    data = _body.read_if_there(root / FILE, MAX_BYTES)
    entries = {} if data is None else {each["key"]: each["value"] for each in read(data)["entries"]}
    allow, deny = entries.get("paths.allow"), entries.get("paths.deny")
    return (None if not isinstance(allow, list) else _patterns(allow)), _patterns(deny)


def permitted(path: str, allow: tuple[re.Pattern[str], ...] | None, deny: tuple[re.Pattern[str], ...]) -> bool:
    """Whether a path is among those that a generator may touch."""
    return (allow is None or any(p.fullmatch(path) for p in allow)) and not any(p.fullmatch(path) for p in deny)


def pattern(glob: str) -> str:
    """A path glob in the manner of gitignore as a regular expression for whole paths (see greenroom.domain.globs)."""
    parts = glob.removesuffix("/").split("/")
    if parts == ["**"]:
        return r"(?s:.+)"
    words = ""
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part == "**":
            words += r"(?s:.+)" if last else r"(?:(?s:.*)/)?"
        else:
            words += re.sub(r"\\\*|\\\?", lambda m: "[^/]*" if m[0] == r"\*" else "[^/]", re.escape(part))
            words += "" if last else "/"
    return ("" if len(parts) > 1 else r"(?:(?s:.*)/)?") + words + ("" if parts[-1] == "**" else r"(?:/(?s:.+))?")


def _patterns(value: Any) -> tuple[re.Pattern[str], ...]:
    """Globs that cannot be read are left out: who reads the settings whole has refused them."""
    globs = value[:MAX_GLOBS] if isinstance(value, list) else ()
    return tuple(re.compile(pattern(glob)) for glob in globs if isinstance(glob, str) and _GLOB.fullmatch(glob))


def _flat(plain: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Tables as dotted keys, down to two names; an empty table is a key of its own."""
    for name, value in plain.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and value and not prefix and key not in WHOLE:
            yield from _flat(value, f"{key}.")
        else:
            yield key, value


def _plain(value: Any, depth: int) -> bool:
    if isinstance(value, dict):
        return depth > 0 and all(_plain(item, depth - 1) for item in value.values())
    if isinstance(value, list):
        return depth > 0 and all(_plain(item, depth - 1) for item in value)
    return isinstance(value, bool | str) or (isinstance(value, int) and abs(value) < 2**53)


def _bare(name: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in name.split("."))


def _fault(why: str, line: int = 0) -> dict[str, Any]:
    return {"entries": [], "fault": why, "line": line}
