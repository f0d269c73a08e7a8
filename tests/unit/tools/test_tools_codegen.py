"""codegen_t0 and apply_patch_t1: what is proposed, what is left alone, and that patches apply."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.tools import _proposals, _typos

pytestmark = pytest.mark.slow

UNUSED = "import os\nimport sys\n\nprint(sys.argv)\n"


def proposals(body: Any, generator: str, tree: dict[str, Any], rule: str = "") -> list[dict[str, Any]]:
    """The proposals with their patches in place of the artifacts' names."""
    ran = body("codegen_t0", {"generator": generator} | ({"rule": rule} if rule else {}), base=tree)
    assert ran.code == 0, ran.stderr
    return [p | {"patch": ran.artifacts[p["patch"]].decode()} for p in ran.result["proposals"]]


def rules(found: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Files by rule."""
    return {p["rule"]: p["files"] for p in found}


def test_one_rule_family_makes_one_proposal(body: Any) -> None:
    """Each family of safe fixes is its own small change, in a stable order, with a patch in git's format."""
    found = proposals(body, "ruff", {"a.py": UNUSED, "b.py": "x = f'plain'\nimport os\n", "c.py": "y = 1 \n"})
    assert rules(found) == {"ruff:F401": ["a.py", "b.py"], "ruff:F541": ["b.py"], "ruff:W291": ["c.py"]}
    assert found[0]["patch"].startswith("diff --git a/a.py b/a.py\n")
    assert "-import os\n" in found[0]["patch"]
    assert found[0]["reproduce"] == "ruff:F401"
    assert set(found[0]) == {
        "rule", "title", "rationale", "expected", "confidence", "files", "count", "patch", "fingerprint", "reproduce"
    }  # fmt: skip


def test_generation_is_repeatable(body: Any) -> None:
    """The same tree gives the same proposals, byte for byte."""
    tree = {"a.py": UNUSED, "b.py": "x = f'plain'\n"}
    assert proposals(body, "ruff", tree) == proposals(body, "ruff", tree)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", '[tool.ruff.lint]\nignore = ["F401"]\n'),
        ("pyproject.toml", '[tool.ruff.lint]\nselect = ["E"]\n'),
        ("ruff.toml", '[lint.per-file-ignores]\n"a.py" = ["F401"]\n'),
        (".ruff.toml", 'exclude = ["a.py"]\n'),
        ("pyproject.toml", '[tool.ruff.lint]\nunfixable = ["F401"]\n'),
        ("setup.cfg", "[flake8]\nignore = F401\n"),
        ("tox.ini", "[flake8]\nper-file-ignores =\n  a.py: F401\n"),
        (".flake8", "[flake8]\nexclude = a.py\n"),
    ],
)
def test_the_repository_s_own_ignores_hold(body: Any, name: str, text: str) -> None:
    """What the repository ignores, excludes or does not select is not proposed."""
    assert proposals(body, "ruff", {"a.py": UNUSED, name: text}) == []


def test_settings_are_data_and_cannot_widen(body: Any) -> None:
    """Rules outside this issue's families, unsafe fixes and unknown settings in the repository change nothing."""
    config = (
        '[tool.ruff]\nunsafe-fixes = true\nextend = "../../etc/passwd"\nunknown = 1\n'
        '[tool.ruff.lint]\nselect = ["ALL", "NOPE999"]\nignore = ["ZZZ1", "E5"]\nextend-safe-fixes = ["F841"]\n'
        '[tool.ruff.lint.per-file-ignores]\n"x[.py" = ["F401"]\n'
    )
    tree = {"a.py": UNUSED + "def f():\n    unused = 1\n    return dict(a=1)\n", "pyproject.toml": config}
    ran = body("codegen_t0", {"generator": "ruff"}, base=tree)
    if ran.code == 0:
        assert set(rules(ran.result["proposals"])) <= {"ruff:F401", "ruff:I001"}
    else:
        pytest.fail(ran.stderr)


