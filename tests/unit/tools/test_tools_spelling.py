"""What a repository tells codespell holds as codespell understands it, whatever time its patterns would take."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from tool_scans import scanned

from greenroom.tools import _spelling

PROSE = "This is to recieve the mail that is in the box.\nIt occured to the seperator of this and that.\n"
ALL = [(1, "recieve"), (2, "occured"), (2, "seperator")]
CODESPELL = Path(sysconfig.get_path("scripts")) / "codespell"
CASES: dict[str, tuple[str, str]] = {
    "plain": (".codespellrc", ""),
    "ignore-regex": ("setup.cfg", "ignore-regex = recieve|\\bseperator\\b"),
    "toml regex": ("pyproject.toml", "ignore-regex = 'recieve|\\bseperator\\b'"),
    "multiline regex": (".codespellrc", "ignore-multiline-regex = recieve.*occured"),
    "words": (".codespellrc", "ignore-words-list = recieve,seperator"),
    "toml words": ("pyproject.toml", "ignore-words-list = ['recieve', 'seperator']"),
    "words file": (".codespellrc", "ignore-words = words.txt"),
    "excluded lines": (".codespellrc", "exclude-file = lines.txt"),
    "toml excluded lines": ("pyproject.toml", "exclude-file = 'lines.txt'"),
    "words by a pattern": (".codespellrc", "regex = [a-z]{9,}"),
    "another dictionary": (".codespellrc", "builtin = usage"),
}


def settings(name: str, text: str) -> dict[str, str]:
    head = "[tool.codespell]\n" if name == "pyproject.toml" else "[codespell]\n"
    lines = "This is to recieve the mail that is in the box.\n"
    return {name: head + text + "\n", "words.txt": "occured\n", "lines.txt": lines}


def lay(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).write_text(text)
    return root


def asked(root: Path, golden: Path, text: str = PROSE) -> tuple[list[tuple[int, str]], str]:
    """What is reported in the text, and the problem."""
    judge = _spelling.Judge(golden, root, _spelling.read(root))
    return sorted(judge.reported({"a.md": text})["a.md"]), judge.problem


@pytest.mark.slow
@pytest.mark.parametrize("case", sorted(CASES))
def test_settings_hold_as_in_codespell(tmp_path: Path, golden: Path, case: str) -> None:
    """The typos are those that codespell reports in the repository itself."""
    lay(tmp_path, settings(*CASES[case]) | {"a.md": PROSE})
    said = subprocess.run([CODESPELL, "a.md"], cwd=tmp_path, capture_output=True, text=True, check=False).stdout
    expected = [line.split(" ==> ")[0].split(":") for line in said.splitlines() if line.startswith("a.md:")]
    found, problem = asked(tmp_path, golden)
    assert (found, problem) == (sorted((int(line), word.strip().lower()) for _, line, word in expected), "")
    assert (found == ALL) is (case == "plain")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ignore-regex = (", "codespell-settings-unusable"),
        ("builtin = nothing-of-the-kind", "codespell-settings-unusable"),
        ("ignore-regex = ((a|a)*)*b", "codespell-too-slow"),
    ],
)
def test_where_codespell_cannot_answer_there_are_no_findings(
    tmp_path: Path, golden: Path, monkeypatch: pytest.MonkeyPatch, text: str, problem: str
) -> None:
    """A pattern that it does not take, or that takes for ever."""
    monkeypatch.setattr(_spelling, "TIMEOUT_S", 2)
    lay(tmp_path, settings(".codespellrc", text))
    judge = _spelling.Judge(golden, tmp_path, _spelling.read(tmp_path))
    assert judge.reported({"a.md": "a" * 64 + " recieve\n"}) == {"a.md": frozenset()}
    assert [(note["rule"], note["where"]) for note in judge.notes()] == [(problem, ".codespellrc")]


@pytest.mark.slow
@pytest.mark.parametrize("generator", ["codespell", "strings"])
def test_patterns_hold_for_comments_and_for_strings(body: Any, generator: str) -> None:
    """Of three typos the pattern leaves one; a pattern that codespell does not take leaves none, and a note."""
    code = '# to recieve, and it occured\nraise ValueError("it occured to the seperator of this")\n'
    tree = {"a.py": code, "setup.cfg": "[codespell]\nignore-regex = recieve|\\bseperator\\b\n"}
    (found,) = scanned(body, generator, tree)["proposals"]
    changed = [line for line in found["patch"].splitlines() if line.startswith("+") and not line.startswith("+++")]
    assert len(changed) == found["count"] == 1
    assert "occurred" in changed[0]
    assert "recieve" in changed[0] or "seperator" in changed[0]
    stopped = scanned(body, generator, tree | {"setup.cfg": "[codespell]\nignore-regex = (\n"})
    assert (stopped["proposals"], [note["rule"] for note in stopped["notes"]]) == ([], ["codespell-settings-unusable"])


@pytest.mark.slow
def test_what_is_made_again_follows_the_same_settings(body: Any) -> None:
    """A change that the settings would not allow is not made again by the same generator."""
    base = {"a.py": "# to recieve it\n", ".codespellrc": "[codespell]\nignore-regex = recieve\n"}
    green = base | {"a.py": "# to receive it\n"}
    ran = body("classify_diff_t0", {"reproduce": "codespell"}, base=base, green=green)
    assert ran.result["reproduced_by"] is None


@pytest.mark.slow
def test_comments_to_codespell_hold_without_any_settings(body: Any) -> None:
    """`codespell:ignore-next-line` speaks of the line below it."""
    code = "# codespell:ignore-next-line\n# to recieve it\n# to recieve it\n"
    (found,) = scanned(body, "codespell", {"a.py": code})["proposals"]
    assert found["count"] == 1


def test_files_outside_the_tree_are_not_read(tmp_path: Path) -> None:
    """Lists of words are files of the tree."""
    (tmp_path / "words.txt").write_text("recieve\n")
    root = tmp_path / "root"
    root.mkdir()
    text = f"ignore-words = ../words.txt,{tmp_path}/words.txt,x/../../words.txt\nexclude-file = ~/x"
    found = _spelling.read(lay(root, settings(".codespellrc", text)))
    assert (found.words, found.files) == (frozenset(), {"ignore-words": (), "exclude-file": ()})


@pytest.mark.slow
@pytest.mark.parametrize("generator", ["codespell", "strings"])
def test_kinds_of_files_that_are_not_read_are_named(body: Any, generator: str) -> None:
    """Notebooks and shell scripts have text that nobody looks at; the table says so."""
    tree = {"a.ipynb": "{}", "b/run.sh": "# to recieve it\n", "c.bash": "", "d.py": "x = 1\n"}
    found = scanned(body, generator, tree)
    assert [(note["rule"], note["where"]) for note in found["notes"]] == [
        ("not-read", "notebooks: 1 file"),
        ("not-read", "shell scripts: 2 files"),
    ]
