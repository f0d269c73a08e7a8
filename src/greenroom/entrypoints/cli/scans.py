"""What scans saw besides their proposals: findings without a patch, what was missing, and a table of the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from greenroom.entrypoints.cli.safe import safe

SHOWN = 20
_QUIET = frozenset({"not-selected"})
"""Notes for whoever asked for one proposer; in a run of many, what a repository chose is no news."""


def show(out: Console, scans: Sequence[Mapping[str, Any]]) -> None:
    """Print the reports of all scans (at most SHOWN each), their notes, and the table."""
    for scan in scans:
        for line in reports(scan):
            out.print(line, markup=False, highlight=False, soft_wrap=True)
    for scan in scans:
        for note in scan["notes"]:
            if note["rule"] in _QUIET and len(scans) > 1:
                continue
            said = f"{scan['proposer']}: {note['rule']} ({note['where']}); {note['remedy']}"
            out.print(f"note: {safe(said)}", markup=False, highlight=False, soft_wrap=True)
    if scans:
        out.print(table(scans))


def reports(scan: Mapping[str, Any]) -> list[str]:
    """One line a finding that has no patch, in the form that editors know: path:line:column."""
    found = scan["reports"]
    lines = [
        safe(f"{item['path']}:{item['line']}:{item['column']}: {item['message']} ({item['rule']})")
        for item in found[:SHOWN]
    ]
    if len(found) > SHOWN:
        lines.append(f"{len(found) - SHOWN} more of {safe(scan['proposer'])}; --json has all")
    return lines


def table(scans: Sequence[Mapping[str, Any]]) -> Table:
    """Files scanned and ignored, findings proposed, reported and dropped; by which rule and why."""
    made = Table("proposer", "files", "ignored", "findings", "proposed", "reported", "dropped", box=None)
    for scan in scans:
        counts = scan["counts"]
        numbers = [str(counts[name]) for name in ("findings", "proposed", "reported")]
        files = [safe(scan["proposer"]), str(counts["scanned"]), _by_rule(counts["ignored"])]
        made.add_row(*map(Text, [*files, *numbers, _by_rule(counts["dropped"])]))
    return made


def _by_rule(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {safe(rule)}" for rule, count in sorted(counts.items())) or "-"
