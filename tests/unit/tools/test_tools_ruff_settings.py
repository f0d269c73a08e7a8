"""The repository's settings of ruff hold as ruff itself understands them: compared with ruff on the tree as it is."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tool_scans import scanned

from greenroom.tools import _lint

pytestmark = pytest.mark.slow

FAMILIES = _lint._families.FAMILIES
"""The families as the tool sees them: it is a stand-alone program."""
RUFF = Path(sysconfig.get_path("scripts")) / "ruff"
CODE = (
    "import sys\nimport os\nfrom typing import List, Optional\n\n\n"
    "class A(object):\n    a: Optional[int] = None\n    b: List[int] = []\n    c = f'plain'\n    d = 1 \n"
)
PLACES = ("a.py", "b.py", "sub/c.py", "sub/deep/d.py", "gen/e.py", "other/.vscode/f.py")
SELECT = 'lint.select = ["F", "W", "I", "UP"]\ntarget-version = "py310"\n'


def lay(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def by_ruff(root: Path) -> Counter[tuple[str, str]]:
    """The findings with a safe fix of ruff itself, by rule and file."""
    argv = [str(RUFF), "check", "--no-cache", "--quiet", "--exit-zero", "--no-preview", "--output-format=json", "."]
    done = subprocess.run(argv, cwd=root, capture_output=True, check=True)
    found: Counter[tuple[str, str]] = Counter()
    for item in json.loads(done.stdout):
        if (item["fix"] or {}).get("applicability") == "safe":
            found[item["code"], str(Path(item["filename"]).relative_to(root))] += 1
    return found


def supported(found: Counter[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Those of the findings whose rules some family proposes."""
    rules = [family.supported for family in FAMILIES.values()]
    return {key: count for key, count in found.items() if any(each.fullmatch(key[0]) for each in rules)}


def by_greenroom(root: Path, golden: Path) -> Counter[tuple[str, str]]:
    """The findings of the families of lint fixes, by rule and file."""
    found: Counter[tuple[str, str]] = Counter()
    for family in FAMILIES.values():
        with _lint.Linter(golden, root, family) as linter:
            for rule, counts in linter.findings().items():
                found.update({(rule, path): count for path, count in counts.items()})
    return found


