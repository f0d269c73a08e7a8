"""What the box remembers of earlier changes, for reviewers and for checks."""

from __future__ import annotations

from collections.abc import Mapping

from greenroom.domain.change import PATH, Change
from greenroom.domain.digest import Digest
from greenroom.domain.ports import Changes, Store
from greenroom.domain.vocabulary import State
from greenroom.pipeline.changes import Board
from greenroom.pipeline.stages.plan import read_proposal

PASSED = frozenset({*PATH[4:], State.REVERTED})


def counts(board: Board, store: Store, change: Change) -> Mapping[str, int]:
    """How changes of the same rule, and of others, came out of verify: passed and failed."""
    passed, failed = _outcomes(board.tried(besides=change.id, rule=read_proposal(store, change).rule))
    all_passed, all_failed = _outcomes(board.tried(besides=change.id))
    return {
        "passed": passed,
        "failed": failed,
        "others-passed": all_passed - passed,
        "others-failed": all_failed - failed,
    }


def known(changes: Changes, store: Store, plan: Digest) -> tuple[str, tuple[Digest, ...]]:
    """How a plan's patch is made again (empty when nothing makes it), and the seals of its earlier builds."""
    for change in changes.list(plan=plan):
        return read_proposal(store, change).reproduce, change.seals
    return "", ()


def _outcomes(states: Mapping[State, int]) -> tuple[int, int]:
    passed = sum(count for state, count in states.items() if state in PASSED)
    return passed, sum(states.values()) - passed
