"""The command approve: one change, or several with one unlocking of the owner's key."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from greenroom.domain.errors import GreenroomError, Unusable
from greenroom.domain.refusals import remedy_of
from greenroom.entrypoints.cli import consent, output, render, restacks
from greenroom.entrypoints.cli.change_commands import (
    Json,
    NoInput,
    deliver_waiting,
    delivered,
    finish_change,
    require_deliverable,
    say,
    undeliverable,
)
from greenroom.entrypoints.cli.completion import change_ids, waiting_rules
from greenroom.entrypoints.cli.safe import safe

if TYPE_CHECKING:
    from greenroom.entrypoints.cli.app import Context

WAITING = ("needs-approval", *restacks.MOVED)
"""Holds of what a rule or a proposer means: it waits for a yes, here or once it stands on what is live."""
NOT_APPROVED = "not approved; nothing was changed"


def register(app: typer.Typer, context: Context) -> None:
    """Add the command to `app`."""

    @app.command()
    def approve(
        changes: Annotated[
            list[str] | None,
            typer.Argument(
                metavar="[ID]...", help="The changes, as `greenroom list` shows them.", autocompletion=change_ids
            ),
        ] = None,
        rule: Annotated[
            list[str] | None,
            typer.Option(help="Every change of this rule that waits; repeatable.", autocompletion=waiting_rules),
        ] = None,
        proposer: Annotated[
            list[str] | None, typer.Option(help="Every change of this proposer that waits; repeatable.")
        ] = None,
        repo: Annotated[
            str | None, typer.Option(metavar="REPO", help="With --rule or --proposer: only those of this repository.")
        ] = None,
        no_promote: Annotated[bool, typer.Option("--no-promote", help="Stop at approved.")] = False,
        yes: Annotated[bool, typer.Option("--yes", help="Agree beforehand; the cards are still shown.")] = False,
        no_input: NoInput = False,
        actor: Annotated[str | None, typer.Option(hidden=True)] = None,
        json: Json = False,
    ) -> None:
        """Show the whole card of each change, sign your agreement, and carry it through promote and watch.

        Several are shown one after the other, agreed to with one word and one unlocking of the key, each with a signed
        consent of its own, and promoted in this order. One that fails leaves the others as they are.

        A change whose base moved (`base-moved`) goes on as a child: the same patch on what is live, verified again.
        Where you agreed to it before, and patch and risk are the same, your yes holds; otherwise the card of the child
        is shown. So does one that was verified by other tools or rules than those of today (`outdated`), as after an
        upgrade of Greenroom.

        Examples:
          greenroom approve k3f9x2
          greenroom approve k3f9x2 --no-promote
          greenroom approve k3f9x2 m4p7q8
          greenroom approve --rule ruff:F401 --proposer codespell
          greenroom approve --rule ruff:F401 --repo ~/src/project
        """
        del json
        who, asking = actor or consent.actor(), _Asking(yes=yes, no_input=no_input, promote=not no_promote)
        wanted = _chosen(context, changes or [], rule or [], proposer or [], repo)
        deliver_waiting(context)
        if len(wanted) == 1 and changes:
            _approve_one(context, wanted[0], who, asking)
        else:
            _approve_many(context, wanted, who, asking)


class _Asking:
    """How a person is asked, and how far an agreed change is carried."""

    def __init__(self, *, yes: bool, no_input: bool, promote: bool) -> None:
        self.yes, self.no_input, self.promote = yes, no_input, promote

    def agreed(self, context: Context, question: str) -> bool:
        """A person's yes."""
        return consent.ask(question, yes=self.yes, no_input=self.no_input or context.as_json)


def _chosen(
    context: Context, named: Sequence[str], rules: Sequence[str], proposers: Sequence[str], repo: str | None
) -> list[str]:
    """The changes that are meant, each once: those named, in order, then those that wait by rule and proposer."""
    if not named and not rules and not proposers:
        remedy = "name one or more, or use --rule or --proposer (see --help); `greenroom list` shows them"
        raise Unusable("usage", "no change is named", remedy=remedy)
    if repo is not None and not rules and not proposers:
        raise Unusable(
            "usage", "--repo narrows --rule or --proposer", remedy="greenroom approve --rule RULE --repo REPO"
        )
    path = context.services.repository(repo, None)["path"] if repo is not None else None
    waiting = context.services.board(everything=False, held=WAITING) if rules or proposers else ()
    met = [
        row["id"]
        for row in waiting
        if (not rules or row["rule"] in rules)
        and (not proposers or row["proposer"] in proposers)
        and (path is None or _of(row["subject"], path))
    ]
    return list(dict.fromkeys([*named, *met]))


def _of(subject: str, path: str) -> bool:
    """True for a subject, as rows name it, in the directory `path`: `KIND:PATH`, and `#BRANCH` where there is one."""
    return f"{subject.partition(':')[2]}#".startswith(f"{path}#")


def _approve_one(context: Context, change: str, who: str, asking: _Asking) -> None:
    services = context.services
    offer = services.desk("offer", {"change": change})
    if restacks.moved(offer):
        change, offer = _restacked(context, change, promote=asking.promote)
    if offer["verdict"]["is"] != "passed":
        finish_change(context, offer, lambda: say(offer))
    require_deliverable(context, change)
    shown = _shown(context, offer)
    if not asking.agreed(context, "Approve this change?"):
        print(NOT_APPROVED, file=sys.stderr)
        raise typer.Exit(0)
    require_deliverable(context, change)
    (envelope,) = services.consents([offer], who, consent.passphrase)
    wish = {"change": change, "envelope": envelope.hex(), "promote": asking.promote}
    answer = {**delivered(context, services.desk("approve", wish, progress=render.tell)), "card": shown["card"]}
    finish_change(context, answer, lambda: say(answer))


