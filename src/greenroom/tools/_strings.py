"""Typos in strings that a person reads: messages of exceptions, logs and prints, and help texts.

A string is logic, since code can read it: it can be compared, be a key, a pattern, a name. So only those are looked at
whose place says that they are prose for people, and a word stays that stands anywhere else in the tree outside comments
and docs, where a test or a program may wait for it. A correction may change nothing else of the syntax tree.
"""

from __future__ import annotations

import ast
import io
import os
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _body, _files, _proposals, _python, _typos
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _files
    import _proposals
    import _python
    import _typos

RULE = "strings"
MIN_WORDS = 3
MAX_LINE = 10_000
_SPEAKING = frozenset(
    {"print", "debug", "info", "warning", "warn", "error", "exception", "critical", "fatal", "log", "echo", "secho",
     "fail", "exit", "abort"}
)  # fmt: skip
_READ_ALOUD = frozenset(
    {"help", "description", "epilog", "usage", "message", "msg", "help_text", "verbose_name", "short_help", "summary",
     "error_message"}
)  # fmt: skip
_PROSE = re.compile(r"[^\W\d_]{2,}")
_NOT_PROSE = re.compile(
    r"%\([^)\n]*\)[-#0-9.+ ]*[A-Za-z]?|%[-#0-9.+]*[A-Za-z]|\{[^}\n]*\}|`[^`\n]*`|<[^>\n]*>|\S*[/@\\=]\S*|\S*\.\w\S*"
    r"|--?\w[\w-]*"
)
_OPENING = re.compile(r"([A-Za-z]*)(\"\"\"|'''|\"|')")
_PIECES = frozenset({tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)})


class Strings:
    """The strings of a tree that people read, and their typos."""

    def __init__(self, golden: Path, base: Path) -> None:
        self._base = base
        self._speller = _typos.Speller(golden, base)
        self._used: frozenset[str] | None = None
        self.scope = self._speller.scope
        self.tally = self._speller.tally

    @property
    def notes(self) -> list[Mapping[str, str]]:
        """What the scan went without, each with its remedy."""
        return self._speller.notes

    @property
    def facts(self) -> Mapping[str, Any]:
        """What was read from the repository."""
        return self._speller.facts

    def fixes(self) -> Iterator[tuple[_proposals.Fix, list[tuple[str, str]]]]:
        """Each file with such a typo: the file mended, and the corrections made."""
        texts = ((path, self._text(path)) for path in _files.walk(self._base))
        for path, text in self._speller.suspects(texts).items():
            after, made = self._mend(path, text)
            if made:
                executable = bool((self._base / path).stat().st_mode & 0o100)
                before, mended = text.encode("utf-8"), after.encode("utf-8")
                fix = _proposals.Fix(path=path, before=before, after=mended, count=len(made), executable=executable)
                yield fix, made

    def mended(self, path: str) -> bytes | None:
        """What the generator makes of one file of the tree, or None when it leaves it alone."""
        text = self._text(path)
        if text is None:
            return None
        return (self._mend(path, text)[0] if self._speller.suspects([(path, text)]) else text).encode("utf-8")

    def _text(self, path: str) -> str | None:
        if not path.endswith(".py"):
            return None
        if _files.is_test(path):
            self.scope.leave("tests")
            return None
        text = self._speller.text(path)
        if text is not None and max(map(len, text.split("\n"))) > MAX_LINE:
            self.scope.leave("long-lines", scanned=1)
            return None
        return text

    def _mend(self, path: str, text: str) -> tuple[str, list[tuple[str, str]]]:
        """The text without these typos, and what was corrected; unchanged where anything else would change too."""
        tree = _python.parse(text) if any(map(self._speller.knows, _lower(text))) else None
        spoken = list(_spoken(tree)) if tree else []
        made: list[tuple[str, str]] = []
        pieces, at = [], 0
        for place, word, fixed in self._corrections(path, text, spoken) if spoken else ():
            pieces += [text[at:place], fixed]
            at = place + len(word)
            made.append((word, fixed))
        after = "".join([*pieces, text[at:]])
        if made and (tree is None or not _only(spoken, tree, _python.parse(after))):
            self._drop("changes-more", len(made))
            return text, []
        return after, made

    def _corrections(self, path: str, text: str, spoken: Sequence[ast.Constant]) -> Iterator[tuple[int, str, str]]:
        for start, end in _spans(text, spoken):
            if _typos.NAME_LINE.search(text, start, end):
                continue
            prose = _NOT_PROSE.sub(lambda match: " " * len(match[0]), text[start:end])
            for match in _typos.WORD.finditer(prose):
                fixed = self._speller.correction(match[0], prose[: match.start()])
                if not self._speller.is_reported(path, text, start + match.start(), match[0]):
                    continue
                if fixed is not None and match[0].lower() in self._words_in_use():
                    self._drop("word-used-elsewhere")
                elif fixed is not None:
                    yield start + match.start(), match[0], fixed

    def _drop(self, why: str, count: int = 1) -> None:
        self.tally.findings += count
        self.tally.drop(why, count)

    def _words_in_use(self) -> frozenset[str]:
        """The misspelt words that stand in the tree outside comments, docs and strings that people read."""
        if self._used is None:
            used: set[str] = set()
            for path in _files.walk(self._base):
                if _files.is_docs(path) and not _files.is_test(path):
                    continue
                data = _body.read_if_there(self._base / path, _files.MAX_TEXT_BYTES) or b""
                text = data.decode("utf-8", "replace")
                python = path.endswith((".py", ".pyi"))
                words = _unspoken(text, all_of_it=_files.is_test(path)) if python else _lower(text)
                used.update(word for word in words if self._speller.knows(word))
            self._used = frozenset(used)
        return self._used


