"""Manual pages and shell completion are made from the command itself."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from test_cli_commands import Door, commands, door

from greenroom.domain.errors import Exit
from greenroom.entrypoints.cli.completion import VARIABLE
from greenroom.testing.parts import Finding

pytestmark = pytest.mark.slow

__all__ = ["door"]


def ask(door: Door, monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str]:
    """What bash is answered for the last of `words`."""
    monkeypatch.setenv(VARIABLE, "complete_bash")
    monkeypatch.setenv("COMP_WORDS", " ".join(("greenroom", *words)))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    with pytest.raises(SystemExit) as ended:
        door()
    assert ended.value.code == 0
    monkeypatch.delenv(VARIABLE)
    return str(door._capsys.readouterr().out).split()


def test_every_command_has_a_manual_page_that_groff_reads(door: Door, tmp_path: Path) -> None:
    """One page a command, with its options; groff, where it is there, has no warning for any."""
    found = door.json("manual", str(tmp_path / "man1"))
    names = {Path(page).name for page in found["pages"]}
    assert names == {"greenroom.1", *(f"greenroom-{'-'.join(words)}.1" for words in commands())}
    improve = (tmp_path / "man1/greenroom-improve.1").read_text()
    assert ".B \\-\\-branch" in improve
    assert "greenroom improve . \\-\\-test\\-command" in improve
    groff = shutil.which("groff")
    if groff is not None:
        said = subprocess.run([groff, "-man", "-Tutf8", "-ww", "-z", *found["pages"]], capture_output=True, check=True)
        assert said.stderr == b""


def test_manual_pages_replace_only_manual_pages(door: Door, tmp_path: Path) -> None:
    """A file of that name which is not ours stops it before anything is written; our own page is made again."""
    (tmp_path / "greenroom-show.1").write_text("mine")
    assert door("manual", str(tmp_path)) == Exit.USAGE
    assert "not-a-manual-page" in door.err
    assert [path.name for path in tmp_path.glob("*.1")] == ["greenroom-show.1"]
    (tmp_path / "greenroom-show.1").unlink()
    assert door("manual", str(tmp_path)) == door("manual", str(tmp_path)) == Exit.OK


def test_completion_knows_commands_options_and_the_ids_of_changes(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words are completed from the command, ids from the board; nothing that a repository says is among them."""
    change = door.waiting()
    assert ask(door, monkeypatch, "met") == ["metrics"]
    assert "--branch" in ask(door, monkeypatch, "improve", "--b")
    assert ask(door, monkeypatch, "approve", "") == [change]
    assert ask(door, monkeypatch, "show", change[:2]) == [change]
    assert ask(door, monkeypatch, "show", "$(") == []


def test_completion_knows_rules_and_proposers(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules that wait in the box, those that an opt-in may name, the proposers that are installed."""
    door.house.findings.append(Finding(path="a.py", old=b"x = 1", new=b"x = 2", rule="$(evil)"))
    door("improve", door.repo)
    assert ask(door, monkeypatch, "approve", "--rule", "") == ["typo"]
    assert ask(door, monkeypatch, "opt-in", "add", "codesp") == ["codespell"]
    assert {"ruff", "modernise"} <= set(ask(door, monkeypatch, "improve", "--only", ""))
    assert ask(door, monkeypatch, "improve", "--only", "$(") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_of_a_shell_asks_the_command(door: Door, shell: str) -> None:
    """Each names the variable by which the command knows that it is asked."""
    assert door("completion", shell) == Exit.OK
    assert re.search(rf"{VARIABLE}=complete_{shell}", door.out)
    bash = shutil.which("bash")
    if shell == "bash" and bash is not None:
        subprocess.run([bash, "-n"], input=door.out.encode(), check=True)


def test_completion_for_an_unknown_shell_is_a_clear_error(door: Door) -> None:
    """It names those that there are."""
    assert door("completion", "tcsh") == Exit.USAGE
    assert "fish" in door.err


def test_the_name_of_a_page_is_one_line_without_escapes(door: Door, tmp_path: Path) -> None:
    """What `apropos` shows is the first sentence of the help."""
    for page in door.json("manual", str(tmp_path / "man1"))["pages"]:
        text = Path(page).read_text()
        name = text.split(".SH NAME\n")[1].split("\n.SH")[0]
        assert "u{" not in name
        assert len(name.splitlines()) == 1
