"""What a generator hands over: changed files, bundled into small proposals with patches in git's format."""

from __future__ import annotations

import hashlib
import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _body, _files, _scope
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _files
    import _scope

MAX_PROPOSALS = 64
MAX_FILES = 20
MAX_LINES = 200
MAX_REPORTS = 200
MAX_MESSAGE = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """One file before and after a generator; `count` findings were mended."""

    path: str
    before: bytes
    after: bytes
    count: int
    executable: bool = False

    @property
    def lines(self) -> int:
        """A bound of the changed lines, cheap to get: lines that are not in both versions."""
        return len(set(self.before.splitlines()) ^ set(self.after.splitlines())) or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What a card says about a family of fixes."""

    title: str
    rationale: str
    expected: str
    confidence: int


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of the findings: each is proposed, reported, or dropped for a reason."""

    findings: int = 0
    proposed: int = 0
    reports: list[Mapping[str, Any]] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)

    def drop(self, why: str, count: int = 1) -> None:
        """Findings that are neither proposed nor reported."""
        self.dropped[why] += count

    def report(self, *, rule: str, path: str, line: int, column: int, message: str) -> None:
        """A finding without a patch; `line` and `column` count from 1, 0 where it has no place."""
        self.findings += 1
        if len(self.reports) >= MAX_REPORTS:
            self.drop("above-the-bound")
            return
        text = _files.show(" ".join(message.split()))[:MAX_MESSAGE]
        shown = _files.show(path)
        shown = shown if len(shown) <= MAX_MESSAGE else f"…{shown[1 - MAX_MESSAGE :]}"
        place = {"path": shown, "line": max(0, line), "column": max(0, column)}
        self.reports.append({"rule": rule, **place, "message": text})

    def counts(self, scope: _scope.Scope) -> Mapping[str, Any]:
        """The table of a scan: files by rule, findings by what became of them."""
        return {
            "scanned": scope.scanned,
            "ignored": dict(sorted(scope.ignored.items())),
            "findings": self.findings,
            "proposed": self.proposed,
            "reported": len(self.reports),
            "dropped": dict(sorted(self.dropped.items())),
        }


def bundle(fixes: Iterable[Fix], *, max_files: int = MAX_FILES, max_lines: int = MAX_LINES) -> list[list[Fix]]:
    """The fixes in path order, in bundles of at most `max_files` files and about `max_lines` lines."""
    bundles: list[list[Fix]] = []
    lines = 0
    for fix in sorted(fixes, key=lambda item: item.path):
        if not bundles or len(bundles[-1]) >= max_files or lines + fix.lines > max_lines:
            bundles.append([])
            lines = 0
        bundles[-1].append(fix)
        lines += fix.lines
    return bundles


def proposal(
    request: _body.Request, *, number: int, rule: str, reproduce: str, words: Words, fixes: Sequence[Fix]
) -> Mapping[str, Any]:
    """The entry of the result for one bundle; leaves its patch as an artifact."""
    patch = make_patch(fixes)
    name = f"{number:03d}-{rule.replace(':', '-')}.patch"
    request.artifact(name, patch)
    return {
        "rule": rule,
        "title": words.title,
        "rationale": words.rationale,
        "expected": words.expected,
        "confidence": words.confidence,
        "files": [fix.path for fix in fixes],
        "count": sum(fix.count for fix in fixes),
        "patch": name,
        "fingerprint": fingerprint(rule, patch),
        "reproduce": reproduce,
    }


def make_patch(fixes: Sequence[Fix]) -> bytes:
    """The diff in git's format; the directories a and b give the prefixes."""
    home = _body.scratch()
    try:
        for fix in fixes:
            _write(home / "a" / fix.path, fix.before, fix.executable)
            _write(home / "b" / fix.path, fix.after, fix.executable)
        argv = ("git", "-c", "core.autocrlf=false", "-c", "diff.algorithm=myers", "diff", "--no-index", "--no-prefix")
        flags = ("--no-color", "--no-ext-diff", "--no-textconv", "--full-index", "--text", "--no-renames", "a", "b")
        env = _body.git_env(home) | {"GIT_CEILING_DIRECTORIES": str(home.resolve().parent)}
        ended = _body.program([*argv, *flags], cwd=home, env=env)
        if ended.code != 1 or not ended.stdout.startswith((b"diff --git a/", b'diff --git "a/')):
            raise RuntimeError(f"git diff ended with {ended.code}: {ended.stderr[:300]!r}")
        return ended.stdout
    finally:
        _body.discard(home)


def _write(path: Path, data: bytes, executable: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o755 if executable else 0o644)


def fingerprint(rule: str, patch: bytes) -> str:
    """The same while the finding is: rule, files and the text around it, without line numbers and blob ids."""
    digest = hashlib.sha256(rule.encode("utf-8") + b"\n")
    for line in patch.split(b"\n"):
        if not line.startswith((b"@@", b"index ")):
            digest.update(line + b"\n")
    return digest.hexdigest()
