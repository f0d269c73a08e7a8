"""flake8's settings in ruff's words, for a repository that has none of ruff's."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _projects
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _projects

FILES = ("setup.cfg", "tox.ini", ".flake8")
"""Where flake8 looks, in its order: the first with a section of its own counts."""
_CODE = re.compile(r"[A-Z]{1,8}[0-9]{0,4}")
_PIECE = re.compile(r"[^\s:,]+|:")
_GLOB = re.compile(r"!?(?:[^\[\]{}\\]|\[!?[^\[\]/]+\]|\{[^\[\]{}]*\})+")


def settings(root: Path, *, select: bool) -> tuple[str, Mapping[str, Any]]:
    """The name of the file that counts and its settings as a table of ruff's; nothing where there is none.

    Without `select` the selection is left out: flake8 says nothing of rules that it does not know.
    """
    for name in FILES:
        parser = _projects.ini(root, name)
        if not parser.has_section("flake8"):
            continue
        options = {key.replace("_", "-"): value or "" for key, value in parser.items("flake8")}
        excluded = _projects.texts(options.get("exclude", "")) + _projects.texts(options.get("extend-exclude", ""))
        lint: dict[str, Any] = {
            "ignore": _codes(options.get("ignore", "") + "," + options.get("extend-ignore", "")),
            "per-file-ignores": per_file(options.get("per-file-ignores", "")),
        }
        chosen = _codes(options.get("select", ""))
        if chosen and select:
            lint["select"] = chosen + _codes(options.get("extend-select", ""))
        return name, {"extend-exclude": [glob for glob in excluded if _is_glob(glob)], "lint": lint}
    return "", {}


def per_file(text: str) -> dict[str, list[str]]:
    """flake8's `per-file-ignores`: files, a colon, codes; each list split by commas, blanks or line ends."""
    found: dict[str, list[str]] = {}
    files: list[str] = []
    codes: list[str] = []
    after_colon = False
    for piece in _PIECE.findall(text)[: _projects.MAX_LIST * 4]:
        if piece == ":":
            after_colon = True
        elif after_colon and _CODE.fullmatch(piece):
            codes.append(piece)
        else:
            if after_colon:
                _add(found, files, codes)
                files, codes, after_colon = [], [], False
            files.append(piece)
    _add(found, files, codes)
    return found


def _add(found: dict[str, list[str]], files: Iterable[str], codes: Iterable[str]) -> None:
    for file in files:
        if _is_glob(file):
            found.setdefault(file, []).extend(codes)


def _codes(text: str) -> list[str]:
    return [item for item in re.split(r"[,\s]+", text) if _CODE.fullmatch(item)][: _projects.MAX_LIST]


def _is_glob(pattern: str) -> bool:
    """Only patterns that are well-formed for ruff too; another one would end its run."""
    return len(pattern) <= _projects.MAX_ITEM and bool(_GLOB.fullmatch(pattern))