BASE = SELECT + 'lint.ignore = ["F401"]\nextend-exclude = ["gen"]\n[lint.extend-per-file-ignores]\n"b.py" = ["F541"]\n'
CASES: Mapping[str, tuple[Mapping[str, str], str, int]] = {
    "plain": ({"ruff.toml": SELECT}, "", 0),
    "hidden name first": ({".ruff.toml": SELECT, "ruff.toml": "lint.select = []\n"}, "", 0),
    "ignored under": ({"ruff.toml": SELECT + 'lint.ignore = ["UP"]\n'}, "UP004", 0),
    "a longer selector wins": (
        {"ruff.toml": SELECT + 'lint.ignore = ["F"]\nlint.extend-select = ["F541"]\n'}, "F401", 0),
    "lists add up over extend": (
        {"base.toml": BASE,
         "ruff.toml": 'extend = "base.toml"\nextend-exclude = ["sub"]\nlint.ignore = ["W291"]\n'
         'lint.extend-per-file-ignores = {"a.py" = ["UP004"]}\n'}, "F401", 0),
    "both files of extend exclude": (
        {"base.toml": BASE, "ruff.toml": 'extend = "base.toml"\nextend-exclude = ["sub"]\n'}, "UP004", 2),
    "a selection of its own starts afresh": (
        {"base.toml": BASE, "ruff.toml": 'extend = "base.toml"\n' + SELECT}, "F401", 4),
    "chains of extend": (
        {"x/one.toml": SELECT + 'lint.ignore = ["F401"]\n',
         "x/two.toml": 'extend = "one.toml"\nlint.ignore = ["W291"]\n',
         "ruff.toml": 'extend = "x/two.toml"\nlint.ignore = ["F541"]\n'}, "F401", 0),
    "nested settings stand alone": (
        {"ruff.toml": SELECT, "sub/ruff.toml": 'lint.ignore = ["F401"]\n' + SELECT}, "F401", 3),
    "nested settings that extend": (
        {"ruff.toml": SELECT, "sub/ruff.toml": 'extend = "../ruff.toml"\nlint.ignore = ["F401"]\n'}, "F401", 3),
    "nested pyproject": (
        {"ruff.toml": SELECT,
         "sub/deep/pyproject.toml": '[tool.ruff]\ntarget-version = "py38"\nlint.select = ["F541", "UP"]\n'},
        "UP045", 4),
    "a pyproject without ruff is none": ({"ruff.toml": SELECT, "sub/pyproject.toml": "[tool.other]\n"}, "", 0),
    "include": ({"ruff.toml": 'include = ["sub/**/*.py", "a.py"]\n' + SELECT}, "F541", 3),
    "exclude in place of the defaults": ({"ruff.toml": 'exclude = ["gen"]\n' + SELECT}, "F541", 5),
    "lint.exclude": ({"ruff.toml": SELECT + 'lint.exclude = ["sub/*"]\n'}, "F541", 3),
    "fixable": ({"ruff.toml": SELECT + 'lint.fixable = ["F541"]\n'}, "F401", 0),
    "unfixable": ({"ruff.toml": SELECT + 'lint.unfixable = ["F401", "UP"]\n'}, "F401", 0),
    "unsafe by choice": ({"ruff.toml": SELECT + 'lint.extend-unsafe-fixes = ["F401"]\n'}, "F401", 0),
    "patterns of the nested directory": (
        {"sub/ruff.toml": SELECT + 'lint.per-file-ignores = {"deep/*.py" = ["F401"]}\n', "ruff.toml": SELECT},
        "F401", 4),
    "all but one file": ({"ruff.toml": SELECT + 'lint.per-file-ignores = {"!a.py" = ["F", "UP"]}\n'}, "F401", 1),
    "selectors of earlier names": ({"ruff.toml": 'lint.ignore = ["TCH", "F401"]\n' + SELECT}, "F401", 0),
    "keys at the top as once": (
        {"pyproject.toml": '[tool.ruff]\ntarget-version = "py310"\nselect = ["F", "UP"]\nignore = ["F401"]\n'},
        "F401", 0),
    "targets by file": ({"ruff.toml": SELECT + '[per-file-target-version]\n"sub/*" = "py38"\n'}, "UP045", 3),
    "the target from the project": (
        {"pyproject.toml": '[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.9"\n[tool.ruff.lint]\n'
         'select = ["UP", "F"]\n'}, "UP045", 0),
    "a target below the project's": (
        {"pyproject.toml": '[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.11"\n[tool.ruff]\n'
         'target-version = "py38"\n[tool.ruff.lint]\nselect = ["UP"]\n'}, "UP006", 0),
    "sorting": ({"ruff.toml": SELECT + "[lint.isort]\nforce-sort-within-sections = true\n"}, "", 0),
    "everything but a few": (
        {"ruff.toml": 'target-version = "py310"\nlint.select = ["ALL"]\nlint.ignore = ["F", "I"]\n'}, "I001", 0),
    "names that may stay unused": ({"ruff.toml": SELECT + 'lint.pyflakes.allowed-unused-imports = ["os"]\n'}, "", 0),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(CASES))
def test_settings_hold_as_in_ruff(tmp_path: Path, golden: Path, name: str) -> None:
    """Every finding is one of ruff's with the repository's own settings, and the other way round."""
    files, rule, count = CASES[name]
    lay(tmp_path, {**dict.fromkeys(PLACES, CODE), **files})
    found = by_greenroom(tmp_path, golden)
    assert found == supported(by_ruff(tmp_path))
    if rule:
        assert len([path for code, path in found if code == rule]) == count


