"""The lowest Python of each file: of every project above it, the lowest; read too low rather than too high."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tool_scans import scanned

from greenroom.tools import _pythons

TYPED = "from typing import Dict, Optional\n\n\ndef f(a: Optional[int], b: Dict[str, int]) -> None:\n    print(a, b)\n"


@pytest.mark.parametrize(
    ("text", "lowest"),
    [
        (">=3.8", (3, 8)),
        (">=3.8,<4,!=3.9.*", (3, 8)),
        (">3.7", (3, 7)),
        ("^3.8 || ^3.11", (3, 8)),
        ("~2.7 || ^3.10", (2, 7)),
        ("^3.11|^3.8", (3, 8)),
        ("3.9 || 3.10", (3, 9)),
        ("3.9.*", (3, 9)),
        ("==3.10.*", (3, 10)),
        ("~=3.8", (3, 8)),
        ("~3.9", (3, 9)),
        (">= 3.9, < 4", (3, 9)),
        (">=3.7 <4.0", (3, 7)),
        (">=3", (3, 0)),
        ("<4 || ^3.11", (3, 0)),
        ("^3.11 ||", (3, 11)),
        ("<4", None),
        ("!=3.5", None),
        ("*", None),
        ("", None),
    ],
)
def test_of_alternatives_the_lowest_counts(text: str, lowest: tuple[int, int] | None) -> None:
    """Within one alternative the highest lower bound does; upper bounds and exceptions are none."""
    assert _pythons.lowest_of(text) == lowest


@given(st.text(alphabet="<>=~^!|,. *3789v-", max_size=60))
def test_any_specifier_is_read(text: str) -> None:
    """Whatever it holds, it gives a version or none."""
    found = _pythons.lowest_of(text)
    assert found is None or found >= (0, 0)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", "[tool.flit.metadata]\nrequires-python = '>=3.6'\n"),
        ("pyproject.toml", "[tool.poetry.dependencies]\npython = '>=3.6 || ^3.11'\n"),
        ("pyproject.toml", "[tool.poetry.dependencies]\npython = [{version = '^3.11'}, {version = '3.6'}]\n"),
        ("setup.cfg", "[metadata]\npython-requires = >=3.6\n"),
        ("setup.cfg", "[options]\npython_requires = >=3.6\n"),
        ("setup.py", "REQUIRES = '>=3.6'\nsetup(python_requires=REQUIRES)\n"),
    ],
)
def test_every_place_that_states_it_is_read(tmp_path: Path, name: str, text: str) -> None:
    """Setuptools, Poetry, flit and setup.py with a name for it."""
    (tmp_path / name).write_text(text)
    assert _pythons.declared_python(tmp_path) == (3, 6)


def test_a_file_answers_to_every_project_above_it(tmp_path: Path) -> None:
    """The nearest and the root's: the lowest of them; a project beside it says nothing."""
    for name, lowest in {"": "3.10", "old": "3.8", "old/deep": "3.11", "new": "3.12"}.items():
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "pyproject.toml").write_text(f"[project]\nrequires-python = '>={lowest}'\n")
    floors = _pythons.Floors(tmp_path)
    assert [floors.of(path) for path in ("a.py", "old/b.py", "old/deep/c.py", "new/x/d.py")] == [
        (3, 10), (3, 8), (3, 8), (3, 10)
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "files",
    [
        {"packages/pyproject.toml": '[project]\nrequires-python = ">=3.8"\n'},
        {"ruff.toml": "[per-file-target-version]\n'packages/*' = 'py38'\n"},
        {"packages/ruff.toml": 'target-version = "py38"\n'},
        {"packages/pyproject.toml": '[tool.poetry.dependencies]\npython = "^3.8 || ^3.11"\n'},
    ],
)
def test_nothing_newer_than_the_lowest_python_of_the_file(body: Any, files: dict[str, str]) -> None:
    """A part of the tree for an older Python keeps what that Python runs; the rest is modernised."""
    tree = {"pyproject.toml": '[project]\nname = "x"\nrequires-python = ">=3.11"\n', **files}
    found = scanned(body, "modernise", {"a.py": TYPED, "packages/b.py": TYPED, **tree})
    made = {item["rule"]: item["files"] for item in found["proposals"]}
    assert (made["modernise:UP006"], made["modernise:UP045"]) == (["a.py"], ["a.py"])


@pytest.mark.slow
def test_a_part_for_pythons_that_ruff_does_not_know_is_left_alone(body: Any) -> None:
    """Its files are counted, and the note names the Python and a file."""
    tree = {
        "pyproject.toml": '[project]\nrequires-python = ">=3.11"\n',
        "old/setup.py": "setup(python_requires='>=2.7')\n",
        "old/b.py": TYPED,
        "a.py": TYPED,
    }
    found = scanned(body, "modernise", tree)
    assert {path for item in found["proposals"] for path in item["files"]} == {"a.py"}
    assert found["counts"]["ignored"] == {"python-too-old": 2}
    assert [(note["rule"], note["where"]) for note in found["notes"]] == [("python-too-old", "Python 2.7, old/b.py")]
