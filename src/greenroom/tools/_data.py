"""TOML, JSON and YAML that does not parse, as reports: what an author meant is nobody's to guess.

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
_COMMENTED = re.compile(
    r"(?:.*/)?(?:\.vscode|\.devcontainer|\.zed)/.*|(?:.*/)?(?:[tj]sconfig[^/]*|devcontainer|deno|turbo|renovate|nx"
    r"|angular|api-extractor[^/]*|wrangler|language-configuration|\.[^/]*rc|\.jshintrc|\.eslintrc|\.swcrc|\.hintrc"
    r"|\.babelrc|\.mocharc|biome|typedoc)\.json|.*\.code-workspace"
)
_ON_PURPOSE = re.compile(r"(?:^|/)(?:fixtures?|test[-_]?data|__snapshots__)/|invalid|broken|malformed")
_TEMPLATE = re.compile(r"\{\{|\{%|<%|\$\{\{?\s*cookiecutter|@@[A-Z]")
_JSONC = re.compile(r"^[^\S\n]*(?://|/\*)", re.MULTILINE)
_TOML_PLACE = re.compile(r"\(at line (\d+), column (\d+)\)|\(at end of document\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Where and why a file does not parse; `rule` set where that is no finding."""

    line: int = 0
    column: int = 0
    message: str = ""
    rule: str = ""


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
    if fault.rule or _TEMPLATE.search(text):
        tally.findings += 1
        tally.drop(fault.rule or "template")
        return
    name = {".yml": "yaml"}.get(kind, kind[1:])
    tally.report(rule=f"{name}:syntax", path=path, line=fault.line, column=fault.column, message=fault.message)


def _left_out(path: str) -> str:
    if _files.is_test(path) or _ON_PURPOSE.search(path):
        return "tests"
    return "json-with-comments" if _COMMENTED.fullmatch(path) else ""


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
    try:
        json.loads(text, parse_int=len, parse_float=len)
    except json.JSONDecodeError as error:
        if _JSONC.search(text):
            return Fault(rule="json-with-comments")
        return Fault(line=error.lineno, column=error.colno, message=error.msg)
    return None


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
        deep = 0
        try:
            for event in itertools.islice(yaml.parse(text, Loader=loader), MAX_YAML_EVENTS):
                deep += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
                if deep > MAX_NESTING:
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
        return None

    return read, str(yaml.__version__)
