"""The commands that move changes: improve, list, show, diff, approve, reject, promote, revert, resume."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greenroom.domain.errors import Exit, Unusable
from greenroom.domain.vocabulary import Mode
from greenroom.entrypoints.cli import config_commands, consent, output, render, runs, scans
from greenroom.entrypoints.cli.safe import safe

if TYPE_CHECKING:
    from greenroom.entrypoints.cli.app import Context

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The change, as `greenroom list` shows it.")]
NoInput = Annotated[bool, typer.Option("--no-input", help="Never ask; fail where a person is needed.")]


def register(app: typer.Typer, context: Context) -> None:
    """Add the commands to `app`."""
    _improve(app, context)
    _looking(app, context)
    _approving(app, context)
    _taking_back(app, context)


def _improve(app: typer.Typer, context: Context) -> None:
    @app.command()
    def improve(
        repo: Annotated[str, typer.Argument(metavar="REPO", help="A git repository or an unpacked source release.")],
        branch: Annotated[str | None, typer.Option(help="The branch; the checked-out one unless named.")] = None,
        only: Annotated[
            list[str] | None, typer.Option(help="Only this proposer, optional ones too; may be repeated.")
        ] = None,
        mode: Annotated[Mode | None, typer.Option(help="May only lower the box's mode.")] = None,
        test_command: Annotated[
            str | None, typer.Option(help="How this repository's tests run (pytest or unittest); empty forgets it.")
        ] = None,
        json: Json = False,
    ) -> None:
        """Scan REPO and propose small changes, each carried through the gate up to approval.

        Examples:
          greenroom improve .
          greenroom improve ~/src/project --branch main --only ruff
          greenroom improve ./package-1.2.3 --json
          greenroom improve . --test-command "python -m pytest -q checks"
        """
        del json
        services = context.services
        deliver_waiting(context)
        place = services.repository(repo, branch)
        descriptor = os.open(place["path"], os.O_RDONLY | os.O_DIRECTORY)
        try:
            wish = {
                "path": place["path"],
                "branch": place["branch"],
                "only": only or [],
                "mode": mode.value if mode else None,
                "test_command": test_command,
                "settings": services.settings(),
            }
            answer = services.desk("improve", wish, descriptors=(descriptor,), progress=render.tell)
            if config_commands.allowed_at_once(context, answer):
                answer = services.desk("improve", wish, descriptors=(descriptor,), progress=render.tell)
        finally:
            os.close(descriptor)
        _finish(context, answer, lambda: _show_improved(answer), output.exit_of_scan)


def _looking(app: typer.Typer, context: Context) -> None:
    @app.command("list")
    def list_(
        everything: Annotated[bool, typer.Option("--all", help="Also what ended.")] = False, json: Json = False
    ) -> None:
        """List changes: what waits, what is live.

        Examples:
          greenroom list
          greenroom list --all --json
        """
        del json
        rows = context.services.board(everything=everything)
        context.answer({"changes": list(rows)}, lambda: _show_board(rows))

    @app.command()
    def show(
        change: Id,
        with_runs: Annotated[
            bool, typer.Option("--runs", help="Also what the runs printed that did not end well.")
        ] = False,
        json: Json = False,
    ) -> None:
        """Show the card of a change: why, what, checks, risk, who must agree, provenance; its debate and its runs.

        Examples:
          greenroom show k3f9x2
          greenroom show k3f9x2 --runs
        """
        del json
        services = context.services
        shown = services.desk("show", {"change": change})
        if with_runs:
            shown = {**shown, "runs": runs.with_output(shown["runs"], services.read)}
        context.answer(shown, lambda: _show(shown, with_runs=with_runs))

    @app.command()
    def diff(
        change: Id,
        patch: Annotated[bool, typer.Option("--patch", help="The bare patch, for `git apply`.")] = False,
        json: Json = False,
    ) -> None:
        """Show what a change changes.

        Examples:
          greenroom diff k3f9x2
          greenroom diff k3f9x2 --patch | git apply
        """
        del json
        data = _patch(context, change)
        if patch and not context.as_json:
            sys.stdout.buffer.write(data)
            return
        text = data.decode("utf-8", "backslashreplace")
        context.answer(
            {"change": change, "text": text}, lambda: render.console().print(render.diff(text), soft_wrap=True)
        )


def _approving(app: typer.Typer, context: Context) -> None:
    @app.command()
    def approve(
        change: Id,
        no_promote: Annotated[bool, typer.Option("--no-promote", help="Stop at approved.")] = False,
        yes: Annotated[bool, typer.Option("--yes", help="Agree beforehand; the card is still shown.")] = False,
        no_input: NoInput = False,
        actor: Annotated[str | None, typer.Option(hidden=True)] = None,
        json: Json = False,
    ) -> None:
        """Show the whole card, sign your agreement, and carry the change through promote and watch.

        Examples:
          greenroom approve k3f9x2
          greenroom approve k3f9x2 --no-promote
        """
        del json
        services = context.services
        deliver_waiting(context)
        offer = services.desk("offer", {"change": change})
        if offer["verdict"]["is"] != "passed":
            _finish(context, offer, lambda: _say(offer))
        _require_deliverable(context, change)
        shown = {**offer["show"], "card": services.card(change, offer)}
        if not context.as_json:
            _show_whole_card(shown, services.read(shown["card"]["patch"]))
        if not consent.ask("Approve this change?", yes=yes, no_input=no_input or context.as_json):
            print("not approved; nothing was changed", file=sys.stderr)
            raise typer.Exit(0)
        _require_deliverable(context, change)
        envelope = services.consent(offer, actor or consent.actor(), consent.passphrase)
        wish = {"change": change, "envelope": envelope.hex(), "promote": not no_promote}
        answer = {**_delivered(context, services.desk("approve", wish, progress=render.tell)), "card": shown["card"]}
        _finish(context, answer, lambda: _say(answer))

    @app.command()
    def promote(change: Id, json: Json = False) -> None:
        """Carry an approved change through promote and watch; otherwise say which step is missing.

        Example:
          greenroom promote k3f9x2
        """
        del json
        deliver_waiting(context)
        _require_deliverable(context, change)
        answer = _delivered(context, context.services.desk("promote", {"change": change}, progress=render.tell))
        _finish(context, answer, lambda: _say(answer))

    @app.command()
    def reject(
        change: Id, why: Annotated[str, typer.Option(help="The reason, kept in the box.")] = "", json: Json = False
    ) -> None:
        """Say no to a change.

        Example:
          greenroom reject k3f9x2 --why "we like the old name"
        """
        del json
        wish = {"change": change, "why": why, "actor": consent.actor()}
        answer = context.services.desk("reject", wish)
        _finish(context, answer, lambda: _say(answer))


def _taking_back(app: typer.Typer, context: Context) -> None:
    @app.command()
    def revert(change: Id, json: Json = False) -> None:
        """Take a promoted change back: the earlier tree, as a further commit. Works under a stop.

        Example:
          greenroom revert k3f9x2
        """
        del json
        wish = {"change": change, "actor": consent.actor()}
        answer = _delivered(context, context.services.desk("revert", wish))
        _finish(context, answer, lambda: _say(answer))

    @app.command()
    def resume(
        change: Annotated[
            str | None, typer.Argument(metavar="ID", help="Only this change: try again what held it.")
        ] = None,
        json: Json = False,
    ) -> None:
        """Go on after a crash or a lift: carry every change whose run was cut; retry deliveries.

        With ID: try the stage again at which that change is held, once what held it is mended.

        Examples:
          greenroom resume
          greenroom resume k3f9x2
        """
        del json
        if change is not None:
            deliver_waiting(context)
            _require_deliverable(context, change)
        wish = {"change": change} if change is not None else {}
        answer = dict(context.services.desk("resume", wish, progress=render.tell))
        answer["delivered"] = deliver_waiting(context)
        _finish(context, answer, lambda: _show_resumed(answer), output.exit_of_resumed)


def _show(shown: Mapping[str, Any], *, with_runs: bool) -> None:
    out = render.console()
    out.print(render.card(shown))
    if with_runs:
        runs.show(out, shown["runs"])


def _show_whole_card(shown: Mapping[str, Any], patch: bytes) -> None:
    """Raises Unusable `card-not-shown` when the reader of the output went away: nobody agrees to what was not shown."""
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


def _patch(context: Context, change: str) -> bytes:
    services = context.services
    return services.read(services.desk("diff", {"change": change})["patch"])


def _require_deliverable(context: Context, change: str) -> None:
    """Leave, held, when the person's branch is dirty or moved: found before anybody agrees, and before the swap."""
    delivery = context.services.desk("branch", {"change": change})
    if delivery is None:
        return
    trees = (delivery["base"], delivery["green"]) if delivery["green"] else None
    place = context.services.repository(delivery["repository"], delivery["branch"], trees)
    found = place["blocked"]
    if delivery["pending"]:
        where = f"{delivery['branch']} still lacks what is live, {delivery['wanted'][:12]}"
        found = found or {"rule": delivery["pending"], "where": where, "remedy": "greenroom status says why"}
    elif place["head"] != delivery["delivered"]:
        remedy = f"greenroom improve {delivery['repository']} takes your commits in"
        found = {"rule": "branch-moved", "where": f"{delivery['branch']} is at {place['head'][:12]}", "remedy": remedy}
    if found:
        verdict = {"is": "held", **found}
        answer = {"id": change, "verdict": verdict}
        _finish(context, answer, lambda: render.console().print(render.verdict_line(verdict)))


