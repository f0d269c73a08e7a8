"""Finds what a project says it needs, read as data; executes nothing of what it reads.

Mount `base`: the tree. Result: {"project": {"name", "version", "entry_points"} or null, "python": requires-python,
"requirements": [{"text", "source", "needed"}], "sources": {source: count}, "notes": [...]}.

`needed` is what the project itself runs on; the rest (test extras, groups, tox, nox, requirements files) helps its
tests. Extras and groups named for tests come first: the other places add to them what they do not name. Sources named
for developers count only where no test source exists.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _body, _declared, _environments, _needs
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _declared
    import _environments
    import _needs

TEST_NAMES = ("test", "tests", "testing", "unittest", "pytest", "test-dependencies", "tests-require")
DEV_NAMES = ("dev", "develop", "development", "all", "ci")
ONLY_FOR_DEVELOPERS = frozenset(
    {
        "black",
        "build",
        "bump2version",
        "check-manifest",
        "codespell",
        "flake8",
        "furo",
        "isort",
        "mypy",
        "nox",
        "pre-commit",
        "pycodestyle",
        "pylint",
        "pyrefly",
        "pyright",
        "ruff",
        "sphinx",
        "sphinx-rtd-theme",
        "tox",
        "twine",
        "ty",
        "wheel",
    }
)
SHUFFLERS = frozenset({"pytest-randomly", "pytest-random-order", "pytest-reverse"})
_METADATA = (_declared.read_pyproject, _declared.read_setup_cfg, _declared.read_setup_py, _declared.read_pkg_info)
_ENVIRONMENTS = (
    _environments.read_tox_ini,
    _environments.read_tox_of_setup_cfg,
    _environments.read_tox_of_pyproject,
    _environments.read_tox_toml,
    _environments.read_nox,
)


def run(request: _body.Request) -> Mapping[str, Any]:
    """The result document for the tree at `base`."""
    return find(str(request.mount("base")))


def find(root: str) -> dict[str, Any]:
    """The result document for the tree at `root`."""
    findings = _needs.Findings(root)
    for reader in _METADATA:
        guarded(findings, reader)
    has_metadata = bool(findings.project["name"])
    guarded(findings, choose_extras)
    chosen = findings.chosen
    if chosen:
        findings.settle()
    for reader in _ENVIRONMENTS:
        guarded(findings, reader)
    guarded(findings, lambda f: _environments.read_requirement_files(f, has_metadata, chosen))
    return result(findings)


def guarded(findings: _needs.Findings, reader: Callable[[_needs.Findings], None]) -> None:
    """Run one reader; whatever a malformed file makes it raise becomes a note, for the other files still count."""
    try:
        reader(findings)
    except Exception as error:
        findings.note(f"{getattr(reader, '__name__', 'reader')}: {type(error).__name__}: {str(error)[:150]}")


def result(findings: _needs.Findings) -> dict[str, Any]:
    """The result document, without what only developers use and without the project itself."""
    own = _needs.canonical(findings.project["name"])
    requirements: list[_needs.Table] = []
    sources: dict[str, int] = {}
    for text, (source, needed) in findings.found.items():
        name = _needs.canonical(_needs.name_of(text))
        if name == own or (not needed and name in ONLY_FOR_DEVELOPERS):
            continue
        if name in SHUFFLERS:
            findings.note(f"{source}: {name} is left out, since every run of a suite has to be the same")
            continue
        requirements.append({"text": text, "source": source, "needed": needed})
        sources[source] = sources.get(source, 0) + 1
    return {
        "project": findings.project if findings.project["name"] else None,
        "python": findings.python,
        "requirements": requirements,
        "sources": sources,
        "notes": findings.notes,
    }


def choose_extras(findings: _needs.Findings) -> None:
    """Add the extras and groups named for tests, else those named for developers; note when a test source was."""
    for names, is_test in ((TEST_NAMES, True), (DEV_NAMES, False)):
        taken = False
        for table, kind in ((findings.extras, "extra"), (findings.groups, "group")):
            for name in sorted(table):
                if _needs.canonical(name) in names:
                    findings.add(_needs.expand(findings, kind, name), f"{kind}:{name}"[:100], False)
                    taken = taken or bool(table[name])
        if taken:
            findings.chosen = is_test
            return


if __name__ == "__main__":
    _body.main(run)
