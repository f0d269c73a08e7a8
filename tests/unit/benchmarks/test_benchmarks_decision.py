"""The measure of decisions measures the guard that ships, in its process and over its socket."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from greenroom.domain.vocabulary import Stage

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("decision")


def test_benchmarks_decision_asks_what_the_guard_asks(measure: Any, tmp_path: Path) -> None:
    """A warrant weighs the risk and asks at approve and at promote; bare cedarpy allows the same two requests."""
    house = measure.House(tmp_path)
    watched = house.watch()
    assert [asked[1] for asked in watched.questions] == [Stage.APPROVE, Stage.PROMOTE]
    assert watched.us > 0
    assert [answer.allowed for answer in house.bare()()] == [True, True]
    house.answers()
    house.close()


def test_benchmarks_decision_times_bare_cedarpy_in_place(measure: Any, tmp_path: Path) -> None:
    """With something to call instead, the warrant is the same and the time kept is of that call alone."""
    house = measure.House(tmp_path)
    called: list[int] = []
    house.watch().instead = lambda: called.append(1)
    house.warrant()
    assert called == [1]
    assert len(house.watch().questions) == 2
    house.close()


def test_benchmarks_decision_misses_only_rows_with_an_aim(measure: Any) -> None:
    """A row without an aim fails nothing; the table has a line for each row."""
    rows = [
        {"where": "gate", "what": "a", "bare_us": 1.0, "us": 3.0, "ratio": 3.0, "aim": 3.0},
        {"where": "guard", "what": "b", "bare_us": 1.0, "us": 3.1, "ratio": 3.1, "aim": 3.0},
        {"where": "socket", "what": "c", "bare_us": 1.0, "us": 9.0, "ratio": 9.0, "aim": None},
    ]
    assert [row["what"] for row in measure.missed(rows)] == ["b"]
    assert len(measure.table(rows).splitlines()) == 4


@pytest.mark.slow
def test_benchmarks_decision_has_a_row_of_each_place(measure: Any) -> None:
    """Gate, guard, warrant and socket are measured, each against bare cedarpy."""
    rows = measure.measure(20)
    assert [row["where"] for row in rows] == ["gate"] * 2 + ["guard"] * 2 + ["warrant"] + ["socket"] * 3
    assert all(row["us"] > 0 and row["bare_us"] > 0 and row["ratio"] > 0 for row in rows)
