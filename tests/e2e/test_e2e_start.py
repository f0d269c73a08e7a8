"""A process of a real box that cannot start is told of long before the wait for it ends; mended, the box goes on."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from e2e_box import House, open_house

from greenroom.bootstrap.local import START_S
from greenroom.config import Box
from greenroom.domain.errors import Exit

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]
SPOILED = b"no database at all" * 300
CASES: dict[str, tuple[Callable[[Box], Path], str]] = {
    "guard": (lambda box: box.guard / "guard.db", "DatabaseError: file is not a database"),
    "keeper": (lambda box: box.keeper / "attempts.db", "attempts-unreadable: the record of runs cannot be used"),
    "executor": (lambda box: box.db / "dbos.db", "DatabaseError: file is not a database"),
}


@pytest.fixture
def stopped() -> Iterator[House]:
    """A box of its own that ran once; its processes are ended."""
    home = Path(tempfile.mkdtemp(prefix="greenroom-start-"))
    house = open_house(home)
    house.ok("resume")
    house.run("down")
    yield house
    house.run("down")
    shutil.rmtree(home, ignore_errors=True)


def file_of(role: str, box: Box) -> Path:
    """The file that `role` cannot start without."""
    return CASES[role][0](box)


def spoil(database: Path) -> None:
    """Leave nothing that SQLite reads, in the file or in its journal."""
    database.write_bytes(SPOILED)
    for journal in database.parent.glob(f"{database.name}-*"):
        journal.unlink()


def copy(files: Iterable[Path], folder: Path) -> None:
    """Put files there as they are, with their owners, in place of what has their names."""
    subprocess.run(["cp", "-a", "--remove-destination", *map(str, files), str(folder)], check=True)


def test_e2e_a_process_that_dies_at_its_start_is_told_of_at_once(stopped: House) -> None:
    """Which one, its exit code, its own words and remedy; nothing is stopped; the next command works once it is mended,
    also while the processes that are there still try."""
    for role, (_, words) in CASES.items():
        spoiled = file_of(role, stopped.box)
        kept = stopped.home / f"kept-{role}"
        kept.mkdir()
        copy(spoiled.parent.glob(f"{spoiled.name}*"), kept)
        spoil(spoiled)
        began = time.monotonic()
        answer = stopped.json("resume")
        took = time.monotonic() - began
        assert answer.code == Exit.UNREACHABLE, answer
        error = answer.data["error"]
        assert error["reference"] == "processes-do-not-start"
        assert f"the {role} ended with exit code " in error["message"]
        assert words in error["message"]
        assert took < START_S / 2, f"{role}: told after {took:.1f} s"
        if role == "keeper":
            assert error["remedy"].startswith("free space if the disk is full; else put that file back from a copy")
        if role != "executor":
            stopped.run("down")
        copy(kept.iterdir(), spoiled.parent)
        assert stopped.ok("resume") is not None
        assert stopped.ok("status")["stopped"] is False
        stopped.run("down")
    stopped.log_is_whole()
