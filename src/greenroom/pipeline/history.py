"""What the box remembers of earlier changes, for reviewers and for checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest
from greenroom.domain.errors import NotFound
from greenroom.domain.ports import Changes, Store
from greenroom.domain.proof import Evidence, EvidenceVerdict
from greenroom.pipeline.changes import Board
from greenroom.pipeline.stages.plan import read_proposal

MAX_REMEMBERED = 50
"""How many earlier changes are looked at, the latest first: the evidence of each is read from the store."""
_SUITES = ("tests", "own-tests")
_FAILED: tuple[EvidenceVerdict, ...] = ("fail", "flaky")


def counts(board: Board, store: Store, change: Change) -> Mapping[str, int]:
    """How the tests of changes of the same rule, and of others, came out: passed and failed.

    A change that was superseded counts by its child.
    """
    rule = read_proposal(store, change).rule
    found: Counter[str] = Counter({"passed": 0, "failed": 0, "others-passed": 0, "others-failed": 0})
    for other, its in board.tried(besides=change.id, most=MAX_REMEMBERED):
        came_out = tests_of(store, other)
        if came_out is not None:
            found[("" if its == rule else "others-") + came_out] += 1
    return dict(found)


def tests_of(store: Store, change: Change) -> Literal["passed", "failed"] | None:
    """How the tests of a change came out, by its stored evidence alone; None where they say neither.

    What else became of the change says nothing of its tests: another check may have refused it, or a person.
    """
    try:
        evidence = [documents.decode(Evidence, store.get(digest)) for digest in change.evidence]
    except NotFound:  # erased content says nothing
        return None
    verdicts = {item.check: item.verdict for item in evidence if item.check in _SUITES}
    if any(verdict in _FAILED for verdict in verdicts.values()):
        return "failed"
    return "passed" if verdicts.get("tests") == "pass" and "inconclusive" not in verdicts.values() else None


def known(changes: Changes, store: Store, plan: Digest) -> tuple[str, tuple[Digest, ...]]:
    """How a plan's patch is made again (empty when nothing makes it), and the seals of its earlier builds."""
    for change in changes.list(plan=plan):
        return read_proposal(store, change).reproduce, change.seals
    return "", ()
