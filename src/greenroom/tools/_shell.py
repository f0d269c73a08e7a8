"""Shell scripts: shfmt's layout as proposals, shellcheck's warnings as reports; each where the program is there.

Layout follows the `.editorconfig` of the tree, which shfmt reads itself; without one, the options are taken under which
the fewest lines of the script change, and a script that would change for the most part is left alone. A layout counts
only where both versions are the same program when shfmt prints them without any layout. `.shellcheckrc` is read as
data: of it, only what it disables is followed.
"""

from __future__ import annotations

import difflib
import itertools
import json
import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _body, _files, _proposals, _scope
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _files
    import _proposals
    import _scope

RULE = "shell:shfmt"
PROGRAMS = ("shellcheck", "shfmt")
MAX_BYTES = 256 * 1024
_PATH = "/usr/bin:/bin"
_TIMEOUT_S = 10
_SHEBANG = re.compile(rb"#![ \t]*/(?:usr/)?(?:local/)?bin/(?:env[ \t]+(?:-S[ \t]+)?)?(?:sh|bash|dash|ksh)\b")
_INDENTS = (2, 3, 4, 8)
_TASTES = ("-ci", "-bn", "-fn", "-sr")
_RC_NAMES = (".shellcheckrc", "shellcheckrc")
_CODE = re.compile(r"SC(\d{1,4})(?:-SC(\d{1,4}))?")


class Shell:
    """The shell scripts of a tree; use as a context manager."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._home = _body.scratch()
        self._tree = self._home / "tree"
        self._there = {name: shutil.which(name, path=_PATH) for name in PROGRAMS}
        self.scope = _scope.Scope(base)
        self.tally = _proposals.Tally()

    def __enter__(self) -> Shell:
        """Copy what says how scripts are laid out."""
        self._tree.mkdir()
        for path in _files.walk(self._base):
            data = _body.read_if_there(self._base / path, MAX_BYTES) if path.endswith(".editorconfig") else None
            if data is not None and path.rsplit("/", 1)[-1] == ".editorconfig":
                self._put(path, data)
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the copy."""
        _body.discard(self._home)

    def scripts(self) -> Iterator[tuple[str, bytes]]:
        """Path and content of each script in scope."""
        for path in _files.walk(self._base):
            if self._is_script(path):
                data = self._read(path)
                if data is not None:
                    yield path, data

    def notes(self) -> list[Mapping[str, str]]:
        """The programs that are missing, where there are scripts for them."""
        missing = [name for name, path in self._there.items() if path is None] if self.scope.scanned else []
        return [
            {"rule": "program-missing", "where": name, "remedy": f"apt-get install {' '.join(PROGRAMS)}"}
            for name in missing
        ]

    def versions(self) -> Mapping[str, str]:
        """The versions of the programs that are there."""
        found = {}
        for name, path in self._there.items():
            if path is not None:
                said = self._run([path, "--version"], self._home).stdout.decode("utf-8", "replace")
                number = re.search(r"\d+(?:\.\d+)+", said)
                found[name] = number[0] if number else "unknown"
        return found

    def mended(self, path: str) -> bytes | None:
        """What the generator makes of one file of the tree, or None when it leaves it alone."""
        data = self._read(path) if self._is_script(path) else None
        return None if data is None else self.layout(path, data)

    def layout(self, path: str, data: bytes) -> bytes | None:
        """The script laid out, or None where it is as it should be, or cannot be judged."""
        if self._there["shfmt"] is None:
            return None
        styled = self._has_style(path)
        options = [[]] if styled else _guesses(data)
        laid = [text for text in (self._shfmt(path, data, flags) for flags in options) if text]
        best = min(laid, key=lambda text: _distance(data, text), default=None)
        if best is None:
            self._drop("not-parsed")
            return None
        if best == data:
            return None
        if not styled and _distance(data, best) * 2 > len(data.splitlines()):
            self._drop("another-style")
            return None
        bare = self._shfmt(path, data, ["-mn"])
        if bare is None or bare != self._shfmt(path, best, ["-mn"]):
            self._drop("not-proven-the-same")
            return None
        return best

    def check(self, path: str, data: bytes) -> None:
        """Report shellcheck's warnings and errors that nothing in the tree disables."""
        if self._there["shellcheck"] is None:
            return
        self._put(path, data)
        argv = [self._there["shellcheck"], "--norc", "--format=json1", "--severity=warning", "--", f"./{path}"]
        ended = self._run(argv, self._tree)
        try:
            found = json.loads(ended.stdout)["comments"] if not ended.timed_out and ended.code in (0, 1) else None
        except (ValueError, TypeError, KeyError):
            found = None
        if found is None:
            self._drop("not-checked")
            return
        disabled = self._disabled(path)
        for item in sorted(found, key=lambda item: (item["line"], item["column"], item["code"])):
            if any(low <= item["code"] <= high for low, high in disabled):
                self._drop("shellcheckrc")
                continue
            place = {"line": int(item["line"]), "column": int(item["column"])}
            rule = f"shellcheck:SC{item['code']}"
            self.tally.report(rule=rule, path=path, message=f"{item['level']}: {item['message']}", **place)

    def _drop(self, why: str) -> None:
        self.tally.findings += 1
        self.tally.drop(why)

    def _is_script(self, path: str) -> bool:
        name = path.rsplit("/", 1)[-1]
        if name.endswith((".sh", ".bash")):
            head = _body.read_if_there(self._base / path, _files.MAX_TEXT_BYTES) or b""
            return not head.startswith(b"#!") or bool(_SHEBANG.match(head))
        if "." in name:
            return False
        return bool(_SHEBANG.match(_body.read_if_there(self._base / path, MAX_BYTES) or b""))

    def _read(self, path: str) -> bytes | None:
        data = self.scope.open(path)
        if data is None:
            return None
        rule = "too-large" if len(data) > MAX_BYTES else "" if _is_text(data) else "not-utf-8"
        if rule:
            self.scope.leave(rule, scanned=1)
            return None
        return data

    def _shfmt(self, path: str, data: bytes, flags: Sequence[str]) -> bytes | None:
        """The script as shfmt prints it; None where it cannot read it, or where there are carriage returns."""
        if b"\r" in data:
            return None
        self._put(path, data)
        ended = self._run([str(self._there["shfmt"]), *flags, f"./{path}"], self._tree)
        return ended.stdout if not ended.timed_out and ended.code == 0 else None

    def _has_style(self, path: str) -> bool:
        """True when an `.editorconfig` above the script says how to indent."""
        above = [self._tree, *(self._tree.joinpath(*path.split("/")[:n]) for n in range(1, path.count("/") + 1))]
        said = b"".join(_body.read_if_there(place / ".editorconfig", MAX_BYTES) or b"" for place in above)
        return b"indent_style" in said or b"indent_size" in said

    def _disabled(self, path: str) -> list[tuple[int, int]]:
        """The codes that the nearest `.shellcheckrc` disables, as ranges."""
        parts = path.split("/")[:-1]
        for depth in range(len(parts), -1, -1):
            for name in _RC_NAMES:
                data = _body.read_if_there(self._base.joinpath(*parts[:depth]) / name, MAX_BYTES)
                if data is not None:
                    return list(_codes(data.decode("utf-8", "replace")))
        return []

    def _run(self, argv: Sequence[str], cwd: Path) -> _body.Ended:
        return _body.program(argv, cwd=cwd, env=_body.fixed_env(self._home), timeout_s=_TIMEOUT_S)

    def _put(self, path: str, data: bytes) -> None:
        target = self._tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def generate(request: _body.Request) -> Mapping[str, Any]:
    """The result document for the generator `shell`."""
    base = request.mount("base")
    proposals: list[Mapping[str, Any]] = []
    with Shell(base) as shell:
        for path, data in shell.scripts():
            shell.check(path, data)
            after = shell.layout(path, data)
            if after is None:
                continue
            shell.tally.findings += 1
            if len(proposals) >= _proposals.MAX_PROPOSALS:
                shell.tally.drop("above-the-bound")
                continue
            shell.tally.proposed += 1
            executable = bool((base / path).stat().st_mode & 0o100)
            fix = _proposals.Fix(path=path, before=data, after=after, count=1, executable=executable)
            entry = _proposals.proposal(
                request, number=len(proposals), rule=RULE, reproduce="shell", words=_words(path), fixes=[fix]
            )
            proposals.append(entry)
        return {
            "proposals": proposals,
            "reports": shell.tally.reports,
            "scanned": shell.scope.scanned,
            "ignored": {},
            "counts": shell.tally.counts(shell.scope),
            "notes": shell.notes(),
            "tools": {**shell.versions(), "python": sys.version.split()[0]},
        }