def _restacked(context: Context, change: str, *, promote: bool) -> tuple[str, Mapping[str, Any]]:
    """The child of a change whose base moved, and its offer; leaves where there is nothing that a person has to say."""
    require_deliverable(context, change)
    row = restacks.restack(context, change)
    if promote and restacks.agreed(row):
        row = delivered(context, restacks.promote(context, row))
    if not restacks.asks(row):
        finish_change(context, row, lambda: say(row))
        raise typer.Exit(0)
    if not context.as_json:
        restacks.say(render.console(), row)
    return str(row["id"]), context.services.desk("offer", {"change": row["id"]})


def _approve_many(context: Context, changes: Sequence[str], who: str, asking: _Asking) -> None:
    """Show all, ask once, sign all, then take each consent in, then promote each, in order."""
    rows: dict[str, Mapping[str, Any]] = {}
    asked: dict[str, Mapping[str, Any]] = {}
    for change in changes:
        offer = _tried(change, lambda change=change: _offer(context, change))
        if offer["verdict"]["is"] == "passed" and "card" in offer:
            asked[change] = offer
            _shown(context, offer)
        else:
            rows[change] = offer
    offers = list(asked.values())
    if offers and not asking.agreed(context, f"Approve these {len(offers)} changes?"):
        print(NOT_APPROVED, file=sys.stderr)
        raise typer.Exit(0)
    envelopes = context.services.consents(offers, who, consent.passphrase) if offers else []
    for (change, offer), envelope in zip(asked.items(), envelopes, strict=True):
        wish = {"change": offer["change"], "envelope": envelope.hex(), "promote": False}
        rows[change] = _tried(offer["change"], lambda wish=wish: context.services.desk("approve", wish))
    approved = [change for change in changes if rows[change]["verdict"]["is"] == "passed"]
    for change in approved if asking.promote else ():
        name = rows[change]["id"]
        rows[change] = _tried(name, lambda name=name: _promote(context, name))
    answer = {"approved": [rows[change] for change in changes]}
    finish_change(context, answer, lambda: _show_many(answer["approved"]), output.exit_of_approved)


def _offer(context: Context, change: str) -> Mapping[str, Any]:
    """What a person is asked about; the row of a change that nobody has to be asked about, or that is held."""
    offer: Mapping[str, Any] = context.services.desk("offer", {"change": change})
    moved = restacks.moved(offer)
    held = undeliverable(context, change) if moved or offer["verdict"]["is"] == "passed" else None
    if moved and not held:
        row = restacks.restack(context, change)
        if not restacks.asks(row):
            return row
        offer = context.services.desk("offer", {"change": row["id"]})
    return {**offer["show"], "verdict": held} if held else offer


def _promote(context: Context, change: str) -> Mapping[str, Any]:
    """One of several through the ordinary verb, where its turn has come."""
    held = undeliverable(context, change)
    if held is not None:
        return {"id": change, "state": "approved", "commit": None, "summary": "", "verdict": held}
    return delivered(context, context.services.desk("promote", {"change": change}, progress=render.tell))


def _tried(change: str, act: Any) -> Mapping[str, Any]:
    """The answer of `act`; what it could not use is the answer's verdict, so that the others go on."""
    try:
        answer: Mapping[str, Any] = act()
    except GreenroomError as error:
        verdict = {
            "is": "refused",
            "rule": error.reference,
            "where": error.where or error.message,
            "remedy": remedy_of(error),
        }
        return {"id": change, "state": "", "commit": None, "summary": "", "verdict": verdict}
    return answer


def _shown(context: Context, offer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The card that a consent to `offer` is signed over, shown to its end.

    Raises Unusable `card-not-shown` when the reader of the output went away: nobody agrees to what was not shown.
    """
    services = context.services
    shown = {**offer["show"], "card": services.card(offer["change"], offer)}
    if context.as_json:
        return shown
    patch = services.read(shown["card"]["patch"])
    try:
        render.console().print(render.card(shown))
        render.console().print(render.diff(patch.decode("utf-8", "backslashreplace")), soft_wrap=True)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):
        output.silence()
        remedy = "run `greenroom approve` with its output on a screen or in a file; `greenroom show ID` shows the card"
        raise Unusable(
            "card-not-shown", "the card could not be shown to its end, so nothing was approved", remedy=remedy
        ) from None
    return shown


def _show_many(rows: Sequence[Mapping[str, Any]]) -> None:
    out = render.console()
    if not rows:
        print("nothing waits for approval by that rule or proposer")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("ID", "STATE", "RESULT", "SUMMARY"):
        table.add_column(name, overflow="fold")
    for row in rows:
        said, late = row["verdict"], row.get("delivered", output.PASSED)
        result = said["is"] if said["is"] == "passed" else f"{said['is']}: {said['rule']}"
        if said["is"] == "passed" and late["is"] != "passed":
            result = f"delivery-pending: {late['rule']}"
        cells = (row["id"], row["state"], result, row["summary"])
        table.add_row(*(Text(safe(str(cell))) for cell in cells))
    out.print(table)
    for row in (row for row in rows if row["verdict"]["is"] != "passed"):
        out.print(f"{row['id']}:")
        out.print(render.verdict_line(row["verdict"]))
