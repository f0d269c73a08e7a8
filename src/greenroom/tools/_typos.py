"""Typos in comments and docs, by codespell's dictionary; one file a proposal.

Only words with exactly one correction count, and only where a word is prose: not in code, links, paths, names, quoted
identifiers, or anything that the repository's own Python uses as a name. Of words with three letters, many of which
are abbreviations, those count that are nothing else; the others are dropped, and counted. In Python, only comments
and docstrings are read, and a file must keep its syntax tree (docstrings apart).
"""

from __future__ import annotations

import fnmatch
import io
import os
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _body, _files, _proposals, _python, _scope, _spelling
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _files
    import _proposals
    import _python
    import _scope
    import _spelling

MIN_WORD = 4
SHORT_WORDS = frozenset(
    {
        "adn", "ect", "eyt", "hte", "hve", "lke", "mke", "nwe", "oen", "onw", "oyu", "teh", "tey", "tje", "whn", "wih",
        "wqs", "wya", "yhe", "yuo",
    }
)  # fmt: skip
"""Misspelt words below MIN_WORD letters that stand for no abbreviation, program, name or foreign word."""
MAX_DICTIONARY_BYTES = 8 * 1024 * 1024
WORD = re.compile(r"(?<![\w.@/\\:$#%&=<{\[~^*`'\"’+-])[A-Za-z]+(?![\w@/\\(=\[{<>*`^’+]|[.:'\"-]\w|->|'s?\b['\"])")
NAME_LINE = re.compile(
    r"copyright|©|\(c\)|author|maintain|contribut|credit|thanks|reported by|@\w|https?://|codespell", re.I
)
_COMMON = frozenset(
    {"the", "and", "of", "to", "is", "for", "with", "that", "this", "are", "in", "it", "be", "or", "not"}
)
_LEGAL = ("license", "licence", "copying", "notice", "authors", "contributors", "credits", "thanks", "requirements")
_FOREIGN_DIRS = frozenset(
    {"locale", "locales", "translations", "i18n", "l10n", "lang", "po", "wordlists", "dictionaries"}
)
_UNREAD = {".ipynb": "notebooks", **dict.fromkeys((".sh", ".bash", ".zsh", ".ksh"), "shell scripts")}
"""Files with comments and strings that are not read, by their suffixes."""
_LETTERS = re.compile(r"[A-Za-z]+")
_SPLIT = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