def _words(path: str) -> _proposals.Words:
    return _proposals.Words(
        title=f"Lay out {path} as shfmt does",
        rationale="One layout makes scripts easier to read and their diffs smaller.",
        expected="No change of behaviour: shfmt prints both versions alike without layout.",
        confidence=90,
    )


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return b"\0" not in data


def _guesses(data: bytes) -> list[list[str]]:
    """Options for shfmt that may be the script's own style: its indent, with every combination of tastes."""
    indent = ["-i", str(_indent(data))]
    switches = itertools.product(*(((), (taste,)) for taste in _TASTES))
    return [[*indent, *itertools.chain(*taken)] for taken in switches]


def _indent(data: bytes) -> int:
    """Spaces of one level, 0 for tabs: the most common step from a line to the next that is deeper."""
    steps: Counter[int] = Counter()
    before = 0
    for line in data.splitlines():
        if not line.strip():
            continue
        if line.startswith(b"\t"):
            steps[0] += 1
            continue
        deep = len(line) - len(line.lstrip(b" "))
        if deep - before in _INDENTS:
            steps[deep - before] += 1
        before = deep
    return max(steps, key=lambda step: (steps[step], -step), default=4)


def _distance(before: bytes, after: bytes) -> int:
    """How many lines of `before` are not in `after`, in order."""
    old, new = before.splitlines(), after.splitlines()
    same = difflib.SequenceMatcher(None, old, new, autojunk=True).get_matching_blocks()
    return max(len(old), len(new)) - sum(block.size for block in same)


def _codes(text: str) -> Iterator[tuple[int, int]]:
    for line in text.splitlines()[:1000]:
        key, equals, value = line.partition("#")[0].partition("=")
        if not equals or key.strip() != "disable":
            continue
        for item in value.replace('"', "").split(","):
            match = _CODE.fullmatch(item.strip())
            if item.strip() == "all":
                yield 0, 99_999
            elif match:
                yield int(match[1]), int(match[2] or match[1])
