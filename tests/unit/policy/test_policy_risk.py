from __future__ import annotations

from typing import Any

import policy_cases as cases
import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_cases import transcript

from greenroom.domain.debate import Failed, Round, Transcript
from greenroom.domain.errors import Unusable
from greenroom.domain.plan import Arg
from greenroom.domain.proof import Contribution, Evidence, Risk
from greenroom.domain.vocabulary import Agree, ConsentLevel, Mode, Trust
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
    ("marks", "said"),
    [
        ({"base": "pyproject.toml", "green": "pyproject.toml"}, "a person agrees to every change of it"),
        ({"base": "pyproject.toml"}, "it takes the last mark away"),
        ({"green": "src/greenroom/rescue.py"}, "it makes the repository one of Greenroom itself"),
    ],
)
def test_every_change_of_greenroom_itself_needs_a_person(marks: dict[str, str], said: str) -> None:
    """A typo in its README, too: on base or on Green, with a contribution that says so and by which mark."""
    risk = weigh(cases.classified(("README.md", "docs"), marks=marks))
    (reason,) = (part for part in risk.contributions if part.name == "greenroom-itself")
    assert risk.level is ConsentLevel.PERSON
    assert (risk.score, said in reason.why) == (weigh(DOCS).score + reason.points, True)
    assert next(iter(marks.values())) in reason.why
    for mode in Mode:
        assert POLICY.agree(mode, risk.level) is Agree.PERSON
    assert weigh(DOCS).level is ConsentLevel.OPT_IN


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
    ],
)
def test_each_reason_is_a_named_contribution(replaced: Evidence, name: str) -> None:
    """What makes a change risky is shown by name, and each has a reason."""
    risk = weigh(replaced)
    assert name in names(risk)
    assert all(part.why for part in risk.contributions)


def test_every_reason_of_the_house_is_a_contribution() -> None:
    """Action kinds, files, coverage, external execution, sensitive paths, secrets, dependencies and the debate."""
    secret = Contribution(name="secret-jwt", points=1, why="a.py:1")
    risk = POLICY.weigh(
        cases.plan(cases.step(), cases.step("run_tests_t1", "run", only="tests")),
        cases.evidence(
            cases.classified((".env", "config"), ("pyproject.toml", "config")),
            cases.item("tests", facts={"share": "60", "passed": "3"}),
            cases.item("scan", findings=(secret,)),
        ),
        transcript((80, 80)),
    )
    assert names(risk) >= {
        *("action-kind", "files-touched", "coverage", "external-execution"),
        *("sensitive-path", "secret", "dependencies", "debate"),
    }
    (coverage,) = (part for part in risk.contributions if part.name == "coverage")
    assert "estimated" in coverage.why


def test_a_debate_adds_its_doubts_and_never_takes_away() -> None:
    """A point for each tenth that a reviewer holds back, each with who, how much and why; full marks add nothing."""
    bare = weigh()
    sure, doubting = (
        POLICY.weigh(cases.plan(), cases.evidence(), transcript(given)) for given in ((100, 100), (100, 70))
    )
    assert sure.score == bare.score
    assert doubting.score == bare.score + 3
    assert [(p.points, p.why) for p in doubting.contributions if p.name == "debate"] == [
        (0, "rules 1000/1000, least on policy: so"),
        (3, "estimate 700/1000, least on policy: so"),
    ]
    assert [part for part in doubting.contributions if part.name != "debate"] == list(bare.contributions)


def test_reviewers_who_differed_ask_for_a_review() -> None:
    """A yes of the second round raises the level of a change that is otherwise low, and adds to the risk."""
    low = cases.evidence(cases.classified(("README.md", "docs")))
    assert POLICY.weigh(cases.plan(), low, transcript((100, 100))).level is ConsentLevel.OPT_IN
    differed = POLICY.weigh(cases.plan(), low, transcript((100, 10), (100, 100)))
    assert differed.level is ConsentLevel.REVIEW
    assert differed.score == POLICY.weigh(cases.plan(), low).score + 10
    (said,) = (part.why for part in differed.contributions if part.points == 10)
    assert "the reviewers differed" in said


