"""The commands about the log: read, follow, check, checkpoint, export."""

from __future__ import annotations

import json as jsonlib
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greenroom.domain.errors import Exit, GreenroomError
from greenroom.domain.refusals import remedy_of
from greenroom.entrypoints.cli.safe import safe

if TYPE_CHECKING:
    from greenroom.entrypoints.cli.app import Context

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
JsonLines = Annotated[bool, typer.Option("--json", help="One JSON document a line on stdout.")]
PAGE = 4096
MAX_CHECKPOINT_BYTES = 64 * 1024
ABOUT_CHECKPOINT = frozenset({"bad-note", "bad-checkpoint", "checkpoint-forged", "key-outlived", "note-too-large"})
"""Errors about the checkpoint that was given: what is wrong with the log's own is in the report."""


def register(app: typer.Typer, context: Context) -> None:
    """Add the commands to `app`."""
    log = typer.Typer(invoke_without_command=True, help="Read and check the signed log.")
    app.add_typer(log, name="log")

    @log.callback()
    def read(
        ctx: typer.Context,
        follow: Annotated[bool, typer.Option("--follow", help="Go on as entries come; Ctrl-C ends.")] = False,
        json: JsonLines = False,
    ) -> None:
        """Print the log, one entry a line.

        Examples:
          greenroom log
          greenroom log --json
          greenroom log --follow
          greenroom log check --json
        """
        del json
        if ctx.invoked_subcommand is None:
            _print_log(context, follow=follow)

    @log.command()
    def check(
        directory: Annotated[
            str | None, typer.Argument(metavar="LOG", help="A copy of a log directory, or one with `log` in it.")
        ] = None,
        keys: Annotated[
            str | None,
            typer.Option(help="The directory with the public keys; else the box's, else `public` beside LOG."),
        ] = None,
        checkpoint: Annotated[str | None, typer.Option(help="A checkpoint kept elsewhere; finds truncation.")] = None,
        json: Json = False,
    ) -> None:
        """Check every entry, tile and signature; name the first that was changed, dropped or reordered.

        Examples:
          greenroom log check
          greenroom log check ./log-copy --keys ./public --checkpoint kept.txt
          greenroom log check ./copy-of-box
        """
        del json
        kept = _read_checkpoint(checkpoint) if checkpoint else None
        try:
            report = context.services.log_check(directory, keys, kept)
        except GreenroomError as error:
            if checkpoint is None or error.reference not in ABOUT_CHECKPOINT:
                raise
            where = f"{checkpoint}: {error.where}" if error.where else checkpoint
            raise type(error)(error.reference, error.message, where=where, remedy=remedy_of(error)) from None
        context.answer(report, lambda: _show_report(report))
        if not report["ok"]:
            raise typer.Exit(Exit.TAMPERED)

    @log.command("checkpoint")
    def checkpoint_(json: Json = False) -> None:
        """Print the newest signed checkpoint; keep it on another machine.

        Example:
          greenroom log checkpoint > kept.txt
        """
        del json
        note = context.services.log_checkpoint()
        context.answer({"checkpoint": note.decode()}, lambda: print(note.decode(), end=""))

    @log.command()
    def export(json: JsonLines = False) -> None:
        """Print the log as JSON lines: entry as signed, index and leaf hash.

        Example:
          greenroom log export > log.jsonl
        """
        del json
        for line in context.services.log_export():
            sys.stdout.buffer.write(line)


def _read_checkpoint(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(MAX_CHECKPOINT_BYTES)


def _print_log(context: Context, *, follow: bool) -> None:
    at = 0
    while True:
        entries = context.services.log_entries(at, PAGE)
        for entry in entries:
            print(jsonlib.dumps(entry, sort_keys=True) if context.as_json else _line(at, entry))
            at += 1
        if not entries and not follow:
            return
        if not entries:
            sys.stdout.flush()
            time.sleep(0.2)


def _line(index: int, entry: Mapping[str, Any]) -> str:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(int(entry["at"]) / 1e9))
    change = entry["change"] or "-"
    said = f"{safe(entry['name']):<22} {safe(change):<8} {safe(entry['about'])}"
    return f"{index:>6}  {at}Z  {said} ({safe(entry['actor'])})"


def _show_report(report: Mapping[str, Any]) -> None:
    bad = "TAMPERED, or signed with other keys" if report.get("foreign") else "TAMPERED"
    print(f"log: {'whole' if report['ok'] else bad}; {report['size']} entries")
    for note in report["notes"]:
        print(f"  {safe(note)}")
    if not report["ok"]:
        print(f"  first: {safe(report['problem'])}\n  remedy: {safe(report['remedy'])}")
