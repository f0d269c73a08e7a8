"""What came of each case, one line of evidence for each."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

from crash_points import CODE, Case


@contextlib.contextmanager
def recorded(case: Case) -> Iterator[dict[str, Any]]:
    """One line of the evidence, in the file that GREENROOM_CRASH_OUTCOMES names; a failure is written down too."""
    began = time.monotonic()
    outcome: dict[str, Any] = {"case": str(case), "code": CODE, "live": "", "repeated": 0, "failed": ""}
    try:
        yield outcome
    except Exception as error:
        outcome["failed"] = f"{type(error).__name__}: {error}"
        raise
    finally:
        outcome["seconds"] = round(time.monotonic() - began, 1)
        _write_down(outcome)


def _write_down(outcome: Mapping[str, Any]) -> None:
    """An interrupted case has no outcome. One write a line, so that several workers may share the file."""
    target = os.environ.get("GREENROOM_CRASH_OUTCOMES")
    if target and (outcome["failed"] or "ended" in outcome):
        with open(target, "ab", buffering=0) as file:
            file.write(json.dumps(outcome).encode() + b"\n")
