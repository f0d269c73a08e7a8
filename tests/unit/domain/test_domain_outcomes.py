"""The rules of evidence, which the executor uses and the guard recomputes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from greenroom.domain.coverage import Coverage, CoveredFile
from greenroom.domain.digest import digest_of
from greenroom.domain.errors import Unusable
from greenroom.domain.outcomes import (
    MAX_COUNTED,
    TRIED_AGAIN_POINTS,
    UNPROVEN,
    UNPROVEN_POINTS,
    DiffClass,
    FileDiff,
    Finding,
    Marks,
    Run,
    ScanResult,
    TestOutcome,
    TestRun,
    conclude,
    conclude_reseal,
    runs_of,
    unproven_by,
    verdict_on,
)
from greenroom.domain.proof import EndedBy, Evidence, Receipt, Seal, Usage
from greenroom.domain.verdict import Held, Instant, Passed, Refused

TREE = digest_of("tree", b"green")


def receipt(role: str, ended_by: EndedBy = "exit") -> Receipt:
    return Receipt(
        run=role,
        check="tests",
        role=role,
        mounted={"green": TREE},
        golden=digest_of("golden", b""),
        tool=digest_of("tool", b""),
        args=digest_of("text", b""),
        layers={},
        exit=0,
        ended_by=ended_by,
        output=digest_of("output", b""),
        usage=Usage(wall_ms=1, cpu_ms=1),
        began=Instant(1),
        ended=Instant(2),
    )


def run_of(role: str, outcomes: Mapping[str, TestOutcome], sentinel: str = "failed", framework: str = "pytest") -> Run:
    result = TestRun(framework=framework, python="3.11", outcomes=outcomes, sentinel=sentinel)  # type: ignore[arg-type]
    return Run(digest=digest_of("statement", role.encode()), receipt=receipt(role), result=result)


def test_equal_passing_runs_pass() -> None:
    """Everything that passed on base passes on Green."""
    runs = [
        run_of("base", {"a": "passed", "b": "skipped"}),
        run_of("base-on-green", {"a": "passed", "b": "skipped"}),
    ]
    found = conclude("tests", TREE, runs, min_share=50)
    assert found.verdict == "pass"
    assert found.facts["skipped"] == "1"


def test_a_test_that_passed_on_base_and_fails_on_green_fails() -> None:
    """The finding names the test."""
    found = conclude("tests", TREE, [run_of("base", {"a": "passed"}), run_of("base-on-green", {"a": "failed"})])
    assert found.verdict == "fail"
    assert found.findings[0].name == "test-broken"
    assert found.findings[0].why == "a"


@pytest.mark.parametrize(("bound", "rule"), [("disk", "disk-full"), ("output", "output-exceeded")])
@pytest.mark.parametrize("check", ["tests", "own-tests", "live-tests"])
def test_a_test_that_met_a_bound_of_its_run_fails_by_that_rule(check: str, bound: str, rule: str) -> None:
    """It is named before those that failed after it or were not reached; a person is told what to make smaller."""
    green = run_of("own" if check == "own-tests" else "base-on-green", {"a": "failed", "z": "error"})
    assert isinstance(green.result, TestRun)
    green = dataclasses.replace(green, result=dataclasses.replace(green.result, bounds={"z": bound}))
    runs = [run_of("base", {"a": "passed", "m": "passed", "z": "passed"}), green]
    runs = [dataclasses.replace(run, receipt=dataclasses.replace(run.receipt, check=check)) for run in runs]
    found = conclude(check, TREE, runs)
    assert (found.verdict, found.findings[0].name, found.findings[0].why) == ("fail", rule, "z")
    told = verdict_on([found])
    assert isinstance(told, Refused)
    assert (told.rule, told.where) == (rule, "z")
    plain = dataclasses.replace(found, findings=found.findings[1:])
    other = verdict_on([plain])
    assert isinstance(other, Refused)
    assert (other.rule == rule, other.remedy == told.remedy) == (False, check == "live-tests")


def test_a_bound_on_base_excuses_nothing_and_blames_nothing() -> None:
    """What fails on base already is left out of the comparison, whatever it failed for; a bound never passes."""
    base = run_of("base", {"a": "failed", "b": "passed"})
    assert isinstance(base.result, TestRun)
    base = dataclasses.replace(base, result=dataclasses.replace(base.result, bounds={"a": "disk"}))
    green = run_of("base-on-green", {"a": "failed", "b": "passed"})
    assert conclude("tests", TREE, [base, green]).verdict == "pass"
    broken = conclude("tests", TREE, [base, run_of("base-on-green", {"a": "passed", "b": "failed"})])
    assert broken.findings[0].name == "test-broken"


def test_a_test_that_vanished_fails() -> None:
    """Collected ids must include base's."""
    found = conclude(
        "tests", TREE, [run_of("base", {"a": "passed", "b": "passed"}), run_of("base-on-green", {"a": "passed"})]
    )
    assert found.verdict == "fail"
    assert found.findings[0].name == "test-lost"


