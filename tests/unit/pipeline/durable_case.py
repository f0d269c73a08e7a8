"""A house whose runs are durable, for tests that kill its process. Run as `durable_case.py DIRECTORY STAGE`.

It saves one change, carries it, and dies by SIGKILL when STAGE runs for the first time.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from pipeline_cases import FlowBench, ToldStage, a_change, a_proposal

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.verdict import Passed, Verdict
from greenroom.domain.vocabulary import Stage, State
from greenroom.pipeline import tables
from greenroom.pipeline.changes import DatabaseChanges
from greenroom.pipeline.durable import DurableRuns
from greenroom.pipeline.flow import Flow


class DurableBench(FlowBench):
    """A flow bench whose changes and runs are on the disk; `marks` has one line for each stage that ran."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.directory = directory
        self.engine = tables.open_database(directory / "box.db")
        self.changes = DatabaseChanges(self.engine, self.clock)
        self.marks = directory / "marks"
        self.marks.touch()
        self.stages = {stage: ToldStage(self.marking(stage)) for stage in Stage}
        self.flow = Flow(
            changes=self.changes,
            store=self.store,
            guard=self.guard,
            policy=lambda: self.policy,
            stages=self.stages,
            facts=self.facts,
            clock=self.clock,
        )
        self.runs: DurableRuns | None = None

    def marking(self, stage: Stage, *, killed: bool = False):  # type: ignore[no-untyped-def]
        """An answer that leaves a mark, and perhaps kills the process."""

        def answer(change: Change) -> Verdict:
            with self.marks.open("a") as marks:
                marks.write(f"{stage.value}\n")
            if killed:
                os.kill(os.getpid(), signal.SIGKILL)
            return Passed()

        return answer

    def ran(self) -> list[str]:
        """The stages that ran, in order, of all processes."""
        return self.marks.read_text().split()

    def launch(self) -> DurableRuns:
        """Launch the runs; whatever a crash cut is picked up."""
        self.runs = DurableRuns(self.directory / "dbos.db", self.flow, self.changes)
        return self.runs

    def proposed(self) -> Change:
        """A stored change with its plan made beforehand."""
        patch = self.store.put("blob", b"patch")
        request = self.store.put("text", documents.encode(a_proposal(patch)))
        return self.changes.save(a_change(State.PLANNED, request=request, plan=self.plan))

    def close(self) -> None:
        if self.runs is not None:
            self.runs.close()
        self.engine.dispose()


def main() -> None:
    """Carry one change until the process is killed."""
    bench = DurableBench(Path(sys.argv[1]))
    bench.stages[Stage(sys.argv[2])].answer = bench.marking(Stage(sys.argv[2]), killed=True)
    change = bench.proposed()
    bench.launch().carry(change.id)


if __name__ == "__main__":
    main()
