"""The rules of findings that the built-in proposers have, by the names that a classification of the diff gives them."""

from __future__ import annotations

import difflib

from greenroom.domain.errors import Unusable

_RUFF = (
    "I001 E703 E711 E712 E713 E714 E731 W291 W292 W293 W391 W605 F401 F504 F522 F523 F541 F601 F602 F632 F811 F841 F901"
)
LOW = ("codespell", *(f"ruff:{code}" for code in _RUFF.split()))
"""Rules whose changes are lint, comments or docs where the keeper made them again: what an opt-in may name."""
OF_CODE = ("modernise", "shell", "strings", "unused")
"""Proposers whose changes are logic (level 2): an opt-in for one would let nothing through."""


def check_low(rule: str) -> str:
    """`rule`, which an opt-in may name; raises Unusable `unknown-rule`, with the nearest one, or `rule-not-low`."""
    if rule in LOW:
        return rule
    if rule.partition(":")[0] in OF_CODE:
        raise Unusable(
            "rule-not-low",
            f"changes of {rule[:80]} are logic (level 2), which no opt-in lets through",
            where=rule[:80],
            remedy="approve each, or let the box build and verify them twice: `greenroom mode autonomous`",
        )
    near = difflib.get_close_matches(rule, LOW, n=3, cutoff=0.4)
    if "ruff:" + rule.upper() in LOW:
        near = ["ruff:" + rule.upper()]
    remedy = f"did you mean {', '.join(near)}?" if near else f"one of: {', '.join(LOW)}"
    raise Unusable("unknown-rule", f"no finding has the rule {rule[:80]!r}", where=rule[:80], remedy=remedy)