@pytest.mark.parametrize("sentinel", ["passed", "missing"])
def test_a_sentinel_that_is_not_reported_as_failing_means_forged(sentinel: str) -> None:
    """A conftest that turns failures into passes turns the sentinel too."""
    runs = [run_of("base", {"a": "passed"}), run_of("base-on-green", {"a": "passed"}, sentinel)]
    found = conclude("tests", TREE, runs)
    assert found.verdict == "fail"
    assert verdict_on([found]) == Refused(
        rule="tests-forged", where="a test that must fail was not reported as failing", remedy=found_remedy()
    )


def found_remedy() -> str:
    from greenroom.domain.outcomes import REMEDIES

    return REMEDIES["tests"]


def test_a_test_that_passes_when_run_again_is_flaky_and_refused() -> None:
    """Reruns tell flaky from broken; flaky is refused by that name."""
    runs = [
        run_of("base", {"a": "passed", "b": "passed"}),
        run_of("base-on-green", {"a": "failed", "b": "passed"}),
        run_of("base-on-green-again", {"a": "passed", "b": "passed"}),
    ]
    found = conclude("tests", TREE, runs)
    assert found.verdict == "flaky"
    refused = verdict_on([found])
    assert isinstance(refused, Refused)
    assert refused.rule == "flaky"


def test_tests_that_fail_on_base_are_left_out_and_counted() -> None:
    """Broken before is not broken by the change."""
    runs = [
        run_of("base", {"a": "passed", "n": "failed"}),
        run_of("base-on-green", {"a": "passed", "n": "failed"}),
    ]
    found = conclude("tests", TREE, runs, min_share=50)
    assert found.verdict == "pass"
    assert found.facts["failing-before"] == "1"


def test_only_what_fails_on_base_is_counted_as_failing() -> None:
    """Tests that waver, are expected to fail or are skipped do not fail there."""
    base: dict[str, TestOutcome] = {"a": "passed", "b": "passed", "f": "failed", "e": "error"}
    base |= {"s": "skipped", "x": "xfailed", "p": "xpassed"}
    again = base | {"b": "failed"}
    runs = [run_of("base", base), run_of("base-again", again), run_of("base-on-green", base)]
    assert conclude("tests", TREE, runs, min_share=0).facts["failing-before"] == "2"


def test_too_small_a_share_is_broken_before_and_passes_to_the_policy() -> None:
    """Fewer than the policy's share: the consent level rises, the change is not refused."""
    base: dict[str, TestOutcome] = {"a": "passed", "b": "failed", "c": "failed"}
    found = conclude("tests", TREE, [run_of("base", base), run_of("base-on-green", base)], min_share=50)
    assert found.verdict == "broken-before"
    assert isinstance(verdict_on([found]), Passed)


