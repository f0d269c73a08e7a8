"""A change whose build breaks names what ran: a person can read it, and nobody judges by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from greenroom.domain.verdict import Refused
from greenroom.pipeline.runs import uses_of
from greenroom.testing.house import MemoryHouse


@pytest.fixture
def house(tmp_path: Path) -> Iterator[MemoryHouse]:
    made = MemoryHouse(tmp_path)
    yield made
    made.close()


def test_flow_shows_the_run_that_broke_in_simulate(house: MemoryHouse) -> None:
    """The rehearsal is the change's one run; it is no evidence, and what is live stays."""
    no = Refused(rule="patch-does-not-apply", where="a.py:3", remedy="propose it again")
    house.keeper._apply = lambda plan, files: no
    change = house.proposed()
    shown = house.show(change)
    (run,) = shown["runs"]
    assert (run["check"], run["role"].partition("/")[2], run["well"], run["verdict"]) == (
        "build",
        "rehearsal",
        False,
        "",
    )
    kept = house.change(change)
    assert (kept.broken, kept.evidence, kept.seals) == ((run["receipt"],), (), ())
    assert kept.refused is not None
    assert (shown["state"], kept.refused.rule, kept.refused.receipts) == ("aborted", "patch-does-not-apply", ())
    assert "live.promoted" not in house.names()


def test_flow_shows_the_run_that_broke_in_the_second_build(house: MemoryHouse) -> None:
    """Verify holds the change and names what ran, until a build goes well."""
    no = Refused(rule="memory-exceeded", where="a.py:3", remedy="make the step smaller")
    real, builds = house.keeper._apply, list[object]()

    def second(plan: Any, files: Any) -> Refused | None:
        builds.append(plan)
        return no if len(builds) == 2 else real(plan, files)

    house.keeper._apply = second
    change = house.proposed()
    shown, kept = house.show(change), house.change(change)
    (last,) = kept.broken
    assert (kept.hold.rule if kept.hold else "", kept.seals != ()) == ("inconclusive", True)
    assert "reseal: memory-exceeded: a.py:3" in shown["held"]["where"]
    assert [run["receipt"] for run in shown["runs"]].count(last) == 1
    assert shown["runs"][-1] == next(run for run in shown["runs"] if run["receipt"] == last)
    assert (shown["runs"][-1]["check"], shown["runs"][-1]["well"]) == ("build", False)
    assert last not in str(shown["card"])
    house.improve()
    assert (house.show(change)["state"], house.change(change).broken) == ("verified", ())


def test_flow_counts_what_broke_among_the_uses_of_its_tool(house: MemoryHouse) -> None:
    """The metrics know of the step that a tool refused, which is an answer, and of the tool that gave it."""
    house.keeper._apply = lambda plan, files: Refused(rule="no", where="here", remedy="there")
    change = house.change(house.proposed())
    (used,) = uses_of(change, house.store, house.signers["owner"])
    assert used == (house.policy.tools["apply_patch_t1"], True)
