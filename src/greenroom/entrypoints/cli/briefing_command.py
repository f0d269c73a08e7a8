"""The command `briefing`: what the box did since a time, and what needs a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from greenroom.entrypoints.cli.app import Context


def register(app: typer.Typer, context: Context) -> None:
    """Add the command to `app`."""

    @app.command()
    def briefing(
        since: Annotated[
            str, typer.Option(metavar="WHEN", help="last-night, today, monday, 12h, 7d, 2030-12-31; 24h unless named.")
        ] = "24h",
        until: Annotated[
            str | None, typer.Option(metavar="WHEN", help="Where the span ends; now unless named.")
        ] = None,
        html: Annotated[str | None, typer.Option(metavar="FILE", help="Also as one HTML page, into this file.")] = None,
        state: Annotated[
            str | None, typer.Option(metavar="FILE", help="Also as JSON with a stable schema (STATE.json).")
        ] = None,
        json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    ) -> None:
        """Say what ran, went live, was taken back, is held, was refused and spent, and what needs you. Starts nothing.

        All of it is counted from the log, the board and the guard's ledger. A WHEN is where a time begins: `--since
        yesterday --until today` is yesterday. Times are your own; `last-night` begins at 18:00.

        Examples:
          greenroom briefing
          greenroom briefing --since last-night
          greenroom briefing --since 7d --html briefing.html --state STATE.json
          greenroom briefing --since yesterday --until today --json
        """
        del json
        from greenroom.entrypoints.cli import briefings

        found = briefings.of(context.services, since, until)
        briefings.write(found, html=html, state_file=state)
        context.answer(briefings.state(found), lambda: briefings.show(found))