def test_tests_that_waver_on_base_do_not_hide_that_too_few_pass_there() -> None:
    """The share counts what passes each time; the wavering tests are still named."""
    base: dict[str, TestOutcome] = {"steady": "passed", "wavering": "passed"}
    base |= dict.fromkeys((f"failing{n}" for n in range(10)), "failed")
    runs = [
        run_of("base", base),
        run_of("base-again", base | {"wavering": "failed"}),
        run_of("base-on-green", base | {"wavering": "failed"}),
        run_of("base-on-green-again", base | {"wavering": "failed"}),
    ]
    found = conclude("tests", TREE, runs, min_share=50)
    assert (found.verdict, found.facts["why"]) == ("broken-before", "too-few-tests-pass-on-base")
    assert found.facts["share"] == "8"
    assert [(f.name, f.why) for f in found.findings] == [("flaky-test", "wavering")]
    assert conclude("tests", TREE, runs, min_share=8).verdict == "pass"


def test_no_runnable_tests_are_said_so() -> None:
    """A repository without tests is broken-before with the reason."""
    none = [run_of("base", {}, "missing", "none"), run_of("base-on-green", {}, "missing", "none")]
    found = conclude("tests", TREE, none)
    assert (found.verdict, found.facts["why"]) == ("broken-before", "no-runnable-tests")


ENDINGS = ["wall", "memory", "disk", "signal", "stop", "output", "processes", "exit", "no-run"]


@pytest.mark.parametrize(
    ("ended_by", "rule"),
    [
        ("wall", "stuck"),
        ("memory", "memory-exceeded"),
        ("disk", "disk-full"),
        ("signal", "inconclusive"),
        ("stop", "inconclusive"),
        ("output", "output-exceeded"),
        ("processes", "processes-exceeded"),
    ],
)
def test_a_run_that_was_ended_is_inconclusive_and_held(ended_by: EndedBy, rule: str) -> None:
    """A cut run proves nothing; the reason is named by its rule, and the remedy is the reason's own."""
    run = Run(digest=TREE, receipt=receipt("base", ended_by), result=None)
    found = conclude("tests", TREE, [run])
    assert found.verdict == "inconclusive"
    held = verdict_on([found])
    assert isinstance(held, Held)
    assert held.rule == rule
    assert ended_by in held.where
    others = [
        verdict_on([dataclasses.replace(found, facts={"ended-by": each})]) for each in ENDINGS if each != ended_by
    ]
    assert held.remedy
    assert held.remedy not in [other.remedy for other in others if isinstance(other, Held)]


def test_a_check_that_the_keeper_refused_has_the_keeper_s_remedy() -> None:
    """What kept a check from being run says what would help."""
    facts = {"why": "disk-full: /x", "rule": "disk-full", "remedy": "free space"}
    item = Evidence(check="scan", about=TREE, verdict="inconclusive", receipts=(), facts=facts)
    held = verdict_on([item])
    assert isinstance(held, Held)
    assert held.remedy == "free space"


def test_green_running_without_base_is_inconclusive() -> None:
    """A missing half is not a pass."""
    assert conclude("tests", TREE, [run_of("base-on-green", {"a": "passed"})]).verdict == "inconclusive"
    assert conclude("tests", TREE, []).verdict == "inconclusive"


def test_a_blocking_finding_fails_the_scan() -> None:
    """A secret blocks; another finding only weighs."""

    def scan(blocks: bool) -> Run:
        finding = Finding(rule="secret", path="a.py", line=3, message="a key", points=60, blocks=blocks)
        return Run(digest=TREE, receipt=receipt("diff"), result=ScanResult(findings=(finding,)))

    assert conclude("scan", TREE, [scan(True)]).verdict == "fail"
    assert conclude("scan", TREE, [scan(False)]).verdict == "pass"


