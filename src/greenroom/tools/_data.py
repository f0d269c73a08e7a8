"""TOML, JSON and YAML that does not parse or names a key twice, as reports: what was meant is nobody's to guess.

TOML is read by tomllib, JSON by json, YAML by PyYAML's parser, of which only the events are taken: nothing is built, so
no tag is looked up and no alias expanded. Files that are wrong on purpose (those of tests), templates, and JSON that
allows comments are left out, each by its rule.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _body, _files, _formats, _proposals, _scope
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _files
    import _formats
    import _proposals
    import _scope

MAX_YAML_EVENTS = 500_000
MAX_NESTING = 200
_ORDINARY = re.compile(r"\$\{\{(?!\s*cookiecutter)[^}\n]{0,200}\}\}|\"[^\"\n]*\"|'[^'\n]*'")
"""What looks like a template and is none: expressions of workflows, and texts in quotes."""
_NEVER_TEMPLATES = ".github/"
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|-?(?:NaN|Infinity)')
_COMMENTED = re.compile(
    r"(?:.*/)?(?:\.vscode|\.devcontainer|\.zed)/.*|(?:.*/)?(?:[tj]sconfig[^/]*|devcontainer|deno|turbo|renovate|nx"
    r"|angular|api-extractor[^/]*|wrangler|language-configuration|\.[^/]*rc|\.jshintrc|\.eslintrc|\.swcrc|\.hintrc"
    r"|\.babelrc|\.mocharc|biome|typedoc)\.json|.*\.code-workspace"
)
_OF_TESTS = re.compile(r"(?:^|/)(?:fixtures?|test[-_]?data|__snapshots__)/")
_ON_PURPOSE = re.compile(
    r"(?:^|/)(?:docs?|examples?|samples?)/(?:.*[/_.-])?(?:invalid|broken|malformed)(?![A-Za-z])", re.IGNORECASE
)
_TEMPLATE = re.compile(r"\{\{|\{%|<%|\$\{\{?\s*cookiecutter|@@[A-Z]")
_JSONC = re.compile(r"^[^\S\n]*(?://|/\*)", re.MULTILINE)
_TOML_PLACE = re.compile(r"\(at line (\d+), column (\d+)\)|\(at end of document\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Where and why a file is wrong, `what` in a word; `rule` set where that is no finding."""

    line: int = 0
    column: int = 0
    message: str = ""
    rule: str = ""
    what: str = "syntax"


class TooDeep(ValueError):
    """Nesting or length that a parser here does not follow."""


def generate(request: _body.Request) -> Mapping[str, Any]:
    """The result document for the generator `data`: reports, no proposals."""
    base = request.mount("base")
    scope, tally = _scope.Scope(base), _proposals.Tally()
    events, version = _yaml(request.golden)
    readers = {".json": _json, ".toml": _toml, ".yaml": events, ".yml": events}
    for path in _files.walk(base):
        kind = os.path.splitext(path.lower())[1]
        if kind not in readers:
            continue
        left = _left_out(path)
        if left:
            scope.leave(left)
            continue
        data = scope.open(path)
        text = None if data is None else _text(data)
        if data is not None and text is None:
            scope.leave("not-utf-8", scanned=1)
        if text is not None and text.strip():
            _look(path, kind, text, readers[kind], tally)
    return {
        "proposals": [],
        "reports": tally.reports,
        "scanned": scope.scanned,
        "ignored": {},
        "counts": tally.counts(scope),
        "tools": {"data": version, "pyyaml": version, "python": sys.version.split()[0]},
    }


def _look(path: str, kind: str, text: str, read: Callable[[str], Fault | None], tally: _proposals.Tally) -> None:
    try:
        fault = read(text)
    except (RecursionError, TooDeep, MemoryError):
        fault = Fault(rule="nested-too-deep")
    if fault is None:
        return
    if fault.rule or (fault.what == "syntax" and _is_template(path, text)):
        tally.findings += 1
        tally.drop(fault.rule or "template")
        return
    name = {".yml": "yaml"}.get(kind, kind[1:])
    tally.report(rule=f"{name}:{fault.what}", path=path, line=fault.line, column=fault.column, message=fault.message)


def _left_out(path: str) -> str:
    if _files.is_test(path) or _OF_TESTS.search(path):
        return "tests"
    if _ON_PURPOSE.search(path):
        return "wrong-on-purpose"
    return "json-with-comments" if _COMMENTED.fullmatch(path) else ""


def _is_template(path: str, text: str) -> bool:
    """True for a text that a program makes a file of: its marks stand outside of quotes and expressions."""
    return not path.startswith(_NEVER_TEMPLATES) and bool(_TEMPLATE.search(_ORDINARY.sub('""', text)))


