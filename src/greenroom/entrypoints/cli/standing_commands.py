"""The commands about standing consent: opt-in add, list, remove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greenroom.domain.errors import NotFound, Unusable
from greenroom.domain.lowrules import LOW, check_low
from greenroom.domain.vocabulary import Mode
from greenroom.entrypoints.cli import consent, output, render, when, windows
from greenroom.entrypoints.cli.change_commands import apply_windows, deliver_waiting
from greenroom.entrypoints.cli.completion import low_rules
from greenroom.entrypoints.cli.safe import safe

if TYPE_CHECKING:
    from greenroom.entrypoints.cli.app import Context

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Rule = Annotated[
    str,
    typer.Argument(
        metavar="RULE", help="The rule of a finding, as `greenroom list` shows it.", autocompletion=low_rules
    ),
]
Repo = Annotated[str | None, typer.Option("--repo", metavar="REPO", help="Only this repository, on every branch.")]

_NOTHING: Mapping[str, Any] = {"changes": [], "stays": []}
_ABOUT = """Agree beforehand to low changes (level 1) of one rule; signed with the owner's key and held by the guard.

In mode supervised such a change is applied by itself after an apply window; in autonomous, too. Until its window ends,
`greenroom list` and `status` show it and `greenroom cancel ID` keeps it from being applied.

