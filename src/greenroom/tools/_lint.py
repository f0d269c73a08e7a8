"""Ruff's safe fixes for a tree, one rule at a time; `_families` says which rules a generator owns.

Ruff sees a copy that holds Python files only, and the repository's settings of it as `_ruffs` reduces them to data.
Each file is linted for the lowest Python that the projects around it name. Fixes that a linter calls safe but that can
break a program are left out here: imports that something else takes from the module, that pytest takes as fixtures, or
that load code of the project's own.
"""

from __future__ import annotations

import ast
import itertools
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _body, _families, _files, _imports, _proposals, _pythons, _ruff, _ruffs, _scope
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _families
    import _files
    import _imports
    import _proposals
    import _pythons
    import _ruff
    import _ruffs
    import _scope

_IMPORT_RULES = frozenset({"F401", "F811"})
_CHUNK = 250
_SHOWN = 10
_UNUSABLE = "ruff-settings-unusable"


class Linter:
    """Ruff on a private copy of `base`, for the rules of one family; use as a context manager."""

    def __init__(self, golden: Path, base: Path, family: _families.Family) -> None:
        self._base = base
        self._family = family
        self._home = _body.scratch()
        self._tree = self._home / "tree"
        self._ruff = _ruff.Ruff(golden, self._home)
        self._configs = _ruffs.Configs(base, family.default, self._ruff.known, flake8=family.flake8)
        self._floors = _pythons.Floors(base)
        self._scope = _scope.Scope(base)
        self._paths: list[str] = []
        self._old: dict[str, _pythons.Version] = {}
        self.tally = _proposals.Tally()

    def __enter__(self) -> Linter:
        """Copy what is linted: the Python files in scope that no settings leave out."""
        self._tree.mkdir()
        for path, data in self._scope.files(lambda path: path.endswith((".py", ".pyi"))):
            self._put(path, data)
            self._paths.append(path)
        self._ruff.settle(self._configs)
        self._configs.write(self._tree, _pythons.KNOWN[-1])
        self._paths = list(self._permitted())
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the copy."""
        _body.discard(self._home)

    @property
    def facts(self) -> Mapping[str, Any]:
        """What was read from the repository."""
        sources = {self._configs.source, *(found.path for found in self._configs.used)} - {""}
        return {"settings": sorted(sources)[:_SHOWN], "python": "{}.{}".format(*_pythons.within(self._floors.of("")))}

    @property
    def scope(self) -> _scope.Scope:
        """The files that were linted and those that were left out."""
        return self._scope

    @property
    def notes(self) -> list[Mapping[str, str]]:
        """Why there is nothing to find, where the repository itself says so."""
        found: list[Mapping[str, str]] = []
        if self._old:
            path, version = min(self._old.items(), key=lambda item: (item[1], item[0]))
            where = "Python {}.{}".format(*version) + (f", {_short(path)}" if "/" in path else "")
            remedy = "declare a lowest Python of {}.{} or later (requires-python)".format(*_pythons.LOWEST)
            found.append({"rule": "python-too-old", "where": where, "remedy": remedy})
        for settings in self._configs.nearest:
            problem = self._configs.problem(settings)
            if problem:
                remedy = f"write it so that ruff takes it ({problem}); nothing is proposed for the files that it is for"
                found.append({"rule": _UNUSABLE, "where": _short(settings.path), "remedy": remedy})
        root = self._configs.of("")
        own, rules = self._configs.selects(root)
        if own and not self._old and not self._configs.problem(root) and not self._ruff.any_of(self._family, rules):
            remedy = f"select {', '.join(self._family.default)} there to have it"
            found.append({"rule": "not-selected", "where": self._configs.source, "remedy": remedy})
        return found[:_SHOWN]

    def version(self) -> str:
        """Ruff's version."""
        return self._ruff.version()

    def findings(self) -> Mapping[str, Mapping[str, int]]:
        """How many findings with a safe fix each rule has in each file."""
        found: dict[str, dict[str, int]] = {}
        imports: dict[str, dict[str, list[str]]] = {rule: {} for rule in _IMPORT_RULES}
        flags = ["--output-format=json", "--exit-zero", "--ignore", self._ruff.others(self._family)]
        for item in itertools.chain.from_iterable(map(json.loads, self._check(flags, self._paths))):
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
        for _ in self._check(["--fix-only", "--exit-zero", "--select", rule], paths):
            pass
        fixes = []
        for path in paths:
            before, after = (self._base / path).read_bytes(), (self._tree / path).read_bytes()
            if before == after:
                self.tally.drop("no-longer-there", counts[path])
                continue
            self._put(path, before)
            reason = self._unreadable(path, before, after)
            if reason:
                self.tally.drop(reason, counts[path])
            else:
                executable = bool((self._base / path).stat().st_mode & 0o100)
                fix = _proposals.Fix(path=path, before=before, after=after, count=counts[path], executable=executable)
                fixes.append(fix)
        return fixes

    def floor(self, path: str) -> _pythons.Version:
        """The lowest Python that a file must run on, as the projects and the settings of ruff around it say."""
        said = (self._floors.of(path), self._configs.target(self._configs.of(path)))
        return _pythons.within(min((version for version in said if version), default=None))

    def _keep_safe(self, found: dict[str, dict[str, int]], imports: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        if not any(imports.values()):
            return
        uses = _imports.Uses(self._tree)
        for rule, files in imports.items():
            for path, messages in files.items():
                if uses.needed(path, messages):
                    self.tally.drop("import-may-be-needed", found[rule].pop(path))

    def _permitted(self) -> Iterator[str]:
        """The files that ruff would lint here; the others are counted by the rule that leaves them out."""
        shown = self._ruff.shown(self._tree) if self._paths else set()
        for path in self._paths:
            declared = self._floors.of(path)
            if self._configs.problem(self._configs.of(path)):
                self._scope.leave(_UNUSABLE, scanned=1)
            elif path not in shown:
                self._scope.leave("lint-exclude", scanned=1)
            elif self._family.modern and declared is not None and declared < _pythons.LOWEST:
                self._scope.leave("python-too-old", scanned=1)
                self._old[path] = declared
            else:
                yield path

    def _check(self, flags: Sequence[str], paths: Iterable[str]) -> Iterator[bytes]:
        """What ruff says of the files, in parts: those that must run on the same Python go together."""
        groups: dict[_pythons.Version, list[str]] = {}
        for path in paths:
            groups.setdefault(self.floor(path), []).append(path)
        for version, members in sorted(groups.items()):
            self._configs.write(self._tree, version)
            for start in range(0, len(members), _CHUNK):
                yield self._ruff.check(self._tree, [*flags, "--", *members[start : start + _CHUNK]])

    def _unreadable(self, path: str, before: bytes, after: bytes) -> str:
        """Why a fix is not taken: the file could be read and cannot any more, by us or by the lowest Python."""
        if not self._family.modern:
            return "no-longer-parses" if _parses(before) and not _parses(after) else ""
        fit = _parses(after) and _parses(after, self.floor(path))
        for version in self._configs.targets(self._configs.of(path)) if fit else ():
            fit = fit and (_parses(after, version) or not _parses(before, version))
        return "" if fit else "not-for-the-lowest-python"

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


def _short(path: str) -> str:
    return _files.show(path)[: _proposals.MAX_MESSAGE]
