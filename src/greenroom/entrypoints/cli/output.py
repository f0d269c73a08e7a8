"""One way to answer: JSON on stdout with --json, else text; errors on stderr; one table of exit codes."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from greenroom.domain.errors import Exit, GreenroomError
from greenroom.entrypoints.cli.safe import safe, safe_block

PASSED: Mapping[str, Any] = {"is": "passed"}


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    json.dump(value, sys.stdout, indent=2, sort_keys=True, ensure_ascii=True)
    sys.stdout.write("\n")


def silence() -> None:
    """Let what is printed from here on go nowhere: the reader of stdout went away."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def exit_of(verdict: Mapping[str, Any]) -> Exit:
    """The exit code of a verdict."""
    if verdict["is"] == "passed":
        return Exit.OK
    if verdict.get("rule") == "stopped":
        return Exit.STOPPED
    return Exit.HELD if verdict["is"] == "held" else Exit.REFUSED


def exit_of_answer(answer: Mapping[str, Any]) -> Exit:
    """The exit code of a command about one change: its verdict's; HELD when it is done but could not be delivered."""
    code = exit_of(answer.get("verdict", PASSED))
    if code is Exit.OK and answer.get("delivered", PASSED)["is"] != "passed":
        return Exit.HELD
    return code


def exit_of_scan(answer: Mapping[str, Any]) -> Exit:
    """The exit code of a scan: OK when it found something to approve, something is done already, or nothing was found.

    Otherwise that of what became of the proposals: HELD when one of them is only held, REFUSED when all are refused,
    USAGE when no proposer could give any.
    """
    code = exit_of(answer["verdict"])
    rows = [*answer["changes"], *answer.get("known", ())]
    if code is not Exit.OK or any(_waits_or_done(row) for row in rows):
        return code
    if answer["changes"]:
        return Exit.HELD if any(row["held"] for row in answer["changes"]) else Exit.REFUSED
    return Exit.USAGE if answer.get("failed") else Exit.OK


def exit_of_resumed(answer: Mapping[str, Any]) -> Exit:
    """The exit code of going on: OK when each change got as far as it goes by itself, else the gravest that is left."""
    left = [exit_of_answer(row) for row in answer["resumed"] if not _waits_or_done(row)]
    late = [Exit.HELD] if any(verdict["is"] != "passed" for verdict in answer.get("delivered", ())) else []
    return next((code for code in (Exit.STOPPED, Exit.HELD, Exit.REFUSED) if code in (*left, *late)), Exit.OK)


def exit_of_approved(answer: Mapping[str, Any]) -> Exit:
    """The exit code of approving several: OK when each got as far as was asked for, else the gravest that is left."""
    codes = {exit_of_answer(row) for row in answer["approved"]}
    return next((code for code in (Exit.STOPPED, Exit.HELD, Exit.REFUSED) if code in codes), Exit.OK)


def _waits_or_done(row: Mapping[str, Any]) -> bool:
    """True for a change that waits for nothing but a person's word, or that is live or was taken back on request."""
    if row["held"]:
        return row["held"]["rule"] in ("needs-approval", "promote-on-request")
    return not row["refused"] and row["state"] in ("promoted", "kept", "reverted")


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
        # Where stdout cannot be written, the words on stderr are all there is.
        with contextlib.suppress(OSError):
            print_json({"error": body})
            sys.stdout.flush()
    lines = [f"greenroom: {safe_block(error.message)} [{error.reference}]"]
    if error.where:
        lines.append(f"  where:  {safe(error.where)}")
    if error.remedy:
        lines.append(f"  remedy: {safe(error.remedy)}")
    print("\n".join(lines), file=sys.stderr)
    return error.exit_code
