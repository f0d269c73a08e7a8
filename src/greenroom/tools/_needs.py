"""What a project says it needs, as it is found: requirements, extras and groups, and how texts and tables are read.

Everything here comes from hostile files: it is read as data, bounded, and never run.
"""

from __future__ import annotations

import ast
import configparser
import os
import re
from collections.abc import Mapping
from typing import Any

MAX_FILE_BYTES = 1024 * 1024
MAX_REQUIREMENTS = 300
MAX_TEXT = 500
MAX_NOTES = 50
MAX_PLACES = 200
"""How many environments, or calls, of one file are read."""
MAX_JOINED = 64 * 1024
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
Table = dict[str, Any]


class Findings:
    """Requirements in the order found, each text once; the first source that names one wins.

    `chosen` says that the project's own metadata has a list for its tests.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self.found: dict[str, tuple[str, bool]] = {}
        self.notes: list[str] = []
        self.project: Table = {"name": "", "version": "", "entry_points": {}}
        self.python = ""
        self.extras: Table = {}
        self.groups: Table = {}
        self.chosen = False
        self.settled: frozenset[str] = frozenset()
        self.seen: set[str] = set()
        self.expanded: set[tuple[str, str]] = set()
        self.named: dict[str, Table] = {}

    def table(self, kind: str) -> Table:
        """The extras ("extra") or groups ("group") by canonical name, as they are when first asked for."""
        if kind not in self.named:
            table = self.extras if kind == "extra" else self.groups
            self.named[kind] = {canonical(name): table[name] for name in reversed(table)}
        return self.named[kind]

    def settle(self) -> None:
        """From here on only distributions are added that nothing but the project itself has named."""
        self.settled = frozenset(canonical(name_of(text)) for text, (_, needed) in self.found.items() if not needed)

    def add(self, texts: object, source: str, needed: bool) -> None:
        """Take `texts`, if they are plain requirements; anything else becomes a note."""
        for text in texts if isinstance(texts, (list, tuple)) else ():
            if not isinstance(text, str):
                continue
            clean = " ".join(text.split("#")[0].split() if " #" in text else text.split())
            if not clean:
                continue
            if len(clean) > MAX_TEXT or not clean.isprintable() or not NAME.match(clean) or "://" in clean:
                self.note(f"{source}: left out, not a plain requirement: {clean[:120]!r}")
            elif not needed and canonical(name_of(clean)) in self.settled:
                if clean not in self.found:
                    self.note(f"{source}: left out, the project's own list for tests names it: {clean[:120]!r}")
            elif len(self.found) >= MAX_REQUIREMENTS:
                self.note(f"more than {MAX_REQUIREMENTS} requirements: the rest is left out")
                return
            else:
                earlier = self.found.get(clean)
                self.found[clean] = (earlier[0] if earlier else source, needed or bool(earlier and earlier[1]))

    def note(self, text: str) -> None:
        """Remember a note once, bounded."""
        if len(self.notes) < MAX_NOTES and text not in self.notes:
            self.notes.append(text[:300])

    def read(self, *parts: str) -> str | None:
        """The text of a regular file of the tree, or None; links and oversized files are not read."""
        path = os.path.join(self.root, *parts)
        inside = os.path.realpath(path)
        if inside != os.path.realpath(self.root) + "/" + os.path.join(*parts) or not os.path.isfile(inside):
            return None
        if os.path.getsize(inside) > MAX_FILE_BYTES:
            self.note(f"{'/'.join(parts)}: larger than {MAX_FILE_BYTES} bytes, not read")
            return None
        with open(inside, encoding="utf-8", errors="replace") as file:
            return file.read()


def canonical(name: str) -> str:
    """A distribution's name as PEP 503 normalises it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def name_of(text: str) -> str:
    """The distribution that a requirement names; empty when it names none."""
    found = NAME.match(text)
    return found[0] if found else ""


def expand(findings: Findings, kind: str, name: str) -> list[Any]:
    """The requirements of an extra or group, with `{include-group}` and `project[extra]` followed.

    Each extra and group is followed once a run: what it lists has been added then.
    """
    own, texts = canonical(findings.project["name"]), list[Any]()
    left: list[tuple[str, Any]] = [(kind, name)]
    while left:
        where, item = left.pop()
        if not where:
            texts.append(item)
            continue
        key = (where, canonical(item))
        if key not in findings.expanded:
            findings.expanded.add(key)
            inner = [each for entry in findings.table(where).get(key[1], []) for each in _followed(own, entry)]
            left += reversed(inner)
    return texts


def _followed(own: str, item: Any) -> list[tuple[str, Any]]:
    """The groups or extras that an entry stands for, each with its kind; the entry itself with none."""
    if isinstance(item, dict):
        return [("group", str(item.get("include-group", "")))]
    if isinstance(item, str) and own and "[" in item and canonical(item.partition("[")[0].strip()) == own:
        return [("extra", extra.strip()) for extra in item.partition("[")[2].partition("]")[0].split(",")]
    return [("", item)]


def table(data: object, name: str) -> Table:
    """The member `name` if it is a table, else an empty one."""
    value = data.get(name) if isinstance(data, dict) else None
    return value if isinstance(value, dict) else {}


def parse_ini(text: str | None) -> configparser.RawConfigParser | None:
    """An INI file without interpolation, or None when there is none."""
    if text is None:
        return None
    config = configparser.RawConfigParser(strict=False, delimiters=("=",), allow_no_value=True)
    config.optionxform = str  # type: ignore[method-assign, assignment] # the documented way to keep the case
    config.read_string("\n".join(_single_blanks(line) for line in text.split("\n")))
    return config


def _single_blanks(line: str) -> str:
    """The line with its indent and single blanks: configparser's time grows with the square of a run of them."""
    rest = line.lstrip()
    return line[: len(line) - len(rest)] + " ".join(rest.split())


def section(config: configparser.RawConfigParser, name: str) -> dict[str, str]:
    """A section as a dict of texts; empty when it is not there."""
    return {k: v or "" for k, v in config.items(name)} if config.has_section(name) else {}


def lines(text: str | None) -> list[str]:
    """The lines that say something."""
    return [line.strip() for line in (text or "").splitlines() if line.strip() and not line.strip().startswith("#")]


def as_list(value: object) -> list[Any]:
    """A list of requirements, from a list or from lines of text."""
    return lines(value) if isinstance(value, str) else list(value) if isinstance(value, (list, tuple)) else []


def literals(module: ast.Module) -> Table:
    """The names that a module binds to literals."""
    names: Table = {}
    for node in module.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            value = literal(node.value, names)
            if value is not None:
                names[node.targets[0].id] = value
    return names


def literal(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """The value of a literal expression, of a known name, or of a sum of lists; None when it is neither."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = literal(node.left, names), literal(node.right, names)
        if isinstance(left, list) and isinstance(right, list):
            return (left + right)[:MAX_REQUIREMENTS]
        return (left + right)[:MAX_JOINED] if isinstance(left, str) and isinstance(right, str) else None
    if isinstance(node, (ast.List, ast.Tuple)):
        values = [literal(item, names) for item in node.elts if not isinstance(item, ast.Starred)]
        return [value for value in values if value is not None]
    if isinstance(node, ast.Dict):
        items = ((literal(k, names), literal(v, names)) for k, v in zip(node.keys, node.values, strict=True) if k)
        return {k: v for k, v in items if isinstance(k, str) and v is not None}
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
