"""What a repository says about itself, read as data: the readers of its files, its name and its version.

Nothing here runs what it reads, follows a link or leaves the tree; what is malformed or unknown is left out.
"""

from __future__ import annotations

import ast
import configparser
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _body, _formats
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _formats

MAX_BYTES = 1024 * 1024
MAX_LIST = 1_000
MAX_ITEM = 500


def toml(root: Path, name: str) -> dict[str, Any]:
    """A TOML file of the tree, or nothing where it is missing, too large or malformed."""
    data = _body.read_if_there(root / name, MAX_BYTES)
    if data is None:
        return {}
    try:
        return _formats.toml(data.decode("utf-8"))
    except (ValueError, RecursionError):
        return {}


def ini(root: Path, name: str) -> configparser.RawConfigParser:
    """An INI file of the tree, or an empty one."""
    parser = _formats.Lenient()
    data = _body.read_if_there(root / name, MAX_BYTES)
    if data is not None:
        try:
            parser.read_string(data.decode("utf-8"))
        except (ValueError, configparser.Error):
            return _formats.Lenient()
    return parser


def table(value: Any, *names: str) -> dict[str, Any]:
    """The table at `names`, or nothing."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def texts(value: Any) -> tuple[str, ...]:
    """A bounded list of short texts, or a text split at commas and line ends."""
    if isinstance(value, str):
        value = [part.strip() for part in re.split(r"[,\n]", value)]
    if not isinstance(value, list):
        return ()
    return tuple(item for item in value[:MAX_LIST] if isinstance(item, str) and 0 < len(item) <= MAX_ITEM)


def setup_call(root: Path) -> dict[str, str]:
    """The keyword arguments of setup() in setup.py that are plain texts or lists of them, one a line.

    The file is parsed, never run.
    """
    data = _body.read_if_there(root / "setup.py", MAX_BYTES)
    try:
        tree = ast.parse(data or b"")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    named = _constants(tree)
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "setup":
            for keyword in node.keywords:
                listed = keyword.value.elts if isinstance(keyword.value, ast.List | ast.Tuple) else [keyword.value]
                listed = [named.get(item.id, item) if isinstance(item, ast.Name) else item for item in listed]
                plain = [item.value for item in listed if isinstance(item, ast.Constant)]
                said = [item for item in plain if isinstance(item, str)]
                if keyword.arg and said:
                    found[keyword.arg] = "\n".join(said)
    return found


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    """The values of the module's own names; of one that is set twice, the last."""
    found: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            found.update((name.id, node.value) for name in node.targets if isinstance(name, ast.Name))
    return found


def project_name(root: Path) -> tuple[str, str]:
    """The distribution's (name, version); empty where the project does not say."""
    info: dict[str, str] = {}
    for line in (_body.read_if_there(root / "PKG-INFO", MAX_BYTES) or b"").splitlines()[:50]:
        key, _, value = line.decode("utf-8", "replace").partition(":")
        info.setdefault(key, value.strip())
    project, old, setup = table(toml(root, "pyproject.toml"), "project"), ini(root, "setup.cfg"), setup_call(root)
    name = project.get("name") or old.get("metadata", "name", fallback="") or setup.get("name") or info.get("Name")
    version = info.get("Version") or project.get("version") or setup.get("version") or _version(old)
    return str(name or "")[:200], str(version or "")[:200]


def _version(old: configparser.RawConfigParser) -> str:
    text = old.get("metadata", "version", fallback="") or ""
    return "" if text.startswith(("attr:", "file:")) else text
