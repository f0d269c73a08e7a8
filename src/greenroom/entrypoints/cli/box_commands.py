"""The commands about a box as a whole: backup, restore, uninstall."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greenroom.domain.errors import Unusable
from greenroom.entrypoints.cli.safe import safe

if TYPE_CHECKING:
    from greenroom.entrypoints.cli.app import Context

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def register(app: typer.Typer, context: Context) -> None:
    """Add the commands to `app`."""

    @app.command()
    def backup(
        file: Annotated[str, typer.Argument(metavar="FILE", help="A file that is not there yet, outside the box.")],
        json: Json = False,
    ) -> None:
        """Write the whole box to FILE, mode 0600, and read it back. The box's processes rest meanwhile.

        The private keys are in it. Keep the SHA-256 that is printed apart from the file.

        Examples:
          greenroom backup /media/disk/greenroom.backup
          greenroom backup ~/greenroom-$(date +%F).backup --json
        """
        del json
        made = context.services.backup(Path(os.path.abspath(file)), _tell)
        context.answer(made, lambda: _show_backup(made))

    @app.command()
    def restore(
        file: Annotated[str, typer.Argument(metavar="FILE", help="What `greenroom backup` wrote.")],
        directory: Annotated[str | None, typer.Argument(metavar="DIR", help="Where; else GREENROOM_HOME.")] = None,
        sha256: Annotated[str | None, typer.Option(metavar="HEX", help="The file must have this SHA-256.")] = None,
        json: Json = False,
    ) -> None:
        """Make a box from a backup: every file is checked against the backup's list, and the log from end to end.

        The box appears whole or not at all; nothing is written over. Of the box that was backed up and the restored
        one, use one only: their logs part from here on, and `log check --checkpoint` shows it.
        A repository counts by its path: one that is not there on this machine is named, with what helps.

        Examples:
          greenroom restore /media/disk/greenroom.backup
          greenroom restore greenroom.backup /srv/greenroom --sha256 HEX
        """
        del json
        if sha256 is not None and re.fullmatch(r"[0-9a-fA-F]{64}", sha256) is None:
            raise Unusable("bad-sha256", "this is no SHA-256", where=ascii(sha256)[:80], remedy="64 hex digits")
        if directory:
            context.box = directory
        made = context.services.restore(Path(os.path.abspath(file)), sha256, _tell)
        context.answer(made, lambda: _show_restored(made))

    @app.command()
    def uninstall(
        keep_log: Annotated[bool, typer.Option("--keep-log", help="Leave the log and the public keys.")] = False,
        yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
        no_input: Annotated[bool, typer.Option("--no-input", help="Never ask; fail without --yes.")] = False,
        json: Json = False,
    ) -> None:
        """Take the box away with its keys, and list what stays. Nothing brings it back but a backup.

        Examples:
          greenroom backup ~/greenroom.backup; greenroom uninstall
          greenroom uninstall --keep-log --yes
        """
        del json
        services = context.services
        if not yes:
            _confirm(str(services.box.root), no_input=no_input)
        done = services.uninstall(keep_log=keep_log)
        context.answer(done, lambda: _show_removed(done))


def _confirm(root: str, *, no_input: bool) -> None:
    """Raise Unusable `not-confirmed` unless a person types the word."""
    asked = not no_input and sys.stdin.isatty()
    if asked:
        print(f"This takes away {safe(root)}: keys, log, history, and everything that waits.", file=sys.stderr)
        print("Type remove to go on: ", end="", file=sys.stderr, flush=True)
    if not asked or sys.stdin.readline().strip() != "remove":
        raise Unusable("not-confirmed", "nothing was taken away", where=root, remedy="answer `remove`, or give --yes")


def _tell(event: Any) -> None:
    print(safe(str(event)), file=sys.stderr)


def _show_backup(made: Mapping[str, Any]) -> None:
    print(f"{safe(made['file'])}: {made['members']} files and folders, {made['bytes']} bytes, read back and whole")
    print(f"sha256 {made['sha256']}")
    print("It holds the box's private keys: keep it where only you can read it, and the line above somewhere else.")


def _show_restored(made: Mapping[str, Any]) -> None:
    counted = f"{made['members']} files and folders, log of {made['log']} entries"
    print(f"{safe(made['path'])}: box {safe(made['box'])}, {counted}")
    print("every file is as it was backed up, and the log is whole")
    for each in made["lacks"]:
        print(f"lacks: {safe(each['message'])}")
        print(f"  remedy: {safe(each['remedy'])}")
    print("next: greenroom doctor; use this box or the one that was backed up, not both")


def _show_removed(done: Mapping[str, Any]) -> None:
    kept = done["kept"]
    print(f"{safe(done['removed'])}: {'taken away, but for:' if kept else 'taken away'}")
    for path in kept:
        print(f"  {safe(path)}")
    print("what stays, because it is not the box's:")
    for line in done["stays"]:
        print(f"  {safe(line)}")
