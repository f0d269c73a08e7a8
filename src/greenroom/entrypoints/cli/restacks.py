"""A change that goes on as a child, at the command line: asking for it, and showing both sides of a conflict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from greenroom.entrypoints.cli import render
from greenroom.entrypoints.cli.safe import safe

if TYPE_CHECKING:
    from greenroom.entrypoints.cli.app import Context

MOVED = ("base-moved", "restack-conflict", "outside-paths", "outdated")
_SIDES = (("base", "what it was made on"), ("ours", "what the change wants"), ("theirs", "what is live"))


def moved(answer: Mapping[str, Any]) -> bool:
    """True for a change that can go on only as a child, tried anew on what is live."""
    return answer["verdict"]["is"] == "held" and answer["verdict"]["rule"] in MOVED


def restack(context: Context, change: str) -> Mapping[str, Any]:
    """The row of the child, or of the change itself where it is held."""
    row: Mapping[str, Any] = context.services.desk("restack", {"change": change}, progress=render.tell)
    return row


def promote(context: Context, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Carry the child on, by the yes that holds for it."""
    carried = context.services.desk("promote", {"change": row["id"]}, progress=render.tell)
    return {**carried, "restacked": row["restacked"]}


def agreed(row: Mapping[str, Any]) -> bool:
    """True for a child that an earlier yes holds for."""
    consent = (row.get("restacked") or {}).get("consent") or {"is": "none"}
    return bool(row["state"] == "approved" and consent["is"] == "passed")


def asks(row: Mapping[str, Any]) -> bool:
    """True for a change that waits for a person's yes."""
    return bool(row["held"]) and row["held"]["rule"] == "needs-approval"


def say(out: Console, answer: Mapping[str, Any]) -> None:
    """Which change goes on in whose place, and what became of the yes that was given before."""
    told = answer.get("restacked")
    if not told:
        return
    how = " by the tools and rules of today" if told.get("outdated") else ""
    out.print(f"restacked: {answer['id']} is {told['from']} on what is live now, verified again{how}")
    consent = told["consent"]
    if consent is None:
        return
    if consent["is"] == "passed":
        out.print(f"your yes to {told['from']} holds for it: the same patch, and no greater risk")
    else:
        out.print(
            f"your yes to {told['from']} does not hold for it: {safe(consent['rule'])} ({safe(consent['where'])})"
        )


def say_next(out: Console, answer: Mapping[str, Any]) -> None:
    """The change that is next in line for what was promoted."""
    if answer.get("next"):
        out.print(f"next: greenroom approve {answer['next']} goes on with it, on what is live now")


def show_conflicts(out: Console, conflicts: Sequence[Mapping[str, Any]]) -> None:
    """Each conflict with its three sides; every line is escaped."""
    for each in conflicts:
        out.print(Text(f"\nconflict: {safe(each['path'])}, line {each['line']}: {safe(each['why'])}", style="yellow"))
        for side, title in _SIDES:
            out.print(Text(f"  {side}: {title}", style="bold"))
            for line in each[side]:
                out.print(Text(f"    | {safe(line)}"), soft_wrap=True)
