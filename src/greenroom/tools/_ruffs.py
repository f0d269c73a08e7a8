"""The settings of ruff in a tree, reduced to data and written again, so that ruff itself resolves them.

Ruff goes by the nearest settings file of each file, adds up what `extend` names, and resolves patterns by the directory
that they stand in. All of that is its own business: what is kept here of each settings file are known keys of known
types, written to the same place of a copy of the tree. What would make ruff read outside of the tree, write, or run
more than was asked for is not kept. A file that holds what ruff would not take makes its whole directory unusable:
what its owner meant to leave alone is not known.
"""

from __future__ import annotations

import json
import os
import posixpath
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _body, _files, _flake8, _formats, _projects, _pythons
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _files
    import _flake8
    import _formats
    import _projects
    import _pythons

NAMES = (".ruff.toml", "ruff.toml", "pyproject.toml")
"""Ruff's own order in one directory."""
MAX_SETTINGS = 500
MAX_EXTENDS = 20
MAX_NESTING = 5


class Unfit(ValueError):
    """Settings that ruff would not take, or that cannot be read here."""


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or len(value) > _projects.MAX_LIST or not all(map(_is_text, value)):
        raise Unfit("a list of texts is expected")
    return list(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _projects.MAX_ITEM


def _text(value: Any) -> str:
    if not _is_text(value):
        raise Unfit("a text is expected")
    return str(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Unfit("true or false is expected")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 1_000:
        raise Unfit("a number is expected")
    return value


def _inside(value: Any) -> list[str]:
    """Directories below the tree, by relative paths; ruff would look for modules in others."""
    return [path for path in _texts(value) if not path.startswith(("/", "~")) and "$" not in path]


def _by_glob(value: Any) -> dict[str, list[str]]:
    if not isinstance(value, dict) or len(value) > _projects.MAX_LIST:
        raise Unfit("a table of lists is expected")
    return {_text(glob): _texts(rules) for glob, rules in value.items()}


def _targets(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > _projects.MAX_LIST:
        raise Unfit("a table of versions is expected")
    if not all(map(_pythons.target, value.values())):
        raise Unfit("a version like py310 is expected")
    return {_text(glob): str(version) for glob, version in value.items()}


def _plain(value: Any, depth: int = 0) -> Any:
    """A table of plain data, of bounded size, that names nothing to run."""
    if isinstance(value, dict) and len(value) <= _projects.MAX_LIST and depth < MAX_NESTING:
        return {_text(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return _texts(value)
    if isinstance(value, bool | int) or _is_text(value):
        return value
    raise Unfit("plain values are expected")


Check = Callable[[Any], Any]
RULE_LISTS = ("select", "extend-select", "ignore", "extend-ignore", "fixable", "extend-fixable", "unfixable",
              "extend-unsafe-fixes")  # fmt: skip
RULES_BY_GLOB = ("per-file-ignores", "extend-per-file-ignores")
TOP: Mapping[str, Check] = {
    **dict.fromkeys(("exclude", "extend-exclude", "include", "extend-include", "builtins"), _texts),
    "src": _inside,
    "namespace-packages": _inside,
    "line-length": _number,
    "indent-width": _number,
    "per-file-target-version": _targets,
}
LINT: Mapping[str, Check] = {
    **dict.fromkeys(RULE_LISTS, _texts),
    **dict.fromkeys(RULES_BY_GLOB, _by_glob),
    **dict.fromkeys(("exclude", "typing-modules"), _texts),
    **dict.fromkeys(("isort", "pyflakes", "pycodestyle", "pyupgrade", "flake8-type-checking"), _plain),
    "dummy-variable-rgx": _text,
    "typing-extensions": _truth,
}


@dataclass(slots=True, kw_only=True)
class Settings:
    """One settings file: `table` is what is kept of it, `extends` the path that it builds on, `problem` why it is
    unusable, empty where it is not."""

    path: str
    table: dict[str, Any] = field(default_factory=dict)
    target: _pythons.Version | None = None
    extends: str = ""
    problem: str = ""


class Configs:
    """The settings files of a tree; `known` gives those of a list of selectors that this ruff has, as it has them.

    A settings file that selects nothing, nor builds on one that does, selects `default`. `flake8` says whether flake8's
    selection concerns these rules.
    """

    def __init__(
        self, base: Path, default: Sequence[str], known: Callable[[Iterable[str]], list[str]], *, flake8: bool
    ) -> None:
        self._base = base
        self._known = known
        self._nearest: dict[str, str] = {}
        self._files: dict[str, Settings] = {}
        self._read_all()
        self.source = self._nearest.get("", "")
        if "" not in self._nearest:
            self.source = self._root_of_flake8(flake8)
        self._chosen = {path: "select" in found.table.get("lint", {}) for path, found in self._files.items()}
        for found in self._files.values():
            if not found.extends:
                found.table.setdefault("lint", {}).setdefault("select", list(default))

    @property
    def used(self) -> list[Settings]:
        """Every settings file, what others build on first."""
        return sorted(self._files.values(), key=lambda found: (len(self._chain(found.path)), found.path))

    @property
    def nearest(self) -> list[Settings]:
        """The settings files that ruff goes by somewhere, by path."""
        return [self._files[path] for path in sorted(self._nearest.values())]

    def of(self, path: str) -> Settings:
        """The settings that ruff goes by for a file of the tree."""
        return self._files[next(self._nearest[d] for d in _pythons.directories(path) if d in self._nearest)]

    def problem(self, found: Settings) -> str:
        """Why the settings are unusable, or those that they build on; empty where they are not."""
        return next((link.problem for link in self._chain(found.path) if link.problem), "")

    def target(self, found: Settings) -> _pythons.Version | None:
        """The Python that the settings aim at, as ruff understands `extend`."""
        return next((link.target for link in self._chain(found.path) if link.target), None)

    def targets(self, found: Settings) -> set[_pythons.Version]:
        """The Pythons that the settings aim at for some files only."""
        words = (word for link in self._chain(found.path) for word in _per_file(link).values())
        return {version for version in map(_pythons.target, words) if version}

    def selects(self, found: Settings) -> tuple[bool, list[str]]:
        """Whether the repository itself selects rules here, and what is selected."""
        chain = self._chain(found.path)
        own = any(self._chosen[link.path] for link in chain)
        rules = [rule for link in chain for key in ("select", "extend-select") for rule in _lint(link).get(key, ())]
        return own, rules

    def write(self, tree: Path, floor: _pythons.Version) -> None:
        """Write every settings file below `tree`, for files that must run on `floor`."""
        for found in self._files.values():
            table = {**found.table, "target-version": _word(floor)}
            if found.extends:
                table["extend"] = posixpath.relpath(found.extends, posixpath.dirname(found.path) or ".")
            if _per_file(found):
                lower = ((glob, _pythons.target(word) or floor) for glob, word in _per_file(found).items())
                table["per-file-target-version"] = {glob: _word(min(each, floor)) for glob, each in lower}
            if self.problem(found):
                table = {"target-version": _word(floor)}
            target = tree / found.path
            target.parent.mkdir(parents=True, exist_ok=True)
            head = "[tool.ruff]\n" if posixpath.basename(found.path) == "pyproject.toml" else ""
            lines = (f"{_quoted(key)} = {inline(value)}\n" for key, value in table.items())
            target.write_text(head + "".join(lines), encoding="utf-8")

    def _read_all(self) -> None:
        there: dict[str, set[str]] = {}
        for path in _files.walk(self._base):
            if posixpath.basename(path) in NAMES and _is_utf8(path) and not (self._base / path).is_symlink():
                there.setdefault(posixpath.dirname(path), set()).add(posixpath.basename(path))
        for directory in sorted(there):
            for name in NAMES:
                path = posixpath.join(directory, name)
                if name in there[directory] and self._read(path):
                    self._nearest[directory] = path
                    break

    def _read(self, path: str) -> bool:
        """Take in one settings file and what it builds on; False where it is none of ruff's."""
        if path in self._files:
            return True
        if len(self._files) >= MAX_SETTINGS:
            raise _body.Refusal("too-many-settings", path, f"a tree here has at most {MAX_SETTINGS} files of settings")
        found = Settings(path=path)
        try:
            table = self._table(path)
            if table is None:
                return False
            self._files[path] = found
            found.table, found.target = reduced(table, self._known)
            if "extend" in table:
                found.extends = self._extended(path, table["extend"])
        except Unfit as error:
            self._files[path] = found
            found.problem = str(error)
        return True

    def _table(self, path: str) -> dict[str, Any] | None:
        data = _body.read_if_there(self._base / path, _projects.MAX_BYTES)
        if data is None:
            raise Unfit("not a readable file")
        try:
            table = _formats.toml(data.decode("utf-8"))
        except (ValueError, RecursionError):
            raise Unfit("not TOML") from None
        if posixpath.basename(path) != "pyproject.toml":
            return table
        tool = table.get("tool", {})
        return _projects.table(table, "tool", "ruff") if isinstance(tool, dict) and "ruff" in tool else None

    def _extended(self, path: str, name: Any) -> str:
        """The path that `extend` names; Unfit where that is outside of the tree."""
        if not _is_text(name) or name.startswith(("/", "~")) or "$" in name or not name.endswith(".toml"):
            raise Unfit("`extend` names no TOML file by its place beside this one")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), name))
        parts = target.split("/")
        if ".." in parts or any((self._base / "/".join(parts[:n])).is_symlink() for n in range(1, len(parts) + 1)):
            raise Unfit("`extend` leads out of the tree, or through a link")
        if not self._read(target):
            self._files[target] = Settings(path=target)
        if any(link.path == path for link in self._chain(target)):
            raise Unfit("`extend` leads in a circle")
        return target

    def _chain(self, path: str) -> list[Settings]:
        """The settings file and those that it builds on, its own first."""
        found: list[Settings] = []
        while path and path in self._files and len(found) < MAX_EXTENDS:
            found.append(self._files[path])
            path = self._files[path].extends
        return found

    def _root_of_flake8(self, select: bool) -> str:
        source, table = _flake8.settings(self._base, select=select)
        found = Settings(path="ruff.toml")
        found.table, found.target = reduced(dict(table), self._known)
        self._files[found.path] = found
        self._nearest[""] = found.path
        return source


def reduced(
    table: Mapping[str, Any], known: Callable[[Iterable[str]], list[str]]
) -> tuple[dict[str, Any], _pythons.Version | None]:
    """What is kept of a table of ruff's settings, and the Python that it aims at; Unfit where ruff would not take it.

    Selectors of rules that this ruff has not are left out.
    """
    lint = table.get("lint", {})
    if not isinstance(lint, dict):
        raise Unfit("`lint` is a table")
    lint = {**{key: value for key, value in table.items() if key in LINT and key not in TOP}, **lint}
    kept: dict[str, Any] = {key: check(table[key]) for key, check in TOP.items() if key in table}
    rules = {key: check(lint[key]) for key, check in LINT.items() if key in lint}
    for key in RULE_LISTS:
        if key in rules:
            rules[key] = known(rules[key])
    for key in RULES_BY_GLOB:
        if key in rules:
            rules[key] = {glob: known(listed) for glob, listed in rules[key].items()}
    if len(kept.get("src", ())) != len(table.get("src", ())):
        unsorted_imports(rules)
    target = None
    if "target-version" in table:
        target = _pythons.target(table["target-version"])
        if target is None:
            raise Unfit("`target-version` is a version like py310")
    return {**kept, "lint": rules} if rules else kept, target


def unsorted_imports(lint: dict[str, Any]) -> None:
    """Take sorting out of a table of lint settings: how the repository sorts is not known."""
    lint.pop("isort", None)
    lint["extend-ignore"] = [*lint.get("extend-ignore", ()), "I001"]


def inline(value: Any) -> str:
    """Plain data as inline TOML."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_quoted(key)} = {inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(inline(item) for item in value) + "]"
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _word(version: _pythons.Version) -> str:
    return "py{}{}".format(*_pythons.within(version))


def _lint(found: Settings) -> dict[str, Any]:
    return _projects.table(found.table, "lint")


def _per_file(found: Settings) -> dict[str, str]:
    return _projects.table(found.table, "per-file-target-version")


def _is_utf8(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
