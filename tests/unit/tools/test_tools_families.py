"""The families of lint fixes besides ruff's own: modernise and unused; and the rules by which files are left out."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from tool_scans import scanned

from greenroom.domain import documents
from greenroom.domain.outcomes import DiffClass
from greenroom.tools import _families, _pythons

pytestmark = pytest.mark.slow

TYPED = "from typing import Dict, Optional\n\n\ndef f(a: Optional[int], b: Dict[str, int]) -> None:\n    print(a, b)\n"
OLD = "class A(object):\n    def f(self):\n        return super(A, self).f()\n"
IDLE = 'class A:\n    """A."""\n\n    pass\n'


def project(lowest: str) -> dict[str, str | bytes]:
    return {"pyproject.toml": f'[project]\nname = "x"\nrequires-python = "{lowest}"\n'}


def scan(body: Any, generator: str, tree: dict[str, Any] | Path, rule: str = "") -> Any:
    """The whole result, its counts checked: every finding is proposed, reported or dropped."""
    return scanned(body, generator, tree, **({"rule": rule} if rule else {}))


def rules(result: Any) -> list[str]:
    return [found["rule"] for found in result["proposals"]]


def test_one_rule_makes_one_change_each(body: Any) -> None:
    """Each rewriting is its own small change, named after the proposer and ruff's rule."""
    found = scan(body, "modernise", {"a.py": OLD, "b.py": OLD} | project(">=3.9"))
    assert rules(found) == ["modernise:UP004", "modernise:UP008"]
    assert [item["files"] for item in found["proposals"]] == [["a.py", "b.py"]] * 2
    assert found["proposals"][0]["reproduce"] == "modernise:UP004"
    assert "-class A(object):\n+class A:\n" in found["proposals"][0]["patch"]


@pytest.mark.parametrize(
    ("lowest", "expected"),
    [
        (">=3.7", set()),
        (">=3.9", set()),
        (">=3.10", {"modernise:UP006", "modernise:UP045"}),
        (">=3.10,<4", {"modernise:UP006", "modernise:UP045"}),
    ],
)
def test_nothing_newer_than_the_lowest_python(body: Any, lowest: str, expected: set[str]) -> None:
    """What a project's lowest Python cannot run is not written."""
    found = scan(body, "modernise", {"a.py": TYPED} | project(lowest))
    assert {rule for rule in rules(found) if rule in ("modernise:UP006", "modernise:UP045")} == expected


@pytest.mark.parametrize(
    "files",
    [
        {"setup.py": "from setuptools import setup\nsetup(name='x', python_requires='>=2.7')\n"},
        {"setup.py": "from setuptools import setup\nsetup(classifiers=['Programming Language :: Python :: 2.7'])\n"},
        {"setup.py": "from setuptools import setup\nsetup(classifiers=['Programming Language :: Python :: 2'])\n"},
        {"setup.cfg": "[options]\npython_requires = >=3.6\n"},
        {"setup.cfg": "[metadata]\nclassifiers =\n  Programming Language :: Python :: 3.5\n"},
        {"pyproject.toml": '[project]\nrequires-python = ">=3"\n'},
        {"pyproject.toml": '[tool.poetry.dependencies]\npython = "^3.6"\n'},
        {"PKG-INFO": "Requires-Python: >=2.7\n"},
    ],
)
def test_a_project_for_older_pythons_is_left_alone(body: Any, files: dict[str, str]) -> None:
    """Below the lowest Python that ruff writes for, nothing is modernised, and the note says what would help."""
    found = scan(body, "modernise", {"a.py": OLD, **files})
    assert found["proposals"] == []
    assert [note["rule"] for note in found["notes"]] == ["python-too-old"]
    assert rules(scan(body, "ruff", {"a.py": "import os\n", **files})) == ["ruff:F401"]


def test_a_bare_python_3_classifier_names_no_version(tmp_path: Path) -> None:
    """`:: 3` and `:: 3 :: Only` are no lowest version; `:: 3.9` beside them is."""
    setup = (
        "setup(classifiers=['Programming Language :: Python :: 3', 'Programming Language :: Python :: 3 :: Only'{}])\n"
    )
    (tmp_path / "setup.py").write_text(setup.format(""))
    assert _pythons.declared_python(tmp_path) is None
    (tmp_path / "setup.py").write_text(setup.format(", 'Programming Language :: Python :: 3.9'"))
    assert _pythons.declared_python(tmp_path) == (3, 9)


def test_files_beyond_the_lowest_python_are_dropped(body: Any) -> None:
    """A file that the lowest Python could not parse anyway is left alone, with the reason."""
    newer = "def g(x):\n    match x:\n        case 1:\n            pass\n\n\n"
    found = scan(body, "modernise", {"a.py": newer + OLD, "b.py": OLD} | project(">=3.8"))
    assert {path for item in found["proposals"] for path in item["files"]} == {"b.py"}
    assert found["counts"]["dropped"] == {"not-for-the-lowest-python": 2}


