"""One way to answer: JSON on stdout with --json, else text; errors on stderr; one table of exit codes."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from greenroom.domain.errors import Exit, GreenroomError
from greenroom.domain.refusals import remedy_of
from greenroom.entrypoints.cli.safe import safe, safe_block

PASSED: Mapping[str, Any] = {"is": "passed"}
WALLS = frozenset({"layer-missing", "wall-failed", "cgroup-failed"})
"""Rules that say that this machine cannot give a sandbox."""


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

    What is only queued is a proposal like any other, unless what was carried is held. Otherwise that of what became of
    the proposals: HELD when one of them is only held, REFUSED when all are refused, USAGE when no proposer could give
    any; SANDBOX when this machine has not the walls.
    """
    code = _exit_of_walls(answer) or exit_of(answer["verdict"])
    rows = [*answer["changes"], *answer["known"]]
    if code is not Exit.OK or any(_waits_or_done(row) for row in rows):
        return code
    if any(row["held"] for row in answer["changes"]):
        return Exit.HELD
    if answer["left"]:
        return Exit.OK
    return Exit.REFUSED if answer["changes"] else Exit.USAGE if answer["failed"] else Exit.OK


def exit_of_headless(answer: Mapping[str, Any]) -> Exit:
    """The exit code of a scan that tells apart what a script wants to know: OK where nothing waits for anybody.

    PROPOSALS where a proposal waits for a yes, or is queued and nothing that was carried is held; the others as
    `exit_of_scan` has them.
    """
    code = _exit_of_walls(answer) or exit_of(answer["verdict"])
    if code is not Exit.OK:
        return code
    rows = [*answer["changes"], *answer["known"]]
    if any(row["held"] and _waits_or_done(row) for row in rows):
        return Exit.PROPOSALS
    if any(row["held"] for row in rows):
        return Exit.HELD
    if answer["left"]:
        return Exit.PROPOSALS
    if any(_waits_or_done(row) for row in rows):
        return Exit.OK
    return Exit.REFUSED if answer["changes"] else Exit.USAGE if answer["failed"] else Exit.OK


def _exit_of_walls(answer: Mapping[str, Any]) -> Exit | None:
    """SANDBOX where the walls were missing, for the import or for every proposer that looked."""
    verdict, failed = answer["verdict"], answer["failed"]
    without = bool(failed) and not answer["scans"] and all(each["reference"] in WALLS for each in failed)
    return Exit.SANDBOX if verdict.get("rule") in WALLS or without else None


def exit_of_resumed(answer: Mapping[str, Any]) -> Exit:
    """The exit code of going on: OK when each change got as far as it goes by itself, else the gravest that is left."""
    left = [exit_of_answer(row) for row in answer["resumed"] if not _waits_or_done(row)]
    left += [exit_of(answer["verdict"])] if "verdict" in answer else []
    late = [Exit.HELD] if any(verdict["is"] != "passed" for verdict in answer.get("delivered", ())) else []
    return next((code for code in (Exit.STOPPED, Exit.HELD, Exit.REFUSED) if code in (*left, *late)), Exit.OK)


def exit_of_approved(answer: Mapping[str, Any]) -> Exit:
    """The exit code of approving several: OK when each got as far as was asked for, else the gravest that is left."""
    codes = {exit_of_answer(row) for row in answer["approved"]}
    return next((code for code in (Exit.STOPPED, Exit.HELD, Exit.REFUSED) if code in codes), Exit.OK)


def _waits_or_done(row: Mapping[str, Any]) -> bool:
    """True for a change that waits for a person's word or its window, or that is live or was taken back on request."""
    if row["held"]:
        return row["held"]["rule"] in ("needs-approval", "promote-on-request")
    if row.get("window") and row.get("verdict", PASSED)["is"] == "passed":
        return True
    return not row["refused"] and row["state"] in ("promoted", "kept", "reverted")


def report(error: GreenroomError, *, as_json: bool, beside: Mapping[str, Any] | None = None) -> Exit:
    """Say what is wrong, where, and what would help; returns the exit code. `beside` is what was done until then."""
    if as_json:
        body = {
            "reference": error.reference,
            "message": error.message,
            "where": error.where,
            "remedy": remedy_of(error),
            "exit": int(error.exit_code),
        }
        # Where stdout cannot be written, the words on stderr are all there is.
        with contextlib.suppress(OSError):
            print_json({**(beside or {}), "error": body})
            sys.stdout.flush()
    lines = [f"greenroom: {safe_block(error.message)} [{error.reference}]"]
    if error.where:
        lines.append(f"  where:  {safe(error.where)}")
    lines.append(f"  remedy: {safe(remedy_of(error))}")
    print("\n".join(lines), file=sys.stderr)
    return error.exit_code