def generate(request: _body.Request) -> Mapping[str, Any]:
    """The result document for the generator `strings`."""
    strings = Strings(request.golden, request.mount("base"))
    entries = ((fix, _words(fix, made)) for fix, made in strings.fixes())
    return {
        "proposals": _typos.propose(request, RULE, strings.tally, entries),
        "scanned": strings.scope.scanned,
        "ignored": strings.facts,
        "counts": strings.tally.counts(strings.scope),
        "notes": strings.notes,
        "tools": _typos.tools(request.golden),
    }


def _words(fix: _proposals.Fix, made: list[tuple[str, str]]) -> _proposals.Words:
    return _proposals.Words(
        title=_typos.title(fix, made, "strings of "),
        rationale="Misspelt words in messages and help texts; each has one correction in codespell's dictionary.",
        expected="People read the corrected words. Code elsewhere that reads these strings would see them change.",
        confidence=80,
    )


def _spoken(tree: ast.Module) -> Iterator[ast.Constant]:
    """The prose of a module that ends before a person's eyes."""
    for node in ast.walk(tree):
        for value in _shown(node):
            yield from _prose(value)


def _shown(node: ast.AST) -> Iterable[ast.expr]:
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        return node.exc.args
    if isinstance(node, ast.Assert) and node.msg is not None:
        return [node.msg]
    if isinstance(node, ast.Call):
        said = node.args if _name(node.func) in _SPEAKING else []
        return [*said, *(keyword.value for keyword in node.keywords if keyword.arg in _READ_ALOUD)]
    if isinstance(node, ast.Assign) and any(_name(target) in _READ_ALOUD for target in node.targets):
        return [node.value]
    return []


def _prose(value: ast.expr) -> Iterator[ast.Constant]:
    """The strings of an expression: through formatting, joining and choices, and through no other call."""
    if isinstance(value, ast.Constant | ast.JoinedStr):
        items = value.values if isinstance(value, ast.JoinedStr) else [value]
        texts = [item for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str)]
        if len(_PROSE.findall(" ".join(str(item.value) for item in texts))) >= MIN_WORDS:
            yield from texts
    elif isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mod | ast.Add):
        yield from _prose(value.left)
        if isinstance(value.op, ast.Add):
            yield from _prose(value.right)
    elif isinstance(value, ast.IfExp):
        yield from _prose(value.body)
        yield from _prose(value.orelse)
    elif isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "format":
        yield from _prose(value.func.value)


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _spans(text: str, spoken: Iterable[ast.Constant]) -> Iterator[tuple[int, int]]:
    """The insides of the string tokens that make up `spoken`, as character offsets in order."""
    lines = list(io.StringIO(text, newline=""))
    starts = _typos.line_starts(text)

    def offset(line: int, column: int) -> int:
        """The tree counts columns in bytes."""
        return starts[line - 1] + len(lines[line - 1].encode("utf-8")[:column].decode("utf-8", "replace"))

    ranges = {
        (offset(node.lineno, node.col_offset), offset(node.end_lineno or 0, node.end_col_offset or 0))
        for node in spoken
    }
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text, newline="").readline))
    except (tokenize.TokenError, SyntaxError, ValueError):
        return
    for token in tokens:
        if token.type not in _PIECES:
            continue
        start, end = starts[token.start[0] - 1] + token.start[1], starts[token.end[0] - 1] + token.end[1]
        if any(left <= start and end <= right for left, right in ranges):
            opening = _OPENING.match(token.string) if token.type == tokenize.STRING else None
            if opening is None:
                yield start, end
            elif "b" not in opening[1].lower():
                yield start + opening.end(), end - len(opening[2])


def _only(spoken: Sequence[ast.Constant], before: ast.Module, after: ast.Module | None) -> bool:
    """True when both trees are the same but for the texts of `spoken`, which are nodes of `before`."""
    if after is None:
        return False
    free = {id(node) for node in spoken}
    left, right = list(ast.walk(before)), list(ast.walk(after))
    if len(left) != len(right):
        return False
    for one, two in zip(left, right, strict=True):
        if id(one) in free and isinstance(one, ast.Constant) and isinstance(two, ast.Constant):
            one.value = two.value
    return ast.dump(before) == ast.dump(after)


def _unspoken(text: str, *, all_of_it: bool) -> Iterable[str]:
    """The words of a module's names and strings, without docstrings and, unless `all_of_it`, what people read."""
    tree = _python.parse(text)
    if tree is None:
        return _lower(text)
    words: Counter[str] = Counter()
    silent = {id(node) for node in _python.docstrings(tree)}
    if not all_of_it:
        silent |= {id(node) for node in _spoken(tree)}
    for node in ast.walk(tree):
        for _, value in ast.iter_fields(node) if id(node) not in silent else ():
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, str | bytes):
                    words.update(_lower(item if isinstance(item, str) else item.decode("latin-1")))
    return words


def _lower(text: str) -> set[str]:
    return {word.lower() for word in _PROSE.findall(text)}
