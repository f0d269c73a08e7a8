"""Changes of Greenroom itself: what the keeper's classification says of base and Green, and what it adds to the risk.

Every change of such a tree is for a person, whatever it touches; words from an untrusted place may not touch it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from greenroom.domain.outcomes import ITSELF_ON_BASE, ITSELF_ON_GREEN
from greenroom.domain.proof import Contribution, Evidence

ITSELF_POINTS = 40


def mark_in(evidence: Sequence[Evidence]) -> str:
    """The mark by which base, or else Green, is Greenroom itself; empty where neither is."""
    return _mark(ITSELF_ON_BASE, evidence) or _mark(ITSELF_ON_GREEN, evidence)


def contributions(evidence: Sequence[Evidence]) -> Iterator[Contribution]:
    """What the marks add to the risk of a change; nothing for other repositories."""
    base, green = (_mark(side, evidence) for side in (ITSELF_ON_BASE, ITSELF_ON_GREEN))
    if not base and not green:
        return
    why = f"Greenroom itself, by {base}: a person agrees to every change of it"
    if not base:
        why = f"it makes the repository one of Greenroom itself, by {green}"
    elif not green:
        why += "; it takes the last mark away, so that later changes count as those of any repository"
    yield Contribution(name="greenroom-itself", points=ITSELF_POINTS, why=why)


def _mark(side: str, evidence: Sequence[Evidence]) -> str:
    return next((item.facts[side] for item in evidence if item.facts.get(side)), "")
