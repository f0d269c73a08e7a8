"""The commands of a person's word on a change: reject, defer, reopen, cancel, edit, retry."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greenroom.domain.errors import Unusable
from greenroom.domain.when import FORMS, when
from greenroom.entrypoints.cli import consent, editor, render
from greenroom.entrypoints.cli.change_commands import Json, deliver_waiting, finish_change, say
from greenroom.entrypoints.cli.completion import Id
from greenroom.entrypoints.cli.safe import safe

if TYPE_CHECKING:
    from greenroom.entrypoints.cli.app import Context

_SECOND = 1_000_000_000
_MOST_EARLIER = 200
"""How many changes that a change follows are looked up: the executor could name ever more."""


def register(app: typer.Typer, context: Context) -> None:
    """Add the commands to `app`."""
    _words(app, context)
    _children(app, context)


def _words(app: typer.Typer, context: Context) -> None:
    @app.command()
    def reject(
        change: Id, why: Annotated[str, typer.Option(help="The reason, kept in the box.")] = "", json: Json = False
    ) -> None:
        """Say no to a change, and not again: its findings do not come back until their code changes.

        A finding is a rule, a path and the text around it; where its lines move does not matter. `greenroom reopen`
        takes the no back.

        Example:
          greenroom reject k3f9x2 --why "we like the old name"
        """
        del json
        # The guard hears of it from here: whatever else happens, no yes that was given before counts any more.
        _withdraw(context, change)
        context.services.cancel_window(change, consent.actor())
        wish = {"change": change, "why": why, "actor": consent.actor()}
        _answered(context, context.services.desk("reject", wish))

    @app.command()
    def defer(
        change: Id,
        until: Annotated[str, typer.Option(metavar="WHEN", help=f"When to ask again: {FORMS}.")],
        json: Json = False,
    ) -> None:
        """Say later: the change and its findings do not come back before WHEN; `improve` then asks again.

        Examples:
          greenroom defer k3f9x2 --until 2w
          greenroom defer k3f9x2 --until monday
          greenroom defer k3f9x2 --until 2030-12-31
        """
        del json
        then = when(until, datetime.datetime.now().astimezone())
        wish = {"change": change, "until": str(int(then.timestamp()) * _SECOND), "actor": consent.actor()}
        _answered(context, context.services.desk("defer", wish))

    @app.command()
    def reopen(change: Id, json: Json = False) -> None:
        """Take a no or a later back: a deferred change asks at once, a rejected one is proposed again as a new change.

        Example:
          greenroom reopen k3f9x2
        """
        del json
        wish = {"change": change, "actor": consent.actor()}
        _answered(context, context.services.desk("reopen", wish, progress=render.tell))

    @app.command()
    def cancel(change: Id, json: Json = False) -> None:
        """End the run that carries a change, keep it from being applied by itself, or withdraw an unspent approval.

        A cancelled run ends the change; `improve` may propose it again. One that waits in its apply window then needs
        your approval. A withdrawn approval counts for nothing any more, whoever kept it, and the change waits for
        another. Needs no key: it only takes a permission away.

        Example:
          greenroom cancel k3f9x2
        """
        del json
        withdrawn = _withdraw(context, change)
        context.services.cancel_window(change, consent.actor())
        if withdrawn["is"] != "passed":
            answer = {"id": change, "verdict": withdrawn}
            finish_change(context, answer, lambda: render.console().print(render.verdict_line(withdrawn)))
        _answered(context, context.services.desk("cancel", {"change": change, "actor": consent.actor()}))


def _children(app: typer.Typer, context: Context) -> None:
    @app.command()
    def edit(
        change: Id,
        patch: Annotated[
            str | None, typer.Option(metavar="FILE", help="The edited patch; - reads it from standard input.")
        ] = None,
        summary: Annotated[str, typer.Option(help="Its title; the old one marked as edited unless given.")] = "",
        json: Json = False,
    ) -> None:
        """Change a change's patch: yours is a new change, which goes through the whole gate; the old one ends.

        Without --patch, VISUAL or EDITOR opens on the patch. The counts in the `@@` lines have to fit.

        Examples:
          greenroom edit k3f9x2
          greenroom edit k3f9x2 --patch better.diff
          greenroom diff k3f9x2 --patch | sed s/colour/color/ | greenroom edit k3f9x2 --patch -
        """
        del json
        services = context.services
        deliver_waiting(context)
        before = services.read(services.desk("diff", {"change": change})["patch"])
        after = editor.read(patch) if patch is not None else editor.edited(before, ".diff")
        wish = {"change": change, "patch": services.keep(after), "actor": consent.actor(), "summary": summary}
        _answered(context, services.desk("edit", wish, progress=render.tell))

    @app.command()
    def retry(change: Id, json: Json = False) -> None:
        """Carry a change's proposal again on what is live, as a new change: after a refusal, or when its base moved.

        Example:
          greenroom retry k3f9x2
        """
        del json
        deliver_waiting(context)
        _answered(context, context.services.desk("retry", {"change": change}, progress=render.tell))


def _withdraw(context: Context, change: str) -> Mapping[str, Any]:
    """Have the guard void the yes to `change`, and to each change that it follows: that could still be carried to it.

    The guard's verdict on `change` itself. What it follows is the executor's word.
    """
    withdrawn = context.services.withdraw(change, consent.actor())
    if withdrawn["is"] == "passed":
        for earlier in _earlier(context, change):
            context.services.withdraw(earlier, consent.actor())
    return withdrawn


def _earlier(context: Context, change: str) -> Iterator[str]:
    """What `change` follows, the latest first, each once, as far as the executor says it."""
    seen = {change}
    while len(seen) <= _MOST_EARLIER:
        try:
            shown = context.services.desk("show", {"change": change})
        except Unusable:
            return
        change = str(shown.get("parent") or "")
        if not change or change in seen:
            return
        seen.add(change)
        yield change


def _answered(context: Context, answer: Mapping[str, Any]) -> None:
    """Show what became of the change. That it waits for approval is what was asked for: the command did its work."""
    waits = answer["verdict"].get("rule") == "needs-approval"
    finish_change(context, {**answer, "verdict": {"is": "passed"}} if waits else answer, lambda: _show(answer))


def _show(answer: Mapping[str, Any]) -> None:
    say(answer)
    if answer.get("parent"):
        print(f"{answer['id']} takes the place of {safe(answer['parent'])}")
    held = answer.get("held")
    if held and held["rule"] == "needs-approval":
        print(f"next: greenroom approve {answer['id']}", file=sys.stdout)
    elif held and held["rule"] == "deferred":
        print(safe(held["where"]))