def _delivered(context: Context, answer: Mapping[str, Any]) -> Mapping[str, Any]:
    delivery = answer.get("delivery")
    if not delivery:
        return answer
    return {**answer, "delivered": _deliver(context, delivery)}


def _deliver(context: Context, delivery: Mapping[str, Any]) -> Mapping[str, Any]:
    verdict = context.services.deliver(delivery)
    rule = "" if verdict["is"] == "passed" else verdict["rule"]
    report = {"subject": delivery["subject"], "commit": delivery["wanted"], "pending": rule}
    context.services.desk("delivered", report)
    return verdict


def deliver_waiting(context: Context) -> list[Mapping[str, Any]]:
    """Try again what an earlier command could not deliver; say on stderr what still waits. The verdicts."""
    verdicts = []
    for delivery in context.services.desk("pending"):
        verdict = _deliver(context, delivery)
        verdicts.append(verdict)
        if verdict["is"] != "passed":
            where = f"{delivery['repository']} ({delivery['branch']})"
            print(f"delivery-pending: {safe(where)}: {render.verdict_line(verdict)}", file=sys.stderr)
    return verdicts


def _finish(
    context: Context,
    answer: Mapping[str, Any],
    show: Any,
    code_of: Callable[[Mapping[str, Any]], Exit] = output.exit_of_answer,
) -> None:
    context.answer(answer, show)
    code = code_of(answer)
    if code:
        raise typer.Exit(code)


