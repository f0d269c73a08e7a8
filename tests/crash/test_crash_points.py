"""Each process of a real box killed at each named point, and from outside: old live or new live, and nothing twice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from crash_box import BEFORE, FIXED, FOUND, UNSEEN, CrashBox, Stage, opened
from crash_outcomes import recorded
from crash_pair_points import pair_cases
from crash_points import CODE, ELSEWHERE, QUICK, ROOT, Case, cases, code_digest
from crash_story import told

from greenroom.audit.tiles import WIDTH
from greenroom.domain.events import Event
from greenroom.domain.verdict import Instant
from greenroom.guard.client import GuardClient
from greenroom.wire.rpc import Client

ALL = cases()
SECONDS = {"first": 4.0, "improve": 3.0, "approve": 1.4, "revert": 0.6}
"""About how long each command takes: a kill from outside falls somewhere in it."""
BEGINS = {
    "first": "unseen",
    "improve": "fresh",
    "approve": "waiting",
    "later": "waiting",
    "reject": "waiting",
    "revert": "kept",
}
TREES: Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]] = {
    "first": ({}, UNSEEN),
    "improve": (BEFORE, FOUND),
    "approve": (FOUND, FIXED),
    "later": (FOUND, FIXED),
    "reject": (FOUND, FOUND),
    "revert": (FIXED, FOUND),
}
"""The live files before each command and after it, byte for byte: at no moment may there be others."""
ENDS = {
    "first": "verified",
    "improve": "verified",
    "approve": "kept",
    "later": "kept",
    "reject": "aborted",
    "revert": "reverted",
}


@pytest.fixture(scope="module")
def made() -> Iterator[tuple[CrashBox, Mapping[str, Stage]]]:
    """The box and its copies; its processes are always ended."""
    with opened(CrashBox) as box:
        yield box, box.make()


def _parameters() -> list[Any]:
    return [pytest.param(case, id=str(case), marks=[] if str(case) in QUICK else [pytest.mark.full]) for case in ALL]


@pytest.mark.slow
@pytest.mark.sandbox
@pytest.mark.parametrize("case", _parameters())
def test_crash_leaves_the_old_or_the_new(made: tuple[CrashBox, Mapping[str, Stage]], case: Case) -> None:
    """Killed anywhere, the box goes on after `resume`: live is whole, the log checks, and nothing happened twice."""
    box, stages = made
    with recorded(case) as outcome, told(box, case):
        old, new = TREES[case.journey]
        box.begin(stages[BEGINS[case.journey]], case.crash_at)
        assert box.live_files() == old
        _go(box, case)
        outcome["live"] = _seen(box, old, new)
        box.resume()
        outcome["repeated"] = _to_the_end(box, case)
        box.down()
        row = box.verify()
        assert row["state"] == ENDS[case.journey]
        assert box.live() == (row["green"] if row["state"] == "kept" else row["base"])
        assert box.live_files() == new
        assert code_digest() == CODE, "the code was changed while the case ran"
        outcome["ended"] = row["state"]


def test_crash_cases_are_enough() -> None:
    """At least 200 runs in the full suite and 40 in CI, each of its own, and every quick one exists."""
    names = [str(case) for case in ALL]
    assert len(set(names)) == len(names) >= 200
    assert set(names) >= QUICK
    assert len(QUICK) >= 40


def test_crash_points_of_the_product_are_all_known() -> None:
    """Each point that the code names is killed at here, or in the tests that are named."""
    source = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    points = set(re.findall(r'crash_point\("([^"]+)"\)', source))
    tried = {case.point for case in (*ALL, *pair_cases())}
    for file, named in ELSEWHERE.items():
        text = (ROOT / file).read_text()
        assert all(f'"{point}"' in text for point in named), file
        tried.update(named)
    assert points - tried == set()


def _go(box: CrashBox, case: Case) -> None:
    """The person's command, with the crash on its way."""
    if case.point == "log.bundle-sealed":
        _fill_the_bundle(box)
    commands = _commands(box, case.journey)
    if not case.point:
        box.kill_on_the_way(str(case), case.role, SECONDS[case.journey], commands[0])
        return
    answers = [box.run(*words) for words in commands]
    assert box.crashed, f"{case} was never passed\n{answers}{box.processes_log()}"


def _commands(box: CrashBox, journey: str) -> Sequence[tuple[str, ...]]:
    return {
        "first": [("improve", str(box.repository), "--only", "codespell")],
        "improve": [("improve", str(box.repository), "--only", "codespell")],
        "approve": [("approve", box.change, "--yes")],
        "later": [("approve", box.change, "--yes", "--no-promote"), ("promote", box.change)],
        "reject": [("reject", box.change, "--why", "no")],
        "revert": [("revert", box.change)],
    }[journey]


def _fill_the_bundle(box: CrashBox) -> None:
    """Lengthen the log until a command fills its bundle."""
    box.must("status")
    guard = GuardClient(Client(str(box.box.socket("guard")), patience_s=5.0).call)
    for number in range(guard.status().log_size, WIDTH - 4):
        guard.append(Event(key=f"filling/{number}", at=Instant(0), actor="executor", name="suite.filling"))


def _seen(box: CrashBox, old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """What is live right after the crash, rehashed by the box and read again by plain git."""
    files = box.live_files()
    if files:
        box.live()
    assert files in (old, new), f"live is neither the old nor the new: {files}"
    return "old" if files == old else "new"


def _to_the_end(box: CrashBox, case: Case) -> int:
    """Repeat the person's command where the crash came before it was taken in; how often it took."""
    for times in range(3):
        rows = box.rows()
        state = rows[0]["state"] if rows else ""
        if state == ENDS[case.journey]:
            return times
        commands = _commands(box, case.journey)
        box.must(*(commands[1] if state == "approved" else commands[0]))
        box.resume()
    raise AssertionError(f"{case} does not come to its end: {box.rows()}")
