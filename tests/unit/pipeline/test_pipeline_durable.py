"""Durable runs on a real DBOS: carried until held, picked up after a kill, nothing but JSON on the disk."""

from __future__ import annotations

import dataclasses
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from durable_case import DurableBench

from greenroom.domain.change import Change
from greenroom.domain.errors import Bug, Unreachable
from greenroom.domain.verdict import Held, Passed, Verdict
from greenroom.domain.vocabulary import Stage, State
from greenroom.pipeline import durable
from greenroom.pipeline.durable import JsonSerializer

HERE = Path(__file__).parent
WAIT = Held(rule="needs-approval", where="a person must agree", remedy="greenroom approve")
pytestmark = pytest.mark.slow


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[DurableBench]:
    made = DurableBench(tmp_path)
    yield made
    made.close()


def tables_of(database: Path) -> Iterator[tuple[str, str, object]]:
    connection = sqlite3.connect(database)
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")]
    for name in names:
        cursor = connection.execute(f'SELECT * FROM "{name}"')
        columns = [column[0] for column in cursor.description]
        for row in cursor:
            yield from ((name, column, value) for column, value in zip(columns, row, strict=True))
    connection.close()


def test_durable_carries_until_held(bench: DurableBench) -> None:
    """A run ends where a stage holds; a second run from there ends at once."""
    bench.answers(Stage.APPROVE, lambda _: WAIT)
    change = bench.proposed()
    runs = bench.launch()
    held = runs.carry(change.id)
    assert (held.state, held.hold) == (State.VERIFIED, WAIT)
    assert bench.ran() == ["debate", "simulate", "verify"]
    assert runs.carry(change.id) == held
    assert list(runs.unfinished()) == []


def test_durable_carries_to_the_end_and_tells_a_watcher(bench: DurableBench) -> None:
    """A watcher hears of every stage of the run it was given to."""
    heard: list[tuple[str, str]] = []

    def watcher(change: Change, stage: Stage, phase: str, verdict: Verdict | None) -> None:
        heard.append((stage.value, phase))

    done = bench.launch().carry(bench.proposed().id, watcher)
    assert done.state is State.KEPT
    stages = ["debate", "simulate", "verify", "approve", "promote", "watch"]
    assert heard == [(stage, phase) for stage in stages for phase in ("intent", "result")]