TABLE = st.fixed_dictionaries(
    {},
    optional={
        "lint.select": st.lists(st.sampled_from(["F", "F4", "F541", "W", "UP", "UP04", "I001", "ALL"]), max_size=3),
        "lint.ignore": st.lists(st.sampled_from(["F", "F401", "W291", "UP004", "I", "ALL"]), max_size=2),
        "lint.extend-select": st.lists(st.sampled_from(["UP", "W291", "F401"]), max_size=2),
        "lint.unfixable": st.lists(st.sampled_from(["F", "W291", "UP006"]), max_size=1),
        "exclude": st.lists(st.sampled_from(["gen", "a.py", "sub/deep", "*/d.py"]), max_size=1),
        "extend-exclude": st.lists(st.sampled_from(["gen", "c.py", "sub/*", "./b.py"]), max_size=1),
        "lint.per-file-ignores": st.dictionaries(
            st.sampled_from(["a.py", "sub/**", "!b.py", "**/d.py"]), st.just(["F", "UP045"]), max_size=2
        ),
        "target-version": st.sampled_from(["py38", "py39", "py310"]),
        "per-file-target-version": st.dictionaries(st.sampled_from(["a.py", "sub/*"]), st.just("py38"), max_size=1),
    },
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12, deadline=None)
@given(root=TABLE, nested=TABLE, base=TABLE, extends=st.sampled_from(["", "base.toml"]), below=st.booleans())
def test_generated_settings_hold_as_in_ruff(
    tmp_path_factory: pytest.TempPathFactory,
    golden: Path,
    root: dict[str, Any],
    nested: dict[str, Any],
    base: dict[str, Any],
    extends: str,
    below: bool,
) -> None:
    """Whatever settings are combined over directories and `extend`."""
    tree = tmp_path_factory.mktemp("tree")
    files = {"base.toml": {"lint.select": ["F"]} | base, "ruff.toml": {"lint.select": ["F", "UP"]} | root}
    if extends:
        files["ruff.toml"] = {"extend": extends, **root}
    files["sub/ruff.toml"] = {"extend": "../ruff.toml", **nested} if below else {"lint.select": ["W"]} | nested
    texts = {
        name: "".join(f"{key} = {_lint._ruffs.inline(value)}\n" for key, value in table.items())
        for name, table in files.items()
    }
    lay(tree, {**dict.fromkeys(PLACES[:5], CODE), **texts})
    lowest = '[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.10"\n'
    lay(tree, {"pyproject.toml": lowest, "sub/pyproject.toml": lowest})
    assert by_greenroom(tree, golden) == supported(by_ruff(tree))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('extend = "../../outside.toml"\n', "`extend` leads out of the tree"),
        ('extend = "~/ruff.toml"\n', "`extend` names no TOML file"),
        ('extend = "$HOME/ruff.toml"\n', "`extend` names no TOML file"),
        ('extend = "ruff.toml"\n', "`extend` leads in a circle"),
        ('extend = "missing.toml"\n', "not a readable file"),
        ('lint.ignore = "F401"\n', "a list of texts is expected"),
        ("lint.ignore = [\n", "not TOML"),
        ('target-version = "3.8"\n', "`target-version` is a version"),
        ('lint.dummy-variable-rgx = "["\n', "ruff does not take it"),
        ('lint.per-file-ignores = {"x[.py" = ["F401"]}\n', "ruff does not take it"),
        ("lint.isort" + ".a" * 50 + " = 1\n", "plain values are expected"),
    ],
)
def test_settings_that_ruff_would_not_take_stop_their_directory_only(body: Any, text: str, problem: str) -> None:
    """What their owner meant to leave alone is not known: nothing is proposed there, and a note says so."""
    tree = {"a.py": "import os\n", "sub/b.py": "import os\n", "sub/ruff.toml": text}
    found = scanned(body, "ruff", tree)
    assert [item["files"] for item in found["proposals"]] == [["a.py"]]
    assert found["counts"]["ignored"] == {"ruff-settings-unusable": 1}
    (note,) = found["notes"]
    assert (note["rule"], note["where"]) == ("ruff-settings-unusable", "sub/ruff.toml")
    assert problem in note["remedy"]


