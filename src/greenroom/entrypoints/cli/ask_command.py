"""`greenroom ask`: words become a typed request, its plan is shown, and after a person's yes the usual verb does it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greenroom.domain import documents
from greenroom.domain.requests import Request, RequestPlan, Unclear, plan_of_reading
from greenroom.entrypoints.cli import asked, consent, durations, output, render
from greenroom.entrypoints.cli.change_commands import Json, deliver_waiting, finish_change, take_back
from greenroom.entrypoints.cli.improve_command import carry_out

if TYPE_CHECKING:
    from greenroom.entrypoints.cli.app import Context

ABOUT_A_REPOSITORY = frozenset({"fix", "improve", "tests"})
"""Requests whose directory must be there, with the one where the command is typed by default."""
PASSED: Mapping[str, str] = {"is": "passed"}


def register(app: typer.Typer, context: Context) -> None:
    """Add the command to `app`."""

    @app.command()
    def ask(
        words: Annotated[list[str], typer.Argument(metavar="WORDS...", help="What you want, in English.")],
        yes: Annotated[bool, typer.Option("--yes", help="Agree to the plan beforehand; it is still shown.")] = False,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the plan.")] = False,
        no_input: Annotated[bool, typer.Option("--no-input", help="Never ask; without --yes only the plan.")] = False,
        json: Json = False,
    ) -> None:
        """Say what you want; see what was understood and the plan; then have it done.

        Known are: fix the lint (typos, unused code, ...), improve, run the tests, revert the last change, what happened
        since a time. What is not understood is refused, with the nearest requests that are known. Nothing runs before
        you agree to the plan; without a terminal and --yes it is only shown (exit 4). What comes of a request goes
        through the same gate as the command that does it: a proposal still waits for `greenroom approve`.

        Examples:
          greenroom ask "fix the lint in ~/src/project"
          greenroom ask "could you run the tests of this repository?"
          greenroom ask "revert the last change" --yes
          greenroom ask "what happened last night"
          greenroom ask "improve ., at most 3 proposals" --dry-run
        """
        del json
        request = _understood(context, _joined(words))
        plan, verdict = _laid_out(context, request)
        beside = {"request": documents.to_plain(request), "plan": documents.to_plain(plan) if plan else None}
        if not context.as_json:
            asked.show_request(request, plan)
            if plan is not None:
                asked.show_plan(plan)
        if plan is None or verdict["is"] != "passed" or dry_run:
            _end(context, beside, verdict, "nothing of it was run" if plan is not None and dry_run else "")
            return
        if plan.asks:
            if not yes and (no_input or context.as_json or not sys.stdin.isatty()):
                _end(context, beside, asked.unconfirmed(request), "")
                return
            if not consent.ask("Go ahead?", yes=yes, no_input=no_input):
                print("nothing was run", file=sys.stderr)
                return
            context.services.desk("confirm", {"plan": beside["plan"], "actor": consent.actor()})
        DOING[request.name](context, plan, beside)


def _joined(words: Sequence[str]) -> str:
    """The words as one sentence; an argument with spaces that is one of several was in quotes."""
    if len(words) == 1:
        return words[0]
    return " ".join(f'"{word}"' if " " in word and '"' not in word else word for word in words)


def _understood(context: Context, words: str) -> Request:
    try:
        return context.services.understand(words)
    except Unclear as error:
        if not context.as_json:
            raise
        output.report(error, as_json=True, beside={"nearest": list(error.nearest)})
        raise typer.Exit(error.exit_code) from None


def _laid_out(context: Context, request: Request) -> tuple[RequestPlan | None, Mapping[str, Any]]:
    """The plan and whether it can be begun; None where there is nothing to be done."""
    if request.name == "briefing":
        return plan_of_reading(request), PASSED
    services, path, place = context.services, request.value("path"), None
    if path is not None or request.name in ABOUT_A_REPOSITORY:
        place = services.repository(os.path.expanduser(path or "."), request.value("branch"))
    wish = {"request": documents.to_plain(request), "place": place}
    said = services.desk("lay_out", wish)
    plan = documents.from_plain(RequestPlan, said["plan"]) if said["plan"] is not None else None
    return plan, said["verdict"]


def _end(context: Context, beside: Mapping[str, Any], verdict: Mapping[str, Any], note: str) -> None:
    """Answer with the plan alone, and leave with the code of `verdict`."""

    def show() -> None:
        if verdict["is"] != "passed":
            render.console().print(render.verdict_line(verdict))
        if note:
            print(note)

    finish_change(context, {**beside, "verdict": verdict}, show)


def _scan(context: Context, plan: RequestPlan, beside: Mapping[str, Any]) -> None:
    args = plan.args
    wish = {
        "only": args["only"].split(",") if args["only"] else [],
        "mode": None,
        "test_command": None,
        "max": int(args["most"]),
        "budget_s": durations.parse(args["within"]) if args["within"] else None,
    }
    carry_out(context, args["path"], args["branch"] or None, wish, beside=beside)


def _tests(context: Context, plan: RequestPlan, beside: Mapping[str, Any]) -> None:
    services = context.services
    services.require_sandbox()
    place = services.repository(plan.args["path"], plan.args["branch"] or None)
    wish = {"path": place["path"], "branch": place["branch"], "actor": consent.actor()}
    ticket = services.present(place["path"], place["branch"])
    told = {**wish, "ticket": ticket, "settings": services.settings()}
    answer = {**services.desk("run_tests", told, progress=render.tell), **beside}
    finish_change(context, answer, lambda: asked.show_tests(answer, services.read))


def _revert(context: Context, plan: RequestPlan, beside: Mapping[str, Any]) -> None:
    deliver_waiting(context)
    take_back(context, plan.args["change"], beside=beside)


def _briefing(context: Context, plan: RequestPlan, beside: Mapping[str, Any]) -> None:
    from greenroom.entrypoints.cli import briefings

    found = briefings.of(context.services, plan.args["when"], whole=True)
    context.answer({"briefing": briefings.state(found), **beside}, lambda: briefings.show(found))


DOING: Mapping[str, Callable[[Context, RequestPlan, Mapping[str, Any]], None]] = {
    "fix": _scan,
    "improve": _scan,
    "tests": _tests,
    "revert": _revert,
    "briefing": _briefing,
}
"""What does each request: the verb that the command of its own calls."""