def _say(answer: Mapping[str, Any]) -> None:
    out = render.console()
    out.print(render.verdict_line(answer["verdict"]))
    out.print(f"{answer['id']} is {answer['state']}" + (f", live at {answer['commit']}" if answer["commit"] else ""))
    delivered = answer.get("delivered")
    if delivered is not None:
        if delivered["is"] == "passed":
            out.print("delivered to your branch")
            return
        out.print("delivery-pending: live in the box, and not in your branch yet; the next command tries again")
        out.print(render.verdict_line(delivered))


def _show_resumed(answer: Mapping[str, Any]) -> None:
    out = render.console()
    print(f"resumed {len(answer['resumed'])} change(s)")
    for row in answer["resumed"]:
        out.print(f"{row['id']} is {row['state']}")
        if row["verdict"]["is"] != "passed":
            out.print(render.verdict_line(row["verdict"]))


def _show_board(rows: Any) -> None:
    if not rows:
        print("no changes; `greenroom improve REPO` looks for some")
        return
    render.console().print(render.board(rows))


def _show_improved(answer: Mapping[str, Any]) -> None:
    out = render.console()
    if answer["verdict"]["is"] != "passed":
        out.print(render.verdict_line(answer["verdict"]))
        return
    rows = [*answer["changes"], *answer["known"]]
    if rows:
        out.print(render.board(rows))
    for row in (*answer["ended"], *rows):
        said = row["refused"] or row["held"]
        if said and said["rule"] != "needs-approval":
            out.print(f"{row['id']} {safe(str(row['summary']))}")
            out.print(render.verdict_line({"is": "refused" if row["refused"] else "held", **said}))
    for failed in answer["failed"]:
        out.print(f"proposer {safe(failed['proposer'])} failed: {safe(failed['message'])}", style="red")
    for note in answer["notes"]:
        print(f"note: {safe(note)}")
    scans.show(out, answer.get("scans", ()))
    waiting = [row for row in rows if row["held"] and row["held"]["rule"] == "needs-approval"]
    print(f"{len(rows)} proposal(s), {len(waiting)} wait for approval; live is unchanged: {answer['live'][:21]}")
    if waiting:
        print(f"next: greenroom approve {waiting[0]['id']}")
