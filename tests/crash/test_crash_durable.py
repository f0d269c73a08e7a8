"""Two runs of one change, as after a crash: the one that DBOS picks up and the one that `greenroom resume` starts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from greenroom.domain.vocabulary import ChangeId
from greenroom.pipeline.durable import DurableRuns

STEPS = 4


class Crowded:
    """A flow and its changes in one; remembers how many were ever inside a step together."""

    def __init__(self) -> None:
        self.version = 0
        self.inside = 0
        self.most = 0
        self._somebody_else = threading.Event()

    def get(self, change: ChangeId) -> Any:
        """The change at its newest version."""
        return SimpleNamespace(id=change, version=self.version, state=SimpleNamespace(value="planned"))

    def rests(self, change: Any) -> bool:
        """True after the last step."""
        return bool(change.version >= STEPS)

    def step(self, change: Any, watcher: Any = None) -> Any:
        """Waits a little for somebody else to come in, then saves."""
        self.inside += 1
        self.most = max(self.most, self.inside)
        if self.inside > 1:
            self._somebody_else.set()
        self._somebody_else.wait(0.3)
        self.version = change.version + 1
        self.inside -= 1
        return self.get(change.id)


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[tuple[Crowded, DurableRuns]]:
    flow: Any = Crowded()
    runs = DurableRuns(tmp_path / "dbos.db", flow, flow)
    yield flow, runs
    runs.close()


@pytest.mark.slow
def test_crash_two_runs_of_a_change_take_turns(crowded: tuple[Crowded, DurableRuns]) -> None:
    """No two runs are inside a stage of one change at once: a warrant asked for twice could abort what is live."""
    flow, runs = crowded
    runs.start(ChangeId("c"), 7)
    runs.start(ChangeId("c"), 8)
    runs.carry(ChangeId("c"))
    assert flow.version == STEPS
    assert flow.most == 1
