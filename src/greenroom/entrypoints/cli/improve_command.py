"""`greenroom improve`: proposals as they are found, what became of those that were carried, and always the table."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greenroom.domain.errors import GreenroomError
from greenroom.domain.vocabulary import Mode
from greenroom.entrypoints.cli import durations, foreseen, improved, output
from greenroom.entrypoints.cli.branch_commands import noticed
from greenroom.entrypoints.cli.change_commands import Json, apply_windows, deliver_waiting, finish_change
from greenroom.entrypoints.cli.completion import proposers
from greenroom.entrypoints.cli.config_commands import allowed_at_once
from greenroom.entrypoints.cli.handout import Handout, files_of

if TYPE_CHECKING:
    from greenroom.entrypoints.cli.app import Context


Repo = Annotated[str, typer.Argument(metavar="REPO", help="A git repository or an unpacked source release.")]
Branch = Annotated[str | None, typer.Option(help="The branch; the checked-out one unless named.")]
Only = Annotated[
    list[str] | None,
    typer.Option(help="Only this proposer, optional ones too; may be repeated.", autocompletion=proposers),
]
AtMost = Annotated[Mode | None, typer.Option(help="May only lower the box's mode.")]
TestCommand = Annotated[
    str | None, typer.Option(help="How this repository's tests run (pytest or unittest); empty forgets it.")
]
Most = Annotated[
    int, typer.Option("--max", min=0, max=10_000, help="How many proposals are carried; the rest stay queued.")
]
BudgetTime = Annotated[
    str | None, typer.Option(metavar="TIME", help="Begin none past this: 90s, 10m, 1h30m; what began is finished.")
]
NoInput = Annotated[
    bool, typer.Option("--no-input", help="Never ask; the exit code tells apart what was found (10: proposals).")
]
Out = Annotated[
    str | None, typer.Option(metavar="DIR", help="Write each card (Markdown, JSON) and patch (`git am`) here.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be read, fetched, run and stored; do none.")]


def register(app: typer.Typer, context: Context) -> None:
    """Add the command to `app`."""

    @app.command()
    def improve(
        repo: Repo,
        branch: Branch = None,
        only: Only = None,
        mode: AtMost = None,
        test_command: TestCommand = None,
        most: Most = 10,
        budget_time: BudgetTime = None,
        no_input: NoInput = False,
        out: Out = None,
        dry_run: DryRun = False,
        json: Json = False,
    ) -> None:
        """Scan REPO, show what could be changed, and carry the cheapest of it through the gate up to approval.

        Proposals are shown before any of them is tried. At most --max of them are carried, within --budget-time from
        the start (no bound unless given), cheapest first: words and data before code, few lines before many. The first
        one begins while any of the time is left, another where as much is left as the quickest took; one that began is
        finished, also past the time. The rest stay queued for the next `improve`; `greenroom resume ID` carries one of
        them. Ctrl-C keeps what is finished, with --out its files too, and the change under way is finished in the box.

        Examples:
          greenroom improve .
          greenroom improve ~/src/project --branch main --only ruff
          greenroom improve . --max 3 --budget-time 10m
          greenroom improve . --dry-run
          greenroom improve ./package-1.2.3 --json
          greenroom improve . --no-input --out proposals; test $? -eq 10 && git am proposals/k3f9x2.patch
          greenroom improve . --test-command "python -m pytest -q checks"
        """
        del json
        wish = {
            "only": only or [],
            "mode": mode.value if mode else None,
            "test_command": test_command,
            "max": most,
            "budget_s": durations.parse(budget_time) if budget_time is not None else None,
        }
        services = context.services
        if dry_run:
            plan = services.foresee(services.repository(repo, branch), wish, out)
            finish_change(context, plan, lambda: foreseen.show(plan))
            return
        carry_out(context, repo, branch, wish, no_input=no_input, out=out)


def carry_out(
    context: Context,
    repo: str,
    branch: str | None,
    wish: Mapping[str, Any],
    *,
    no_input: bool = False,
    out: str | None = None,
    beside: Mapping[str, Any] | None = None,
) -> None:
    """Improve as `wish` says, answer, and leave with the exit code. `beside` is answered with it."""
    services = context.services
    handout = Handout(out) if out is not None else None
    if handout is not None:
        handout.require()
    services.require_sandbox()
    answer = _ask(context, repo, branch, wish, no_input=no_input, handout=handout)
    if handout is not None:
        try:
            answer = _hand_out(context, handout, answer)
        except GreenroomError as error:
            raise _broken_off(context, answer, error) from None
    answer = {**answer, **(beside or {})}
    code_of = output.exit_of_headless if no_input else output.exit_of_scan
    finish_change(context, answer, lambda: improved.show(answer, services.now()), code_of)


def _hand_out(context: Context, handout: Handout, answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The answer, with its cards and patches written."""
    services = context.services

    def shown(change: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = services.desk("show", {"change": change})
        return found

    handout.write(files_of(answer, shown, services.read, time.time_ns()))
    return {**answer, "out": str(handout.directory)}


def _hand_out_what_is_there(context: Context, handout: Handout | None, answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The answer that is not whole, with what is finished of it written; how the command ended is still to be told."""
    if handout is None or answer["live"] is None:
        return answer
    try:
        return _hand_out(context, handout, answer)
    except GreenroomError as error:
        output.report(error, as_json=False)
        return answer


def _ask(
    context: Context,
    repo: str,
    branch: str | None,
    wish: Mapping[str, Any],
    *,
    no_input: bool,
    handout: Handout | None,
) -> Mapping[str, Any]:
    """The answer of the box; where none comes, what it told until then is shown before the error is."""
    services = context.services
    deliver_waiting(context)
    # What moves by that is brought up by the scan, within its bounds.
    apply_windows(context, follow=False)
    place = services.repository(repo, branch)
    told = improved.Told()

    def asked() -> Mapping[str, Any]:
        shown = {**whole, "ticket": services.present(place["path"], place["branch"])}
        said: Mapping[str, Any] = services.desk("improve", shown, progress=told)
        return said

    try:
        whole = {"path": place["path"], "branch": place["branch"], "noticed": noticed(context, place), **wish}
        whole["settings"] = services.settings()
        answer = asked()
        if not no_input and allowed_at_once(context, answer):
            answer = asked()
    except KeyboardInterrupt:
        left = _hand_out_what_is_there(context, handout, told.so_far("interrupted"))
        context.answer(left, lambda: improved.show(left, services.now()))
        raise
    except GreenroomError as error:
        if not told.anything:
            raise
        raise _broken_off(context, _hand_out_what_is_there(context, handout, told.so_far("error")), error) from None
    if any(row["state"] in ("promoted", "kept") for row in answer["changes"]):
        return {**answer, "delivered": deliver_waiting(context)}
    return answer


def _broken_off(context: Context, answer: Mapping[str, Any], error: GreenroomError) -> typer.Exit:
    """Show `answer`, then the error that ended the command; as JSON both are one document."""
    if not context.as_json:
        context.answer(answer, lambda: improved.show(answer, context.services.now()))
    output.report(error, as_json=context.as_json, beside=answer)
    return typer.Exit(error.exit_code)
