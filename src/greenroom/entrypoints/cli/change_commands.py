"""The commands that show and move changes: list, show, diff, promote, restack, revert, resume."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greenroom.domain.errors import Exit, Unusable
from greenroom.entrypoints.cli import consent, output, render, restacks, reverts, runs, when, windows
from greenroom.entrypoints.cli.completion import Id
from greenroom.entrypoints.cli.safe import safe

if TYPE_CHECKING:
    from greenroom.entrypoints.cli.app import Context

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
NoInput = Annotated[bool, typer.Option("--no-input", help="Never ask; fail where a person is needed.")]

MOST = 100
"""How many changes `list` shows unless it is told otherwise."""


def register(app: typer.Typer, context: Context) -> None:
    """Add the commands to `app`."""
    _looking(app, context)
    _promoting(app, context)
    _taking_back(app, context)


def _looking(app: typer.Typer, context: Context) -> None:
    @app.command("list")
    def list_(
        everything: Annotated[bool, typer.Option("--all", help="All of them, also what ended.")] = False,
        limit: Annotated[
            int | None, typer.Option(min=1, metavar="N", help=f"At most N, the newest; {MOST} without --all.")
        ] = None,
        json: Json = False,
    ) -> None:
        """List changes: what waits, what is live. Where there are many: the newest of what waits, then of what is live.

        Examples:
          greenroom list
          greenroom list --limit 500
          greenroom list --all --json
        """
        del json
        services = context.services
        most = limit or (None if everything else MOST)
        rows = services.board(everything=everything, most=most)
        more = _more(services.tally(), everything=everything) - len(rows) if len(rows) == most else 0
        context.answer({"changes": list(rows), "more": more}, lambda: _show_board(rows, more, services.now()))

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
        context.answer(shown, lambda: _show(context, shown, with_runs=with_runs))

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
        found = context.services.desk("diff", {"change": change})
        data = context.services.read(found["patch"])
        if patch and not context.as_json:
            sys.stdout.buffer.write(data)
            return
        text = data.decode("utf-8", "backslashreplace")
        answer = {"change": change, "text": text, "conflicts": found["conflicts"]}
        context.answer(answer, lambda: _show_diff(text, found["conflicts"]))


def _promoting(app: typer.Typer, context: Context) -> None:
    @app.command()
    def promote(change: Id, json: Json = False) -> None:
        """Carry an approved change through promote and watch; otherwise say which step is missing.

        A change whose base moved is restacked first: see `greenroom restack --help`.

        Example:
          greenroom promote k3f9x2
        """
        del json
        deliver_waiting(context)
        require_deliverable(context, change)
        answer = delivered(context, context.services.desk("promote", {"change": change}, progress=render.tell))
        finish_change(context, answer, lambda: say(answer))

    @app.command()
    def restack(change: Id, json: Json = False) -> None:
        """Move a change whose base is live no more onto what is live, as a child that is verified again.

        The same patch, where its lines stand beyond doubt; the parent ends `superseded`. Your yes to the parent holds
        for the child if the patch is the same and the risk no greater: the guard checks it. A patch that has no place
        is held as `restack-conflict`; `greenroom diff` shows both sides. Nothing goes live.

        Examples:
          greenroom restack k3f9x2
          greenroom restack k3f9x2 --json
        """
        del json
        deliver_waiting(context)
        require_deliverable(context, change)
        answer = restacks.restack(context, change)
        finish_change(context, answer, lambda: say(answer))


def _taking_back(app: typer.Typer, context: Context) -> None:
    @app.command()
    def revert(
        change: Id,
        every: Annotated[
            bool, typer.Option("--all-after", help="Also every change that stands on it, the last one first.")
        ] = False,
        undo: Annotated[
            bool, typer.Option("--as-change", help="Propose its opposite as a change of its own, on what is live.")
        ] = False,
        json: Json = False,
    ) -> None:
        """Take a promoted change back: the earlier tree, as a further commit. Works under a stop.

        The last promoted change goes first. One that others stand on is refused, with both ways to take it back all
        the same: `--all-after` reverts those too, each logged; `--as-change` undoes it alone, by a change that goes
        through the gate and waits for your approval. At a terminal it asks which.

        Examples:
          greenroom revert k3f9x2
          greenroom revert k3f9x2 --all-after
          greenroom revert k3f9x2 --as-change
        """
        del json
        if every and undo:
            raise Unusable("two-ways", "a change is taken back one way", remedy="--all-after or --as-change")
        take_back(context, change, reverts.how(every=every, undo=undo))

    @app.command()
    def resume(
        change: Annotated[
            str | None, typer.Argument(metavar="ID", help="Only this change: try again what held it.")
        ] = None,
        wait: Annotated[bool, typer.Option("--wait", help="Stay until every apply window is over.")] = False,
        json: Json = False,
    ) -> None:
        """Go on after a crash or a lift: carry every change whose run was cut; retry deliveries.

        Changes whose apply window is over are applied; with --wait also those whose window ends later, each then. The
        next one whose base moved by that is restacked and verified again, and so on while nobody has to agree.
        With ID: try the stage again at which that change is held, once what held it is mended.

        Examples:
          greenroom resume
          greenroom resume --wait
          greenroom resume k3f9x2
        """
        del json
        if change is not None:
            deliver_waiting(context)
            require_deliverable(context, change)
        if change is not None and wait:
            raise Unusable("usage", "--wait is for every window; leave the ID out", remedy="greenroom resume --wait")
        services, wish = context.services, {"change": change} if change is not None else {}
        answer = dict(services.desk("resume", wish, progress=render.tell))
        answer["delivered"] = deliver_waiting(context)
        if change is None and "verdict" not in answer:
            applied = apply_windows(context, wait=wait, delivered=answer["delivered"])
            answer["resumed"] = [*answer["resumed"], *applied.rows]
            answer["stays"] = applied.stays
        finish_change(context, answer, lambda: _show_resumed(answer, services.now()), output.exit_of_resumed)


def take_back(context: Context, change: str, how: str = "", beside: Mapping[str, Any] | None = None) -> None:
    """Revert a change, deliver, answer, and leave with the exit code; at a terminal it asks which way where there are
    two. `beside` is answered with it.
    """
    wish = {"change": change, "actor": consent.actor(), "how": how}
    answer = context.services.desk("revert", wish, progress=render.tell)
    chosen = reverts.ask(answer, no_input=context.as_json)
    if chosen:
        answer = context.services.desk("revert", {**wish, "how": chosen}, progress=render.tell)
    told = {**delivered(context, answer), **(beside or {})}
    finish_change(context, told, lambda: say(told))


def _show(context: Context, shown: Mapping[str, Any], *, with_runs: bool) -> None:
    out = render.console()
    out.print(render.card(shown))
    patch = context.services.read((shown["card"] or shown["proposal"])["patch"])
    out.print(render.diff(patch.decode("utf-8", "backslashreplace")), soft_wrap=True)
    restacks.show_conflicts(out, shown["conflicts"])
    if with_runs:
        runs.show(out, shown["runs"])


def _show_diff(text: str, conflicts: Any) -> None:
    out = render.console()
    out.print(render.diff(text), soft_wrap=True)
    restacks.show_conflicts(out, conflicts)


def undeliverable(context: Context, change: str) -> Mapping[str, Any] | None:
    """What keeps the person's branch from taking a change, as a verdict: it is dirty, or it moved."""
    delivery = context.services.desk("branch", {"change": change})
    if delivery is None:
        return None
    trees = (delivery["base"], delivery["green"]) if delivery["green"] else None
    place = context.services.repository(delivery["repository"], delivery["branch"], trees)
    found = place["blocked"]
    if delivery["pending"]:
        where = f"{delivery['branch']} still lacks what is live, {delivery['wanted'][:12]}"
        found = found or {"rule": delivery["pending"], "where": where, "remedy": "greenroom status says why"}
    elif place["head"] != delivery["delivered"]:
        remedy = f"greenroom improve {delivery['repository']} takes your commits in"
        found = {"rule": "branch-moved", "where": f"{delivery['branch']} is at {place['head'][:12]}", "remedy": remedy}
    return {"is": "held", **found} if found else None


