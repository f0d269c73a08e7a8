"""Verdicts as the JSON that doors show."""

from __future__ import annotations

from typing import Any

from greenroom.domain.verdict import Held, Passed, Verdict


def verdict_plain(verdict: Verdict) -> dict[str, Any]:
    """A verdict as JSON: `{"is": "passed"}` or with rule, where and remedy."""
    if isinstance(verdict, Passed):
        return {"is": "passed"}
    name = "held" if isinstance(verdict, Held) else "refused"
    return {"is": name, "rule": verdict.rule, "where": verdict.where, "remedy": verdict.remedy}
