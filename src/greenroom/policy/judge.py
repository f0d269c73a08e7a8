"""The judge of a debate: a pure function. Reviewers score; this decides; any error fails closed.

A reviewer's score is the weighted sum of its axes (policy .5, tests .3, simplicity .2), in thousandths. Below
`FLOOR` on the policy axis a reviewer votes no, whatever the sum. When all votes of a round agree, the debate ends; in
the last round a single no decides, so that nobody outvotes another's doubt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from greenroom.domain.ports import Review

Ruling = Literal["ACCEPT", "REJECT", "ERROR"]
WEIGHTS: Mapping[str, int] = MappingProxyType({"policy": 5, "tests": 3, "simplicity": 2})
ACCEPT_FROM = 600
FLOOR = 50
MIN_REVIEWERS = 2
FULL = 100


def judge(reviews: Sequence[Review | None], round: int, rounds: int) -> tuple[Ruling, bool, str]:  # noqa: A002
    """(ruling, decided, why) of one round; None is a review that failed; not decided: hear the next round."""
    if error := _error(reviews, round, rounds):
        return "ERROR", True, error
    scores = {review.reviewer: score(review) for review in reviews if review is not None}
    votes = {review.reviewer: _accepts(review) for review in reviews if review is not None}
    shown = ", ".join(f"{name} {points}/1000 {'yes' if votes[name] else 'no'}" for name, points in scores.items())
    if all(votes.values()):
        return "ACCEPT", True, f"all agree: {shown}"
    if not any(votes.values()):
        return "REJECT", True, f"all agree: {shown}"
    return "REJECT", round >= rounds, f"no agreement in round {round} of {rounds}: {shown}"


def score(review: Review) -> int:
    """The weighted sum of the axes, 0 to 1000."""
    return sum(WEIGHTS[axis.axis] * axis.points for axis in review.scores)


def _accepts(review: Review) -> bool:
    policy = next(axis.points for axis in review.scores if axis.axis == "policy")
    return score(review) >= ACCEPT_FROM and policy >= FLOOR


def _error(reviews: Sequence[Review | None], round: int, rounds: int) -> str:  # noqa: A002
    if not 1 <= round <= rounds:
        return f"there is no round {round} of {rounds}"
    if len(reviews) < MIN_REVIEWERS:
        return f"{len(reviews)} reviewers; at least {MIN_REVIEWERS} are needed"
    for review in reviews:
        if review is None:
            return "a reviewer gave no usable review"
        if review.round != round:
            return f"{review.reviewer} spoke of round {review.round} in round {round}"
        if sorted(axis.axis for axis in review.scores) != sorted(WEIGHTS):
            return f"{review.reviewer} did not score each axis once"
        if any(not 0 <= axis.points <= FULL for axis in review.scores):
            return f"{review.reviewer} scored outside 0 to {FULL}"
    if len({review.reviewer for review in reviews if review is not None}) != len(reviews):
        return "two reviews carry the same reviewer's name"
    return ""