class Speller:
    """The dictionary, the repository's settings and its own names, for one tree."""

    def __init__(self, golden: Path, base: Path) -> None:
        self._base = base
        self._settings = _spelling.read(base)
        self._judge = _spelling.Judge(golden, base, self._settings)
        self._told: dict[str, _spelling.Places] = {}
        self._fixes = _dictionary(golden)
        self._names: frozenset[str] | None = None
        self.scope = _scope.Scope(base)
        self.tally = _proposals.Tally()

    @property
    def facts(self) -> Mapping[str, Any]:
        """What was read from the repository."""
        return {
            "settings": self._settings.source,
            "words": sorted(self._settings.words)[:1000],
            "skip": list(self._settings.skip),
        }

    @property
    def notes(self) -> list[Mapping[str, str]]:
        """What the scan went without, each with its remedy."""
        return [*self._judge.notes(), *_unread(self._base)]

    def fixes(self) -> Iterator[tuple[_proposals.Fix, list[tuple[str, str]]]]:
        """Each file with a typo: the file mended, and the corrections made."""
        texts = ((path, self._prose(path)) for path in _files.walk(self._base))
        for path, data in self.suspects(texts).items():
            after, made = self.mend(path, data)
            if made:
                executable = bool((self._base / path).stat().st_mode & 0o100)
                encoded = after.encode("utf-8")
                fix = _proposals.Fix(
                    path=path, before=data.encode("utf-8"), after=encoded, count=len(made), executable=executable
                )
                yield fix, made

    def suspects(self, texts: Iterable[tuple[str, str | None]]) -> Mapping[str, str]:
        """Those of the texts, by path, that hold a misspelling; codespell is asked about them, once for all."""
        found = {path: text for path, text in texts if text is not None and self._may_hold(text)}
        asked = {path: text for path, text in found.items() if self._judge.asked(text)}
        self._told.update(self._judge.reported(asked) if asked else {})
        return {} if self._judge.problem else found

    def is_reported(self, path: str, text: str, at: int, word: str) -> bool:
        """False for a word that codespell, by the repository's settings, does not report there."""
        told = self._told.get(path)
        return told is None or (text.count("\n", 0, at) + 1, word.lower()) in told

    def mend(self, path: str, text: str) -> tuple[str, list[tuple[str, str]]]:
        """The text without its typos, and what was corrected; unchanged where a file would mean something else."""
        made: list[tuple[str, str]] = []
        pieces, at = [], 0
        for start, end in _spans(path, text):
            for place, word, fixed in self._corrections(text, start, end):
                if not self.is_reported(path, text, place, word):
                    continue
                pieces += [text[at:place], fixed]
                at = place + len(word)
                made.append((word, fixed))
        after = "".join([*pieces, text[at:]])
        if made and path.endswith((".py", ".pyi")) and not _python.same_but_docstrings(text, after):
            return text, []
        return after, made

    def mended(self, path: str) -> bytes | None:
        """What the generator makes of one file of the tree, or None when it leaves it alone."""
        data = self._prose(path)
        if data is None:
            return None
        return self.mend(path, data)[0].encode("utf-8") if self.suspects([(path, data)]) else data.encode("utf-8")

    def _corrections(self, text: str, start: int, end: int) -> Iterator[tuple[int, str, str]]:
        """The typos of one span, which lies in one line; a line about people or with a link is left alone."""
        first = text.rfind("\n", 0, start) + 1
        last = text.find("\n", start)
        last = len(text) if last < 0 else last
        if NAME_LINE.search(text, first, last):
            return
        for match in WORD.finditer(text[start:last]):
            at = start + match.start()
            if start + match.end() <= end:
                fixed = self.correction(match[0], text[first:at])
                if fixed is not None:
                    yield at, match[0], fixed

    def correction(self, word: str, before: str) -> str | None:
        """The one correction of a misspelt word, `before` being its line up to it; None where it may be meant."""
        lower = word.lower()
        fixed = self._fixes.get(lower)
        if fixed is None or lower in self._settings.words:
            return None
        if word not in (lower, lower.capitalize()) or (word != lower and not _starts_sentence(before)):
            return None
        if {lower, lower + "s", lower.removesuffix("s")} & self._project_names():
            return None
        if len(word) < MIN_WORD and lower not in SHORT_WORDS:
            self.tally.findings += 1
            self.tally.drop("short-word")
            return None
        return fixed if word == lower else fixed[:1].upper() + fixed[1:]

    def knows(self, word: str) -> bool:
        """True for a misspelling (lower case) with one correction."""
        return word in self._fixes

    def _may_hold(self, text: str) -> bool:
        return any(word.lower() in self._fixes for word in set(_LETTERS.findall(text)))

    def _project_names(self) -> frozenset[str]:
        """Words that are part of a name in the tree's Python; collected when first needed."""
        if self._names is None:
            names: set[str] = set()
            for path in _files.walk(self._base):
                data = _body.read_if_there(self._base / path, _files.MAX_TEXT_BYTES) if path.endswith(".py") else None
                for name in set(re.findall(rb"[A-Za-z_]\w+", _code_only(data or b""))):
                    names.update(part.lower() for part in _SPLIT.findall(name.decode("ascii", "ignore")))
                names.update(part.lower() for part in _SPLIT.findall(path))
            self._names = frozenset(names)
        return self._names

    def _prose(self, path: str) -> str | None:
        """The text of a file that may be corrected."""
        if not (path.endswith((".py", ".pyi")) or _files.is_docs(path)):
            return None
        text = self.text(path)
        if text is None or path.endswith((".py", ".pyi")) or _english(text):
            return text
        self.scope.leave("not-english", scanned=1)
        return None

    def text(self, path: str) -> str | None:
        """The text of a file in scope that neither its name nor the repository's settings leave out."""
        name = path.rsplit("/", 1)[-1].lower()
        legal, foreign = name.startswith(_LEGAL), set(path.lower().split("/")[:-1]) & _FOREIGN_DIRS
        if legal or foreign or self._skipped(path):
            self.scope.leave("people-and-licences" if legal else "other-languages" if foreign else "codespell-skip")
            return None
        data = self.scope.open(path)
        if data is None:
            return None
        try:
            if b"\0" not in data:
                return data.decode("utf-8")
        except UnicodeDecodeError:
            pass
        self.scope.leave("not-utf-8", scanned=1)
        return None

    def _skipped(self, path: str) -> bool:
        parts = path.split("/")
        for pattern in self._settings.skip:
            plain = pattern.removeprefix("./").removeprefix("*/").rstrip("/")
            if any(fnmatch.fnmatchcase(part, plain) for part in parts):
                return True
            if fnmatch.fnmatchcase(path, plain) or fnmatch.fnmatchcase("./" + path, pattern):
                return True
            if path.startswith(plain.rstrip("*").rstrip("/") + "/") and plain.rstrip("*/"):
                return True
        return False


