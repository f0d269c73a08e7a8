"""Measured lines as facts of evidence."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain.coverage import Coverage, CoveredFile, facts_of

NUMBERS = st.lists(st.integers(1, 300), max_size=60).map(tuple)


def test_the_facts_name_the_lines_that_did_not_run() -> None:
    """Neighbours are one range, and a file that was not watched is named as that."""
    found = Coverage(
        files=(
            CoveredFile(path="a.py", lines=(1, 2, 3, 7, 9), ran=(7,)),
            CoveredFile(path="b.py", lines=(4,), ran=(), watched=False),
        ),
        unread=("c.py",),
    )
    assert facts_of(found) == {
        "changed-lines": "6",
        "changed-lines-ran": "1",
        "not-run": "a.py:1-3, a.py:9, b.py (not loaded so that its lines can be watched)",
        "not-measured": "c.py could not be read",
    }


def test_a_run_without_a_measurement_gives_no_facts() -> None:
    """Absent is not zero."""
    assert facts_of(None) == {}
    assert facts_of(Coverage(why="too large")) == {
        "changed-lines": "0",
        "changed-lines-ran": "0",
        "not-run": "",
        "not-measured": "too large",
    }


@given(NUMBERS, NUMBERS)
def test_only_wanted_lines_count(lines: tuple[int, ...], ran: tuple[int, ...]) -> None:
    """What ran and was not wanted changes nothing; the ranges hold just the rest; the list is bounded."""
    facts = facts_of(Coverage(files=(CoveredFile(path="a", lines=lines, ran=ran),)))
    missed = set(lines) - set(ran)
    assert int(facts["changed-lines"]) - int(facts["changed-lines-ran"]) == len(missed)
    named = [
        line
        for first, last in re.findall(r"a:(\d+)(?:-(\d+))?", facts["not-run"])
        for line in range(int(first), int(last or first) + 1)
    ]
    assert set(named) <= missed
    assert len(named) == len(set(named))
    assert set(named) == missed or "more" in facts["not-run"]
