"""Ruff's safe fixes for a tree, one rule at a time.

Ruff sees a copy that holds Python files only, is told to ignore every configuration, and gets ours, into which the
repository's own choices were translated as data. Fixes that a linter calls safe but that can break a program are left
out here: imports that something else takes from the module, that pytest takes as fixtures, or that load code of the
project's own.
"""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _body, _files, _imports, _projects, _proposals
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _files
    import _imports
    import _projects
    import _proposals

SUPPORTED = re.compile(r"(?:F\d{3}|E7\d{2}|W\d{3}|I001)")
DEFAULT = ("F", "E7", "W")
_IMPORT_RULES = frozenset({"F401", "F811"})
_KNOWN_LINTERS = re.compile(r"(?:ALL|F|E|W|I)(?:[0-9]{0,4})")
_CHUNK = 200

_WORDS: Mapping[str, tuple[str, str]] = {
    "F401": ("Remove unused imports", "An import that nothing uses costs start-up time and hides what a module needs."),
    "F541": ("Drop the f from strings without placeholders", "An f-string without placeholders is an ordinary string."),
    "F632": (
        "Compare literals with ==",
        "`is` compares identity; with a literal the answer depends on the interpreter.",
    ),
    "F811": ("Remove redefinitions of unused names", "The first definition is never used: the second one replaces it."),
    "F901": ("Raise NotImplementedError", "NotImplemented is a value, not an exception; raising it is a TypeError."),
    "E703": ("Remove useless semicolons", "A semicolon at the end of a statement does nothing."),
    "E713": ("Write `not in` for membership", "`x not in y` says what `not x in y` means and cannot be misread."),
    "E714": ("Write `is not` for identity", "`x is not y` says what `not x is y` means and cannot be misread."),
    "W291": ("Remove trailing whitespace", "Whitespace at line ends is invisible and makes diffs noisy."),
    "W292": ("End files with a newline", "A last line without its newline makes diffs and tools stumble."),
    "W293": ("Remove whitespace on blank lines", "Whitespace on blank lines is invisible and makes diffs noisy."),
    "W605": ("Mend invalid escape sequences", "Python warns about invalid escapes, and will refuse them one day."),
    "I001": ("Sort imports", "The project's own lint settings ask for sorted imports."),
}


