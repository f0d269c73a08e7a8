from __future__ import annotations

from typing import Any

import policy_cases as cases
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain.plan import Arg
from greenroom.domain.proof import Contribution, Evidence, Risk
from greenroom.domain.vocabulary import ConsentLevel, Trust
from greenroom.policy.risk import CLASS_POINTS

POLICY = cases.make_policy()


def weigh(*replaced: Evidence, plan: Any = None, without: str = "") -> Risk:
    return POLICY.weigh(plan or cases.plan(), cases.evidence(*replaced, without=without))


def names(risk: Risk) -> set[str]:
    return {part.name for part in risk.contributions if part.points}


UNTRUSTED = cases.plan(cases.step(patch=Arg(value=cases.PATCH, trust=Trust.UNTRUSTED)))


@pytest.mark.parametrize(
    ("files", "reproduced", "level"),
    [
        ([("README.md", "docs")], "", ConsentLevel.OPT_IN),
        ([("src/pkg/core.py", "comment"), ("README.md", "docs")], "", ConsentLevel.OPT_IN),
        ([("src/pkg/core.py", "lint")], "ruff:F401", ConsentLevel.OPT_IN),
        ([("src/pkg/core.py", "lint")], "", ConsentLevel.REVIEW),
        ([("src/pkg/core.py", "logic")], "ruff:F401", ConsentLevel.REVIEW),
        ([("README.md", "docs"), ("src/pkg/core.py", "logic")], "", ConsentLevel.REVIEW),
        ([("app.toml", "config")], "", ConsentLevel.REVIEW),
        ([("tests/test_a.py", "tests")], "", ConsentLevel.REVIEW),
        ([("logo.png", "binary")], "", ConsentLevel.REVIEW),
        ([("a.py", "a-class-that-nobody-knows")], "ruff:F401", ConsentLevel.REVIEW),
        ([], "", ConsentLevel.REVIEW),
        ([(".github/CONTRIBUTING.md", "docs")], "", ConsentLevel.PERSON),
        ([("src/greenroom/guard/stop.py", "comment")], "", ConsentLevel.PERSON),
    ],
)
def test_the_level_follows_from_the_diff(files: list[tuple[str, str]], reproduced: str, level: ConsentLevel) -> None:
    """Only comments, docs and lint that the tool makes again are low; protected paths need a person."""
    assert weigh(cases.classified(*files, reproduced=reproduced)).level is level


DOCS = cases.classified(("README.md", "docs"))


@pytest.mark.parametrize(
    ("replaced", "without"),
    [
        ((DOCS, cases.item("tests", "broken-before")), ""),
        ((DOCS, cases.item("own-tests", "broken-before")), ""),
        ((DOCS, cases.item("tests", "inconclusive")), ""),
        ((DOCS,), "tests"),
        ((), "classify"),
        ((cases.item("classify", "inconclusive"),), ""),
    ],
)
def test_too_little_evidence_is_never_low(replaced: tuple[Evidence, ...], without: str) -> None:
    """Where tests or the classification do not speak, a person looks."""
    assert weigh(*replaced, without=without).level is ConsentLevel.REVIEW


def test_untrusted_words_are_never_low() -> None:
    """A change to the docs of a fetched release is reviewed, and the origin shows in the risk."""
    risk = weigh(DOCS, plan=UNTRUSTED)
    assert risk.level is ConsentLevel.REVIEW
    assert "untrusted-origin" in names(risk)


def test_tools_of_higher_tiers_raise_the_level() -> None:
    """A tool on Green's system needs a review; a dangerous or unknown one a person."""
    key = {"file": "system/a.json", "key": "theme", "value": "dark"}
    system = cases.plan(cases.step("config_update_t2", **key))
    assert weigh(DOCS, plan=system).level is ConsentLevel.REVIEW
    assert weigh(DOCS, plan=cases.plan(cases.step("factory_reset_t3"))).level is ConsentLevel.PERSON
    unknown = POLICY.weigh(cases.plan(), ())
    assert unknown.level is ConsentLevel.REVIEW
    assert cases.CedarPolicy(POLICY.digest, cases.CONSTITUTION, {}).weigh(cases.plan(), ()).level is ConsentLevel.PERSON


@pytest.mark.parametrize(
    ("replaced", "name"),
    [
        (cases.classified(("a.py", "logic"), lines=400), "lines-changed"),
        (cases.classified(*((f"{n}.py", "logic") for n in range(60))), "files-touched"),
        (cases.classified(("pyproject.toml", "config")), "dependencies"),
        (cases.classified(("requirements/dev.txt", "config")), "dependencies"),
        (cases.classified((".env", "config")), "sensitive-path"),
        (cases.item("classify", "inconclusive"), "unclassified"),
        (cases.item("tests", "broken-before", facts={"why": "no-runnable-tests"}), "coverage"),
        (cases.item("tests", facts={"share": "60"}), "coverage"),
        (cases.item("scan", findings=(Contribution(name="B101", points=3, why="a.py:1"),)), "scan:B101"),
        (cases.item("scan", findings=(Contribution(name="secret-jwt", points=1, why="a.py:1"),)), "secret"),
        (cases.item("debate", "inconclusive", facts={"why": "one of two said no"}), "debate"),
    ],
)
def test_each_reason_is_a_named_contribution(replaced: Evidence, name: str) -> None:
    """What makes a change risky is shown by name, and each has a reason."""
    risk = weigh(replaced)
    assert name in names(risk)
    assert all(part.why for part in risk.contributions)


def test_a_change_that_runs_foreign_code_says_so() -> None:
    """External execution is a contribution of its own."""
    assert "external-execution" in names(weigh(plan=cases.plan(cases.step("run_tests_t1", only="tests"))))


_FILES = st.lists(
    st.tuples(st.sampled_from(["a.py", ".env", "setup.py", "docs/a.md"]), st.sampled_from(sorted(CLASS_POINTS))),
    max_size=4,
)


@given(_FILES, st.integers(0, 2000), st.sampled_from(["pass", "broken-before", "inconclusive"]))
def test_risk_is_bounded_non_negative_and_only_grows(files: Any, lines: int, tests: Any) -> None:
    """No contribution is negative, the score stays in 0 to 100, and one more finding never lowers it."""
    parts = (cases.classified(*files, lines=lines), cases.item("tests", tests))
    risk = weigh(*parts)
    assert all(part.points >= 0 for part in risk.contributions)
    assert 0 <= risk.score <= 100
    finding = Contribution(name="B101", points=7, why="a.py:1")
    assert weigh(*parts, cases.item("scan", findings=(finding,))).score >= risk.score


@pytest.mark.parametrize("fact", ["-5", "1e9", "٣", "9" * 30, ""])
def test_a_malformed_fact_counts_as_nothing(fact: str) -> None:
    """Numbers in facts are read strictly."""
    assert weigh(cases.item("tests", facts={"share": fact})).score == weigh(cases.item("tests")).score
