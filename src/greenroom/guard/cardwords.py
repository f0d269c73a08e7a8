"""What a card says and what its papers give, in words for the person who was shown it."""

from __future__ import annotations

from collections.abc import Mapping

from greenroom.domain.outcomes import FileDiff
from greenroom.domain.proof import Contribution, Evidence, Risk
from greenroom.domain.verdict import Refused
from greenroom.domain.vocabulary import ChangeId, Origin
from greenroom.guard.steps import remedy_for

MAX_WORDS = 240
"""Characters of each side."""


def card_differs_in(change: ChangeId, member: str, said: object, found: object) -> Refused:
    """Refused `card-differs`: the member, what was shown, and what the papers give; of lists only what differs."""
    one, other = _listed(said), _listed(found)
    if one is not None and other is not None and set(map(plainly, one)) != set(map(plainly, other)):
        said, found = (
            tuple(each for each in one if each not in other),
            tuple(each for each in other if each not in one),
        )
    where = f"{member}: shown {_bounded(said)}; found {_bounded(found)}"
    remedy = f"{remedy_for(change)}; then approve what is shown"
    return Refused(rule="card-differs", where=where, remedy=remedy)


def _listed(value: object) -> tuple[object, ...] | None:
    if isinstance(value, Mapping):
        return tuple(value.items())
    return value if isinstance(value, tuple) else None


def _bounded(value: object) -> str:
    words = plainly(value)
    return words if len(words) <= MAX_WORDS else f"{words[:MAX_WORDS]}... ({len(words) - MAX_WORDS} more characters)"


def plainly(value: object) -> str:
    """A member of a card in words."""
    if value is None or value == () or value == "":
        return "nothing"
    if isinstance(value, Evidence):
        facts = ", ".join(f"{name} {fact}" for name, fact in sorted(value.facts.items()) if fact)
        findings = "".join(f"; {plainly(each)}" for each in value.findings)
        return f"{value.check}: {value.verdict} ({facts}{findings})"
    if isinstance(value, Contribution):
        return f"+{value.points} {value.name}: {value.why}"
    if isinstance(value, Risk):
        parts = "; ".join(plainly(each) for each in value.contributions)
        return f"risk {value.score} at level {int(value.level)} ({parts})"
    if isinstance(value, FileDiff):
        return f"{value.path} ({value.line_class}, +{value.added} -{value.removed})"
    if isinstance(value, Origin):
        return f"{value.actor} through {value.door}, trust {int(value.trust)}"
    if isinstance(value, tuple):
        paired = len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], str)
        return f"{value[0]} {value[1]}" if paired else ", ".join(plainly(each) for each in value)
    return str(value)
