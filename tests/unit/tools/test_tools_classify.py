"""classify_diff_t0: the class of a change follows from what was compared, never from what it says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from greenroom.domain import documents
from greenroom.domain.outcomes import DiffClass, Marks

pytestmark = pytest.mark.slow


def classes(body: Any, base: dict[str, str | bytes], green: dict[str, str | bytes], **args: str) -> dict[str, str]:
    """The class of each changed file."""
    ran = body("classify_diff_t0", args, base=base, green=green)
    assert ran.code == 0, ran.stderr
    found = documents.decode(DiffClass, json.dumps(ran.result).encode())
    return {file.path: file.line_class for file in found.files}


@pytest.mark.parametrize(
    ("path", "before", "after", "line_class"),
    [
        ("a.py", "x = 1  # teh\n", "x = 1  # the\n", "comment"),
        ("a.py", "x = 1\n", "x  =  (1)\n", "comment"),
        ("a.py", '"""Teh."""\nx = 1\n', '"""The."""\nx = 1\n', "docs"),
        ("a.py", '"""Teh."""\nprint(__doc__)\n', '"""The."""\nprint(__doc__)\n', "logic"),
        ("a.py", '"""T.\n\n>>> 1\n1\n"""\n', '"""T.\n\n>>> 2\n2\n"""\n', "logic"),
        ("a.py", "x = 'teh'\n", "x = 'the'\n", "logic"),
        ("a.py", "x = 1\n", "x = 2\n", "logic"),
        ("a.py", "x = 1\n", "x = 1  # noqa\n", "config"),
        ("a.py", "x = 1\n", "# -*- coding: latin-1 -*-\nx = 1\n", "config"),
        ("a.py", "x = eval(y)\n", "x = eval(y)  # safe, really  # nosec\n", "config"),
        ("a.py", "x = f()  # nosec\ny = g()\n", "x = f()\ny = g()  # nosec\n", "config"),
        ("a.py", "#!/bin/sh\nx = 1\n", "#!/bin/true\nx = 1\n", "config"),
        ("a.py", "x = (\n", "x = (1\n", "logic"),
        ("a.py", "def f():\n    pass\n", 'def f():\n    "new"\n', "logic"),
        ("tests/test_a.py", "x = 1\n", "x = 2\n", "tests"),
        ("tests/test_a.py", "x = 1  # a\n", "x = 1  # b\n", "comment"),
        ("tests/data.json", "1\n", "2\n", "tests"),
        ("conftest.py", "x = 1\n", "x = 2\n", "tests"),
        ("README.md", "teh\n", "the\n", "docs"),
        ("docs/a.rst", "teh\n", "the\n", "docs"),
        ("requirements-dev.txt", "a\n", "b\n", "config"),
        ("pyproject.toml", "a = 1\n", "a = 2\n", "config"),
        (".github/workflows/ci.yml", "a: 1\n", "a: 2\n", "config"),
        ("AGENTS.md", "be good\n", "be bad\n", "config"),
        ("data.bin", b"\0a", b"\0b", "binary"),
        ("latin.txt", b"\xe9", b"\xe8", "binary"),
        ("script.sh", "a\n", "b\n", "logic"),
        ("page.html", "a\n", "b\n", "logic"),
    ],
)
def test_each_sort_of_change_has_its_class(
    body: Any, path: str, before: str | bytes, after: str | bytes, line_class: str
) -> None:
    """A file's class is that of its most consequential line."""
    assert classes(body, {path: before}, {path: after}) == {path: line_class}


@pytest.mark.parametrize("path", ["core/commands/test.py", "app/tests.py", "a/calc_tests.py", "Testing/api.py"])
def test_what_only_may_be_a_test_by_its_name_is_logic(body: Any, path: str) -> None:
    """Product code has such names too, and nobody but a run of the suite can tell."""
    assert classes(body, {path: "x = 1\n"}, {path: "x = 2\n"}) == {path: "logic"}


def test_what_settings_call_tests_is_logic(body: Any) -> None:
    """A pattern of base's settings may fit product code: only a run of the suite can tell."""
    for pattern, line_class in (("spec_*.py", "logic"), ("*.py", "logic")):
        settings = f'[tool.pytest.ini_options]\npython_files = ["{pattern}"]\n'
        before, after = ({"pyproject.toml": settings, "specs/spec_a.py": f"A = {n}\n"} for n in (1, 2))
        assert classes(body, before, after) == {"specs/spec_a.py": line_class}


