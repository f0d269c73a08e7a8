"""The runs of a change on a screen: a table of all, and what those printed that did not end well."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from greenroom.domain.errors import GreenroomError
from greenroom.entrypoints.cli.safe import safe, safe_block

MAX_SHOWN_BYTES = 32 * 1024
"""How much of each stream is shown, from its end."""
STREAMS = ("stdout", "stderr")


def with_output(rows: Sequence[Mapping[str, Any]], read: Callable[[str], bytes]) -> list[dict[str, Any]]:
    """`rows`, where those that did not end well, or that stand behind a verdict against the change, have `printed`.

    `read` gives stored bytes by digest. `printed` has for each stream its last MAX_SHOWN_BYTES bytes as `text` and, as
    `left_out`, how many bytes were before them; `problem` where they cannot be read.
    """
    return [
        {**row, "printed": {name: _stream(row[name], read) for name in STREAMS}} if _told(row) else {**row}
        for row in rows
    ]


def show(out: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """The table of the runs, then what each of those that `with_output` chose printed."""
    if not rows:
        out.print("no run was made for this change")
        return
    out.print(table(rows))
    told = [row for row in rows if "printed" in row]
    for row in told:
        _print(out, row)
    if not told and all(row["well"] for row in rows):
        out.print("every run ended well, so none of their output is shown")


def table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """One line a run: check, role, how it ended, seconds, attempt."""
    found = Table(box=None, pad_edge=False, padding=(0, 1))
    for name in ("run of", "role", "ended", "seconds", "attempt", "tests"):
        found.add_column(name, overflow="fold")
    for row in rows:
        style = "" if row["well"] else "red"
        if "problem" in row:
            cells = (row["check"], "", f"cannot be read: {row['problem']}", "", "", "")
        else:
            tests = ", ".join(f"{count} {outcome}" for outcome, count in sorted(row["tests"].items()))
            seconds = f"{row['seconds']:.1f}"
            cells = (row["check"], row["role"], _ended(row), seconds, str(row["attempt"]), tests)
        found.add_row(*(Text(safe(cell)) for cell in cells), style=style)
    return found


def _told(row: Mapping[str, Any]) -> bool:
    return "problem" not in row and (row["telling"] or not row["well"])


def _stream(digest: str, read: Callable[[str], bytes]) -> dict[str, Any]:
    try:
        data = read(digest)
    except GreenroomError as error:
        return {"text": "", "left_out": 0, "problem": error.message}
    kept = data[-MAX_SHOWN_BYTES:]
    return {"text": kept.decode("utf-8", "backslashreplace"), "left_out": len(data) - len(kept)}


def _ended(row: Mapping[str, Any]) -> str:
    return f"exit {row['exit']}" if row["ended_by"] == "exit" else f"by {row['ended_by']}, exit {row['exit']}"


def _print(out: Console, row: Mapping[str, Any]) -> None:
    out.print(Text(f"\n{safe(row['check'])}/{safe(row['role'])}: {safe(_ended(row))}", style="bold"))
    for note in row["notes"]:
        out.print(Text(f"note: {safe(note)}"))
    for line in _lines(row):
        out.print(Text(line), soft_wrap=True)


def _lines(row: Mapping[str, Any]) -> Iterator[str]:
    if row["truncated"]:
        yield "it printed more than is kept"
    for name in STREAMS:
        stream = row["printed"][name]
        if "problem" in stream:
            yield f"-- {name} cannot be read: {safe(stream['problem'])}"
        elif stream["text"]:
            left = f", the last {MAX_SHOWN_BYTES} bytes; {stream['left_out']} before them" if stream["left_out"] else ""
            yield f"-- {name}{left}"
            # A lone carriage return would overwrite what stands before it; at a line's end it is only its end.
            yield safe_block(stream["text"].replace("\r\n", "\n").rstrip("\n"))
        else:
            yield f"-- {name}: empty"