def generate(request: _body.Request) -> Mapping[str, Any]:
    """The result document for the generator `codespell`."""
    speller = Speller(request.golden, request.mount("base"))
    proposals = propose(
        request, "codespell", speller.tally, ((fix, _words(fix, made)) for fix, made in speller.fixes())
    )
    return {
        "proposals": proposals,
        "scanned": speller.scope.scanned,
        "ignored": speller.facts,
        "counts": speller.tally.counts(speller.scope),
        "notes": speller.notes,
        "tools": tools(request.golden),
    }


def propose(
    request: _body.Request,
    rule: str,
    tally: _proposals.Tally,
    fixes: Iterable[tuple[_proposals.Fix, _proposals.Words]],
) -> list[Mapping[str, Any]]:
    """One proposal a file, up to the bound."""
    proposals: list[Mapping[str, Any]] = []
    for fix, words in fixes:
        tally.findings += fix.count
        if len(proposals) >= _proposals.MAX_PROPOSALS:
            tally.drop("above-the-bound", fix.count)
            continue
        tally.proposed += fix.count
        entry = _proposals.proposal(request, number=len(proposals), rule=rule, reproduce=rule, words=words, fixes=[fix])
        proposals.append(entry)
    return proposals


def tools(golden: Path) -> Mapping[str, str]:
    """Versions by name."""
    return {"codespell": _version(golden), "python": sys.version.split()[0]}


def title(fix: _proposals.Fix, made: list[tuple[str, str]], where: str = "") -> str:
    """A line about the corrections of one file; `where` in it they stand, if that matters."""
    pairs = list(dict.fromkeys(f"{wrong} → {right}" for wrong, right in made))
    more = f" and {len(pairs) - 4} more" if len(pairs) > 4 else ""
    noun = "typo" if len(made) == 1 else f"{len(made)} typos"
    return f"Mend {noun} in {where}{fix.path}: {', '.join(pairs[:4])}{more}"


def _unread(base: Path) -> Iterator[Mapping[str, str]]:
    """The kinds of files whose text nothing here reads, with the number of their files."""
    found = Counter(_UNREAD[end] for end in (os.path.splitext(path)[1] for path in _files.walk(base)) if end in _UNREAD)
    for kind, count in sorted(found.items()):
        remedy = "run codespell on them yourself; their comments and strings are not looked at for typos"
        yield {"rule": "not-read", "where": f"{kind}: {count} file{'s' if count > 1 else ''}", "remedy": remedy}


def _words(fix: _proposals.Fix, made: list[tuple[str, str]]) -> _proposals.Words:
    return _proposals.Words(
        title=title(fix, made),
        rationale="Misspelt words in comments and docs; each has one correction in codespell's dictionary.",
        expected="No change of behaviour: only comments and docs change.",
        confidence=90,
    )


def _dictionary(golden: Path) -> Mapping[str, str]:
    """Codespell's clear misspellings with one correction; entries with choices or a caution have a comma."""
    path = golden / "site" / "codespell_lib" / "data" / "dictionary.txt"
    found = {}
    for line in _body.read_bounded(path, MAX_DICTIONARY_BYTES).decode("utf-8").splitlines():
        wrong, arrow, right = line.partition("->")
        if arrow and "," not in right and wrong.isascii() and wrong.isalpha() and right.strip():
            found[wrong.lower()] = right.strip()
    return found