@pytest.mark.parametrize(
    "bent",
    [
        transcript((100, 10), (100, 10)),
        transcript((100, 100), ruling="REJECT"),
        transcript((100, 100), why="they said yes"),
        transcript((100, 100), rounds=()),
        transcript((100, 100), rounds=transcript((100, 100)).rounds * 2),
        transcript((100, 100), rounds=(Round(round=1, reviews=(Failed(error="x"),) * 2, ruling="ACCEPT", why="yes"),)),
        transcript((100, 10), ruling="ACCEPT"),
    ],
)
def test_a_debate_that_the_judge_did_not_rule_is_none(bent: Transcript) -> None:
    """The judge is asked again: a yes that its reviews do not give cannot be weighed."""
    with pytest.raises(Unusable, match="debate-differs"):
        POLICY.weigh(cases.plan(), cases.evidence(), bent)


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


def of_lines(lines: int, ran: int, **facts: str) -> Evidence:
    """Tests that pass, 60 % of base's, with a measurement of the changed lines."""
    counted = {"changed-lines": str(lines), "changed-lines-ran": str(ran), "not-run": "a.py:7" if ran < lines else ""}
    return cases.item("tests", facts={"share": "60", "passed": "6"} | counted | facts)


def coverage(*replaced: Evidence, plan: Any = None) -> Contribution:
    """The one contribution of that name."""
    (found,) = (part for part in weigh(*replaced, plan=plan).contributions if part.name == "coverage")
    return found


CODE = cases.classified(("a.py", "logic"), ("README.md", "docs"), ("tests/test_a.py", "tests"))
MIXED = cases.classified(("a.py", "logic"), ("run.sh", "logic"))


@pytest.mark.parametrize(
    ("tests", "diff", "plan", "points", "said"),
    [
        (of_lines(8, 8), CODE, None, 0, "8 of 8 changed lines ran in base's tests"),
        (of_lines(8, 7), CODE, None, 4, "7 of 8 changed lines ran in base's tests; not run: a.py:7"),
        (of_lines(3, 0), CODE, None, 25, "0 of 3 changed lines ran"),
        (of_lines(1000, 999), CODE, None, 1, "999 of 1000"),
        (of_lines(8, 8), CODE, UNTRUSTED, 4, "8 of 8"),
        (of_lines(8, 0), CODE, UNTRUSTED, 25, "0 of 8"),
        (of_lines(8, 8), MIXED, None, 4, "not measured: run.sh"),
        (of_lines(8, 8), cases.item("classify", "inconclusive"), None, 4, "8 of 8"),
        (of_lines(0, 0), CODE, None, 4, "nothing to cover; estimated by tests, not measured by lines: 6 pass"),
        (of_lines(0, 0, **{"not-measured": "b.py could not be read"}), CODE, None, 25, "b.py could not be read"),
        (of_lines(2, 2, **{"not-measured": "b.py could not be read"}), CODE, None, 25, "not measured: b.py could"),
        (of_lines(2, 9), CODE, UNTRUSTED, 4, "9 of 2"),
        (cases.item("tests", facts={"share": "60"}), CODE, None, 4, "estimated by tests, not measured by lines"),
    ],
)
def test_lines_that_did_not_run_add_to_the_risk(
    tests: Evidence, diff: Evidence, plan: Any, points: int, said: str
) -> None:
    """The share of 25 that did not run; under the estimate only where all was measured and the words are trusted."""
    found = coverage(tests, diff, plan=plan)
    assert said in found.why
    assert found.points == points


@given(st.integers(0, 40), st.integers(0, 40), st.booleans(), st.sampled_from([None, UNTRUSTED]))
def test_a_line_more_that_ran_never_adds(lines: int, ran: int, known: bool, plan: Any) -> None:
    """Points fall with each line that ran, stay within 0 and 25, and untrusted words never get under the estimate."""
    facts = {} if known else {"not-measured": "b.py"}
    points = coverage(of_lines(lines, min(ran, lines), **facts), CODE, plan=plan).points
    more = coverage(of_lines(lines, min(ran + 1, lines), **facts), CODE, plan=plan).points
    assert 25 >= points >= more >= (4 if plan is UNTRUSTED or not known or not lines else 0)
