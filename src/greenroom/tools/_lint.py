"""Ruff's safe fixes for a tree, one rule at a time; `_families` says which rules a generator owns.

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
    from greenroom.tools import _body, _families, _imports, _projects, _proposals, _scope
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _families
    import _imports
    import _projects
    import _proposals
    import _scope

_IMPORT_RULES = frozenset({"F401", "F811"})
_CHUNK = 200


class Linter:
    """Ruff on a private copy of `base`, for the rules of one family; use as a context manager."""

    def __init__(self, golden: Path, base: Path, family: _families.Family) -> None:
        self._ruff = golden / "bin" / "ruff"
        self._base = base
        self._family = family
        self._home = _body.scratch()
        self._tree = self._home / "tree"
        self._settings = _projects.lint_settings(base)
        self._declared = _projects.declared_python(base)
        self._target = _projects.lowest_python(base)
        self._scope = _scope.Scope(base)
        self._sortable: bool | None = None
        self.tally = _proposals.Tally()

    def __enter__(self) -> Linter:
        """Copy what is linted: the Python files in scope."""
        self._tree.mkdir()
        for path, data in self._scope.files(lambda path: path.endswith((".py", ".pyi"))):
            self._put(path, data)
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the copy."""
        _body.discard(self._home)

    @property
    def facts(self) -> Mapping[str, Any]:
        """What was read from the repository."""
        return {
            "settings": self._settings.source,
            "ignore": list(self._settings.ignore),
            "exclude": list(self._settings.exclude),
            "python": "{}.{}".format(*self._target),
        }

    @property
    def scope(self) -> _scope.Scope:
        """The files that were linted and those that were left out; complete once there were findings."""
        return self._scope

    @property
    def notes(self) -> list[Mapping[str, str]]:
        """Why there is nothing to find, where the repository itself says so."""
        if self._too_old():
            where = "Python {}.{}".format(*(self._declared or ()))
            remedy = "declare a lowest Python of {}.{} or later (requires-python)".format(*_projects.LOWEST)
            return [{"rule": "python-too-old", "where": where, "remedy": remedy}]
        if not self._selected():
            remedy = f"select {', '.join(self._family.default)} there to have it"
            return [{"rule": "not-selected", "where": self._settings.source, "remedy": remedy}]
        return []

    def version(self) -> str:
        """Ruff's version."""
        return self._run(["--version"]).stdout.decode("ascii", "replace").strip().removeprefix("ruff ")

    def findings(self) -> Mapping[str, Mapping[str, int]]:
        """How many findings with a safe fix each rule has in each file."""
        select = self._selected()
        if not self._scope.scanned or not select or self._too_old():
            return {}
        self._leave_excluded()
        ignore = [rule for rule in self._settings.ignore if self._family.known.fullmatch(rule) and rule != "ALL"]
        ended = self._check(["--output-format=json", "--exit-zero", "."], self._known(select), self._known(ignore))
        found: dict[str, dict[str, int]] = {}
        imports: dict[str, dict[str, list[str]]] = {rule: {} for rule in _IMPORT_RULES}
        for item in json.loads(ended.stdout):
            rule, fix = item.get("code") or "", item.get("fix") or {}
            if not self._family.supported.fullmatch(rule):
                continue
            self.tally.findings += 1
            if fix.get("applicability") != "safe":
                self.tally.drop("no-safe-fix")
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
                self.tally.drop("no-longer-there", counts[path])
                continue
            self._put(path, before)
            reason = self._unreadable(before, after)
            if reason:
                self.tally.drop(reason, counts[path])
            else:
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
                    self.tally.drop("import-may-be-needed", found[rule].pop(path))

    def _selected(self) -> list[str]:
        """The selectors of the family that the repository wants: its own choice, or the default where it has none."""
        family, settings = self._family, self._settings
        own = settings.select is not None and (family.flake8 or settings.source not in _projects.FLAKE8_FILES)
        chosen = [*((settings.select or ()) if own else family.default), *settings.extend_select]
        if "ALL" in chosen and family is not _families.RUFF:
            chosen += family.default
            chosen.remove("ALL")
        known = [rule for rule in dict.fromkeys(chosen) if family.known.fullmatch(rule)]
        if self._can_sort():
            return known
        return [*(family.default if "ALL" in known else ()), *(rule for rule in known if not _sorts([rule]))]

    def _can_sort(self) -> bool:
        """False where this ruff does not know the repository's settings of sorting: then nothing is sorted."""
        if self._sortable is None:
            argv = ["check", "--isolated", "--no-cache", "--quiet", "--show-files", "--config"]
            isort = self._settings.isort
            self._sortable = not isort or self._run([*argv, f"lint.isort={_toml(isort)}", "."]).code == 0
        return self._sortable

    def _too_old(self) -> bool:
        return self._family.modern and self._declared is not None and self._declared < _projects.LOWEST

    def _unreadable(self, before: bytes, after: bytes) -> str:
        """Why a fix is not taken: the file could be read and cannot any more, by us or by the lowest Python."""
        if not self._family.modern:
            return "no-longer-parses" if _parses(before) and not _parses(after) else ""
        return "" if _parses(after) and _parses(after, self._target) else "not-for-the-lowest-python"

    def _leave_excluded(self) -> None:
        """Count the files that the repository's own lint settings exclude."""
        if self._settings.exclude:
            shown = self._check(["--show-files", "."], [], []).stdout.splitlines()
            for _ in range(self._scope.scanned - len(shown)):
                self._scope.leave("lint-exclude", scanned=1)

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
        argv += ["--select", ",".join(select)] if select else []
        argv += ["--ignore", ",".join(ignore)] if ignore else []
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
            glob: self._known(rule for rule in rules if self._family.known.fullmatch(rule))
            for glob, rules in (settings.per_file or {}).items()
            if _globs(glob)
        }
        yield f"lint.per-file-ignores={_toml({glob: rules for glob, rules in per_file.items() if rules})}"
        if settings.exclude:
            yield f"extend-exclude={_toml([glob for glob in settings.exclude if _globs(glob)])}"
        if settings.line_length:
            yield f"line-length={settings.line_length}"
        if self._family.modern and settings.keep_runtime_typing:
            yield "lint.pyupgrade.keep-runtime-typing=true"
        if settings.isort and _sorts(select):
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


