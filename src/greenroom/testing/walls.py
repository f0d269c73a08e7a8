"""A fake of the port `Walls`: answers from a script, starts nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from greenroom.domain.errors import Bug
from greenroom.domain.ports import Cell, Outcome
from greenroom.domain.proof import EndedBy, Usage
from greenroom.domain.verdict import Refused
from greenroom.domain.vocabulary import LAYERS

FAKE_LAYERS: Mapping[str, bool] = dict.fromkeys(LAYERS, True)

Answer = Outcome | Refused | Callable[[Cell], Outcome | Refused]


def ended(
    exit: int = 0,  # noqa: A002 - the word of the port
    *,
    ended_by: EndedBy = "exit",
    stdout: bytes = b"",
    stderr: bytes = b"",
    layers: Mapping[str, bool] = FAKE_LAYERS,
) -> Outcome:
    """An outcome, with the rest filled in."""
    return Outcome(
        exit=exit,
        ended_by=ended_by,
        stdout=stdout,
        stderr=stderr,
        truncated=ended_by == "output",
        layers=layers,
        usage=Usage(wall_ms=1, cpu_ms=1, memory_peak_bytes=1024),
    )


class FakeWalls:
    """Gives the answers in order, the last one again and again; an answer may be a function of the cell.

    `cells` are those that were run. A cell that is cancelled before it starts ends by `stop`.
    """

    def __init__(self, answers: Sequence[Answer] = (ended(),), layers: Mapping[str, bool] = FAKE_LAYERS) -> None:
        if not answers:
            raise Bug("no-answers", "FakeWalls needs at least one answer")
        self._answers = list(answers)
        self._layers = dict(layers)
        self.cells: list[Cell] = []

    def layers(self) -> Mapping[str, bool]:
        """The layers that were given."""
        return dict(self._layers)

    def run(self, cell: Cell, cancelled: Callable[[], bool]) -> Outcome | Refused:
        """The next answer."""
        self.cells.append(cell)
        if cancelled():
            return ended(137, ended_by="stop", layers=self._layers)
        answer = self._answers[0] if len(self._answers) == 1 else self._answers.pop(0)
        return answer(cell) if callable(answer) else answer
