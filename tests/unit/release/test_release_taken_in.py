"""A person's branch follows what the guard made itself, never what it took in, whatever the executor says."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from release_bench import Workbench

from greenroom.bootstrap.person import deliver
from greenroom.config import Box
from greenroom.domain.verdict import Passed, Refused, Verdict
from greenroom.domain.vocabulary import Subject


class Told:
    """A guard that says what is live, and what was taken in last."""

    def __init__(self, bench: Workbench, adopted: str) -> None:
        self._bench = bench
        self._adopted = adopted

    def position(self, subject: Subject) -> str:
        """The live commit."""
        return self._bench.release.position(subject)

    def adopted(self, subject: Subject) -> str:
        """The commit that was taken in last."""
        del subject
        return self._adopted


@pytest.fixture
def branch(bench: Workbench) -> Workbench:
    """The bench with the branch as its subject, taken in as it is."""
    named = dataclasses.replace(bench, subject=dataclasses.replace(bench.subject, address=f"{bench.work}#main"))
    named.adopt()
    return named


def tried(bench: Workbench, place: Path, delivered: str, adopted: str) -> Verdict:
    """A delivery of what is live, which the executor says goes on from `delivered`."""
    live = bench.release.position(bench.subject)
    row = {"subject": str(bench.subject), "repository": str(bench.work), "branch": "main", "wanted": live}
    box = Box(place / "box")
    box.root.mkdir(exist_ok=True)
    if not box.live.exists():
        box.live.symlink_to(place / "live")
    return deliver(box, Told(bench, adopted), {**row, "delivered": delivered}, lambda _: None)


def test_a_branch_is_not_moved_to_what_was_taken_in(branch: Workbench, tmp_path: Path) -> None:
    """The person went back; neither their own later commit nor one above it comes back by a forged row."""
    taken = branch.head()
    assert tried(branch, tmp_path, branch.git("rev-parse", "HEAD~"), taken) == Passed()
    back = branch.git("rev-parse", "HEAD~")
    branch.git("reset", "--hard", "--quiet", back)
    for _ in range(2):
        for delivered, adopted in ((back, taken), ("0" * 40, taken), ("HEAD", taken), ("", taken), (back, "")):
            refused = tried(branch, tmp_path, delivered, adopted)
            assert isinstance(refused, Refused)
            assert refused.rule == "delivery-adopted"
            assert refused.remedy
        assert branch.head() == back
        branch.promote({b"a.py": b"print(1)\n"})


def test_a_branch_is_moved_over_what_the_guard_made_itself(branch: Workbench, tmp_path: Path) -> None:
    """From what was taken in last, and from any promotion after it."""
    taken = branch.head()
    first = branch.promote({b"a.py": b"print(1)\n"})
    assert tried(branch, tmp_path, taken, taken) == Passed()
    assert branch.head() == first
    second = branch.promote({b"a.py": b"print(2)\n"})
    assert tried(branch, tmp_path, first, taken) == Passed()
    assert branch.head() == second
    assert (branch.work / "a.py").read_text() == "print(2)\n"
