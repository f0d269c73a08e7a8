"""The changed lines of a tree that tests could run, and which of them ran.

What is measured is Green's own Python outside the tests that base laid over it: the lines that base does not have, of
statements that do something. Deletions, comments, docstrings and other files have no such line. The probes are in the
process of the suite (`_probes`); which lines are wanted and what is made of the answer is settled here, in ours.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tokenize
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _body, _files, _probes, _python
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _files
    import _probes
    import _python

PLUGIN = "greenroom_probes"
VARIABLE = "GREENROOM_PROBES"
MAX_LINES = 20_000
MAX_UNREAD = 50
_LAYOUT = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
_NOT_LINE_ENDS = str.maketrans(dict.fromkeys("\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029", " "))
"""What `str.splitlines` takes for the end of a line and Python does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to measure: for each path the changed lines that do something, each with the line whose probe tells of it.

    `unread` are changed Python files that could not be read, `why` the reason where nothing could be compared.
    """

    work: Path
    files: Mapping[str, Mapping[int, int]]
    unread: tuple[str, ...] = ()
    why: str = ""

    def lay_out(self, home: Path, plugins: Path) -> dict[str, str]:
        """Put the probes among the suite's plug-ins; the environment that they read, empty where none is wanted."""
        if not self.files:
            return {}
        (plugins / f"{PLUGIN}.py").write_bytes((Path(__file__).parent / "_probes.py").read_bytes())
        wanted = {self._real(path): sorted(set(lines.values())) for path, lines in self.files.items()}
        target = home / "probes.json"
        target.write_text(json.dumps(wanted), encoding="ascii")
        return {VARIABLE: str(target)}

    def result(self, ran: Mapping[str, Collection[Any]] | None, unseen: Collection[str]) -> Mapping[str, Any]:
        """The domain Coverage, given what the suite's process said; None where it said nothing."""
        why = self.why
        if self.files and ran is None:
            why = why or "the tests' process did not tell which lines ran"
        files = [
            {
                "path": _files.show(path),
                "lines": sorted(lines),
                "ran": sorted(line for line, probe in lines.items() if probe in (ran or {}).get(self._real(path), ())),
                "watched": self._real(path) not in unseen,
            }
            for path, lines in sorted(self.files.items())
        ]
        return {"files": files, "unread": list(self.unread), "why": why}

    def _real(self, path: str) -> str:
        return os.path.realpath(self.work / path)


def between(base: Path, work: Path) -> Wanted:
    """What is to be measured in `work`, before its tests run."""
    files: dict[str, Mapping[int, int]] = {}
    unread: list[str] = []
    try:
        changes = _files.changes(base, work)
    except _body.Refusal as refusal:
        return Wanted(work=work, files={}, why=f"{refusal.rule}: {refusal.where}"[:200])
    for change in changes:
        if not change.path.endswith(".py") or change.green.mode not in ("file", "exec"):
            continue
        lines = _lines(change)
        if lines is None:
            unread.append(_files.show(change.path))
        elif lines:
            files[change.path] = lines
    if sum(map(len, files.values())) > MAX_LINES:
        return Wanted(work=work, files={}, why=f"more than {MAX_LINES} lines of code changed")
    more = (f"{len(unread) - MAX_UNREAD} more",) if len(unread) > MAX_UNREAD else ()
    return Wanted(work=work, files=files, unread=(*unread[:MAX_UNREAD], *more))


def _lines(change: _files.Changed) -> Mapping[int, int] | None:
    text = change.green.text
    tree = _python.parse(text) if text is not None else None
    if text is None or tree is None:
        return None
    before = change.base.text if change.base.mode in ("file", "exec") else None
    added = _files.changed_lines((before or "").translate(_NOT_LINE_ENDS), text.translate(_NOT_LINE_ENDS)).added
    try:
        told, written = _probes.places(tree), set(_written(text))
    except (tokenize.TokenError, SyntaxError, RecursionError):
        return None
    return {line: told[line] for line in sorted(added & told.keys() & written)}


def _written(text: str) -> Iterator[int]:
    """The lines that hold more than a comment or nothing."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _LAYOUT:
            yield from range(token.start[0], token.end[0] + 1)