def test_the_repository_s_own_way_of_sorting_holds(body: Any) -> None:
    """Imports that are sorted as the repository's settings say are no finding."""
    tree = {
        "ruff.toml": '[lint]\nselect = ["F", "I"]\n[lint.isort]\nforce-single-line = true\n',
        "a.py": "from os import path\nfrom os import sep\n\nprint(path, sep)\n",
        "b.py": "from os import sep, path\n\nprint(path, sep)\n",
    }
    ran = body("codegen_t0", {"generator": "ruff"}, base=tree)
    assert [(p["rule"], p["files"]) for p in ran.result["proposals"]] == [("ruff:I001", ["b.py"])]
    assert (ran.result["counts"]["findings"], ran.result["counts"]["dropped"]) == (1, {})


def test_settings_of_sorting_that_ruff_does_not_know_stop_sorting_only(body: Any) -> None:
    """A key of a later ruff, or a wrong value, is no reason to scan nothing."""
    for odd, chosen in (('from-the-future = "x"', '["F", "I"]'), ('force-single-line = "often"', '["ALL"]')):
        tree = {
            "ruff.toml": f"[lint]\nselect = {chosen}\n[lint.isort]\n{odd}\n",
            "a.py": "import sys, os\nsys.exit()\n",
        }
        assert rules(proposals(body, "ruff", tree)) == {"ruff:F401": ["a.py"]}


def test_imports_that_something_needs_are_left_alone(body: Any) -> None:
    """Re-exports, fixtures, modules of the project and conftest.py keep imports that look unused."""
    tree = {
        "pkg/__init__.py": "",
        "pkg/compat.py": "from json import dumps\n",
        "pkg/user.py": "from pkg.compat import dumps\n\nprint(dumps(1))\n",
        "pkg/patched.py": "import time\n",
        "pkg/loader.py": "import pkg.user\n",
        "tests/conftest.py": "import os\n",
        "tests/test_a.py": "from helpers import database\n\n\ndef test_a(database):\n    pass\n",
        "tests/test_b.py": "def test_b(mocker):\n    mocker.patch('pkg.patched.time')\n",
    }
    assert proposals(body, "ruff", tree) == []


def test_vendored_and_generated_files_are_left_out(body: Any) -> None:
    """Other people's code and what programs wrote are not ours to mend."""
    tree = {"pkg/_vendor/a.py": UNUSED, "x_pb2.py": UNUSED, "g.py": "# Generated by a tool\n" + UNUSED}
    assert proposals(body, "ruff", tree) == []


def test_large_families_come_in_parts(body: Any) -> None:
    """A family over many files is split into small changes."""
    found = proposals(body, "ruff", {f"m{i:02d}.py": UNUSED for i in range(25)})
    assert [len(p["files"]) for p in found] == [20, 5]
    assert "part 1 of 2" in found[0]["title"]


def test_fingerprints_outlive_moved_lines(body: Any) -> None:
    """A finding that moves down keeps its fingerprint, another finding has another."""
    pad = "a = 1\nb = 2\nc = 3\nd = 4\n"
    one, two, three = (
        proposals(body, "ruff", {"a.py": text}, "F541")[0]["fingerprint"]
        for text in (pad + "x = f'plain'\n", "e = 5\n" + pad + "x = f'plain'\n", pad + "x = f'other'\n")
    )
    assert one == two != three


def test_typos_are_mended_in_prose_only(body: Any) -> None:
    """Comments, docstrings and docs are mended; code, strings, names, links and quotations stay as they are."""
    code = (
        '"""Recieve things, for the adress `recieve` and :recieve:`x` of the the."""\n'
        "import os  # noqa: recieve\n"
        "adress_book = 'the recieve button'  # teh occured_flag occured\n"
        "\n\ndef f(seperate):\n"
        '    """Occured.\n\n    >>> recieve(teh)\n\n    See http://x/recieve and "untill".\n    """\n'
    )
    found = proposals(body, "codespell", {"m.py": code})
    assert len(found) == 1
    added = [line for line in found[0]["patch"].splitlines() if line.startswith("+") and not line.startswith("+++")]
    assert added == [
        '+"""Receive things, for the adress `recieve` and :recieve:`x` of the the."""',
        "+adress_book = 'the recieve button'  # the occured_flag occurred",
        '+    """Occurred.',
    ]


