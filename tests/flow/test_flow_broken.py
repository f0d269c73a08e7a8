"""A change whose build breaks names what ran: a person can read it, and nobody judges by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

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


def test_flow_counts_what_broke_among_the_uses_of_its_tool(house: MemoryHouse) -> None:
    """The metrics know of the step that a tool refused, which is an answer, and of the tool that gave it."""
    house.keeper._apply = lambda plan, files: Refused(rule="no", where="here", remedy="there")
    change = house.change(house.proposed())
    (used,) = uses_of(change, house.store, house.signers["owner"])
    assert used == (house.policy.tools["apply_patch_t1"], True)