def require_deliverable(context: Context, change: str) -> None:
    """Leave, held, when the person's branch is dirty or moved: found before anybody agrees, and before the swap."""
    verdict = undeliverable(context, change)
    if verdict:
        answer = {"id": change, "verdict": verdict}
        finish_change(context, answer, lambda: render.console().print(render.verdict_line(verdict)))


def delivered(context: Context, answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The answer, and what became of the delivery that it asks for."""
    delivery = answer.get("delivery")
    if not delivery:
        return answer
    verdict, noted = _deliver(context, delivery)
    return {**answer, "delivered": verdict, "delivery": noted if noted["pending"] else None}


def _deliver(context: Context, delivery: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What became of a delivery, and the delivery as the box has it from then on."""
    verdict = context.services.deliver(delivery)
    rule = "" if verdict["is"] == "passed" else verdict["rule"]
    report = {"subject": delivery["subject"], "commit": delivery["wanted"], "pending": rule}
    return verdict, context.services.desk("delivered", report)


def deliver_waiting(context: Context) -> list[Mapping[str, Any]]:
    """Try again what an earlier command could not deliver; say on stderr what still waits. The verdicts."""
    verdicts = []
    for delivery in context.services.desk("pending"):
        verdict, _ = _deliver(context, delivery)
        verdicts.append(verdict)
        if verdict["is"] != "passed":
            where = f"{delivery['repository']} ({delivery['branch']})"
            print(f"delivery-pending: {safe(where)}: {render.verdict_line(verdict)}", file=sys.stderr)
    return verdicts


def apply_windows(
    context: Context, *, wait: bool = False, follow: bool = True, delivered: list[Mapping[str, Any]] | None = None
) -> windows.Applied:
    """Carry on what nobody has to be asked about, each where the person's branch can take it; see `windows.apply`."""
    told = delivered if delivered is not None else []
    return windows.apply(
        context.services,
        lambda change: undeliverable(context, change),
        lambda: told.extend(deliver_waiting(context)),
        wait=wait,
        follow=follow,
    )


def finish_change(
    context: Context,
    answer: Mapping[str, Any],
    show: Any,
    code_of: Callable[[Mapping[str, Any]], Exit] = output.exit_of_answer,
) -> None:
    """Answer, and leave with the code that `code_of` finds for the answer."""
    context.answer(answer, show)
    code = code_of(answer)
    if code:
        raise typer.Exit(code)


def say(answer: Mapping[str, Any]) -> None:
    """What became of a change, and of its delivery."""
    out = render.console()
    restacks.say(out, answer)
    reverts.say(out, answer)
    out.print(render.verdict_line(answer["verdict"]))
    out.print(f"{answer['id']} is {answer['state']}" + (f", live at {answer['commit']}" if answer["commit"] else ""))
    if answer.get("window"):
        print(f"it waits in its apply window until {when.said(int(answer['window']))}")
    delivered = answer.get("delivered")
    if delivered is not None:
        if delivered["is"] == "passed":
            out.print("delivered to your branch")
            restacks.say_next(out, answer)
            return
        out.print("delivery-pending: live in the box, and not in your branch yet; the next command tries again")
        out.print(render.verdict_line(delivered))


def _show_resumed(answer: Mapping[str, Any], now: int) -> None:
    out = render.console()
    print(f"resumed {len(answer['resumed'])} change(s)")
    if "verdict" in answer:
        out.print(render.verdict_line(answer["verdict"]))
    for row in answer["resumed"]:
        window = windows.until(row, now)
        out.print(f"{row['id']} is {row['state']}" + (f": {window}" if window else ""))
        if row["verdict"]["is"] != "passed":
            out.print(render.verdict_line(row["verdict"]))
    windows.show_stays(answer.get("stays", ()))


def _show_board(rows: Any, more: int, now: int) -> None:
    if not rows:
        print("no changes; `greenroom improve REPO` looks for some")
        return
    render.console().print(render.board(rows, now))
    if more > 0:
        print(f"{more} more; `greenroom list --limit N` shows more of them, `greenroom list --all` also what ended")


def _more(tally: Mapping[str, Any], *, everything: bool) -> int:
    """How many changes there are to be listed."""
    shown: int = sum(tally["held"].values()) + tally["moving"] + tally["live"]
    return shown + tally["ended"] if everything else shown
