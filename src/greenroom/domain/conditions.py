"""What must have been so before a change goes live, read from what the keeper signed; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from greenroom.domain.plan import Plan
from greenroom.domain.proof import Receipt, Seal

LIMITS: Mapping[str, str] = {
    "wall": "stuck",
    "memory": "memory-exceeded",
    "output": "output-exceeded",
    "disk": "disk-full",
    "processes": "processes-exceeded",
}
"""The ends of a run that a wall of the sandbox made: time, memory, output, disk, processes; the rule of each."""
KILLED_BY_SECCOMP = 128 + 31


def violation(receipt: Receipt) -> str:
    """Where a run was ended by a wall, and by which; empty when it was not."""
    killed = receipt.ended_by == "signal" and receipt.exit == KILLED_BY_SECCOMP
    if not killed and receipt.ended_by not in LIMITS:
        return ""
    by = "seccomp" if killed else receipt.ended_by
    return f"{receipt.check}/{receipt.role}, run {receipt.run}: ended by {by}"[:200]


def violations(receipts: Sequence[Receipt]) -> tuple[str, ...]:
    """Every place where one of `receipts` was ended by a wall."""
    return tuple(found for found in map(violation, receipts) if found)


def kept_before(plan: Plan, seals: Sequence[Seal]) -> frozenset[str]:
    """The ids of the steps before which every one of `seals` says that Green was kept; none without a seal."""
    steps = {step.id for step in plan.steps}
    return frozenset(steps.intersection(*(seal.snapshots for seal in seals))) if seals else frozenset()