class Linter:
    """Ruff on a private copy of `base`; use as a context manager."""

    def __init__(self, golden: Path, base: Path) -> None:
        self._ruff = golden / "bin" / "ruff"
        self._base = base
        self._home = _body.scratch()
        self._tree = self._home / "tree"
        self._settings = _projects.lint_settings(base)
        self._target = _projects.lowest_python(base)
        self.scanned = 0
        self.left_out: dict[str, int] = {}

    def __enter__(self) -> Linter:
        """Copy what is linted: regular Python files that are neither vendored nor generated."""
        self._tree.mkdir()
        for path in _files.walk(self._base):
            if not path.endswith((".py", ".pyi")) or (self._base / path).is_symlink():
                continue
            data = _body.read_if_there(self._base / path, _files.MAX_TEXT_BYTES)
            reason = _why_left_out(path, data)
            if reason:
                self.left_out[reason] = self.left_out.get(reason, 0) + 1
                continue
            self._put(path, data or b"")
            self.scanned += 1
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the copy."""
        _body.discard(self._home)

    @property
    def facts(self) -> Mapping[str, Any]:
        """What was read from the repository and what was left out."""
        return {
            "settings": self._settings.source,
            "ignore": list(self._settings.ignore),
            "exclude": list(self._settings.exclude),
            "python": "{}.{}".format(*self._target),
            "left_out": self.left_out,
        }

    def version(self) -> str:
        """Ruff's version."""
        return self._run(["--version"]).stdout.decode("ascii", "replace").strip().removeprefix("ruff ")

    def findings(self) -> Mapping[str, Mapping[str, int]]:
        """How many findings with a safe fix each rule has in each file."""
        if not self.scanned:
            return {}
        chosen = DEFAULT if self._settings.select is None else self._settings.select
        select = [rule for rule in (*chosen, *self._settings.extend_select) if _KNOWN_LINTERS.fullmatch(rule)]
        if not select:
            return {}
        ignore = [rule for rule in self._settings.ignore if _KNOWN_LINTERS.fullmatch(rule) and rule != "ALL"]
        ended = self._check(["--output-format=json", "--exit-zero", "."], self._known(select), self._known(ignore))
        found: dict[str, dict[str, int]] = {}
        imports: dict[str, dict[str, list[str]]] = {rule: {} for rule in _IMPORT_RULES}
        for item in json.loads(ended.stdout):
            rule, fix = item.get("code") or "", item.get("fix") or {}
            if not SUPPORTED.fullmatch(rule) or fix.get("applicability") != "safe":
                continue
            path = os.path.relpath(item["filename"], self._tree)
            counts = found.setdefault(rule, {})
            counts[path] = counts.get(path, 0) + 1
            if rule in _IMPORT_RULES:
                imports[rule].setdefault(path, []).append(str(item.get("message", "")))
        self._keep_safe(found, imports)
        return {rule: counts for rule, counts in sorted(found.items()) if counts}

    def fix(self, rule: str, counts: Mapping[str, int]) -> list[_proposals.Fix]:
        """The files of `counts` with every safe fix of `rule` applied; the copy is as before afterwards."""
        paths = sorted(counts)
        for start in range(0, len(paths), _CHUNK):
            self._check(["--fix-only", "--exit-zero", "--", *paths[start : start + _CHUNK]], [rule], [])
        fixes = []
        for path in paths:
            before, after = (self._base / path).read_bytes(), (self._tree / path).read_bytes()
            if before == after:
                continue
            self._put(path, before)
            if _still_parses(before, after):
                executable = bool((self._base / path).stat().st_mode & 0o100)
                fix = _proposals.Fix(path=path, before=before, after=after, count=counts[path], executable=executable)
                fixes.append(fix)
        return fixes

    def _keep_safe(self, found: dict[str, dict[str, int]], imports: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        if not any(imports.values()):
            return
        uses = _imports.Uses(self._tree)
        for rule, files in imports.items():
            for path, messages in files.items():
                if uses.needed(path, messages):
                    del found[rule][path]
                    self.left_out["import-may-be-needed"] = self.left_out.get("import-may-be-needed", 0) + 1

    def _known(self, rules: Iterable[str]) -> list[str]:
        """Selectors that this ruff knows; one that it does not would end the run."""
        if not hasattr(self, "_codes"):
            listed = json.loads(self._run(["rule", "--all", "--output-format", "json"]).stdout)
            self._codes = tuple(str(item.get("code", "")) for item in listed)
        return [rule for rule in rules if rule == "ALL" or any(code.startswith(rule) for code in self._codes)]

    def _check(self, flags: Sequence[str], select: Sequence[str], ignore: Sequence[str]) -> _body.Ended:
        argv = [
            "check",
            "--isolated",
            "--no-cache",
            "--no-respect-gitignore",
            "--quiet",
            "--force-exclude",
            "--no-preview",
        ]
        argv += ["--select", ",".join(select), *(["--ignore", ",".join(ignore)] if ignore else [])]
        for setting in self._config(select):
            argv += ["--config", setting]
        ended = self._run([*argv, *flags])
        if ended.code:
            raise RuntimeError(f"ruff ended with {ended.code}: {ended.stderr[:500]!r}")
        return ended

    def _config(self, select: Sequence[str]) -> Iterable[str]:
        settings = self._settings
        yield f"target-version={_toml('py{}{}'.format(*self._target))}"
        per_file = {
            glob: self._known(rule for rule in rules if _KNOWN_LINTERS.fullmatch(rule))
            for glob, rules in (settings.per_file or {}).items()
            if _globs(glob)
        }
        yield f"lint.per-file-ignores={_toml({glob: rules for glob, rules in per_file.items() if rules})}"
        if settings.exclude:
            yield f"extend-exclude={_toml([glob for glob in settings.exclude if _globs(glob)])}"
        if settings.line_length:
            yield f"line-length={settings.line_length}"
        if settings.isort and list(select) == ["I001"]:
            yield f"lint.isort={_toml(settings.isort)}"

    def _run(self, args: Sequence[str]) -> _body.Ended:
        ended = _body.program([str(self._ruff), *args], cwd=self._tree, env=_body.fixed_env(self._home), timeout_s=300)
        if ended.timed_out or ended.code < 0:
            raise RuntimeError(f"ruff ended with {ended.code}")
        return ended

    def _put(self, path: str, data: bytes) -> None:
        target = self._tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def generate(request: _body.Request, only: str | None) -> Mapping[str, Any]:
    """The result document for the generator `ruff`; `only` names one rule."""
    with Linter(request.golden, request.mount("base")) as linter:
        proposals: list[Mapping[str, Any]] = []
        dropped = 0
        for rule, counts in linter.findings().items():
            if only and rule != only:
                continue
            bundles = _proposals.bundle(linter.fix(rule, counts))
            for part, fixes in enumerate(bundles, 1):
                if len(proposals) >= _proposals.MAX_PROPOSALS:
                    dropped += 1
                    continue
                proposals.append(
                    _proposals.proposal(
                        request,
                        number=len(proposals),
                        rule=f"ruff:{rule}",
                        reproduce=f"ruff:{rule}",
                        words=_words(rule, fixes, part, len(bundles)),
                        fixes=fixes,
                    )
                )
        return {
            "proposals": proposals,
            "scanned": linter.scanned,
            "ignored": {**linter.facts, "proposals_above_the_bound": dropped},
            "tools": {"ruff": linter.version(), "python": sys.version.split()[0]},
        }


def regenerate(golden: Path, base: Path, rule: str) -> Mapping[str, bytes]:
    """What each file of `base` becomes by every safe fix of `rule`."""
    with Linter(golden, base) as linter:
        return {fix.path: fix.after for fix in linter.fix(rule, linter.findings().get(rule, {}))}


def _words(rule: str, fixes: Sequence[_proposals.Fix], part: int, parts: int) -> _proposals.Words:
    what, why = _WORDS.get(rule, (f"Apply ruff's safe fix of {rule}", f"Ruff reports {rule} and knows a safe fix."))
    files = f"{len(fixes)} files" if len(fixes) > 1 else fixes[0].path
    suffix = f", part {part} of {parts}" if parts > 1 else ""
    layout = rule.startswith(("W2", "W3", "E703", "I"))
    return _proposals.Words(
        title=f"{what} in {files} ({rule}{suffix})",
        rationale=why,
        expected="No change of behaviour." if layout else "The same behaviour, tests pass as before.",
        confidence=97 if layout else 85 if rule in _IMPORT_RULES else 93,
    )


def _why_left_out(path: str, data: bytes | None) -> str:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return "name-not-utf-8"
    if data is None:
        return "too-large"
    if _files.is_vendored(path):
        return "vendored"
    return "generated" if _files.is_generated(data) else ""


def _still_parses(before: bytes, after: bytes) -> bool:
    """A fix may not break a file that this interpreter could read."""
    try:
        ast.parse(before)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True
    try:
        ast.parse(after)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


_GLOB = re.compile(r"!?(?:[^\[\]{}\\]|\[!?[^\[\]/]+\]|\{[^\[\]{}]*\})+")


def _globs(pattern: str) -> bool:
    """Only well-formed patterns below the tree; another one would end the run."""
    return bool(_GLOB.fullmatch(pattern)) and not pattern.startswith(("/", "~")) and ".." not in pattern.split("/")


def _toml(value: Any) -> str:
    """Plain data as inline TOML."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(str(key))}={_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_toml(item) for item in value) + "]"
    return json.dumps(value)
