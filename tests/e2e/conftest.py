"""One real box for the whole suite, and the table of what it refused."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_box import Evidence, House, open_house

HEAD = """# Refusals

What the end-to-end suite was answered by a real box with real processes, one line a case.
`scripts/evidence_refusals.py` runs the suite and writes this table. `$TMP` is the suite's temporary directory.

How to read it:

* `where` is the place that the answer names; an error that names none is shown with its message instead.
* The exit code is that of the command that gave the answer (docs/exit-codes.md). Lines marked `(at the guard's
  socket)` were answered to a caller of the guard, not to a command: the code is what the command line makes of such an
  answer.
* In the cases of the gate, of bounds, papers, bad input, dirty or moved branches and of a stop during `improve`, live
  digest, branch and files were compared before and after and found equal, and `greenroom log check` found the log
  whole.
* Where a repository is refused when it is taken in, there is no live state yet. The log cases alter copies of the log.
* A stop during promote leaves old live or new live, a stop during watch new live; a delivery that an untracked file
  holds up leaves new live and the person's file as it was. The suite checks this, and that the work goes on to its end.

| case | rule | where | remedy | exit code |
|---|---|---|---|---|
"""

SHOWN = """
## Shown, not refused

What the card of a change that waits for approval says, as `greenroom show` answers it, and what was let pass harmless.

"""


@pytest.fixture(scope="session")
def house() -> Iterator[House]:
    """The box. Its processes are always ended."""
    home = Path(tempfile.mkdtemp(prefix="greenroom-e2e-"))
    made = None
    try:
        made = open_house(home)
        yield made
    finally:
        if made is not None:
            made.run("down")
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def evidence(house: House) -> Iterator[Evidence]:
    """Collects the answers; written to the file that GREENROOM_EVIDENCE names."""
    table = Evidence(str(house.home))
    yield table
    target = os.environ.get("GREENROOM_EVIDENCE")
    if target:
        rows = "".join("| " + " | ".join(_cell(cell) for cell in line) + " |\n" for line in table.lines)
        notes = "".join(f"* {case}: {note}\n" for case, note in table.notes)
        Path(target).write_text(HEAD + rows + SHOWN + notes, encoding="utf-8")


@pytest.fixture(scope="session")
def calm(house: House) -> Path:
    """A repository that stays as it is: cases that change nothing share it."""
    place = house.repository("calm")
    house.take_in(place)
    return place


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\\u", "\\\\u")
