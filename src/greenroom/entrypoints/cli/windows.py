"""Apply windows at the command line: shown with what is left of them, and applied once they are over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from greenroom.entrypoints.cli import render, when
from greenroom.entrypoints.cli.safe import safe

if TYPE_CHECKING:
    from greenroom.entrypoints.services import Services

POLL_S = 30.0
"""How often `resume --wait` looks: somebody may cancel, approve, or improve meanwhile."""

_OF_ONE = ("needs-approval", "restack-conflict", "outside-paths")
"""Holds that say nothing of the next change of the same subject; any other would hold that, too."""


def until(row: Mapping[str, Any], now: int) -> str:
    """Where a change stands in its window, in words; empty where it waits in none."""
    if not row.get("window"):
        return ""
    ends = int(row["window"])
    left = when.left(ends, now)
    return f"applied in {left}, at {when.said(ends)}" if left else "its window is over: `greenroom resume` applies it"


def show(rows: Iterable[Mapping[str, Any]], now: int) -> None:
    """One line for each change that waits in a window, or that is held now."""
    for row in rows:
        said = until(row, now) or (f"{row['held']['rule']}: {row['held']['where']}" if row["held"] else row["state"])
        print(f"  {row['id']} {safe(str(row['summary']))}: {safe(said)}")


@dataclass(frozen=True, slots=True)
class Applied:
    """The answers about the changes that were carried on, and the rows of those that stay, each with its `why`."""

    rows: list[Mapping[str, Any]] = field(default_factory=list)
    stays: list[Mapping[str, Any]] = field(default_factory=list)


def apply(
    services: Services,
    blocked: Callable[[str], Mapping[str, Any] | None],
    deliver: Callable[[], Any],
    *,
    wait: bool = False,
    follow: bool = True,
) -> Applied:
    """Carry on each change whose window is over and, with `follow`, those whose base moved thereby, one by one.

    The next one is restacked only when the one before is live, and no other waits in its window. With `wait`, until
    none waits in a window any more. `blocked` says what keeps the person's branch from taking a change: such a one
    stays as it is. `deliver` brings the branch up to each that went live.
    """
    done = Applied()
    tried: set[str] = set()
    stuck: dict[str, str] = {}
    while True:
        found = services.desk("windows")
        behind = {row["subject"]: f"{row['id']} waits in its window" for row in found["waiting"]} | stuck
        over = next((row for row in found["over"] if row["id"] not in tried), None)
        moved = [row for row in found["moved"] if follow and row["id"] not in tried]
        row = over or next((row for row in moved if row["subject"] not in behind), None)
        if row is not None:
            tried.add(row["id"])
            answer = _carried(services, row, blocked)
            done.rows.append(answer)
            if answer["state"] in ("promoted", "kept"):
                deliver()
            elif answer["verdict"]["is"] == "held" and answer["verdict"]["rule"] not in _OF_ONE:
                stuck[row["subject"]] = f"{answer['id']} is held: {answer['verdict']['rule']}"
        elif wait and found["waiting"]:
            time.sleep(min(POLL_S, max(0.1, (int(found["waiting"][0]["window"]) - int(found["now"])) / 1e9)))
        else:
            done.stays.extend({**row, "why": f"its base moved, and {behind[row['subject']]}"} for row in moved)
            return done


def _carried(
    services: Services, row: Mapping[str, Any], blocked: Callable[[str], Mapping[str, Any] | None]
) -> Mapping[str, Any]:
    held = blocked(row["id"])
    if held is not None:
        return {**row, "verdict": held}
    # One whose base moved is restacked by it.
    answer: Mapping[str, Any] = services.desk("resume", {"change": row["id"]}, progress=render.tell)["resumed"][0]
    return answer


def show_stays(rows: Iterable[Mapping[str, Any]]) -> None:
    """One line for each change that goes on by itself, but later, and why not now."""
    for row in rows:
        print(f"{row['id']} {safe(str(row['summary']))} stays: {safe(row['why'])}; `greenroom resume` goes on with it")
