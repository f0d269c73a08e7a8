"""Metrics are counted from the log and the papers, and from nothing else."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain.failures import FAILED
from greenroom.domain.metrics import MAX_KINDS, OTHER, UNREAD, Metrics, Papers, Run, Share, measure, times
from greenroom.domain.vocabulary import Tier

SECOND = 1_000_000_000
NOTHING = Papers(agreed=(), runs=())


def entry(at: float, name: str, change: str | None = "aaaaaa", about: str = "passed", actor: str = "guard") -> Any:
    return {"at": str(int(at * SECOND)), "name": name, "change": change, "about": about, "actor": actor}


def measured(entries: list[Any], papers: Papers = NOTHING, **rules: str) -> Metrics:
    return measure(entries, rules=rules, papers=papers, log_bytes=1, backup_bytes=2)


def test_a_quiet_box_has_no_ratio() -> None:
    """A share of nothing is neither perfect nor broken."""
    found = measured([])
    assert (found.changes, found.verify_passes.ratio, found.plan_typeability.ratio) == (0, None, None)
    assert found.revert_times.count == 0


def test_stages_are_counted_by_what_they_answered() -> None:
    """A refusal and a hold each count under their rule; only `passed` is good."""
    found = measured(
        [
            entry(0, "verify.result", "a"),
            entry(1, "verify.result", "b", "tests-fail"),
            entry(2, "verify.result", "c"),
            entry(3, "plan.result", "c", "not-typed"),
        ]
    )
    assert found.stages["verify"] == {"passed": 2, "tests-fail": 1}
    assert (found.verify_passes, found.plan_typeability) == (Share(good=2, of=3), Share(good=0, of=1))


def test_latency_is_from_intent_to_result_of_the_same_change() -> None:
    """Interleaved changes keep their own times; a stage that never ended is not counted."""
    found = measured(
        [
            entry(0, "simulate.intent", "a", ""),
            entry(1, "simulate.intent", "b", ""),
            entry(4, "simulate.result", "b"),
            entry(5, "simulate.result", "a"),
            entry(9, "simulate.intent", "c", ""),
        ]
    )
    took = found.stage_times["simulate"]
    assert (took.count, took.median, took.longest, took.total) == (2, 3.0, 5.0, 8.0)


def test_a_promotion_counts_as_good_once_it_is_marked_good() -> None:
    """One that the watch took back, or that no watch judged yet, does not."""
    found = measured(
        [
            entry(0, "live.promoting", "a"),
            entry(1, "live.promoting", "b"),
            entry(2, "live.marked-good", "a", "pass"),
            entry(3, "live.reverting", "b", actor="watch"),
            entry(5, "live.reverted", "b", actor="watch"),
            entry(6, "live.reverting", "a", actor="person:ada"),
            entry(7, "live.reverted", "a", actor="person:ada"),
        ]
    )
    assert found.promote_success == Share(good=1, of=2)
    assert (found.reverts_by_person, found.reverts_by_watch) == (1, 1)
    assert (found.revert_times.count, found.revert_times.longest) == (2, 2.0)


def test_answers_are_counted_once_a_change_and_by_rule() -> None:
    """Two entries of one consent are one yes; changes without a rule belong to nobody."""
    found = measured(
        [
            entry(0, "plan.result", "a"),
            entry(1, "consent.given", "a"),
            entry(2, "consent.given", "a"),
            entry(3, "change.rejected", "b"),
            entry(4, "consent.given", "c"),
        ],
        a="ruff:F401",
        b="codespell",
    )
    rows = {row.rule: (row.proposed, row.approved, row.rejected, row.reverted) for row in found.acceptance}
    assert rows == {"ruff:F401": (1, 1, 0, 0), "codespell": (1, 0, 1, 0)}


def test_tool_errors_are_counted_by_tool_and_tier_and_unread_papers_are_told() -> None:
    """A number that leaves something out says so."""
    runs = (
        Run(tool="run_tests_t1", tier=Tier.WORKSPACE, ended_well=True),
        Run(tool="run_tests_t1", tier=Tier.WORKSPACE, ended_well=False),
        Run(tool="codegen_t0", tier=Tier.COMPUTE, ended_well=True),
    )
    found = measured([], Papers(agreed=(True, False), runs=runs, unread=3))
    assert [(use.tool, int(use.tier), use.runs, use.errors) for use in found.tools] == [
        ("codegen_t0", 0, 1, 0),
        ("run_tests_t1", 1, 2, 1),
    ]
    assert found.debate_agreement.ratio == 0.5
    assert found.warnings == (UNREAD.format(3),)


def test_errors_outside_changes_are_counted_by_what_they_were_for_and_tool_and_tier() -> None:
    """A crash of a scan and a dependency that could not be had count; a made-up entry does not."""
    found = measured(
        [
            entry(0, FAILED, None, "codegen_t0 T0 tool-crash", "scan"),
            entry(1, FAILED, None, "codegen_t0 T0 stuck", "scan"),
            entry(2, FAILED, None, "fetch - no-wheel", "prepare"),
            entry(3, FAILED, None, "codegen_t0 T9 stuck", "scan"),
            entry(4, "tool.other", None, "codegen_t0 T0 stuck", "scan"),
        ]
    )
    rows = [(row.during, row.tool, row.tier, row.errors) for row in found.outside]
    assert rows == [("prepare", "fetch", None, 1), ("scan", "codegen_t0", Tier.COMPUTE, 2)]
    assert found.tools == ()


def test_no_log_makes_kinds_of_errors_without_end() -> None:
    """Whoever may write entries may make up names: the most frequent stay apart, the rest are one row."""
    made_up = [entry(n, FAILED, None, f"tool_{n} T0 stuck", "scan") for n in range(MAX_KINDS + 10)]
    real = [entry(n, FAILED, None, "codegen_t0 T0 stuck", "scan") for n in range(3)]
    found = measured([*made_up, *real]).outside
    assert len(found) == MAX_KINDS + 1
    assert sum(row.errors for row in found) == MAX_KINDS + 13
    assert [row.errors for row in found if row.tool == "codegen_t0"] == [3]
    assert (found[-1].during, found[-1].tool, found[-1].errors) == (OTHER, OTHER, 11)


@given(st.lists(st.integers(min_value=0, max_value=10**15), min_size=1))
def test_percentiles_are_values_that_were_measured(durations: list[int]) -> None:
    """Nearest rank: at least half are no longer than the median, and every figure is one of the values."""
    found = times(durations)
    seconds = [round(value / SECOND, 6) for value in durations]
    assert {found.median, found.p95, found.longest} <= set(seconds)
    assert found.median <= found.p95 <= found.longest == max(seconds)
    assert 2 * sum(value <= found.median for value in seconds) >= len(seconds)