def test_extended_settings_stay_inside_the_tree(tmp_path: Path, golden: Path) -> None:
    """`extend` is followed to a file of the tree, through no link, and nowhere else; a broken base breaks its users."""
    outside = lay(tmp_path / "outside", {"ruff.toml": 'lint.ignore = ["F541"]\n'})
    root = lay(tmp_path / "root", {"a.py": CODE, "base.toml": 'lint.select = ["F541"]\n'})
    for text, expected in [
        ('extend = "base.toml"\n', {("F541", "a.py"): 1}),
        ('extend = "../outside/ruff.toml"\n', {}),
        ('extend = "link/ruff.toml"\n', {}),
        ('extend = "linked.toml"\n', {}),
    ]:
        lay(root, {"ruff.toml": text})
        for name, place in (("link", outside), ("linked.toml", outside / "ruff.toml")):
            if not (root / name).is_symlink():
                (root / name).symlink_to(place)
        assert by_greenroom(root, golden) == expected
    lay(root, {"ruff.toml": 'extend = "base.toml"\n', "base.toml": "lint = 1\n"})
    assert by_greenroom(root, golden) == {}


def test_settings_make_ruff_neither_write_nor_read_elsewhere(tmp_path: Path, golden: Path) -> None:
    """Caches, fixes on the way, unsafe fixes and directories of modules elsewhere are not kept."""
    text = (
        'cache-dir = "/tmp/x"\nfix = true\nunsafe-fixes = true\nrequired-version = ">=99"\noutput-format = "sarif"\n'
        'src = ["/etc", "~", "$HOME", "lib"]\nlint.select = ["F", "I"]\nlint.extend-safe-fixes = ["F841"]\n'
    )
    root = lay(tmp_path / "root", {"a.py": CODE, "ruff.toml": text})
    configs = _lint._ruffs.Configs(root, ("F",), list, flake8=True)
    configs.write(tmp_path / "copy", (3, 9))
    assert (tmp_path / "copy" / "ruff.toml").read_text() == (
        '"src" = ["lib"]\n"lint" = {"select" = ["F", "I"], "extend-ignore" = ["I001"]}\n"target-version" = "py39"\n'
    )
    assert by_greenroom(root, golden) == {("F401", "a.py"): 2, ("F541", "a.py"): 1}


def test_too_many_settings_are_a_refusal(body: Any) -> None:
    """A tree has at most five hundred files of settings."""
    ran = body("codegen_t0", {"generator": "ruff"}, base={f"{n}/ruff.toml": "" for n in range(501)})
    assert ran.result["refused"]["rule"] == "too-many-settings"


@pytest.mark.parametrize(
    "text",
    [
        "per-file-ignores =\n  a.py,b.py: F541\n",
        "per-file-ignores =\n  a.py\n  b.py:\n    F541,\n    W291\n",
        "per-file-ignores = a.py: W291, b.py,a.py:F541\n",
        "per-file-ignores = *.py:F5\n",
    ],
)
def test_flake8_s_lists_of_files_and_codes_hold(body: Any, text: str) -> None:
    """Several files in an entry, codes on following lines, and everything in one line."""
    tree = {"a.py": "x = f'plain'\n", "b.py": "x = f'plain'\n", "setup.cfg": "[flake8]\n" + text}
    assert scanned(body, "ruff", tree)["counts"]["findings"] == 0


@given(st.text(alphabet="a*.py[]{}:,; F5\n\\!/", max_size=200))
def test_any_list_of_flake8_s_is_read(text: str) -> None:
    """Whatever it holds, it gives patterns and codes."""
    for glob, codes in _lint._ruffs._flake8.per_file(text).items():
        assert glob
        assert all(code.isalnum() for code in codes)