def test_short_words_that_are_nothing_else_are_mended_and_the_others_counted(body: Any) -> None:
    """`teh` is no abbreviation; `edn` is a format and `cna` may be a name: dropped, and the table says how many."""
    code = "# teh sum of both\n# Hte edn of it\ny = 2  # as cna be seen, edn\n"
    ran = body("codegen_t0", {"generator": "codespell"}, base={"m.py": code})
    (patch,) = ran.artifacts.values()
    added = [line for line in patch.decode().splitlines() if line.startswith("+") and not line.startswith("+++")]
    assert added == ["+# the sum of both", "+# The edn of it"]
    counts = ran.result["counts"]
    assert (counts["findings"], counts["proposed"], counts["dropped"]) == (5, 2, {"short-word": 3})


def test_short_words_that_the_code_or_the_settings_name_are_left_alone(body: Any) -> None:
    """They are no findings, as with longer words."""
    tree = {
        "a.py": "hte = 1\n",
        "b.py": "# hte and teh\n",
        ".codespellrc": "[codespell]\nignore-words-list = teh,edn\n",
    }
    ran = body("codegen_t0", {"generator": "codespell"}, base=tree | {"c.py": "# the edn\n"})
    assert (ran.result["proposals"], ran.result["counts"]["findings"]) == ([], 0)


def test_docs_are_mended_outside_code(body: Any) -> None:
    """Fences, literal blocks, inline code and directives of documents are code."""
    md = (
        "# The title of this page\n\nThis is to recieve the mail that is in the box.\n\n"
        "```\nrecieve\n```\n\nUse `recieve` or [recieve](recieve.md).\n"
    )
    rst = (
        "The title is this\n=================\n\nFor the box that is it::\n\n    untill\n\nAnd untill the end of it.\n"
    )
    found = proposals(body, "codespell", {"docs/a.md": md, "docs/b.rst": rst})
    assert [p["files"] for p in found] == [["docs/a.md"], ["docs/b.rst"]]
    assert [p["count"] for p in found] == [1, 1]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("setup.cfg", "[codespell]\nignore-words-list = recieve\n"),
        (".codespellrc", "[codespell]\nskip = ./docs/*\n"),
        ("pyproject.toml", '[tool.codespell]\nignore-words = "words.txt"\n'),
        ("pyproject.toml", '[tool.codespell]\nskip = "*.md,*.po"\n'),
    ],
)
def test_codespell_s_own_ignores_hold(body: Any, name: str, text: str) -> None:
    """Words and files that the repository leaves alone stay as they are."""
    tree = {"docs/a.md": "This is to recieve the mail that is in the box.\n", "words.txt": "recieve\n", name: text}
    assert proposals(body, "codespell", tree) == []


def test_a_word_that_the_code_uses_is_a_name(body: Any) -> None:
    """A comment may speak of an identifier; a word that is part of one stays."""
    tree = {"a.py": "def recieve_mail():\n    pass\n", "b.py": "# this is to recieve the mail\n"}
    assert proposals(body, "codespell", tree) == []


def test_patches_apply_and_rehearsals_write_nothing(body: Any, tmp_path: Path) -> None:
    """apply_patch_t1 checks on a dry run and writes on a real one; files with CRLF and odd bytes included."""
    tree = {
        "a.py": b"import os\r\nx = 1\r\n",
        ".gitattributes": b"* text=auto eol=lf\n*.py filter=evil\n",
        "b\u00e9.py": "import os\ny = '\u00e9'\n".encode(),
        "run.sh": b"x",
    }
    found = proposals(body, "ruff", dict(tree), "F401")
    work = tmp_path / "work"
    for name, data in tree.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_bytes(data)
    patch = {"patch": found[0]["patch"].encode()}
    rehearsed = body("apply_patch_t1", blobs=patch, dry_run=True, work=work)
    assert rehearsed.result["applied"] is False
    assert (work / "a.py").read_bytes() == tree["a.py"]
    applied = body("apply_patch_t1", blobs=patch, work=work)
    assert (applied.result["applied"], applied.result["removed"]) == (True, 2), applied.result
    assert applied.result["files"] == found[0]["files"] == ["a.py", "b\u00e9.py"]
    assert (work / "a.py").read_bytes() == b"x = 1\r\n"
    assert (work / "b\u00e9.py").read_text() == "y = '\u00e9'\n"