Examples:
  greenroom opt-in add codespell
  greenroom opt-in add ruff:F401 --repo ~/src/project --expires 30d
  greenroom opt-in list
  greenroom opt-in list --json
  greenroom opt-in remove ruff:F401"""


def register(app: typer.Typer, context: Context) -> None:
    """Add the commands to `app`."""
    group = typer.Typer(no_args_is_help=True, help=_ABOUT)
    app.add_typer(group, name="opt-in")
    _adding(group, context)
    _removing(group, context)


def _adding(group: typer.Typer, context: Context) -> None:
    @group.command("add")
    def add(
        rule: Rule,
        repo: Repo = None,
        expires: Annotated[
            str | None, typer.Option(metavar="WHEN", help="When it ends: 12h, 30d, 2w, 2030-12-31; else never.")
        ] = None,
        json: Json = False,
    ) -> None:
        """Agree beforehand to level 1 changes of RULE that the box makes again by itself from what is live.

        Examples:
          greenroom opt-in add codespell
          greenroom opt-in add ruff:F401 --repo . --expires 30d
        """
        del json
        services = context.services
        check_low(rule)
        until = None if expires is None else _to_come(expires, services.now())
        place = services.repository(repo, None)["path"] if repo is not None else ""
        verdict = services.opt_in(rule, place, until, consent.actor(), consent.passphrase)
        said = {"rule": rule, "repository": place, "until": None if until is None else str(until)}
        answer = {**said, "verdict": verdict, **(_reconsidered(context) if verdict["is"] == "passed" else _NOTHING)}
        answer["of_propose"] = of_propose(context)
        _finish(context, answer, lambda: _show_added(answer, services.now()))

    @group.command("list")
    def list_(json: Json = False) -> None:
        """List the opt-ins that count, and the rules that one may name.

        Example:
          greenroom opt-in list
        """
        del json
        found = context.services.guard("status")["opt_ins"]
        context.answer({"opt_ins": found, "rules": list(LOW)}, lambda: _show_list(found))


def _removing(group: typer.Typer, context: Context) -> None:
    @group.command("remove")
    def remove(rule: Rule, repo: Repo = None, json: Json = False) -> None:
        """Take the opt-ins of RULE back: every one, or with --repo that of one repository.

        A change that still waits in its window by one of them then needs a person.

        Examples:
          greenroom opt-in remove codespell
          greenroom opt-in remove ruff:F401 --repo .
        """
        del json
        services = context.services
        place = services.repository(repo, None)["path"] if repo is not None else None
        found = services.guard("status")["opt_ins"]
        gone = [each for each in found if each["rule"] == rule and place in (None, each["repository"])]
        if not gone:
            where = f"{rule[:80]} for {place}" if place is not None else rule[:80]
            raise NotFound(
                "no-such-opt-in", "no opt-in of this rule counts", where=where, remedy="greenroom opt-in list"
            )
        verdicts = services.opt_out([each["id"] for each in gone], consent.actor(), consent.passphrase)
        verdict = next((each for each in verdicts if each["is"] != "passed"), {"is": "passed"})
        rows = services.desk("reconsider", progress=render.tell)["changes"]
        answer = {"removed": gone, "verdict": verdict, "changes": rows}
        _finish(context, answer, lambda: _show_removed(answer, verdicts, services.now()))


def _to_come(text: str, now: int) -> int:
    """The instant that `text` names; raises Unusable `bad-time`, and `time-is-past`."""
    until = when.instant(text, now)
    if until <= now:
        remedy = "name a time to come, such as 30d or 2w, or leave --expires out"
        raise Unusable("time-is-past", f"an opt-in cannot end at {when.said(until)}", where=text[:80], remedy=remedy)
    return until


def _reconsidered(context: Context) -> Mapping[str, Any]:
    """What goes on by the opt-ins as they are; in autonomous one after the other, each on what is live by then."""
    deliver_waiting(context)
    rows = context.services.desk("reconsider", progress=render.tell)["changes"]
    deliver_waiting(context)
    applied = apply_windows(context)
    return {"changes": [*rows, *applied.rows], "stays": applied.stays}


def _finish(context: Context, answer: Mapping[str, Any], show: Any) -> None:
    context.answer(answer, show)
    code = output.exit_of(answer["verdict"])
    if code:
        raise typer.Exit(code)


def _show_added(answer: Mapping[str, Any], now: int) -> None:
    render.console().print(render.verdict_line(answer["verdict"]))
    if answer["verdict"]["is"] == "passed":
        print(f"opted in: {line(answer)}")
        print("it counts in the modes supervised and autonomous: `greenroom mode` says which is set")
        windows.show(answer["changes"], now)
        windows.show_stays(answer["stays"])
        say_of_propose(answer["of_propose"])


def of_propose(context: Context) -> list[str]:
    """The changes that wait for a person and were verified in mode propose: no mode and no opt-in is for them."""
    rows = context.services.board(everything=False, held=("needs-approval",))
    return [row["id"] for row in rows if row["mode"] == Mode.PROPOSE.value]


def say_of_propose(changes: Sequence[str]) -> None:
    """That those stay with a person, where there are any."""
    if changes:
        ways = f"`greenroom approve {changes[0]}` or `reject`; what `improve` finds from here on follows the mode"
        print(f"{len(changes)} verified in mode propose stay with you: {ways}")


def _show_list(found: Sequence[Mapping[str, Any]]) -> None:
    for each in found:
        print(f"{line(each)}; added {when.said(int(each['added']))} by {safe(each['actor'])}")
    if not found:
        print("no opt-in counts; `greenroom opt-in add RULE` adds one")
    print(f"rules: {', '.join(LOW)}")


def _show_removed(answer: Mapping[str, Any], verdicts: Sequence[Mapping[str, Any]], now: int) -> None:
    for each, verdict in zip(answer["removed"], verdicts, strict=True):
        render.console().print(render.verdict_line(verdict))
        if verdict["is"] == "passed":
            print(f"removed: {line(each)}")
    windows.show(answer["changes"], now)


def line(opt_in: Mapping[str, Any]) -> str:
    """An opt-in in one line: rule, place and end."""
    where = f"in {safe(opt_in['repository'])}" if opt_in["repository"] else "in every repository"
    ends = "without end" if opt_in["until"] is None else f"until {when.said(int(opt_in['until']))}"
    return f"{safe(opt_in['rule'])} {where}, {ends}"