def test_each_tree_says_by_which_mark_it_is_greenroom_itself(body: Any) -> None:
    """Base and Green are looked at apart: a change that brings the marks, moves them, or takes them away is told so."""
    plain: dict[str, str | bytes] = {"README.md": "teh\n"}
    named = plain | {"pyproject.toml": '[project]\nname = "greenroom"\n'}
    moved = plain | {"house/greenroom/rescue.py": ""}
    linked = body("classify_diff_t0", base=plain, green=plain | {"conf/p.toml": named["pyproject.toml"]})
    assert linked.result["itself"] == {"base": None, "green": None}
    for base, green, told in (
        (plain, named, (None, "pyproject.toml")),
        (named, moved, ("pyproject.toml", "house/greenroom/rescue.py")),
        (moved, plain, ("house/greenroom/rescue.py", None)),
    ):
        ran = body("classify_diff_t0", base=base, green=green)
        found = documents.decode(DiffClass, json.dumps(ran.result).encode())
        assert found.itself == Marks(base=told[0], green=told[1])


def test_metadata_behind_a_link_is_read(body: Any, tmp_path: Path) -> None:
    """A link is no way past the mark; one that leads nowhere, or to a directory, is no mark and no error."""
    tree = tmp_path / "tree"
    (tree / "conf").mkdir(parents=True)
    (tree / "conf/project.toml").write_text('[project]\nname = "greenroom"\n')
    (tree / "setup.py").symlink_to("nowhere")
    (tree / "setup.cfg").symlink_to("conf")
    assert body("classify_diff_t0", base=tree, green={"a": ""}).result["itself"] == {"base": None, "green": None}
    (tree / "pyproject.toml").symlink_to("conf/project.toml")
    assert body("classify_diff_t0", base=tree, green={"a": ""}).result["itself"]["base"] == "pyproject.toml"


def test_text_inside_a_package_is_logic(body: Any) -> None:
    """Code may read a text file that is shipped beside it."""
    package = {"pkg/__init__.py": ""}
    found = classes(body, {**package, "pkg/words.txt": "a\n"}, {**package, "pkg/words.txt": "b\n"})
    assert found == {"pkg/words.txt": "logic"}


def test_added_and_deleted_code_is_logic(body: Any) -> None:
    """A new or a lost file of code cannot be only a comment."""
    assert classes(body, {"a.py": "# only\n"}, {"b.py": "# only\n"}) == {"a.py": "logic", "b.py": "logic"}


def test_a_reproduced_fix_is_lint(body: Any) -> None:
    """Where the generator makes the same bytes from base, the change is lint and says what made it."""
    base: dict[str, str | bytes] = {"a.py": "import os\n\nx = 1\n", "b.py": "y = 2\n"}
    green = base | {"a.py": "\nx = 1\n"}
    ran = body("classify_diff_t0", {"reproduce": "ruff:F401"}, base=base, green=green)
    made = body("codegen_t0", {"generator": "ruff"}, base=base)
    assert made.result["proposals"][0]["rule"] == "ruff:F401"
    assert (ran.result["reproduced_by"], ran.result["files"][0]["line_class"]) == ("ruff:F401", "lint"), ran.result


def test_a_fix_with_something_added_is_not_lint(body: Any) -> None:
    """One byte besides what the generator makes, in any file, and the change is what it is."""
    base: dict[str, str | bytes] = {"a.py": "import os\n\nx = 1\n", "b.py": "y = 2\n"}
    for green in (base | {"a.py": "\nx = 2\n"}, base | {"a.py": "\nx = 1\n", "b.py": "y = 3\n"}):
        ran = body("classify_diff_t0", {"reproduce": "ruff:F401"}, base=base, green=green)
        assert ran.result["reproduced_by"] is None
        assert {file["line_class"] for file in ran.result["files"]} == {"logic"}


def test_a_reproduced_typo_stays_a_comment(body: Any) -> None:
    """Reproducing says who made the change; comments and docs keep their class."""
    base: dict[str, str | bytes] = {"a.py": "x = 1  # untill the end\n"}
    ran = body("classify_diff_t0", {"reproduce": "codespell"}, base=base, green={"a.py": "x = 1  # until the end\n"})
    assert ran.result["reproduced_by"] == "codespell"
    assert ran.result["files"][0]["line_class"] == "comment"


def test_an_exec_bit_is_logic(body: Any, tmp_path: Any) -> None:
    """A file that becomes a program is no comment."""
    for name, mode in (("base", 0o644), ("green", 0o755)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.md").write_text("x\n")
        (tmp_path / name / "a.md").chmod(mode)
    ran = body("classify_diff_t0", base=tmp_path / "base", green=tmp_path / "green")
    assert [file["line_class"] for file in ran.result["files"]] == ["logic"]
