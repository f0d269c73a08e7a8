"""What a repository says about itself, read as data: its lowest Python, its lint settings, its words to leave alone.

Nothing here runs what it reads, follows a link or leaves the tree; what is malformed or unknown is left out, and what
is kept can only narrow a scan.
"""

from __future__ import annotations

import ast
import configparser
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
FLAKE8_FILES = (".flake8", "setup.cfg", "tox.ini")
_PYTHONS = ((3, 7), (3, 8), (3, 9), (3, 10), (3, 11), (3, 12), (3, 13), (3, 14))
LOWEST = _PYTHONS[0]
"""The lowest Python that ruff writes for."""
_LOWER = re.compile(r"(?:>=|~=|==|>)\s*(\d+)(?:\.(\d+))?")
_CLASSIFIER = re.compile(r"Programming Language :: Python :: (\d+)(?:\.(\d+)|(?=\s*(?:::\s*Only\s*)?$))", re.M)
_RULE = re.compile(r"ALL|[A-Z]{1,8}[0-9]{0,4}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LintSettings:
    """Ruff's settings in ruff's words; `select` is None where the repository selects nothing itself."""

    select: tuple[str, ...] | None = None
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    per_file: Mapping[str, tuple[str, ...]] | None = None
    exclude: tuple[str, ...] = ()
    line_length: int | None = None
    isort: Mapping[str, Any] | None = None
    keep_runtime_typing: bool = False
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpellSettings:
    """Codespell's settings: words (lower case) and path patterns to leave alone."""

    words: frozenset[str] = frozenset()
    skip: tuple[str, ...] = ()
    source: str = ""


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


def lowest_python(root: Path) -> tuple[int, int]:
    """The lowest Python that the project supports, within what ruff knows; the lowest of those where it is silent."""
    found = declared_python(root)
    target = re.fullmatch(r"py3(\d{1,2})", str(_ruff_table(root)[0].get("target-version", "")))
    if target and found is None:
        found = (3, int(target[1]))
    if found is None or found < _PYTHONS[0]:
        return _PYTHONS[0]
    return min(found, _PYTHONS[-1])


def declared_python(root: Path) -> tuple[int, int] | None:
    """The lowest Python that the project's metadata names, whatever it is; None where it is silent."""
    declared = [_lower_bound(text) for text in _requires_python(root)]
    return min((version for version in declared if version), default=_lowest_classifier(root))


def _requires_python(root: Path) -> Iterable[str]:
    pyproject = toml(root, "pyproject.toml")
    yield str(table(pyproject, "project").get("requires-python", ""))
    yield str(table(pyproject, "tool", "poetry", "dependencies").get("python", "")).replace("^", ">=")
    yield ini(root, "setup.cfg").get("options", "python_requires", fallback="") or ""
    yield _setup_call(root).get("python_requires", "")
    for line in (_body.read_if_there(root / "PKG-INFO", MAX_BYTES) or b"").splitlines()[:200]:
        if line.startswith(b"Requires-Python:"):
            yield line.partition(b":")[2].decode("utf-8", "replace")


def _lower_bound(text: str) -> tuple[int, int] | None:
    versions = [(int(major), int(minor or 0)) for major, minor in _LOWER.findall(text[:MAX_ITEM])]
    return max(versions, default=None)


def _lowest_classifier(root: Path) -> tuple[int, int] | None:
    listed = texts(table(toml(root, "pyproject.toml"), "project").get("classifiers"))
    text = "\n".join(listed) or ini(root, "setup.cfg").get("metadata", "classifiers", fallback="") or ""
    found = _CLASSIFIER.findall(text or _setup_call(root).get("classifiers", ""))
    # `:: 3` alone names no lowest version, `:: 2` alone is below every one that is of interest
    versions = [(int(major), int(minor or 0)) for major, minor in found if minor or int(major) < 3]
    return min(versions, default=None)


def _setup_call(root: Path) -> dict[str, str]:
    """The keyword arguments of setup() in setup.py that are plain texts or lists of them, one a line.

    The file is parsed, never run.
    """
    data = _body.read_if_there(root / "setup.py", MAX_BYTES)
    try:
        tree = ast.parse(data or b"")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "setup":
            for keyword in node.keywords:
                listed = keyword.value.elts if isinstance(keyword.value, ast.List | ast.Tuple) else [keyword.value]
                plain = [item.value for item in listed if isinstance(item, ast.Constant)]
                said = [item for item in plain if isinstance(item, str)]
                if keyword.arg and said:
                    found[keyword.arg] = "\n".join(said)
    return found


def project_name(root: Path) -> tuple[str, str]:
    """The distribution's (name, version); empty where the project does not say."""
    info: dict[str, str] = {}
    for line in (_body.read_if_there(root / "PKG-INFO", MAX_BYTES) or b"").splitlines()[:50]:
        key, _, value = line.decode("utf-8", "replace").partition(":")
        info.setdefault(key, value.strip())
    project, old, setup = table(toml(root, "pyproject.toml"), "project"), ini(root, "setup.cfg"), _setup_call(root)
    name = project.get("name") or old.get("metadata", "name", fallback="") or setup.get("name") or info.get("Name")
    version = info.get("Version") or project.get("version") or setup.get("version") or _version(old)
    return str(name or "")[:200], str(version or "")[:200]


def _version(old: configparser.RawConfigParser) -> str:
    text = old.get("metadata", "version", fallback="") or ""
    return "" if text.startswith(("attr:", "file:")) else text


def lint_settings(root: Path) -> LintSettings:
    """The repository's ruff settings; where it has none, flake8's in ruff's words."""
    settings, source = _ruff_table(root)
    if not source:
        return _flake8(root)
    lint = {**settings, **table(settings, "lint")}
    per_file = {**table(lint, "per-file-ignores"), **table(lint, "extend-per-file-ignores")}
    length = settings.get("line-length")
    return LintSettings(
        select=_rules(texts(lint.get("select"))) if "select" in lint else None,
        extend_select=_rules(texts(lint.get("extend-select"))),
        ignore=_rules(texts(lint.get("ignore")) + texts(lint.get("extend-ignore")) + texts(lint.get("unfixable"))),
        per_file={glob[:MAX_ITEM]: _rules(texts(rules)) for glob, rules in list(per_file.items())[:MAX_LIST]},
        exclude=texts(settings.get("exclude")) + texts(settings.get("extend-exclude")) + texts(lint.get("exclude")),
        line_length=length if isinstance(length, int) and 1 <= length <= 320 else None,
        isort={key: value for key, value in table(lint, "isort").items() if _plain(value)},
        keep_runtime_typing=table(lint, "pyupgrade").get("keep-runtime-typing") is True,
        source=source,
    )


def _ruff_table(root: Path, depth: int = 0) -> tuple[dict[str, Any], str]:
    """Ruff's own order: .ruff.toml, ruff.toml, pyproject.toml; `extend` is followed inside the tree only."""
    for name in (".ruff.toml", "ruff.toml", "pyproject.toml"):
        found = toml(root, name)
        settings = table(found, "tool", "ruff") if name == "pyproject.toml" else found
        if settings:
            return _extended(root, settings, depth), name
    return {}, ""


def _extended(root: Path, settings: dict[str, Any], depth: int) -> dict[str, Any]:
    name = settings.get("extend")
    if not isinstance(name, str) or depth > 2 or name.startswith(("/", "~", "$")) or ".." in name.split("/"):
        return settings
    base = toml(root, name)
    base = _extended(root, table(base, "tool", "ruff") or base, depth + 1)
    return {**base, **settings, "lint": {**table(base, "lint"), **table(settings, "lint")}}


def _flake8(root: Path) -> LintSettings:
    for name in FLAKE8_FILES:
        parser = ini(root, name)
        if not parser.has_section("flake8"):
            continue
        options = {key.replace("_", "-"): value or "" for key, value in parser.items("flake8")}
        per_file = {}
        for line in options.get("per-file-ignores", "").splitlines()[:MAX_LIST]:
            glob, _, rules = line.strip().partition(":")
            if glob and len(glob) <= MAX_ITEM:
                per_file[glob] = _rules(re.split(r"[,\s]+", rules.strip()))
        chosen = _rules(re.split(r"[,\s]+", options.get("select", "")))
        ignored = re.split(r"[,\s]+", options.get("ignore", "") + "," + options.get("extend-ignore", ""))
        excluded = texts(options.get("exclude", "")) + texts(options.get("extend-exclude", ""))
        return LintSettings(
            select=chosen or None, ignore=_rules(ignored), per_file=per_file, exclude=excluded, source=name
        )
    return LintSettings()


def _rules(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(item for item in items if _RULE.fullmatch(item))


def _plain(value: Any) -> bool:
    """Plain data that TOML carries and that names nothing to run."""
    if isinstance(value, dict):
        return len(value) <= MAX_LIST and all(_plain(item) for item in value.values())
    if isinstance(value, list):
        return len(value) <= MAX_LIST and all(isinstance(item, str) and len(item) <= MAX_ITEM for item in value)
    return isinstance(value, bool | int) or (isinstance(value, str) and len(value) <= MAX_ITEM)


def spell_settings(root: Path) -> SpellSettings:
    """The repository's codespell settings, its ignore-words files included."""
    words: set[str] = set()
    skip: list[str] = []
    source = []
    candidates = [
        ("setup.cfg", dict(_section(root, "setup.cfg"))),
        (".codespellrc", dict(_section(root, ".codespellrc"))),
    ]
    candidates.append(("pyproject.toml", table(toml(root, "pyproject.toml"), "tool", "codespell")))
    for name, options in candidates:
        options = {key.replace("_", "-"): value for key, value in options.items()}
        if not options:
            continue
        source.append(name)
        words.update(word.lower() for word in texts(options.get("ignore-words-list")))
        skip.extend(texts(options.get("skip")))
        for file in texts(options.get("ignore-words")) + texts(options.get("exclude-file")):
            words |= _words_of(root, file)
    return SpellSettings(words=frozenset(words), skip=tuple(skip), source=",".join(source))


def _section(root: Path, name: str) -> Iterable[tuple[str, str]]:
    parser = ini(root, name)
    return parser.items("codespell") if parser.has_section("codespell") else ()


def _words_of(root: Path, name: str) -> set[str]:
    if name.startswith("/") or ".." in name.split("/"):
        return set()
    data = _body.read_if_there(root / name, MAX_BYTES) or b""
    return {word.lower() for word in re.findall(r"[A-Za-z'’-]+", data.decode("utf-8", "replace"))}
