"""The command pr: a change as a branch of the person's repository, and its description."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from greenroom.domain.errors import Unusable
from greenroom.entrypoints.cli import output, render
from greenroom.entrypoints.cli.change_commands import Json, NoInput, deliver_waiting, finish_change
from greenroom.entrypoints.cli.completion import Id
from greenroom.entrypoints.cli.describe import describe
from greenroom.entrypoints.cli.safe import safe, safe_block

if TYPE_CHECKING:
    from greenroom.entrypoints.cli.app import Context


def register(app: typer.Typer, context: Context) -> None:
    """Add the command to `app`."""

    @app.command()
    def pr(
        change: Id,
        out: Annotated[str | None, typer.Option(metavar="FILE", help="Write the description there.")] = None,
        push: Annotated[bool, typer.Option("--push", help="Push the branch, too; never forced.")] = False,
        remote: Annotated[
            str, typer.Option(metavar="NAME", help="Where --push goes: a remote by name, or an address.")
        ] = "origin",
        no_input: NoInput = False,
        json: Json = False,
    ) -> None:
        """Deliver a verified change as the branch greenroom/ID, with a description for a pull request.

        Worktree, index and HEAD stay as they are. You merge the branch yourself: the next `improve` notices that it
        was merged, squashed or deleted. A deleted branch is a no to the change.

        Of the repository's git configuration --push reads the remote's address only (https or ssh); credentials,
        proxies and the rest are those of your own environment and personal git configuration. No hook runs.

        Examples:
          greenroom pr k3f9x2
          greenroom pr k3f9x2 --out description.md
          greenroom pr k3f9x2 --push --remote upstream
        """
        del json
        services = context.services
        deliver_waiting(context)
        offer = services.desk("branch_offer", {"change": change})
        if offer["verdict"]["is"] != "passed":
            finish_change(context, offer, lambda: _say(offer))
        tried = services.pushable(offer, remote) if push else {"is": "passed"}
        if tried["is"] != "passed":
            refused = {**offer, "verdict": tried}
            finish_change(context, refused, lambda: _say(refused))
        shown = services.desk("show", {"change": change})
        body = describe(shown["card"])
        if out is not None:
            _write(out, body)
        made = services.offer_branch(offer)
        answer: dict[str, Any] = {**offer, "branch": f"greenroom/{change}", "body": body, "verdict": made}
        if made["is"] == "passed":
            answer |= {"made": made["made"], "title": shown["card"]["summary"], "verdict": {"is": "passed"}}
            record = {"branch": answer["branch"], "onto": offer["onto"], "made": made["made"], "at": offer["at"]}
            answer["verdict"] = services.desk("branched", {"change": change, **record})["verdict"]
            if push and answer["verdict"]["is"] == "passed":
                ask = not (no_input or context.as_json) and sys.stdin.isatty()
                answer["verdict"] = services.push_branch(offer, made["made"], remote, ask=ask)
                answer["pushed"] = answer["verdict"]["is"] == "passed"
        finish_change(context, answer, lambda: _show(answer, printed=out is None))


def noticed(context: Context, place: Mapping[str, Any]) -> dict[str, str]:
    """What became of the branches that changes of this repository's branch were delivered as, by change."""
    if not place["branch"]:
        return {}
    waiting = context.services.desk("branches", {"path": place["path"], "branch": place["branch"]})
    return dict(context.services.fates(place["path"], place["branch"], waiting)) if waiting else {}


def _write(out: str, body: str) -> None:
    try:
        Path(out).write_text(body, encoding="utf-8")
    except OSError as error:
        problem = f"the description cannot be written: {error.strerror}"
        raise Unusable("bad-file", problem, where=out, remedy="name a file that you may write") from None


def _say(answer: Mapping[str, Any]) -> None:
    render.console().print(render.verdict_line(answer["verdict"]))


def _show(answer: Mapping[str, Any], *, printed: bool) -> None:
    if "made" in answer:
        if printed:
            print(safe_block(answer["body"]))
        told = f"branch {answer['branch']} is at {answer['made'][:12]}, on {answer['onto'][:12]} of {answer['target']}"
        print(safe(told) + ("; pushed" if answer.get("pushed") else ""), file=sys.stderr)
    if output.exit_of_answer(answer):
        _say(answer)
