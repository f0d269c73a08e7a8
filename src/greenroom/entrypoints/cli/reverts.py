"""Taking back what others stand on, at the command line: both offers, and the question which."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from greenroom.entrypoints.cli import render
from greenroom.entrypoints.cli.safe import safe


def how(*, every: bool, undo: bool) -> str:
    """The way that a person's flags name; empty for the change alone."""
    return "all-after" if every else "as-change" if undo else ""


def ask(answer: Mapping[str, Any], *, no_input: bool) -> str:
    """Which offer a person takes, at a terminal; empty for none of them, and where there is nothing to ask."""
    offers = answer.get("offers")
    if not offers or no_input or not sys.stdin.isatty():
        return ""
    out = render.console(stderr=True)
    out.print(render.verdict_line({**answer["verdict"], "remedy": ""}))
    for number, offer in enumerate(offers, 1):
        out.print(f"  {number}  {safe(offer['what'])}")
    out.print("Which? [a number; anything else leaves it live] ", end="")
    said = sys.stdin.readline().strip()
    chosen = int(said) if said.isascii() and said.isdigit() and len(said) < 3 else 0
    return str(offers[chosen - 1]["how"]) if 0 < chosen <= len(offers) else ""


def say(out: Console, answer: Mapping[str, Any]) -> None:
    """What was taken back with it."""
    for change in answer.get("reverted", ()):
        out.print(f"reverted: {safe(change)}")