def _version(golden: Path) -> str:
    data = _body.read_if_there(golden / "site" / "codespell_lib" / "_version.py", 100_000) or b""
    found = re.search(rb"""^(?:__version__ = )?(?:__)?version(?:__)? = (?:version = )?['"]([^'"]+)['"]""", data, re.M)
    return found[1].decode("ascii", "replace") if found else "unknown"


def _spans(path: str, text: str) -> Iterator[tuple[int, int]]:
    """Where prose stands in the file, as character offsets in order."""
    if path.endswith((".py", ".pyi")):
        yield from _python_spans(text)
    else:
        yield from _docs_spans(text, markdown=not path.lower().endswith(".rst"))


def _python_spans(text: str) -> Iterator[tuple[int, int]]:
    starts = line_starts(text)
    docstrings = _python.docstring_lines(text)
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text, newline="").readline))
    except (tokenize.TokenError, SyntaxError, ValueError):
        return
    for token in tokens:
        start = starts[token.start[0] - 1] + token.start[1]
        end = starts[token.end[0] - 1] + token.end[1]
        if token.type == tokenize.COMMENT and not _python.is_pragma(token.string):
            yield start, end
        elif token.type == tokenize.STRING and token.start[0] in docstrings:
            opening = _OPENING.match(token.string)
            inner = start + (opening.end() if opening else 0)
            for left, right in _docs_spans(text[inner : end - len(opening[1] if opening else "")], markdown=False):
                yield inner + left, inner + right


_OPENING = re.compile(r"[A-Za-z]*(\"\"\"|'''|\"|')")
_CODE_LINE = re.compile(r"\s*(?:>>>|\.\.\. |\$ |\.\. |:[a-zA-Z_ ]+[^:]*:|@|#!|%)")
_INLINE = re.compile(
    r"``[^`]*``|`[^`]*`_{0,2}|\[[^\]]*\]\([^)]*\)|<[^>]*>|https?://\S+|:[a-z]+:|\{[^}]*\}|\|[^|]*\||\"[^\"]*\"|“[^”]*”"
)


def _docs_spans(text: str, *, markdown: bool) -> Iterator[tuple[int, int]]:
    """Prose of a document: no fences, literal blocks, directives, doctests, inline code, links or quotations."""
    at, fence, literal = 0, "", -1
    for line in text.splitlines(keepends=True):
        start, at = at, at + len(line)
        stripped = line.strip()
        indent = len(line) - len(line.lstrip())
        if fence:
            fence = "" if stripped.startswith(fence) else fence
            continue
        if stripped.startswith(("```", "~~~")):
            fence = stripped[:3]
            continue
        if literal >= 0 and (not stripped or indent > literal):
            continue
        literal = indent if stripped.endswith("::") or stripped.startswith(".. ") else -1
        if _CODE_LINE.match(line) or (markdown and indent >= 4):
            continue
        yield from _outside(line, start)


def _outside(line: str, offset: int) -> Iterator[tuple[int, int]]:
    """The parts of a line outside inline code, links and quotations."""
    at = 0
    for match in _INLINE.finditer(line):
        if match.start() > at:
            yield offset + at, offset + match.start()
        at = match.end()
    if at < len(line):
        yield offset + at, offset + len(line)


def line_starts(text: str) -> list[int]:
    """Offsets where lines start, as the tokenizer counts lines."""
    starts, at = [0], 0
    for line in io.StringIO(text, newline=""):
        at += len(line)
        starts.append(at)
    return [*starts, len(text)]


def _starts_sentence(before: str) -> bool:
    """A capital letter inside a sentence may be a name; `before` is the line up to the word."""
    plain = before.rstrip()
    return not plain.strip("#*-_>=|!:\"' ") or plain.endswith((".", "!", "?"))


def _english(text: str) -> bool:
    words = re.findall(r"[^\W\d_]+", text[:200_000].lower())
    return len(words) >= 5 and sum(word in _COMMON for word in words) * 20 >= len(words)


def _code_only(data: bytes) -> bytes:
    """Python without its comments and docstrings, near enough to collect names."""
    try:
        text = data.decode("utf-8")
        tokens = tokenize.generate_tokens(io.StringIO(text, newline="").readline)
        return " ".join(token.string for token in tokens if token.type == tokenize.NAME).encode("utf-8")
    except (tokenize.TokenError, SyntaxError, ValueError):
        return data