@pytest.mark.parametrize(
    ("name", "text", "note"),
    [
        ("pyproject.toml", '[tool.ruff.lint]\nignore = ["UP"]\n', ""),
        ("pyproject.toml", '[tool.ruff.lint]\nselect = ["E", "F"]\n', "not-selected"),
        ("ruff.toml", '[lint.per-file-ignores]\n"a.py" = ["UP004", "UP008"]\n', ""),
        (".ruff.toml", 'exclude = ["a.py"]\n', ""),
        (".flake8", "[flake8]\nexclude = a.py\n", ""),
        (".gitignore", "a.py\n", ""),
    ],
)
def test_the_repository_s_own_choices_hold(body: Any, name: str, text: str, note: str) -> None:
    """What the repository ignores, excludes or does not select is not modernised."""
    found = scan(body, "modernise", {"a.py": OLD, name: text})
    assert found["proposals"] == []
    assert [item["rule"] for item in found["notes"]] == ([note] if note else [])


def test_a_choice_of_flake8_s_says_nothing_of_rules_that_it_lacks(body: Any) -> None:
    """flake8 knows no UP rules: its selection does not unselect them, ruff's does."""
    tree = {"a.py": OLD, ".flake8": "[flake8]\nselect = E,F\n"}
    assert rules(scan(body, "modernise", tree)) == ["modernise:UP004", "modernise:UP008"]
    chosen = {"a.py": OLD, "ruff.toml": 'lint.select = ["ALL"]\nlint.ignore = ["UP008"]\n'}
    assert rules(scan(body, "modernise", chosen)) == ["modernise:UP004"]


def test_runtime_typing_is_kept_where_the_project_says_so(body: Any) -> None:
    """ruff's `keep-runtime-typing` is read as data."""
    lazy = "from __future__ import annotations\n\n" + TYPED
    keep = '[tool.ruff]\ntarget-version = "py38"\n[tool.ruff.lint.pyupgrade]\nkeep-runtime-typing = true\n'
    assert "modernise:UP006" not in rules(scan(body, "modernise", {"a.py": lazy, "pyproject.toml": keep}))


def test_code_without_effect_goes(body: Any) -> None:
    """Placeholders beside statements, last returns and doubled set values; one rule a change."""
    code = IDLE + "\n\ndef f():\n    print({1, 2, 1})\n    return None\n"
    found = scan(body, "unused", {"a.py": code})
    assert rules(found) == ["unused:B033", "unused:PIE790", "unused:PLR1711"]


def test_no_rule_has_two_owners() -> None:
    """What one family proposes no other does."""
    codes = ["F401", "F811", "F841", "E703", "W291", "I001", "UP004", "PIE790", "PLR1711", "TC005", "B033"]
    for code in codes:
        assert len([family for family in _families.FAMILIES.values() if family.supported.fullmatch(code)]) == 1
    for name, family in _families.FAMILIES.items():
        assert name == family.generator
        assert all(family.known.fullmatch(rule) for rule in family.default)


@pytest.mark.parametrize(
    "tree",
    [
        {"pkg/__init__.py": "from json import dumps\n"},
        {"a.py": "from json import dumps\n\n__all__ = ['dumps']\n"},
        {"a.py": "try:\n    import simplejson\nexcept ImportError:\n    simplejson = None\n"},
        {"a.py": "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from os import PathLike\n\nx = 1\n"},
        {"tests/conftest.py": "from fixtures import database\n"},
        {"a.py": 'import math\n\n\ndef f():\n    """F.\n\n    >>> math.pi > 3\n    True\n    """\n'},
        {"a.py": "from typing import List\n\nx = []  # type: List[int]\n"},
        {"a.py": "import os  # noqa\n"},
        {"a.py": "import readline\n"},
        {"a.py": "import string\n\nprint(eval('string.digits'))\n"},
        {"a.py": "import string\n\nexec(input())\n"},
        {"a.py": "import builtins\nimport string\n\nbuiltins.exec(input())\n"},
        {"a.py": "import string\nfrom builtins import eval as calculate\n\ncalculate(input())\n"},
        {"a.py": "import string\n\nprint(list(map(eval, input())))\n"},
    ],
)
def test_imports_that_only_look_unused_stay(body: Any, tree: dict[str, str]) -> None:
    """Re-exports, fall-backs, imports for checkers, fixtures, doctests, type comments, side effects and eval's stay."""
    assert "ruff:F401" not in rules(scan(body, "ruff", tree))


def test_methods_called_eval_keep_no_import(body: Any) -> None:
    """A model's `eval()` runs no text."""
    assert rules(scan(body, "ruff", {"a.py": "import string\n\nmodel.eval()\nre.exec(1)\n"})) == ["ruff:F401"]


