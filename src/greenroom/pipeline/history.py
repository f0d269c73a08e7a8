"""What the box remembers of earlier changes, for reviewers and for checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from greenroom.domain.change import PATH, Change
from greenroom.domain.digest import Digest
from greenroom.domain.ports import Changes, Store
from greenroom.domain.vocabulary import State
from greenroom.pipeline.stages.plan import read_proposal

PASSED = frozenset({*PATH[4:], State.REVERTED})


def counts(changes: Changes, store: Store, change: Change) -> Mapping[str, int]:
    """How changes of the same rule, and of others, came out of verify: passed and failed."""
    rule = read_proposal(store, change).rule
    found: Counter[str] = Counter({"passed": 0, "failed": 0, "others-passed": 0, "others-failed": 0})
    for other in changes.list():
        if other.id == change.id or not other.evidence or other.ended == "superseded":
            continue
        same = "" if read_proposal(store, other).rule == rule else "others-"
        found[same + ("passed" if other.state in PASSED else "failed")] += 1
    return dict(found)


def known(changes: Changes, store: Store, plan: Digest) -> tuple[str, tuple[Digest, ...]]:
    """How a plan's patch is made again (empty when nothing makes it), and the seals of its earlier builds."""
    for change in changes.list():
        if change.plan == plan:
            return read_proposal(store, change).reproduce, change.seals
    return "", ()
