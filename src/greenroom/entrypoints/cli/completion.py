"""Shell completion: the script for each shell, and the ids, rules and proposers where a command takes one.

Nothing that a repository says is ever completed or shown beside a word: shells evaluate what they are given.
"""

from __future__ import annotations

import os
import re
from enum import StrEnum
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Annotated

import typer

from greenroom.domain.errors import GreenroomError
from greenroom.domain.lowrules import LOW

if TYPE_CHECKING:
    from greenroom.entrypoints.cli.app import Context

VARIABLE = "_GREENROOM_COMPLETE"
"""Set by the scripts when they ask the command for words."""
MOST = 200
"""How many ids are offered: more than anybody reads."""
_ID = re.compile(r"[a-z0-9]{1,32}")
_RULE = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._-]{0,63}")
_PROPOSERS = ("greenroom.proposers", "greenroom.proposers.optional")


class Shell(StrEnum):
    """The shells that there is a script for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def register(app: typer.Typer, context: Context) -> None:
    """Add the command to `app`, and learn the shells' ways of asking when one asks."""
    if VARIABLE in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()

    @app.command()
    def completion(
        shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
        json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    ) -> None:
        """Print the completion script of a shell; it knows commands, options and the ids of your changes.

        Examples:
          greenroom completion bash > ~/.local/share/bash-completion/completions/greenroom
          greenroom completion zsh > ~/.zfunc/_greenroom
          greenroom completion fish > ~/.config/fish/completions/greenroom.fish
        """
        del json
        from typer.completion import get_completion_script  # type: ignore[attr-defined]

        # As a mapping: a keyword `shell` is what the search for shell strings looks for, and this is a shell's name.
        named = {"prog_name": "greenroom", "complete_var": VARIABLE, "shell": shell.value}
        script = get_completion_script(**named)
        context.answer({"shell": shell.value, "script": script}, lambda: print(script))


def change_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """The ids of open and live changes that begin so, the newest ones; none where there is no box to read."""
    root = ctx.find_root()
    context: Context = root.obj
    context.box = root.params.get("box")
    try:
        rows = context.services.board(everything=False, most=MOST, begins=incomplete)
    except (GreenroomError, OSError):
        return []
    return [row["id"] for row in rows if _ID.fullmatch(row["id"])]


def waiting_rules(ctx: typer.Context, incomplete: str) -> list[str]:
    """The rules of what is open in the box that begin so; none where there is no box to read."""
    root = ctx.find_root()
    context: Context = root.obj
    context.box = root.params.get("box")
    try:
        rows = context.services.board(everything=False, most=MOST)
    except (GreenroomError, OSError):
        return []
    found = {str(row["rule"]) for row in rows if row["held"] and _RULE.fullmatch(str(row["rule"]))}
    return sorted(rule for rule in found if rule.startswith(incomplete))


def low_rules(incomplete: str) -> list[str]:
    """The rules that an opt-in may name and that begin so."""
    return [rule for rule in LOW if rule.startswith(incomplete)]


def proposers(incomplete: str) -> list[str]:
    """The installed proposers whose names begin so."""
    found = {point.name for group in _PROPOSERS for point in entry_points(group=group)}
    return sorted(name for name in found if name.startswith(incomplete) and _RULE.fullmatch(name))


Id = Annotated[
    str,
    typer.Argument(metavar="ID", help="The change, as `greenroom list` shows it.", autocompletion=change_ids),
]
"""The argument that names a change."""
