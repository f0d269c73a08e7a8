from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from greenroom.domain.conditions import kept_before, violation, violations
from greenroom.domain.digest import digest_of
from greenroom.domain.plan import Plan, Step
from greenroom.domain.proof import Receipt, Seal, Usage
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import Kind, Subject

TREE = digest_of("tree", b"t")
RECEIPT = Receipt(
    run="r1",
    check="tests",
    role="base",
    mounted={},
    golden=digest_of("golden", b"g"),
    tool=digest_of("tool", b"t"),
    args=digest_of("text", b"a"),
    layers={},
    exit=0,
    ended_by="exit",
    output=digest_of("output", b"o"),
    usage=Usage(wall_ms=1, cpu_ms=1),
    began=Instant(1),
    ended=Instant(2),
)
PLAN = Plan(
    subject=Subject(kind=Kind.WORKSPACE, address="/a"),
    intent="mend",
    base=TREE,
    golden=RECEIPT.golden,
    steps=tuple(Step(id=name, tool=RECEIPT.tool, args={}) for name in ("one", "two")),
    blobs=(),
)


def ended(by: Any, code: int) -> Receipt:
    return dataclasses.replace(RECEIPT, ended_by=by, exit=code)


def seal(*steps: str) -> Seal:
    return Seal(
        build="b",
        plan=digest_of("plan", b"p"),
        base=TREE,
        golden=PLAN.golden,
        green=TREE,
        steps=(),
        at=Instant(1),
        snapshots=dict.fromkeys(steps, TREE),
    )


@pytest.mark.parametrize("by", ["wall", "memory", "output", "disk", "processes"])
def test_a_run_that_a_limit_ended_is_a_violation(by: str) -> None:
    """The place says which run it was and what ended it."""
    assert violation(ended(by, 137)) == f"tests/base, run r1: ended by {by}"


def test_a_run_that_the_system_call_filter_killed_is_a_violation() -> None:
    """SIGSYS comes from seccomp."""
    assert violation(ended("signal", 159)) == "tests/base, run r1: ended by seccomp"


@pytest.mark.parametrize(("by", "code"), [("exit", 0), ("exit", 1), ("exit", 159), ("signal", 139), ("stop", 137)])
def test_a_run_that_ended_otherwise_is_none(by: str, code: int) -> None:
    """A crash of the tool, a failure and a stop are told by other rules."""
    assert violation(ended(by, code)) == ""


def test_violations_are_those_of_all_runs_in_order() -> None:
    """Runs without one leave no trace."""
    assert violations([RECEIPT, ended("disk", 1), ended("wall", 1)]) == (
        "tests/base, run r1: ended by disk",
        "tests/base, run r1: ended by wall",
    )


@pytest.mark.parametrize(
    ("seals", "kept"),
    [
        ([], set()),
        ([seal("one", "two")], {"one", "two"}),
        ([seal("one", "two"), seal("two")], {"two"}),
        ([seal("one"), seal("two")], set()),
        ([seal("one", "other")], {"one"}),
    ],
)
def test_green_was_kept_where_every_build_says_so(seals: list[Seal], kept: set[str]) -> None:
    """One build without a snapshot is enough to have none."""
    assert kept_before(PLAN, seals) == kept
