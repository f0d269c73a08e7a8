"""The text of a box's own settings file: read into entries with their lines, and one key set without losing a comment.

For a file that the box's owner wrote. A repository's is read between walls (`read_settings_t0`).
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

from greenroom.domain.errors import Unusable
from greenroom.domain.settings import BOX_FILE, KEYS, MAX_FILE_BYTES, Entry, Read, Value, Values, checked, shown

_LINE = re.compile(r"line (\d+)")
_HEADER = re.compile(r"\s*\[\s*([A-Za-z0-9_.-]+)\s*\]\s*(?:#.*)?")
_KEY = re.compile(r"\s*([A-Za-z0-9_.-]+)\s*=")


def read(text: str) -> Read:
    """The entries of a settings file; `fault` says why there are none."""
    if len(text) > MAX_FILE_BYTES:
        return Read(fault=f"it has more than {MAX_FILE_BYTES} characters")
    try:
        plain = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _LINE.search(str(error))
        return Read(fault=str(error)[:200], line=int(found[1]) if found else 0)
    except (ValueError, RecursionError) as error:
        return Read(fault=f"{type(error).__name__}: it cannot be parsed")
    lines = _lines(text)
    return Read(entries=tuple(Entry(key=key, line=lines.get(key, 0), value=value) for key, value in _flat(plain)))


def plain_of(key: str, words: str) -> Any:
    """What `words`, typed at a command line, stand for: a TOML value, else themselves as text."""
    try:
        found = tomllib.loads(f"value = {words}")
    except (ValueError, RecursionError):
        return words
    wants_text = key in KEYS and not isinstance(found["value"], str | list | dict) and "." in key and "caps" not in key
    return words if len(found) != 1 or wants_text else found["value"]


def with_key(text: str, key: str, value: Value) -> str:
    """`text` with `key` set to `value`, all else as it was.

    Raises Unusable `cannot-edit` where the key stands in a form that only its writer can change.
    """
    before = checked(read(text), BOX_FILE, repository=False)
    table, _, name = key.rpartition(".")
    said, lines = f"{name} = {shown(value)}", text.splitlines()
    at, header = _lines(text).get(key), _lines(text).get(table) if table else 0
    if at is not None:
        whole = lines[at - 1].split("=", 1)[0].strip()
        lines[at - 1] = f"{whole} = {shown(value)}"
    elif header:
        lines.insert(header, said)
    elif table:
        lines += ["", f"[{table}]", said]
    else:
        first = next((n for n, line in enumerate(lines) if _HEADER.fullmatch(line)), len(lines))
        lines.insert(first, said)
    after = "\n".join(lines).strip("\n") + "\n"
    if _parsed(after) != {**before, key: value}:
        remedy = f"open {BOX_FILE} in an editor and write: {key} = {shown(value)}"
        raise Unusable("cannot-edit", f"{key} stands in a form that is not edited here", where=BOX_FILE, remedy=remedy)
    return after


def without_key(text: str, key: str) -> str:
    """`text` without `key`, all else as it was; raises Unusable `cannot-edit` as `with_key`.

    The header of a table goes with its last key: one without keys would be taken for an unknown key.
    """
    before = checked(read(text), BOX_FILE, repository=False)
    if key not in before:
        return text
    placed, table = _lines(text), key.rpartition(".")[0]
    last = table and not any(other.startswith(f"{table}.") for other in before if other != key)
    gone = {placed.get(key), placed.get(table) if last else None}
    kept = [line for number, line in enumerate(text.splitlines(), 1) if number not in gone]
    after = "\n".join(kept).strip("\n") + "\n"
    if _parsed(after) != {name: value for name, value in before.items() if name != key}:
        remedy = f"open {BOX_FILE} in an editor and take {key} out"
        raise Unusable("cannot-edit", f"{key} stands in a form that is not edited here", where=BOX_FILE, remedy=remedy)
    return after


def _parsed(text: str) -> Values | None:
    try:
        return checked(read(text), BOX_FILE, repository=False)
    except Unusable:
        return None


def _flat(plain: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in plain.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and value and not prefix and key not in KEYS:
            found += _flat(value, f"{key}.")
        else:
            found.append((key, value))
    return found


def _lines(text: str) -> dict[str, int]:
    """The line of each table and key that stands at the beginning of one."""
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.fullmatch(line):
            table = header[1]
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            found.setdefault(f"{table}.{key[1]}" if table else key[1], number)
    return found
