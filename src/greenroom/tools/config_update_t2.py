"""Sets one value in a JSON or INI file below `system/` of the tree at `work`.

Arguments: `file`, a path below ``system/`` that ends in .json, .ini, .cfg or .conf; `key`, dotted (for INI
``section.option``); `value`, JSON or plain text. Result: the file, the old and the new value, checksums before and
after. A rehearsal (`dry_run`) writes nothing.
"""

from __future__ import annotations

import configparser
import hashlib
import io
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _body, _formats, _system
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _formats
    import _system

MAX_BYTES = 1024 * 1024


def run(request: _body.Request) -> Mapping[str, Any]:
    """Change the value in memory, then replace the file in one rename."""
    path = _system.below(request.mount("work"), request.text("file"))
    key, value = request.text("key"), request.text("value")
    before = _body.read_bounded(path, MAX_BYTES)
    old, after = (_json if path.suffix == ".json" else _ini)(path, before, key, value)
    if not request.dry_run:
        _system.replace(path, after)
    return {
        "file": request.text("file"),
        "key": key,
        "old": old,
        "changed": before != after,
        "applied": not request.dry_run,
        "before": hashlib.sha256(before).hexdigest(),
        "after": hashlib.sha256(after).hexdigest(),
    }


def _json(path: Path, data: bytes, key: str, value: str) -> tuple[Any, bytes]:
    try:
        plain = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _body.Refusal("config-not-json", f"{path.name}: {error}", "mend the file first") from None
    *parents, last = _parts(key)
    node = plain
    for name in parents:
        node = node.get(name) if isinstance(node, dict) else None
    if not isinstance(node, dict):
        raise _body.Refusal("config-key-missing", key, "name a member of an object that exists")
    old = node.get(last)
    node[last] = _value(value)
    return old, json.dumps(plain, indent=2, ensure_ascii=False).encode("utf-8") + b"\n"


def _ini(path: Path, data: bytes, key: str, value: str) -> tuple[Any, bytes]:
    if path.suffix not in (".ini", ".cfg", ".conf"):
        raise _body.Refusal("config-kind-unknown", path.name, "name a .json, .ini, .cfg or .conf file")
    parser = _formats.Strict()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(data.decode("utf-8"))
    except (UnicodeDecodeError, configparser.Error) as error:
        raise _body.Refusal("config-not-ini", f"{path.name}: {str(error)[:200]}", "mend the file first") from None
    section, _, option = key.partition(".")
    if not option or not (parser.has_section(section) or section == parser.default_section):
        raise _body.Refusal("config-key-missing", key, "name the key as section.option, in a section that exists")
    if "\n" in value or "\r" in value:
        raise _body.Refusal("config-value", key, "a value of an INI file is one line")
    old = parser.get(section, option, fallback=None)
    parser.set(section, option, value)
    text = io.StringIO()
    parser.write(text)
    return old, text.getvalue().encode("utf-8")


def _parts(key: str) -> list[str]:
    parts = key.split(".")
    if not all(parts) or len(parts) > 16:
        raise _body.Refusal("config-key-missing", key, "name the key with dots between the members")
    return parts


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


if __name__ == "__main__":
    _body.main(run)