def test_classification_reports_its_classes() -> None:
    """Classes, files and lines are facts that the policy weighs."""
    diff = FileDiff(path="a", line_class="comment", added=1, removed=1, why="")
    run = Run(digest=TREE, receipt=receipt("diff"), result=DiffClass(files=(diff,), reproduced_by="ruff:F401"))
    facts = conclude("classify", TREE, [run]).facts
    assert facts == {"classes": "comment", "files": "1", "lines": "2", "reproduced-by": "ruff:F401"}
    told = {"greenroom-on-base": "setup.py"}
    for marks, more in ((Marks(base="setup.py", green=None), told), (Marks(base=None, green=None), {})):
        marked = replace(run, result=DiffClass(files=(diff,), reproduced_by="ruff:F401", itself=marks))
        assert conclude("classify", TREE, [marked]).facts == facts | more


def test_an_unknown_check_is_unusable() -> None:
    """There is no default rule."""
    with pytest.raises(Unusable):
        conclude("vibes", TREE, [])


def test_two_separate_builds_with_one_digest_pass() -> None:
    """One build twice is not two builds; a different Green fails."""
    plan = digest_of("plan", b"p")

    def seal(build: str, green: str = TREE) -> tuple[str, Seal]:
        made = Seal(
            build=build,
            plan=plan,
            base=TREE,
            golden=digest_of("golden", b""),
            green=green,  # type: ignore[arg-type]
            steps=(),
            at=Instant(1),
        )
        return digest_of("statement", build.encode()), made

    other = digest_of("tree", b"other")
    assert conclude_reseal(TREE, plan, [seal("1"), seal("2")]).verdict == "pass"  # type: ignore[list-item]
    assert conclude_reseal(TREE, plan, [seal("1"), seal("1")]).verdict == "inconclusive"  # type: ignore[list-item]
    assert conclude_reseal(TREE, plan, [seal("1"), seal("2", other)]).verdict == "fail"  # type: ignore[list-item]


def _attempt(run: Run, number: int) -> Run:
    return replace(run, receipt=replace(run.receipt, attempt=number))


def test_an_attempt_after_others_is_shown_and_counts() -> None:
    """A run that is not the first attempt passes with a named contribution, be it of Green or of base."""
    base, green = run_of("base", {"a": "passed"}), run_of("base-on-green", {"a": "passed"})
    found = conclude("tests", TREE, [base, _attempt(green, 3)])
    assert found.verdict == "pass"
    (shown,) = found.findings
    assert (shown.name, shown.source, shown.points) == ("tried-again", green.digest, 6)
    assert "attempt 3" in shown.why
    (shown,) = conclude("tests", TREE, [_attempt(base, 2), green]).findings
    assert (shown.name, shown.source, shown.points) == ("tried-again", base.digest, 3)
    assert "base is attempt 2" in shown.why
    assert conclude("tests", TREE, [base, green]).findings == ()
    tried = [_attempt(base, 2), _attempt(green, 3)]
    assert conclude("tests", TREE, tried).findings == conclude("tests", TREE, tried[::-1]).findings


def test_an_attempt_after_others_makes_nothing_better() -> None:
    """What fails fails for its own reason, named first."""
    base, green = run_of("base", {"a": "passed"}), run_of("base-on-green", {"a": "failed"})
    found = conclude("tests", TREE, [base, _attempt(green, 2)])
    assert (found.verdict, found.findings[0].name) == ("fail", "test-broken")


def test_points_for_attempts_are_bounded() -> None:
    """However many attempts were cut, the contribution stays within its bound."""
    runs = [run_of("base", {"a": "passed"}), _attempt(run_of("base-on-green", {"a": "passed"}), 12)]
    assert conclude("tests", TREE, runs).findings[0].points == TRIED_AGAIN_POINTS * MAX_COUNTED


@pytest.mark.parametrize("roles", [("base", "base-on-green-again"), ("base-again", "base-on-green")])
def test_a_rerun_alone_is_no_run(roles: tuple[str, str]) -> None:
    """Whoever hands in the second run without the first has two draws: that concludes nothing."""
    found = conclude("tests", TREE, [run_of(role, {"a": "passed"}) for role in roles])
    assert found.verdict == "inconclusive"
    assert "without the first run" in found.facts["why"]