def test_durable_shares_its_database_with_no_other_process(
    bench: DurableBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`database-in-use`: two executors on one database would carry the same runs; the next one may, after the first."""
    runs = bench.launch()
    monkeypatch.setattr(durable, "LEAVES_S", 0.0)
    with pytest.raises(Unreachable) as caught:
        durable.DurableRuns(tmp_path / "dbos.db", bench.flow, bench.changes)
    assert (caught.value.reference, caught.value.where) == ("database-in-use", str(tmp_path / "dbos.db"))
    assert "greenroom down" in caught.value.remedy
    assert runs.carry(bench.proposed().id).state is State.KEPT
    runs.close()
    assert list(bench.launch().unfinished()) == []


def test_durable_goes_on_after_a_hold_was_lifted(bench: DurableBench) -> None:
    """Each save of the change by a verb has a run of its own."""
    bench.answers(Stage.APPROVE, lambda change: Passed() if change.consents else WAIT)
    runs = bench.launch()
    held = runs.carry(bench.proposed().id)
    bench.changes.save(dataclasses.replace(held, hold=None, consents=(bench.plan,)))
    assert list(runs.unfinished()) == [held.id]
    assert runs.carry(held.id).state is State.KEPT


def test_durable_raises_what_stopped_a_run(bench: DurableBench) -> None:
    """What is unreachable reaches the caller, the change stays as it was, and the next run goes on from there."""
    calls: list[int] = []

    def answer(change: Change) -> Verdict:
        calls.append(1)
        if len(calls) == 1:
            raise Unreachable("keeper-gone", "no answer")
        return Passed()

    bench.answers(Stage.SIMULATE, answer)
    runs = bench.launch()
    change = bench.proposed()
    with pytest.raises(Unreachable):
        runs.carry(change.id)
    assert bench.changes.get(change.id).state is State.DEBATED
    assert runs.carry(change.id).state is State.KEPT
    assert bench.ran().count("debate") == 1


def test_durable_forgets_what_stopped_a_run_that_nobody_waited_for(bench: DurableBench) -> None:
    """A run that DBOS picked up fails alone; the next one, which a person waits for, answers for itself."""
    tried = threading.Event()

    def unreachable(change: Change) -> Verdict:
        tried.set()
        raise Unreachable("no-answer", "nothing answers", where=change.id)

    bench.answers(Stage.SIMULATE, unreachable)
    change = bench.proposed()
    runs = bench.launch()
    runs.start(change.id, change.version)
    assert tried.wait(30)
    bench.answers(Stage.SIMULATE, lambda _: Passed())
    assert runs.carry(change.id).state is State.KEPT


def test_durable_calls_the_unexpected_a_bug(bench: DurableBench) -> None:
    """An error that is none of the house's is our mistake, told as such, and stores no traceback object."""
    bench.answers(Stage.VERIFY, lambda _: 1 / 0)  # type: ignore[arg-type,return-value]
    with pytest.raises(Bug) as caught:
        bench.launch().carry(bench.proposed().id)
    assert "ZeroDivisionError" in caught.value.message


def test_durable_stores_json_and_writes_ahead(bench: DurableBench, tmp_path: Path) -> None:
    """No pickle in the database, whatever happened; and SQLite's log is written ahead."""
    bench.answers(Stage.VERIFY, lambda _: 1 / 0)  # type: ignore[arg-type,return-value]
    with pytest.raises(Bug):
        bench.launch().carry(bench.proposed().id)
    stored = list(tables_of(tmp_path / "dbos.db"))
    serializers = {value for _, column, value in stored if column == "serialization" and value is not None}
    assert serializers == {"greenroom_json"}
    assert not [(table, column) for table, column, value in stored if _pickled(value)]
    with sqlite3.connect(tmp_path / "dbos.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def _pickled(value: object) -> bool:
    if isinstance(value, str):
        return value.startswith(("gAS", "gAN"))
    return isinstance(value, bytes) and value[:1] == b"\x80"


def test_json_serializer_takes_json_only() -> None:
    """Values come back as they were; what is not JSON is an error, not a pickle."""
    serializer = JsonSerializer()
    assert serializer.deserialize(serializer.serialize({"a": [1, None, "x"]})) == {"a": [1, None, "x"]}
    with pytest.raises(TypeError):
        serializer.serialize(ValueError("no"))


@pytest.mark.parametrize("stage", ["debate", "verify", "promote", "watch"])
def test_durable_picks_up_after_a_kill(tmp_path: Path, stage: str) -> None:
    """A process killed in the middle of a stage: the next launch runs that stage again, and none before it."""
    killed = subprocess.run(
        [sys.executable, str(HERE / "durable_case.py"), str(tmp_path), stage],
        env={**os.environ, "PYTHONPATH": str(HERE)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    bench = DurableBench(tmp_path)
    before = bench.ran()
    try:
        runs = bench.launch()
        (change,) = bench.changes.list()
        assert runs.carry(change.id).state is State.KEPT
        assert list(runs.unfinished()) == []
    finally:
        bench.close()
    assert before[-1] == stage
    assert bench.ran() == [*before, *_from(stage)]


def _from(stage: str) -> list[str]:
    stages = [each.value for each in Stage]
    return stages[stages.index(stage) :]


def test_durable_goes_on_under_another_release(bench: DurableBench, tmp_path: Path) -> None:
    """A change held under one release is carried on by another: only the order of stages strands a run."""
    assert "-".join(stage.value for stage in Stage) == durable.STAGE_ORDER
    bench.answers(Stage.APPROVE, lambda _: WAIT)
    held = bench.launch().carry(bench.proposed().id)
    bench.close()
    versions = {value for _, column, value in tables_of(tmp_path / "dbos.db") if column == "application_version"}
    assert versions == {durable.STAGE_ORDER}
    other = DurableBench(tmp_path)
    try:
        other.changes.save(dataclasses.replace(held, hold=None))
        assert other.launch().carry(held.id).state is State.KEPT
    finally:
        other.close()