@pytest.mark.parametrize(
    ("patch", "rule"),
    [
        (b"diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-other\n+x\n", "patch-does-not-apply"),
        (b"--- a/../x\n+++ b/../x\n@@ -0,0 +1 @@\n+x\n", "patch-does-not-apply"),
        (
            b"diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc\n",
            "patch-not-allowed",
        ),
        (b"diff --git a/s b/s\nnew file mode 160000\n--- /dev/null\n+++ b/s\n@@ -0,0 +1 @@\n+x\n", "patch-not-allowed"),
        (b"garbage", "patch-does-not-apply"),
        (b"", "patch-does-not-apply"),
    ],
)
def test_patches_that_cannot_apply_are_refused(body: Any, patch: bytes, rule: str) -> None:
    """A patch that does not fit, leaves the tree, or makes links or submodules is refused; the tree stays."""
    ran = body("apply_patch_t1", blobs={"patch": patch}, work={"a": "content\n"})
    assert ran.result["refused"]["rule"] == rule


def test_a_patch_through_a_link_is_refused(body: Any, tmp_path: Path) -> None:
    """A path behind a symbolic link is outside the tree, whatever it points to."""
    work = tmp_path / "work"
    work.mkdir()
    (tmp_path / "outside").mkdir()
    (work / "link").symlink_to(tmp_path / "outside")
    patch = b"diff --git a/link/x b/link/x\nnew file mode 100644\n--- /dev/null\n+++ b/link/x\n@@ -0,0 +1 @@\n+x\n"
    assert body("apply_patch_t1", blobs={"patch": patch}, work=work).result["refused"]["rule"] == "patch-does-not-apply"
    assert list((tmp_path / "outside").iterdir()) == []


def test_an_unknown_generator_is_refused(body: Any) -> None:
    """Only the built-in generators can be named."""
    assert body("codegen_t0", {"generator": "rm"}, base={}).result["refused"]["rule"] == "unknown-generator"


@given(st.text(max_size=300), st.booleans())
def test_prose_spans_lie_in_order_inside_the_text(text: str, markdown: bool) -> None:
    """Whatever a document holds, spans are ordered, disjoint and inside it."""
    at = 0
    for start, end in _typos._docs_spans(text, markdown=markdown):
        assert at <= start < end <= len(text)
        at = end


def test_bundles_keep_every_fix() -> None:
    """Splitting loses nothing and keeps the order of paths."""
    fixes = [_proposals.Fix(path=f"{i:03d}", before=b"a\n" * i, after=b"b\n", count=1) for i in range(50)]
    bundles = _proposals.bundle(reversed(fixes), max_files=7, max_lines=10)
    assert [fix.path for part in bundles for fix in part] == [fix.path for fix in fixes]
    assert json.dumps([len(part) for part in bundles])


@pytest.mark.parametrize("name", ["naïve.py", 'a"b.py', "back\\slash.py", "tab\there.py", "日本.py"])
def test_a_name_that_git_quotes_is_proposed_like_any_other(body: Any, tmp_path: Path, name: str) -> None:
    """Both generators make a patch of such a file, which applies, and of the others beside it."""
    text = "import os\n\nx = 1  # recieve\n"
    tree = {name: text, "plain.py": text}
    for generator, after in (("ruff", "\nx = 1  # recieve\n"), ("codespell", text.replace("recieve", "receive"))):
        found = proposals(body, generator, tree)
        assert sorted(file for p in found for file in p["files"]) == sorted([name, "plain.py"])
        for number, each in enumerate(found):
            work = tmp_path / f"{generator}{number}"
            work.mkdir()
            for file in tree:
                (work / file).write_text(text)
            assert body("apply_patch_t1", blobs={"patch": each["patch"].encode()}, work=work).result["applied"] is True
            assert {(work / file).read_text() for file in each["files"]} == {after}
