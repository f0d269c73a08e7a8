"""The house keeps its own rules: read from the source, so that a rule cannot be broken quietly."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

import greenroom

ROOT = Path(greenroom.__file__).parent
REPOSITORY = ROOT.parent.parent
MODULES = sorted(ROOT.rglob("*.py"))
KIND_IS_KNOWN_IN = ("domain/", "release/", "bootstrap/", "policy/", "testing/")
ONE_KIND_DOOR = ("pipeline/improving.py",)
"""Doors that make a subject name its kind; they do not branch on it."""


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def branches(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If | ast.IfExp | ast.While):
            yield node.test
        elif isinstance(node, ast.Match):
            yield node
        elif isinstance(node, ast.comprehension):
            yield from node.ifs


def test_no_branch_on_the_kind_of_subject_outside_the_rooms_that_know_it() -> None:
    """One flow for all kinds: elsewhere no condition mentions Kind or a subject's kind."""
    found = []
    for path in MODULES:
        if name_of(path).startswith(KIND_IS_KNOWN_IN) or "kind" not in path.read_text().lower():
            continue
        for condition in branches(parsed(path)):
            for node in ast.walk(condition):
                named = isinstance(node, ast.Name) and node.id == "Kind"
                asked = isinstance(node, ast.Attribute) and node.attr == "kind" and "subject" in ast.unparse(node.value)
                if named or asked:
                    found.append(f"{name_of(path)}:{node.lineno}")
    assert found == []


def test_kinds_are_named_only_where_they_are_known() -> None:
    """`Kind.X` stands in domain, release, bootstrap, policy data, and where a door makes a subject."""
    found = {
        name_of(path)
        for path in MODULES
        if "Kind" in path.read_text()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Kind"
    }
    assert {name for name in found if not name.startswith(KIND_IS_KNOWN_IN)} <= set(ONE_KIND_DOOR)


def lines(node: ast.FunctionDef) -> int:
    return (node.end_lineno or 0) - node.lineno + 1


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_and_functions_stay_small(path: Path) -> None:
    """Modules have at most 600 lines; functions at most 60, each function inside another counted by itself."""
    assert len(path.read_text().splitlines()) <= 600
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef):
            inner = sum(
                lines(child) for child in ast.walk(node) if isinstance(child, ast.FunctionDef) and child != node
            )
            assert lines(node) - inner <= 60, f"{node.name} is too long"


FORBIDDEN_IMPORTS = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "os.system",
    "os.popen",
    "subprocess.getoutput",
    "yaml.unsafe_load",
    "yaml.full_load",
}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_runs_strings_or_reads_pickles(path: Path) -> None:
    """No shell, no eval, no pickle, no unsafe YAML anywhere in the product."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & FORBIDDEN_IMPORTS
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in FORBIDDEN_IMPORTS
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in FORBIDDEN_CALLS
            assert not any(k.arg == "shell" for k in node.keywords), "no shell strings"
            if ast.unparse(node.func) == "yaml.load":
                assert [ast.unparse(k.value) for k in node.keywords] == ["_StrictLoader"], "a SafeLoader made stricter"


def test_the_tools_are_stand_alone() -> None:
    """A body imports nothing of the house but its neighbours: it runs where the house is not."""
    for path in sorted((ROOT / "tools").glob("*.py")):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ImportFrom):
                inside = (node.module or "").startswith("greenroom.") and node.module != "greenroom.tools"
                assert not inside, path.name
            if isinstance(node, ast.Import):
                assert not any(alias.name.startswith("greenroom") for alias in node.names), path.name


def test_every_stage_is_a_module_of_its_name() -> None:
    """A stage's name is its file."""
    from greenroom.domain.vocabulary import Stage

    files = {path.stem for path in (ROOT / "pipeline" / "stages").glob("*.py")} - {"__init__"}
    assert files == {stage.value for stage in Stage}


def test_the_repository_names_no_machine_and_no_registry() -> None:
    """Locks name versions and hashes, never a host."""
    for lock in (REPOSITORY / "requirements").glob("*.txt"):
        text = lock.read_text()
        assert "http" not in text
        assert "--index-url" not in text
        for requirement in text.replace("\\\n", " ").splitlines():
            assert "--hash=sha256:" in requirement, requirement


def test_the_contracts_name_every_room() -> None:
    """A room that is added without a contract is found here."""
    rooms = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    star = (REPOSITORY / ".importlinter").read_text().partition("Rooms are a star")[2].partition("[importlinter")[0]
    named = {line.strip().removeprefix("greenroom.") for line in star.splitlines() if line.startswith("    greenroom.")}
    assert rooms - {"domain", "bootstrap", "testing"} == named
