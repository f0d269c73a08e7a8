"""What `ask` shows: what was understood and from which words, the plan, and what a run of tests came to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from greenroom.domain.errors import GreenroomError
from greenroom.domain.requests import Request, RequestPlan, quoted
from greenroom.entrypoints.cli import render
from greenroom.entrypoints.cli.safe import safe, safe_block

NAMES: Mapping[str, str] = {"only": "proposers", "path": "directory", "most": "at most", "when": "time"}
"""What an argument is called on the screen, where not by its own name."""
NOT_CONFIRMED = "not-confirmed"
ORDER = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")
MOST_SHOWN = 30
MAX_PRINTED_BYTES = 4 * 1024


def unconfirmed(request: Request) -> Mapping[str, str]:
    """The verdict on a plan that nobody could be asked about."""
    remedy = f"greenroom ask {quoted(request.says)} --yes"
    return {
        "is": "held",
        "rule": NOT_CONFIRMED,
        "where": "the plan is shown, and nobody is there to ask",
        "remedy": remedy,
    }


def show_request(request: Request, plan: RequestPlan | None) -> None:
    """What was understood, with each value and the words that it came from."""
    print(f"I understood: {safe(plan.says if plan else request.says)}")
    rows = [
        (NAMES.get(name, name), safe(str(arg.value)), f"{request.sources[name]} (trust: {arg.trust.name.lower()})")
        for name, arg in request.args.items()
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    for name, value, said in rows:
        print(f"  {name.ljust(widths[0])}  {value.ljust(widths[1])}  {safe(said)}")


def show_plan(plan: RequestPlan) -> None:
    """The steps with their tools, the level, and what is written."""
    print("Plan:")
    for number, step in enumerate(plan.steps, 1):
        print(f"  {number}. {safe(step.what)}")
        for tool in step.tools:
            print(f"       {safe(tool.name)} T{tool.tier} {safe(tool.manifest)[:23]}")
    print(f"  level: {safe(plan.level)}")
    for each in plan.writes or ("nothing",):
        print(f"  writes: {safe(each)}")
    for note in plan.notes:
        print(f"  note: {safe(note)}")


def show_tests(answer: Mapping[str, Any], read: Callable[[str], bytes]) -> None:
    """The counts, what does not pass, what could not be had, and the end of what a failing run printed."""
    out = render.console()
    counts = answer["counts"]
    if counts:
        told = ", ".join(f"{counts[name]} {name}" for name in ORDER if name in counts)
        by = f"{safe(answer['framework'])}, Python {safe(answer['python'])}, {answer['took_ms'] / 1000:.1f} s"
        print(f"{sum(counts.values())} tests: {told} ({by})")
    for name in answer["failing"][:MOST_SHOWN]:
        print(f"  {safe(name)}")
    if len(answer["failing"]) > MOST_SHOWN:
        print(f"  and {len(answer['failing']) - MOST_SHOWN} more (--json)")
    for note in (*answer["lacking"], *answer["notes"]):
        print(f"note: {safe(note)}")
    if answer["verdict"]["is"] != "passed":
        _printed(answer, read)
    out.print(render.verdict_line(answer["verdict"]))


def _printed(answer: Mapping[str, Any], read: Callable[[str], bytes]) -> None:
    print(
        "-- tests that must fail ran among yours, to see that a failure is told: test_LETTERS_NUMBER is none of yours"
    )
    for name in ("stdout", "stderr"):
        if answer[name] is None:
            continue
        try:
            data = read(answer[name])
        except GreenroomError as error:
            print(f"-- {name} cannot be read: {safe(error.message)}")
            continue
        if data.strip():
            print(f"-- {name}, its end")
            text = data[-MAX_PRINTED_BYTES:].decode("utf-8", "backslashreplace").replace("\r\n", "\n")
            print(safe_block(text.strip("\n")))
