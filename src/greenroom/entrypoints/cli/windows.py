"""Apply windows at the command line: shown with what is left of them, and applied once they are over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from greenroom.entrypoints.cli import render, when
from greenroom.entrypoints.cli.safe import safe

if TYPE_CHECKING:
    from greenroom.entrypoints.services import Services

POLL_S = 30.0
"""How often `resume --wait` looks: somebody may cancel, approve, or improve meanwhile."""


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


def apply(
    services: Services, blocked: Callable[[str], Mapping[str, Any] | None], *, wait: bool = False
) -> list[Mapping[str, Any]]:
    """Carry on each change whose window is over; the answers. With `wait`, until none waits in a window any more.

    `blocked` says what keeps the person's branch from taking a change: such a one stays as it is.
    """
    answers: list[Mapping[str, Any]] = []
    tried: set[str] = set()
    while True:
        found = services.desk("windows")
        row = next((row for row in found["over"] if row["id"] not in tried), None)
        if row is not None:
            tried.add(row["id"])
            held = blocked(row["id"])
            if held is None:
                answers.append(services.desk("resume", {"change": row["id"]}, progress=render.tell)["resumed"][0])
            else:
                answers.append({**row, "verdict": held})
        elif wait and found["waiting"]:
            time.sleep(min(POLL_S, max(0.1, (int(found["waiting"][0]["window"]) - int(found["now"])) / 1e9)))
        else:
            return answers
