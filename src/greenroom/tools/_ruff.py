"""The toolchain's ruff: which rules it has, which settings it takes, and what it says of files."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenroom.tools import _body, _families, _pythons, _ruffs
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _families
    import _pythons
    import _ruffs

MAX_ASKED = 64
"""Selectors of a tree that ruff is asked about one by one."""
_SELECTOR = re.compile(r"[A-Z]{1,8}[0-9]{0,4}")
_FLAGS = ("--no-cache", "--no-respect-gitignore", "--quiet", "--force-exclude", "--no-preview")
_TIMEOUT_S = 300


class Ruff:
    """Ruff with nobody's settings but those that lie beside the files; `home` is a scratch directory."""

    def __init__(self, golden: Path, home: Path) -> None:
        self._program = golden / "bin" / "ruff"
        self._home = home
        self._asked: dict[str, bool] = {}

    def version(self) -> str:
        """Ruff's version."""
        said = self._run(["--version"], self._home).stdout
        return said.decode("ascii", "replace").strip().removeprefix("ruff ")

    def known(self, rules: Iterable[str]) -> list[str]:
        """Those of the selectors that this ruff has; a rule's name gives its code."""
        found = (self._codes.get(rule, rule) for rule in rules)
        return [rule for rule in found if _SELECTOR.fullmatch(rule) and self._knows(rule)]

    def any_of(self, family: _families.Family, selectors: Iterable[str]) -> bool:
        """True when the selectors name a rule of the family."""
        codes = [code for code in self._codes.values() if family.supported.fullmatch(code)]
        return any(rule == "ALL" or any(code.startswith(rule) for code in codes) for rule in selectors)

    def others(self, family: _families.Family) -> str:
        """The codes of all rules that are not the family's, as an argument of ruff's."""
        return ",".join(code for code in self._codes.values() if not family.supported.fullmatch(code))

    def settle(self, configs: _ruffs.Configs) -> None:
        """Try every settings file with ruff; what it does not take is left out, or makes the file unusable."""
        tree = self._home / "trial"
        tree.mkdir()
        configs.write(tree, _pythons.KNOWN[-1])
        if self._takes(tree, ["."]):
            return
        for found in configs.used:
            lint = found.table.get("lint", {})
            if configs.problem(found) or self._takes(tree, ["--config", found.path, "."]):
                continue
            if "isort" in lint:
                _ruffs.unsorted_imports(lint)
                configs.write(tree, _pythons.KNOWN[-1])
                if self._takes(tree, ["--config", found.path, "."]):
                    continue
            found.problem = "ruff does not take it"
            configs.write(tree, _pythons.KNOWN[-1])

    def shown(self, tree: Path) -> set[str]:
        """The files below `tree` that ruff would lint."""
        listed = self.check(tree, ["--show-files", "."]).decode("utf-8", "surrogateescape").split("\n")
        return {os.path.relpath(path, tree) for path in listed if path}

    def check(self, tree: Path, args: Sequence[str]) -> bytes:
        """What ``ruff check`` prints."""
        ended = self._run(["check", *_FLAGS, *args], tree)
        if ended.code:
            raise RuntimeError(f"ruff ended with {ended.code}: {ended.stderr[:500]!r}")
        return ended.stdout

    @cached_property
    def _codes(self) -> Mapping[str, str]:
        """The codes of the rules by their names; rules without a code are of no family."""
        listed = json.loads(self._run(["rule", "--all", "--output-format", "json"], self._home).stdout)
        return {str(item["name"]): item["code"] for item in listed if isinstance(item.get("code"), str)}

    def _knows(self, rule: str) -> bool:
        """True for a selector that this ruff has; one that it has under another code is asked for."""
        if rule == "ALL" or any(code.startswith(rule) for code in self._codes.values()):
            return True
        if rule not in self._asked and len(self._asked) < MAX_ASKED:
            argv = ["check", "--isolated", *_FLAGS, "--config", f'lint.ignore=["{rule}"]', "--show-files", "none"]
            self._asked[rule] = self._run(argv, self._home).code == 0
        return self._asked.get(rule, False)

    def _takes(self, tree: Path, args: Sequence[str]) -> bool:
        return self._run(["check", *_FLAGS, "--show-files", *args], tree).code == 0

    def _run(self, args: Sequence[str], cwd: Path) -> _body.Ended:
        argv = [str(self._program), *args]
        ended = _body.program(argv, cwd=cwd, env=_body.fixed_env(self._home), timeout_s=_TIMEOUT_S)
        if ended.timed_out or ended.code < 0:
            raise RuntimeError(f"ruff ended with {ended.code}")
        return ended
