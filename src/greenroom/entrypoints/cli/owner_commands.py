"""What only the owner's key says of a subject: its security floor, and that a person looked."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greenroom.domain.errors import NotFound
from greenroom.entrypoints.cli import consent, output, render
from greenroom.entrypoints.cli.safe import safe

if TYPE_CHECKING:
    from greenroom.entrypoints.cli.app import Context

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="A change's id.")]

_FLOOR = """The security floor of a subject: a change that no revert may take back, nor any below it.

Examples:
  greenroom floor set k3f9x2
  greenroom floor show
  greenroom floor show --json
  greenroom floor clear k3f9x2"""


def register(app: typer.Typer, context: Context) -> None:
    """Add the commands to `app`."""
    _floor(app, context)
    _looked(app, context)


def _floor(app: typer.Typer, context: Context) -> None:
    floor = typer.Typer(no_args_is_help=True, help=_FLOOR)
    app.add_typer(floor, name="floor")

    @floor.command("set")
    def set_(change: Id, json: Json = False) -> None:
        """Let no revert go below this change, which is live and was marked good; signed with the owner's key.

        Example:
          greenroom floor set k3f9x2
        """
        del json
        _set(context, change, holds=True)

    @floor.command("clear")
    def clear(change: Id, json: Json = False) -> None:
        """Take the floor at this change away; signed with the owner's key.

        Example:
          greenroom floor clear k3f9x2
        """
        del json
        _set(context, change, holds=False)

    @floor.command("show")
    def show(json: Json = False) -> None:
        """Show each floor.

        Example:
          greenroom floor show
        """
        del json
        floors = context.services.guard("floors")["floors"]
        context.answer({"floors": floors}, lambda: _show_floors(floors))


def _set(context: Context, change: str, *, holds: bool) -> None:
    """Raises NotFound `no-change-by-that-id` before anything is signed."""
    services = context.services
    if all(row["id"] != change for row in services.board(everything=True)):
        remedy = "`greenroom list --all` shows them all"
        raise NotFound("no-change-by-that-id", f"there is no change {change[:80]!r}", remedy=remedy)
    _told(context, services.set_floor(change, holds, consent.actor(), consent.passphrase))


def _looked(app: typer.Typer, context: Context) -> None:
    @app.command()
    def looked(
        subject: Annotated[str | None, typer.Argument(metavar="SUBJECT", help="Only this one, as shown.")] = None,
        yes: Annotated[bool, typer.Option("--yes", help="Say beforehand that you looked.")] = False,
        no_input: Annotated[bool, typer.Option("--no-input", help="Only show; never ask.")] = False,
        json: Json = False,
    ) -> None:
        """Show what went live without a person's yes since you last looked; then say that you looked.

        Your word is signed with the owner's key, over the last change that was shown. What goes live by itself is
        bounded until you give it.

        Examples:
          greenroom looked
          greenroom looked 'workspace:/home/ada/project#main' --yes
        """
        del json
        services = context.services
        found = [each for each in services.guard("unseen")["unseen"] if subject in (None, each["subject"])]
        if subject is not None and not found:
            _nothing_unseen(context, subject)
        if not context.as_json:
            _show_unseen(found, services.summaries([one["change"] for each in found for one in each["changes"]]))
        only_shown = not found or (no_input and not yes)
        asked = not only_shown and consent.ask("Did you look at these?", yes=yes, no_input=no_input)
        verdicts = [_say(context, each) for each in found] if asked else []
        answer = {"unseen": found, "looked": asked, "verdicts": verdicts}
        context.answer(answer, lambda: _show_looked(found, verdicts))
        code = next((code for verdict in verdicts if (code := output.exit_of(verdict))), None)
        if code:
            raise typer.Exit(code)


def _say(context: Context, each: Mapping[str, Any]) -> Mapping[str, Any]:
    return context.services.looked(each["subject"], each["through"], consent.actor(), consent.passphrase)


def _nothing_unseen(context: Context, subject: str) -> None:
    live = context.services.guard("status")["live"]
    if subject not in live:
        remedy = "greenroom status names each subject"
        raise NotFound("no-such-subject", "nothing of that name is live in this box", where=subject, remedy=remedy)


def _told(context: Context, verdict: Mapping[str, Any]) -> None:
    context.answer({"verdict": verdict}, lambda: render.console().print(render.verdict_line(verdict)))
    code = output.exit_of(verdict)
    if code:
        raise typer.Exit(code)


def _show_floors(floors: Sequence[Mapping[str, Any]]) -> None:
    for floor in floors:
        print(f"{safe(floor['subject'])}: {safe(floor['change'])}, live since {_day(floor['at'])}")
    if not floors:
        print("no floor is set")


def _show_unseen(found: Sequence[Mapping[str, Any]], words: Mapping[str, str]) -> None:
    for each in found:
        print(f"{safe(each['subject'])}: {each['count']} since a person last looked")
        for one in each["changes"]:
            name, what = safe(one["change"]), safe(words.get(one["change"], ""))
            print(f"  {name} {_day(one['at'])} {one['lines']} lines, risk {one['risk']}, {one['state']}: {what}")
    if found:
        print("greenroom diff ID shows each of them")


def _show_looked(found: Sequence[Mapping[str, Any]], verdicts: Sequence[Mapping[str, Any]]) -> None:
    for verdict in verdicts:
        render.console().print(render.verdict_line(verdict))
    if not found:
        print("nothing went live without a person's yes since a person last looked")


def _day(at: str) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(int(at) / 1e9))
