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

What the real command line answered, one line a case of the end-to-end suite: `scripts/evidence_refusals.py` runs the
suite on a real box with real processes and writes this table. In every case the suite also checked that the live
digest, the person's branch and the person's files stayed as they were (what the case itself does to them aside), and
that `greenroom log check` found the log whole. The exit code is that of the command that gave the answer. `improve`
ends with 0 when it carried every proposal as far as it goes; each proposal has its own answer (docs/exit-codes.md).

| case | rule | where | remedy | exit code |
|---|---|---|---|---|
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
        Path(target).write_text(HEAD + rows, encoding="utf-8")


@pytest.fixture(scope="session")
def calm(house: House) -> Path:
    """A repository that stays as it is: cases that change nothing share it."""
    place = house.repository("calm")
    house.take_in(place)
    return place


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\\u", "\\\\u")