def test_a_second_scan_alone_is_no_scan() -> None:
    """That holds for every check."""
    run = Run(digest=TREE, receipt=receipt("diff-again"), result=ScanResult(findings=()))
    assert conclude("scan", TREE, [run]).verdict == "inconclusive"


def test_the_lines_that_ran_are_those_of_base_s_tests_on_green() -> None:
    """Evidence takes the counts of the first run on Green, not those of base or a rerun; none where none were taken."""
    counted = Coverage(files=(CoveredFile(path="a.py", lines=(1, 2), ran=(2,)),))
    all_ran = Coverage(files=(CoveredFile(path="a.py", lines=(1, 2), ran=(1, 2)),))
    runs = [
        measured(run_of("base", {"a": "passed", "b": "passed"}), all_ran),
        measured(run_of("base-on-green", {"a": "passed", "b": "passed"}), counted),
        measured(run_of("base-on-green-again", {"a": "passed", "b": "passed"}), all_ran),
    ]
    found = conclude("tests", TREE, list(reversed(runs)))
    assert (found.facts["changed-lines"], found.facts["changed-lines-ran"], found.facts["not-run"]) == (
        "2",
        "1",
        "a.py:1",
    )
    bare = [run_of("base", {"a": "passed"}), run_of("base-on-green", {"a": "passed"})]
    assert "changed-lines" not in conclude("tests", TREE, bare).facts


def measured(run: Run, coverage: Coverage) -> Run:
    assert isinstance(run.result, TestRun)
    return replace(run, result=replace(run.result, coverage=coverage))


BASE = digest_of("tree", b"base")


def beside(outcomes: Mapping[str, TestOutcome], *, alone: bool = True, again: str = "", **members: Any) -> Run:
    """A run of base's tests on Green, which the overlay left as it is."""
    run = run_of(f"base-on-green{again}", outcomes)
    given = {"mounted": {"work": TREE, "base": BASE}, "laid": {"work": TREE, "base": BASE}} | members
    assert isinstance(run.result, TestRun)
    return replace(run, receipt=replace(run.receipt, **given), result=replace(run.result, alone=alone))


def test_own_tests_rest_on_the_run_of_base_s_tests_where_the_tree_is_the_same() -> None:
    """One run proves both: the receipts are those of the tests, and the evidence says what it rests on."""
    runs = [run_of("base", {"a": "passed"}), beside({"a": "passed"})]
    found = conclude("own-tests", TREE, runs_of("own-tests", TREE, runs))
    assert (found.verdict, found.receipts) == ("pass", tuple(run.digest for run in runs))
    assert found.facts["rests-on"].startswith("tests, base-on-green")


def test_own_tests_that_rest_on_another_run_must_pass_there() -> None:
    """A test that fails on Green and not on base fails, a sentinel that does not fail is forging, as ever."""
    base = run_of("base", {"a": "passed", "b": "failed"})
    failed = [base, beside({"a": "failed", "b": "failed"})]
    found = conclude("own-tests", TREE, runs_of("own-tests", TREE, failed))
    assert (found.verdict, [item.why for item in found.findings]) == ("fail", ["a"])
    before = [base, beside({"a": "passed", "b": "failed"})]
    assert conclude("own-tests", TREE, runs_of("own-tests", TREE, before)).verdict == "pass"
    forged = beside({"a": "passed", "b": "failed"})
    assert isinstance(forged.result, TestRun)
    forged = replace(forged, result=replace(forged.result, sentinel="passed"))
    said = conclude("own-tests", TREE, runs_of("own-tests", TREE, [base, forged]))
    assert (said.verdict, said.facts["why"]) == ("fail", "tests-forged")


