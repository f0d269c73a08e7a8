"""The documents say what is true: commands exist, links lead somewhere, code blocks run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from greenroom.bootstrap.local import LocalServices
from greenroom.config import Box
from greenroom.domain.errors import Exit
from greenroom.entrypoints.cli import app as cli

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def commands() -> dict[str, typer.core.TyperCommand]:
    application = cli.build(lambda box: LocalServices(Box(Path(box or "/nonexistent"))), "0")
    group = typer.main.get_command(application)
    assert isinstance(group, typer.core.TyperGroup)
    return dict(group.commands)  # type: ignore[arg-type]


def test_every_command_is_in_the_readme() -> None:
    """A command that the README does not name is a defect."""
    readme = (ROOT / "README.md").read_text()
    missing = [name for name in commands() if not re.search(rf"(greenroom |`){re.escape(name)}\b", readme)]
    assert missing == []


def test_every_command_that_the_documents_show_exists() -> None:
    """`greenroom WORD` in a code block is a command."""
    known = set(commands())
    for document in DOCUMENTS:
        for block in re.findall(r"```(?:console|sh)\n(.*?)```", document.read_text(), re.DOTALL):
            for word in re.findall(r"^\$? ?greenroom ([a-z]+)", block, re.MULTILINE):
                assert word in known, f"{document.name}: greenroom {word}"


def test_every_command_has_help_with_an_example() -> None:
    """--help shows how a person types it."""
    for name, command in commands().items():
        subcommands = getattr(command, "commands", {})
        for each in subcommands.values() if subcommands else [command]:
            assert "Example" in (each.help or ""), f"{name} {each.name}"


def test_every_group_has_help_with_an_example_of_its_json() -> None:
    """A script's author need not look below."""
    groups = {name: command for name, command in commands().items() if getattr(command, "commands", {})}
    assert {"config", "constitution", "floor", "log", "opt-in"} <= set(groups)
    for name, group in groups.items():
        assert re.search(rf"greenroom {name}.* --json", group.help or ""), name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(document: Path) -> None:
    """A relative link names a file that is there."""
    for target in re.findall(r"\]\(([^)#]+)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), target


def test_the_table_of_exit_codes_is_the_one_in_the_code() -> None:
    """docs/exit-codes.md and domain.errors.Exit are one table."""
    rows = re.findall(r"^\| (\d+) \| (\w+) \|", (ROOT / "docs" / "exit-codes.md").read_text(), re.MULTILINE)
    assert {name: int(code) for code, name in rows} == {member.name: member.value for member in Exit}


def test_the_architecture_names_every_room_and_only_what_exists() -> None:
    """Rooms in ARCHITECTURE.md and on disk are the same; it has at most 300 lines."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    assert len(text.splitlines()) <= 300
    source = ROOT / "src" / "greenroom"
    rooms = {path.name for path in source.iterdir() if (path / "__init__.py").exists()}
    named = set(re.findall(r"^\| `(\w+)/` \|", text.partition("## Rooms")[2].partition("## Where")[0], re.MULTILINE))
    assert named == rooms
    for path in re.findall(r"`((?:domain|pipeline|policy|guard|keeper|release|sandbox)/[\w/]+\.py)`", text):
        assert (source / path).exists(), path


def test_the_repository_speaks_of_the_product_only() -> None:
    """No machine path and no registry host in the documents."""
    for document in DOCUMENTS:
        assert not re.search(r"(?<![\w.])/(work|root|opt)/", document.read_text()), document.name
