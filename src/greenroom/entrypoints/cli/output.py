"""One way to answer: JSON on stdout with --json, else text; errors on stderr; one table of exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from greenroom.domain.errors import Exit, GreenroomError
from greenroom.entrypoints.cli.safe import safe, safe_block


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    json.dump(value, sys.stdout, indent=2, sort_keys=True, ensure_ascii=True)
    sys.stdout.write("\n")


def exit_of(verdict: Mapping[str, Any]) -> Exit:
    """The exit code of a verdict."""
    if verdict["is"] == "passed":
        return Exit.OK
    if verdict.get("rule") == "stopped":
        return Exit.STOPPED
    return Exit.HELD if verdict["is"] == "held" else Exit.REFUSED


def report(error: GreenroomError, *, as_json: bool) -> Exit:
    """Say what is wrong, where, and what would help; returns the exit code."""
    if as_json:
        body = {
            "reference": error.reference,
            "message": error.message,
            "where": error.where,
            "remedy": error.remedy,
            "exit": int(error.exit_code),
        }
        print_json({"error": body})
    lines = [f"greenroom: {safe_block(error.message)} [{error.reference}]"]
    if error.where:
        lines.append(f"  where:  {safe(error.where)}")
    if error.remedy:
        lines.append(f"  remedy: {safe(error.remedy)}")
    print("\n".join(lines), file=sys.stderr)
    return error.exit_code
