"""How the command shows what scans saw besides their proposals."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from greenroom.entrypoints.cli import scans

REPORT = {"rule": "json:syntax", "path": "a[red].json", "line": 3, "column": 7, "message": "a comma is missing\x1b[2J"}


def scan(**members: Any) -> dict[str, Any]:
    counts = {"scanned": 12, "ignored": {"vendored": 2, "gitignore": 1}, "findings": 5, "proposed": 1, "reported": 3}
    counts["dropped"] = {"no-safe-fix": 1}
    return {"proposer": "data", "counts": counts, "reports": [REPORT], "notes": [], **members}


def shown(*found: dict[str, Any]) -> str:
    out = io.StringIO()
    scans.show(Console(file=out, width=200), found)
    return out.getvalue()


def test_a_report_names_its_place_and_carries_no_control_characters() -> None:
    """Reports come as path:line:column, whatever a hostile file put into its name or message."""
    text = shown(scan())
    assert "a[red].json:3:7: a comma is missing" in text
    assert "\x1b" not in text


def test_the_table_has_files_rules_and_findings() -> None:
    """Ignored files stand by rule, dropped findings by reason."""
    text = shown(scan(), scan(proposer="shell", reports=[]))
    row = next(line for line in text.splitlines() if line.strip().startswith("shell"))
    assert row.split("  ")[0].strip() == "shell"
    assert all(part in row for part in ("12", "1 gitignore, 2 vendored", "1 no-safe-fix"))


def test_missing_programs_come_with_their_remedy() -> None:
    """A note says what is missing and what to do about it."""
    note = {"rule": "program-missing", "where": "shfmt", "remedy": "apt-get install shfmt"}
    assert "note: data: program-missing (shfmt); apt-get install shfmt" in shown(scan(notes=[note]))


def test_what_a_repository_chose_is_told_to_who_asks() -> None:
    """A note about the repository's own selection shows when one proposer was asked for, not in every run."""
    note = {"rule": "not-selected", "where": "pyproject.toml", "remedy": "select UP there to have it"}
    assert "select UP there" in shown(scan(notes=[note]))
    assert "select UP there" not in shown(scan(notes=[note]), scan())


def test_many_reports_are_cut_with_their_number() -> None:
    """A screen shows the first of many and says how many more there are."""
    text = shown(scan(reports=[REPORT] * 30))
    assert text.count("a[red].json") == scans.SHOWN
    assert "10 more of data; --json has all" in text


def test_no_scan_prints_nothing() -> None:
    """A plug-in that tells nothing leaves no empty table."""
    assert shown() == ""