def generate(request: _body.Request, generator: str, only: str | None) -> Mapping[str, Any]:
    """The result document for a family of rules; `only` names one rule."""
    with Linter(request.golden, request.mount("base"), _families.FAMILIES[generator]) as linter:
        proposals: list[Mapping[str, Any]] = []
        for rule, counts in linter.findings().items():
            if only and rule != only:
                linter.tally.drop("not-asked-for", sum(counts.values()))
                continue
            bundles = _proposals.bundle(linter.fix(rule, counts))
            for part, fixes in enumerate(bundles, 1):
                count = sum(fix.count for fix in fixes)
                if len(proposals) >= _proposals.MAX_PROPOSALS:
                    linter.tally.drop("above-the-bound", count)
                    continue
                linter.tally.proposed += count
                proposals.append(
                    _proposals.proposal(
                        request,
                        number=len(proposals),
                        rule=f"{generator}:{rule}",
                        reproduce=f"{generator}:{rule}",
                        words=_words(rule, fixes, part, len(bundles)),
                        fixes=fixes,
                    )
                )
        return {
            "proposals": proposals,
            "scanned": linter.scope.scanned,
            "ignored": linter.facts,
            "counts": linter.tally.counts(linter.scope),
            "notes": linter.notes,
            "tools": {"ruff": linter.version(), "python": sys.version.split()[0]},
        }


def regenerate(golden: Path, base: Path, generator: str, rule: str) -> Mapping[str, bytes]:
    """What each file of `base` becomes by every safe fix of `rule`."""
    with Linter(golden, base, _families.FAMILIES[generator]) as linter:
        return {fix.path: fix.after for fix in linter.fix(rule, linter.findings().get(rule, {}))}


def _words(rule: str, fixes: Sequence[_proposals.Fix], part: int, parts: int) -> _proposals.Words:
    what, why = _families.words(rule)
    files = f"{len(fixes)} files" if len(fixes) > 1 else fixes[0].path
    suffix = f", part {part} of {parts}" if parts > 1 else ""
    layout = rule.startswith(("W2", "W3", "E703", "I"))
    return _proposals.Words(
        title=f"{what} in {files} ({rule}{suffix})",
        rationale=why,
        expected="No change of behaviour." if layout else "The same behaviour, tests pass as before.",
        confidence=97 if layout else 85 if rule in _IMPORT_RULES else 93,
    )


def _parses(data: bytes, version: tuple[int, int] | None = None) -> bool:
    """True when this interpreter can read the source, as the syntax of `version` where that is given."""
    try:
        ast.parse(data, feature_version=version)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _sorts(select: Iterable[str]) -> bool:
    return any(rule == "ALL" or rule.startswith("I") for rule in select)


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
