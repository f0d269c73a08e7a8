"""What every Reviewer promises."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from greenroom.agents.reviewers.estimate import EstimateReviewer
from greenroom.agents.reviewers.rules import RulesReviewer
from greenroom.domain import documents
from greenroom.domain.digest import Digest
from greenroom.domain.errors import GreenroomError
from greenroom.domain.ports import Review, Reviewer, Store
from greenroom.testing.store import MemoryStore

KINDS: tuple[Callable[[Store], Reviewer], ...] = (RulesReviewer, EstimateReviewer)
PATCH = b"diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1,2 +1 @@\n-import os\n x = 1\n"


def dossier(store: MemoryStore, rule: str = "ruff:F401") -> Digest:
    """A dossier as the debate stage stores it."""
    plain = {
        "plan": "plan:" + "0" * 64,
        "patch": store.put("blob", PATCH),
        "files": ["a.py"],
        "lines": 1,
        "rule": rule,
        "subject": {"kind": "workspace", "address": "/r"},
        "history": {"passed": 3},
    }
    return store.put("dossier", documents.encode(plain))


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Callable[[Store], Reviewer]:
    """Each built-in reviewer."""
    made: Callable[[Store], Reviewer] = request.param
    return made


@pytest.mark.parametrize("number", [1, 2])
def test_a_review_scores_every_axis_once(kind: Callable[[Store], Reviewer], number: int) -> None:
    """The bytes are a canonical Review of that round with the three axes of the rubric, 0 to 100, with reasons."""
    store = MemoryStore()
    reviewer = kind(store)
    answer = reviewer.debate(dossier(store), number)
    assert isinstance(answer, bytes)
    review = documents.decode(Review, answer)
    assert documents.encode(review) == answer
    assert (review.reviewer, review.round) == (reviewer.name, number)
    assert sorted(item.axis for item in review.scores) == ["policy", "simplicity", "tests"]
    assert all(0 <= item.points <= 100 and item.why for item in review.scores)


def test_a_review_can_be_repeated(kind: Callable[[Store], Reviewer]) -> None:
    """The same dossier and round give the same bytes."""
    store = MemoryStore()
    assert kind(store).debate(dossier(store), 1) == kind(store).debate(dossier(store), 1)


def test_a_dossier_that_cannot_be_read_raises_one_of_our_errors(kind: Callable[[Store], Reviewer]) -> None:
    """A missing or malformed dossier is an error of the review, which fails the debate closed."""
    store = MemoryStore()
    for digest in (Digest("dossier:" + "0" * 64), store.put("dossier", b"{}"), store.put("dossier", b"\xff")):
        with pytest.raises(GreenroomError):
            kind(store).debate(digest, 1)


def test_the_reviewers_differ() -> None:
    """Two reviewers that always agree would be one."""
    store = MemoryStore()
    digest = dossier(store)
    answers = []
    for kind_of in KINDS:
        answer = kind_of(store).debate(digest, 1)
        assert isinstance(answer, bytes)
        answers.append([item.points for item in documents.decode(Review, answer).scores])
    assert answers[0] != answers[1]