@pytest.mark.parametrize(
    "members",
    [
        {"alone": False},
        {"laid": {"work": digest_of("tree", b"overlaid"), "base": BASE}},
        {"laid": {}},
        {"mounted": {"work": BASE, "base": BASE}},
        {"mounted": {"work": BASE, "base": BASE}, "laid": {"work": BASE, "base": BASE}},
        {"check": "live-tests"},
    ],
)
def test_own_tests_rest_on_no_other_run(members: dict[str, Any]) -> None:
    """Probes or settings, an overlay that changed the tree, a receipt that does not say, another tree or check."""
    runs = [run_of("base", {"a": "passed"}), beside({"a": "passed"}, **members)]
    assert not runs_of("own-tests", TREE, runs)
    assert conclude("own-tests", TREE, runs).verdict == "inconclusive"


def test_own_tests_rest_on_no_rerun_of_another_tree() -> None:
    """Every run on Green must have been on that tree; base's run alone proves nothing of Green."""
    other = beside({"a": "passed"}, again="-again", laid={"work": BASE, "base": BASE})
    assert not runs_of("own-tests", TREE, [run_of("base", {}), beside({"a": "passed"}), other])
    assert not runs_of("own-tests", TREE, [run_of("base", {"a": "passed"})])
    assert not runs_of("own-tests", TREE, [beside({"a": "passed"}, again="-again")])


def test_runs_of_own_tests_go_before_those_of_another_check() -> None:
    """Where a run of its own was made, that one counts and no other."""
    own = run_of("own", {"a": "failed"})
    own = replace(own, receipt=replace(own.receipt, check="own-tests"))
    runs = [run_of("base", {"a": "passed"}), beside({"a": "passed"}), own]
    assert runs_of("own-tests", TREE, runs) == [own]
    assert conclude("own-tests", TREE, runs_of("own-tests", TREE, runs)).verdict == "fail"


def test_an_attempt_of_a_lent_run_counts_once() -> None:
    """What the risk counts for a run that was tried again stands with the check that made the run."""
    green = beside({"a": "passed"})
    runs = [run_of("base", {"a": "passed"}), _attempt(green, 3)]
    assert [item.name for item in conclude("tests", TREE, runs).findings] == ["tried-again"]
    assert not conclude("own-tests", TREE, runs_of("own-tests", TREE, runs)).findings


def test_a_changed_file_that_base_s_tests_rest_on_is_a_finding() -> None:
    """The tests pass, and the card says for which files that is no proof; not known is not silence."""
    base, green = run_of("base", {"a": "passed"}), run_of("base-on-green", {"a": "passed"})

    def told(paths: tuple[str, ...] | None) -> list[Run]:
        return [base, replace(green, receipt=replace(green.receipt, unproven=paths))]

    found = conclude("tests", TREE, told(("b.py", "a.py")))
    assert found.verdict == "pass"
    assert [(item.name, item.why.split()[0], item.points) for item in found.findings] == [
        (UNPROVEN, "a.py", UNPROVEN_POINTS),
        (UNPROVEN, "b.py", 0),
    ]
    assert unproven_by(told(("b.py", "a.py"))).startswith("a.py changed")
    assert unproven_by(told(None)) == "the runs do not say which files base's tests come from"
    assert conclude("tests", TREE, told(())).findings == ()
    assert unproven_by(told(())) == ""


def test_a_run_that_was_not_told_where_the_tests_are_is_a_finding() -> None:
    """A receipt that names its suite and not the files is one; receipts of earlier versions name no suite."""
    base, green = run_of("base", {"a": "passed"}), run_of("base-on-green", {"a": "passed"})
    named = [base, replace(green, receipt=replace(green.receipt, suite=base.digest, unproven=None))]
    assert [(item.name, item.points) for item in conclude("tests", TREE, named).findings] == [
        (UNPROVEN, UNPROVEN_POINTS)
    ]
    earlier = [base, replace(green, receipt=replace(green.receipt, suite=None, unproven=None))]
    assert conclude("tests", TREE, earlier).findings == ()