def _text(data: bytes) -> str | None:
    """UTF-8 with or without its mark; None for anything else, which no rule here judges."""
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def _json(text: str) -> Fault | None:
    # the size of a number is no matter of syntax, and reading a long one takes long
    odd: list[str] = []
    try:
        json.loads(text, parse_int=len, parse_float=len, parse_constant=odd.append, object_pairs_hook=_unique(odd))
    except json.JSONDecodeError as error:
        if _JSONC.search(text):
            return Fault(rule="json-with-comments")
        return Fault(line=error.lineno, column=error.colno, message=error.msg)
    return _odd_json(text) if odd else None


def _unique(odd: list[str]) -> Callable[[list[tuple[str, Any]]], None]:
    """A hook that notes the first key of each object that stands in it twice."""

    def hook(pairs: list[tuple[str, Any]]) -> None:
        if len({key for key, _ in pairs}) < len(pairs):
            odd.append("key")

    return hook


def _odd_json(text: str) -> Fault | None:
    """The first value that JSON does not have, or else the first key that its object has already; `text` parses."""
    doubled: Fault | None = None
    objects: list[set[str] | None] = []
    before: re.Match[str] | None = None
    for token in _JSON_TOKEN.finditer(text):
        said = token[0]
        if said[-1] in "Ny":
            return _at(text, token.start(), f"{said} is no value of JSON", "syntax")
        if said in "{[":
            objects.append(set() if said == "{" else None)
        elif said in "}]":
            objects.pop()
        elif said == ":" and before is not None and doubled is None:
            key, keys = str(json.loads(before[0])), objects[-1]
            if keys is not None and key in keys:
                doubled = _at(text, before.start(), f"the key {key!r} stands here twice", "duplicate-key")
            elif keys is not None:
                keys.add(key)
        before = token
    return doubled


def _at(text: str, offset: int, message: str, what: str) -> Fault:
    line = text.count("\n", 0, offset) + 1
    return Fault(line=line, column=offset - text.rfind("\n", 0, offset), message=message, what=what)


def _toml(text: str) -> Fault | None:
    try:
        _formats.toml(text, parse_float=len)
    except tomllib.TOMLDecodeError as error:
        place = _TOML_PLACE.search(str(error))
        line, column = (int(place[1]), int(place[2])) if place and place[1] else (text.count("\n") + 1, 0)
        return Fault(line=line, column=column, message=_TOML_PLACE.sub("", str(error)).strip())
    except ValueError:
        # a number or a date that TOML allows and Python does not
        return Fault(rule="beyond-the-reader")
    return None


def _yaml(golden: Path) -> tuple[Callable[[str], Fault | None], str]:
    """The reader of YAML with the toolchain's PyYAML, and its version."""
    sys.path.append(str(golden / "site"))
    try:
        import yaml
    finally:
        sys.path.remove(str(golden / "site"))
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    def read(text: str) -> Fault | None:
        keys = Keys()
        try:
            for event in itertools.islice(yaml.parse(text, Loader=loader), MAX_YAML_EVENTS):
                keys.take(event, yaml)
                if keys.depth > MAX_NESTING:
                    raise TooDeep
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            return Fault(line=line, message="a character that YAML does not allow")
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            said = ", ".join(part for part in (error.context, error.problem) if part)
            if "nesting" in said:
                raise TooDeep from None
            return Fault(line=mark.line + 1 if mark else 0, column=mark.column + 1 if mark else 0, message=said)
        except yaml.YAMLError as error:
            return Fault(message=str(error))
        return keys.doubled

    return read, str(yaml.__version__)


class Keys:
    """The keys of the mappings in a stream of YAML's events; `doubled` is the first that its mapping has already."""

    def __init__(self) -> None:
        self._open: list[set[tuple[Any, ...]] | None] = []
        self._is_key: list[bool] = []
        self.doubled: Fault | None = None

    @property
    def depth(self) -> int:
        """How many collections are open."""
        return len(self._open)

    def take(self, event: Any, yaml: Any) -> None:
        """Take the next event; `yaml` is the module that it is of."""
        if isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
            self._is_key.pop()
        elif isinstance(event, yaml.NodeEvent):
            if self._open and self._open[-1] is not None:
                if self._is_key[-1] and isinstance(event, yaml.ScalarEvent):
                    self._key(event, self._open[-1])
                self._is_key[-1] = not self._is_key[-1]
            if isinstance(event, yaml.CollectionStartEvent):
                self._open.append(set() if isinstance(event, yaml.MappingStartEvent) else None)
                self._is_key.append(True)

    def _key(self, event: Any, keys: set[tuple[Any, ...]]) -> None:
        # `1` and `"1"` are two keys; `<<` merges, as often as it stands there
        key = (event.tag, tuple(event.implicit), event.value)
        if key in keys and event.value != "<<" and self.doubled is None:
            mark, message = event.start_mark, f"the key {event.value[:100]!r} stands here twice"
            self.doubled = Fault(line=mark.line + 1, column=mark.column + 1, message=message, what="duplicate-key")
        keys.add(key)
