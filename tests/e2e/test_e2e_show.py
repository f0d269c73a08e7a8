"""Why a change was refused can be read from the box: its runs' output, by the command that the remedy names."""

from __future__ import annotations

from pathlib import Path

import pytest
from e2e_box import House

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]


def test_e2e_show_runs_says_why_a_test_failed(house: House, calm: Path) -> None:
    """The test runner's own words, of the run that failed and of no other."""
    text = (calm / "calm.py").read_text()
    change = house.edit(calm, {"calm.py": text.replace("number * 2", "number * 3")})
    assert change["verdict"]["is"] == "refused"
    assert "greenroom show ID --runs" in change["verdict"]["remedy"]
    plain = house.run("show", change["id"])
    assert plain.code == 0
    assert "base-on-green" in plain.out
    assert "6 == 4" not in plain.out
    shown = house.run("show", change["id"], "--runs")
    assert shown.code == 0
    for said in ("assert 6 == 4", "test_double", "cell environment", "PYTHONHASHSEED=0"):
        assert said in shown.out, shown.out
    runs = house.ok("show", change["id"], "--runs")["runs"]
    failing = [run for run in runs if not run["well"]]
    assert {(run["check"], run["role"].removesuffix("-again")) for run in failing} == {("tests", "base-on-green")}
    assert all("assert 6 == 4" in run["printed"]["stdout"]["text"] for run in failing)
    assert all(run["seconds"] > 0 and run["attempt"] == 1 and run["ended_by"] == "exit" for run in runs)
