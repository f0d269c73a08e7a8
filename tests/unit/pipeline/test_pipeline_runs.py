"""The runs of a change as doors show them."""

from __future__ import annotations

from greenroom.domain.outcomes import TestRun
from greenroom.pipeline import runs


def test_notes_that_are_left_out_are_counted() -> None:
    """A row has a bounded number of notes; a last one says how many there are besides."""
    notes = tuple(f"failed: test_{n}" for n in range(runs.MAX_NOTES + 10))
    ran = TestRun(framework="pytest", python="3.11", outcomes={}, sentinel="failed", notes=notes)
    assert list(runs._notes(ran)) == [*notes[: runs.MAX_NOTES], "10 notes more"]
