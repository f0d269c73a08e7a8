from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain.ports import Review, Score
from greenroom.policy.judge import WEIGHTS, judge, score


def review(name: str, policy: int = 90, tests: int = 90, simplicity: int = 90, round_: int = 1) -> Review:
    points: dict[Any, int] = {"policy": policy, "tests": tests, "simplicity": simplicity}
    scores = tuple(Score(axis=axis, points=number, why="") for axis, number in points.items())
    return Review(reviewer=name, version="1", round=round_, scores=scores)


def test_agreement_ends_the_debate_in_the_first_round() -> None:
    """Two yes accept, two no reject, both at once."""
    assert judge([review("a"), review("b")], 1, 2)[:2] == ("ACCEPT", True)
    assert judge([review("a", 10), review("b", 10)], 1, 2)[:2] == ("REJECT", True)


def test_disagreement_asks_for_another_round_and_then_rejects() -> None:
    """One doubt is heard again, and decides in the last round."""
    assert judge([review("a"), review("b", 10)], 1, 2)[:2] == ("REJECT", False)
    last = [review("a", round_=2), review("b", 10, round_=2)]
    assert judge(last, 2, 2)[:2] == ("REJECT", True)


def test_the_weights_are_those_of_the_rubric() -> None:
    """Policy counts half, tests three tenths, simplicity two tenths."""
    assert dict(WEIGHTS) == {"policy": 5, "tests": 3, "simplicity": 2}
    assert score(review("a", 100, 0, 0)) == 500
    assert score(review("a", 0, 100, 100)) == 500


def test_a_low_policy_score_is_a_no_whatever_the_sum() -> None:
    """Good tests do not pay for a breach of policy."""
    assert score(review("a", 40, 100, 100)) == 700
    assert judge([review("a", 40, 100, 100), review("b", 40, 100, 100)], 1, 2)[0] == "REJECT"


ERRORS: dict[str, list[Review | None]] = {
    "nobody": [],
    "one reviewer": [review("a")],
    "a failed review": [review("a"), None],
    "the same name twice": [review("a"), review("a")],
    "another round": [review("a"), review("b", round_=2)],
    "points above the scale": [review("a"), review("b", 101)],
    "points below the scale": [review("a"), review("b", -1)],
    "an axis missing": [review("a"), Review(reviewer="b", version="1", round=1, scores=review("b").scores[:2])],
    "an axis twice": [review("a"), Review(reviewer="b", version="1", round=1, scores=review("b").scores[:1] * 3)],
}


@pytest.mark.parametrize("name", ERRORS)
def test_any_error_fails_closed(name: str) -> None:
    """An error decides at once, and never as accept."""
    ruling, decided, why = judge(ERRORS[name], 1, 2)
    assert (ruling, decided) == ("ERROR", True)
    assert why


@pytest.mark.parametrize("round_", [0, 3])
def test_a_round_outside_the_debate_is_an_error(round_: int) -> None:
    """There are two rounds."""
    assert judge([review("a", round_=round_), review("b", round_=round_)], round_, 2)[0] == "ERROR"


@given(st.lists(st.tuples(*(st.integers(-10, 110),) * 3), max_size=4), st.integers(1, 2))
def test_accept_means_that_every_reviewer_said_yes(points: list[tuple[int, int, int]], round_: int) -> None:
    """Whatever the scores, an accept has at least two reviewers above every threshold."""
    reviews = [review(f"r{n}", *axes, round_=round_) for n, axes in enumerate(points)]
    ruling, decided, _ = judge(reviews, round_, 2)
    if ruling == "ACCEPT":
        assert decided
        assert len(reviews) >= 2
        assert all(score(found) >= 600 and found.scores[0].points >= 50 for found in reviews)
    assert decided or round_ == 1