def test_levels_follow_the_syntax_tree(body: Any) -> None:
    """Made again or not, a rewriting is logic, unless the syntax tree is the same."""
    paren = "print((1))\n"
    base: dict[str, str | bytes] = {"a.py": OLD, "b.py": paren}
    for rule, path, after, line_class in [
        ("modernise:UP004", "a.py", OLD.replace("(object)", ""), "logic"),
        ("modernise:UP034", "b.py", "print(1)\n", "comment"),
    ]:
        assert rule in rules(scan(body, "modernise", dict(base)))
        ran = body("classify_diff_t0", {"reproduce": rule}, base=base, green=base | {path: after})
        found = documents.decode(DiffClass, json.dumps(ran.result).encode())
        assert (found.reproduced_by, [file.line_class for file in found.files]) == (rule, [line_class])


def test_idle_code_is_logic_too(body: Any, tmp_path: Path) -> None:
    """That nothing happens is not proven by a syntax tree: a person looks."""
    base: dict[str, str | bytes] = {"a.py": IDLE}
    (made,) = scan(body, "unused", dict(base))["proposals"]
    (tmp_path / "green").mkdir()
    (tmp_path / "green" / "a.py").write_text(IDLE)
    applied = body("apply_patch_t1", blobs={"patch": made["patch"].encode()}, work=tmp_path / "green")
    assert applied.result["applied"] is True
    ran = body("classify_diff_t0", {"reproduce": made["reproduce"]}, base=base, green=tmp_path / "green")
    assert ran.result["reproduced_by"] == "unused:PIE790"
    assert ran.result["files"][0]["line_class"] == "logic"


def test_what_is_left_out_is_counted_by_rule(body: Any, tmp_path: Path) -> None:
    """Files that are not ours to mend are named by the rule that says so."""
    tree = tmp_path / "tree"
    files: dict[str, bytes] = {
        ".gitignore": b"build/\n*.gen.py\n!keep.gen.py\n",
        "ruff.toml": b'exclude = ["old"]\n',
        "a.py": OLD.encode(),
        "build/b.py": OLD.encode(),
        "c.gen.py": OLD.encode(),
        "keep.gen.py": OLD.encode(),
        "old/d.py": OLD.encode(),
        "third_party/e.py": OLD.encode(),
        "extern/f.py": OLD.encode(),
        "g.py": b"# @generated by a tool\n" + OLD.encode(),
        "h.py": b"# Code of a compiler. DO NOT EDIT.\n" + OLD.encode(),
        "large.py": b"#" * 1_100_000,
    }
    for name, data in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)
    (tree / "link.py").symlink_to("a.py")
    found = scan(body, "modernise", tree, "UP004")
    assert found["proposals"][0]["files"] == ["a.py", "keep.gen.py"]
    assert found["counts"]["scanned"] == 2
    assert found["counts"]["ignored"] == {
        "generated": 2, "gitignore": 2, "link": 1, "lint-exclude": 1, "too-large": 1, "vendored": 2
    }  # fmt: skip


ODD: dict[str, bytes] = {
    "nul.py": b"x = 1\0\nclass A(object):\n    pass\n",
    "bom.py": b"\xef\xbb\xbf" + OLD.encode(),
    "crlf.py": OLD.replace("\n", "\r\n").encode(),
    "latin.py": b"# -*- coding: latin-1 -*-\n# \xe9\nclass A(object):\n    x = 1\n",
    "line.py": b"x = [" + b"1," * 200_000 + b"]\n" + OLD.encode(),
    "deep.py": b"x = " + b"(" * 3_000 + b"1" + b")" * 3_000 + b"\n" + OLD.encode(),
    "broken.py": b"class A(object:\n",
    "empty.py": b"",
}


@pytest.mark.parametrize("generator", ["modernise", "unused", "ruff"])
@pytest.mark.parametrize("name", sorted(ODD))
def test_odd_files_do_no_harm(body: Any, generator: str, name: str) -> None:
    """Whatever a file holds, the scan ends well, other files get their due, and a patch keeps line ends and marks."""
    found = scan(body, generator, {name: ODD[name], "a.py": OLD + IDLE + "import os\n"})
    assert any("a.py" in item["files"] for item in found["proposals"])
    if generator == "modernise" and name in ("bom.py", "crlf.py"):
        assert any(name in item["files"] for item in found["proposals"])
        assert ("\r\n" in found["proposals"][0]["patch"]) is (name == "crlf.py")


@pytest.mark.parametrize("lowest", [7, 9, 11])
def test_what_is_written_is_syntax_of_the_lowest_python(body: Any, tmp_path: Path, lowest: int) -> None:
    """Each change, applied, leaves files that the lowest Python parses."""
    text = TYPED + OLD + "print('{} {}'.format(Dict, Optional))\nx = str('a')\nopen('a', 'r')\n"
    tree: dict[str, Any] = {"a.py": text} | project(f">=3.{lowest}")
    made = scan(body, "modernise", tree)["proposals"]
    assert len(made) >= 5
    for number, item in enumerate(made):
        work = tmp_path / f"work{number}"
        work.mkdir()
        (work / "a.py").write_text(text)
        assert body("apply_patch_t1", blobs={"patch": item["patch"].encode()}, work=work).result["applied"] is True
        after = (work / "a.py").read_text()
        assert after != text
        ast.parse(after, feature_version=(3, lowest))
