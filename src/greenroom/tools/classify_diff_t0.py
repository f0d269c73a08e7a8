"""Says what kind of change leads from the tree `base` to `green`: comments, docs, lint, tests, config, logic, binary.

Argument `reproduce`, optional: what made the patch (``ruff:F401``, ``codespell``); where making it again from base
gives each changed file of green, byte for byte, the result says so, and ruff's own family is `lint`. Other families
keep the class of what they change: that a program can make a change again does not say that the code means the same.
Result: a domain DiffClass. A class is only given for what was compared: for Python, the syntax trees and the comments
that tools read. Of each tree the result says by which mark it is Greenroom itself.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _body, _families, _files, _itself, _lint, _python, _shell, _strings, _testfiles, _typos
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _families
    import _files
    import _itself
    import _lint
    import _python
    import _shell
    import _strings
    import _testfiles
    import _typos

MAX_FILES = 5_000
_READS_DOCSTRINGS = re.compile(r"__doc__|\bdocopt\b|\bgetdoc\(|\bdoctest\b|\bply\b")


def run(request: _body.Request) -> Mapping[str, Any]:
    """The DiffClass document."""
    base, green = request.mount("base"), request.mount("green")
    changed = _files.changes(base, green)
    if len(changed) > MAX_FILES:
        raise _body.Refusal("diff-too-large", f"{len(changed)} files", f"change at most {MAX_FILES} files at once")
    reproduce = request.text("reproduce", "")
    reproduced = bool(reproduce) and bool(changed) and _reproduced(request.golden, base, changed, reproduce)
    return {
        "files": [
            classify(base, green, change, lint=reproduced and reproduce.startswith("ruff:")) for change in changed
        ],
        "reproduced_by": reproduce if reproduced else None,
        "itself": {"base": _mark(base), "green": _mark(green)},
    }


def classify(base: Path, green: Path, change: _files.Changed, *, lint: bool) -> Mapping[str, Any]:
    """The FileDiff of one changed file.

    What only may be a test by its name or by the settings counts as code: product code has such names too.
    """
    line_class, why = _class_of(base, green, change, _testfiles.named(_files.show(change.path)))
    if lint and line_class not in ("comment", "docs"):
        line_class, why = "lint", "the same fix was made again from base"
    lines = _files.changed_lines(change.base.text or "", change.green.text or "")
    return {
        "path": _files.show(change.path),
        "line_class": line_class,
        "added": len(lines.added),
        "removed": len(lines.removed),
        "why": why,
    }


def _mark(root: Path) -> str | None:
    found = _itself.mark(_files.walk(root), lambda path: _head(root / path))
    return None if found is None else _files.show(found)


def _head(path: Path) -> bytes:
    # A link may be followed: none in a tree leaves it.
    try:
        with path.open("rb") as file:
            return file.read(_itself.MAX_METADATA_BYTES + 1)
    except OSError:
        return b""


def _class_of(base: Path, green: Path, change: _files.Changed, test: bool) -> tuple[str, str]:
    path = change.path
    modes = {change.base.mode, change.green.mode} - {"none"}
    if len(modes) > 1 or modes & {"link", "other"}:
        return "logic", "a link, or the type or the exec bit of a file, changed"
    if any(side.data is not None and side.text is None for side in (change.base, change.green)):
        return "binary", "not UTF-8 text"
    if path.endswith((".py", ".pyi")):
        return _python_class(change, test)
    if test:
        return "tests", "a file of the tests"
    if _files.is_config(path):
        return "config", "a file that configures tools, builds or agents"
    if not _files.is_docs(path):
        return "logic", "a file that programs may read"
    if _files.in_package(base, path) or _files.in_package(green, path):
        return "logic", "text inside a package, where code may read it"
    return "docs", "prose"


def _python_class(change: _files.Changed, test: bool) -> tuple[str, str]:
    sort = ("tests", "code of the tests") if test else ("logic", "code")
    before, after = change.base.text, change.green.text
    if before is None or after is None:
        return sort[0], "a file of code is added or removed" if sort[
            0
        ] == "logic" else "a test file is added or removed"
    if not _python.same_but_docstrings(before, after):
        return sort
    try:
        if _python.pragmas(before) != _python.pragmas(after) or _shebang(before) != _shebang(after):
            return "config", "a comment that tools read changed"
        comments_differ = _python.comments(before) != _python.comments(after)
    except ValueError:
        return sort
    if not _python.same(before, after):
        return _docstring_class(before, after, sort)
    if comments_differ:
        return "comment", "only comments changed: the syntax tree is the same"
    return "comment", "only layout changed: the syntax tree is the same"


def _docstring_class(before: str, after: str, sort: tuple[str, str]) -> tuple[str, str]:
    """Docstrings are docs, unless the module reads them as data or an example in them runs as a test."""
    if _READS_DOCSTRINGS.search(before) or _READS_DOCSTRINGS.search(after):
        return sort[0], "the module reads docstrings"
    if _examples(before) != _examples(after):
        return sort[0], "an example in a docstring changed"
    return "docs", "only comments and docstrings changed"


def _examples(text: str) -> list[str]:
    """The doctest lines of all docstrings, with what follows them up to a blank line."""
    found = []
    for docstring in _python.docstring_texts(text):
        inside = False
        for line in docstring.splitlines():
            inside = bool(line.strip()) and (inside or line.lstrip().startswith(">>>"))
            if inside:
                found.append(line)
    return found


def _shebang(text: str) -> str:
    return text.split("\n", 1)[0] if text.startswith("#!") else ""


def _reproduced(golden: Path, base: Path, changed: Sequence[_files.Changed], reproduce: str) -> bool:
    """True when the generator makes each changed file of green from base."""
    if any(change.base.mode != change.green.mode for change in changed):
        return False
    generator, _, rule = reproduce.partition(":")
    family = _families.FAMILIES.get(generator)
    if family is not None and family.supported.fullmatch(rule):
        made: Mapping[str, bytes | None] = _lint.regenerate(golden, base, generator, rule)
    elif reproduce == "codespell":
        speller = _typos.Speller(golden, base)
        made = {change.path: speller.mended(change.path) for change in changed}
    elif reproduce == _strings.RULE:
        strings = _strings.Strings(golden, base)
        made = {change.path: strings.mended(change.path) for change in changed}
    elif reproduce == "shell":
        with _shell.Shell(base) as shell:
            made = {change.path: shell.mended(change.path) for change in changed}
    else:
        raise _body.Refusal("unknown-generator", reproduce[:100], "name a generator that codegen_t0 has, with its rule")
    return all(made.get(change.path) == change.green.data for change in changed)


if __name__ == "__main__":
    _body.main(run)
