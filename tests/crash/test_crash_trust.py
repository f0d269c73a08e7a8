"""The crash suite itself: a failure keeps its evidence, a second effect is seen, a cut run goes on where it was."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from crash_box import CrashBox
from crash_points import CODE, Case
from crash_story import told

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

import evidence_crash

ONE = Case(journey="approve", role="guard", point="promote.swapped")
OTHER = Case(journey="revert", role="cli", point="delivery.moved")


class Written(CrashBox):
    """A box of which only the guard's ledger is there: what a test wrote."""

    def __init__(self, root: Path, *, promotions: list[tuple[str, str]], spent: int, counted: int) -> None:
        super().__init__(root)
        self._answers: dict[str, list[Any]] = {
            'generations WHERE "change" IS NOT': promotions,
            'generations WHERE "change" IS NULL': [("kept",)],
            "FROM warrants": [(paper,) for paper in dict(promotions)],
            "FROM nonces": [("promoted c",)] * spent,
            "FROM days": [(counted,)],
        }

    def ledger(self, sql: str) -> list[Any]:
        return next(rows for part, rows in self._answers.items() if part in sql)


ONCE = Counter({"live.adopted": 1, "live.promoted": 1})


def test_crash_suite_takes_one_effect(tmp_path: Path) -> None:
    """One promotion in the log, in the ledger, in the consents and in the day; a try that came to nothing is none."""
    tries = [("w0", "forgotten"), ("w1", "kept")]
    Written(tmp_path, promotions=tries, spent=1, counted=1)._no_generation_twice(ONCE)


@pytest.mark.parametrize(
    "ledger",
    [
        {"promotions": [("w1", "kept"), ("w1", "kept")], "spent": 1, "counted": 1},
        {"promotions": [("w1", "kept"), ("w2", "kept")], "spent": 1, "counted": 1},
        {"promotions": [("w1", "baking")], "spent": 1, "counted": 1},
        {"promotions": [("w1", "intended")], "spent": 1, "counted": 1},
        {"promotions": [("w1", "kept")], "spent": 2, "counted": 1},
        {"promotions": [("w1", "kept")], "spent": 1, "counted": 2},
        {"promotions": [], "spent": 0, "counted": 0},
    ],
)
def test_crash_suite_sees_an_effect_twice_or_half_done(tmp_path: Path, ledger: dict[str, Any]) -> None:
    """A generation, consent or count too many, or one that nobody settled, fails the case."""
    with pytest.raises(AssertionError):
        Written(tmp_path, **ledger)._no_generation_twice(ONCE)


def test_crash_failure_keeps_its_evidence(tmp_path: Path) -> None:
    """Whatever goes wrong ends as one message with all that is left; what cannot be read does not hide the rest."""
    box = CrashBox(tmp_path)
    box.said.append("$ greenroom resume\nexit 7\nthe words of the command")
    box.box.run.mkdir(parents=True)
    (box.box.run / "processes.log").write_text("the words of a process\n")
    with pytest.raises(AssertionError) as raised, told(box, ONE):
        raise TimeoutError("it hangs")
    said = str(raised.value)
    assert said.startswith("approve-guard:promote.swapped#1: TimeoutError: it hangs")
    for words in ("exit 7\nthe words of the command", "the words of a process", "run/processes.log", "cannot be read"):
        assert words in said


def test_crash_evidence_goes_on_where_it_was_cut(tmp_path: Path) -> None:
    """A case is run again only where no outcome of this code is there; a line that was cut is none."""
    file = tmp_path / "outcomes"
    lines = [json.dumps(_outcome(ONE, CODE)), json.dumps(_outcome(OTHER, "other code")), '{"case": "cut']
    file.write_text("\n".join(lines))
    outcomes = evidence_crash.read(file)
    assert evidence_crash.missing([ONE, OTHER], outcomes) == [OTHER]
    assert evidence_crash.missing([ONE, OTHER], outcomes, again=True) == [OTHER]


def test_crash_evidence_hides_no_failure(tmp_path: Path) -> None:
    """A case that failed is tried again only when asked, stays in the table, and the script ends with 1."""
    file = tmp_path / "outcomes"
    lines = [_outcome(ONE, CODE, failed="AssertionError: seen once"), _outcome(ONE, CODE)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines[:1]))
    assert evidence_crash.missing([ONE], evidence_crash.read(file)) == []
    assert evidence_crash.missing([ONE], evidence_crash.read(file), again=True) == [ONE]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "| 2 | new | 1 FAILED; resume |" in evidence_crash.table(evidence_crash.read(file))
    assert evidence_crash.main(["--table", "--results", str(file), "--only", str(ONE)]) == 1


def _outcome(case: Case, code: str, failed: str = "") -> dict[str, Any]:
    return {"case": str(case), "code": code, "live": "new", "repeated": 0, "failed": failed, "seconds": 1.0}
