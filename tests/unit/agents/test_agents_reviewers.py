"""The two reviewers differ: one of fixed rules, one that estimates and learns from the box's history."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from agents_cases import dossier
from hypothesis import given
from hypothesis import strategies as st

from greenroom.agents.reviewers.dossier import Case, read_case
from greenroom.agents.reviewers.estimate import PRIORS, EstimateReviewer, estimate, prior
from greenroom.agents.reviewers.places import place_of, sensitive
from greenroom.agents.reviewers.rules import RulesReviewer, score
from greenroom.domain import documents
from greenroom.domain.digest import Digest
from greenroom.domain.errors import GreenroomError, NotFound, Unusable
from greenroom.domain.ports import Review
from greenroom.testing.store import MemoryStore


def case(**members: Any) -> Case:
    given_ = {"patch": b"", "files": ("src/app.py",), "lines": 1, "rule": "ruff:F401", "history": {}, "added": ()}
    return Case(**(given_ | members))


def header(*lines: str) -> bytes:
    return "\n".join(("diff --git a/x b/x", *lines, "")).encode()


@pytest.mark.parametrize(
    ("members", "axis", "points", "why"),
    [
        ({}, "policy", 100, "no rule"),
        ({"added": ("x = '\u202eabc'",)}, "policy", 20, "does not show"),
        ({"added": ("\tx = 1\r",)}, "policy", 100, "no rule"),
        ({"patch": header("Binary files a/x and b/x differ")}, "policy", 40, "binary"),
        ({"patch": header("new mode 100755")}, "policy", 40, "mode"),
        ({"added": ("eval(text)",)}, "policy", 60, "runs text"),
        ({"added": ("import os  # noqa",)}, "policy", 70, "silences"),
        ({"files": ("pyproject.toml",)}, "policy", 70, "built"),
        ({"files": ("src/auth/tokens.py",)}, "policy", 80, "authentication"),
        ({"files": ("README.md",)}, "tests", 100, "no rule"),
        ({"files": ("src/__init__.py",)}, "tests", 80, "__init__"),
        ({"patch": header("deleted file mode 100644")}, "tests", 50, "deletes"),
        ({"lines": 501}, "simplicity", 50, "more than 500"),
        ({"files": tuple(f"f{i}.md" for i in range(51))}, "simplicity", 60, "more than 50"),
    ],
)
def test_each_rule_takes_its_points_and_says_why(members: dict[str, Any], axis: str, points: int, why: str) -> None:
    """A rule that a change meets lowers its axis by the listed weight."""
    found = dict(score(case(**members)))[axis]  # type: ignore[index]
    assert found[0] == points
    assert why in found[1]


@pytest.mark.parametrize(
    ("hunk", "added"),
    [
        (("-\ufeffimport os", "-x = 1", "+\ufeffx = 1"), ("x = 1",)),
        (("-import os", "+\ufeffx = 1"), ("\ufeffx = 1",)),
        (("-\ufeffimport os", "+\ufeffx = 1", "+\ufeffy = 2"), ("x = 1", "\ufeffy = 2")),
        (("-\ufeffimport os", "+x = '\ufeff'"), ("x = '\ufeff'",)),
        (("-\ufeffimport os", "@@ -9 +9 @@", "+\ufeffx = 1"), ("\ufeffx = 1",)),
    ],
)
def test_a_byte_order_mark_that_was_there_is_not_added(hunk: tuple[str, ...], added: tuple[str, ...]) -> None:
    """Only the one that the same hunk takes away, and only at the beginning of a line."""
    store = MemoryStore()
    patch = header("--- a/x", "+++ b/x", "@@ -1,2 +1 @@", *hunk)
    assert read_case(store, dossier(store, patch)).added == added


def test_points_never_go_below_zero() -> None:
    """All rules together stop at zero."""
    worst = case(
        added=("\u202e eval( noqa",), patch=header("GIT binary patch", "new mode 100755"), files=("setup.py", "auth.py")
    )
    assert score(worst)["policy"][0] == 0


def test_the_prior_follows_kind_place_and_size() -> None:
    """The longest listed prefix of the rule counts; risky places and size add failures."""
    assert prior(case(rule="codespell", files=("a.md",))).mean == Fraction(39, 40)
    assert prior(case(rule="ruff:W291")).failed == PRIORS["ruff:W"][1]
    assert prior(case(rule="ruff:E711")).failed == PRIORS["ruff"][1]
    assert prior(case(rule="other")).mean == Fraction(7, 10)
    assert prior(case(files=("pkg/__init__.py",))).failed == 3
    assert [prior(case(lines=n)).failed for n in (16, 17, 33, 65, 513)] == [2, 3, 4, 5, 8]


def test_history_updates_the_estimate() -> None:
    """Changes of the same rule count in full, others for a quarter; caution adds a failure."""
    before = estimate(case()).mean
    assert before == Fraction(18, 20)
    assert estimate(case(history={"passed": 20})).mean == Fraction(38, 40)
    assert estimate(case(history={"failed": 20})).mean == Fraction(18, 40)
    assert estimate(case(history={"others-failed": 4})).mean == Fraction(18, 21)
    assert estimate(case(), caution=1).mean == Fraction(18, 21)


@given(
    st.integers(0, 2**20),
    st.lists(st.text(min_size=1), min_size=1, max_size=80),
    st.text(),
    st.dictionaries(st.sampled_from(["passed", "failed", "others-passed", "others-failed"]), st.integers(0, 2**31)),
)
def test_every_score_stays_in_its_bounds(lines: int, files: list[str], rule: str, history: dict[str, int]) -> None:
    """Whatever the dossier says, every axis has from 0 to 100 points and a reason."""
    store = MemoryStore()
    digest = dossier(store, lines=lines, files=files, rule=rule, history=history)
    for reviewer in (RulesReviewer(store), EstimateReviewer(store)):
        review = documents.decode(Review, reviewer.debate(digest, 2))  # type: ignore[arg-type]
        assert [item.axis for item in review.scores] == ["policy", "tests", "simplicity"]
        assert all(0 <= item.points <= 100 and item.why for item in review.scores)


@pytest.mark.parametrize(
    "members",
    [
        {"files": []},
        {"files": [1]},
        {"files": "a.py"},
        {"lines": -1},
        {"lines": True},
        {"rule": None},
        {"patch": "not a digest"},
        {"patch": 3},
        {"history": []},
        {"history": {"passed": -1}},
        {"history": {"passed": "1"}},
    ],
)
def test_a_malformed_dossier_is_unusable(members: dict[str, Any]) -> None:
    """Reviewers read the dossier defensively."""
    store = MemoryStore()
    with pytest.raises(Unusable):
        read_case(store, dossier(store, **members))


def test_a_missing_patch_is_not_found() -> None:
    """A dossier that names a patch which is not stored cannot be reviewed."""
    store = MemoryStore()
    with pytest.raises(NotFound):
        read_case(store, dossier(store, patch="blob:" + "0" * 64))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_no_dossier(data: bytes) -> None:
    """Anything that is not a dossier raises one of our own errors."""
    store = MemoryStore()
    digest: Digest = store.put("dossier", data)
    with pytest.raises(GreenroomError):
        read_case(store, digest)


def test_added_lines_are_those_of_hunks() -> None:
    """File headers are no added lines, also where a file name begins with pluses."""
    first = b"diff --git a/++ b/++\n--- a/++\n+++ b/++\n@@ -1 +1,2 @@\n-a\n+b\n+++c\n"
    patch = first + b"diff --git a/y b/y\n+++ b/y\n@@ -0,0 +1 @@\n+d"
    store = MemoryStore()
    assert read_case(store, dossier(store, patch)).added == ("b", "++c", "d")


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("README.md", "docs"),
        ("tests/data.md", "tests"),
        ("src/test_x.py", "tests"),
        ("pkg/__init__.py", "package-root"),
        ("pkg/mod.py", "code"),
        ("pyproject.toml", "build"),
        (".github/workflows/ci.yml", "build"),
        ("requirements-dev.txt", "build"),
        ("data.bin", "other"),
    ],
)
def test_places_go_by_names(path: str, place: str) -> None:
    """A path has one place, the most consequential that fits."""
    assert place_of(path) == place


def test_sensitive_names() -> None:
    """Words are matched whole: an author is no authentication."""
    assert sensitive("src/auth.py")
    assert sensitive("src/password_reset.py")
    assert not sensitive("docs/authors.md")
