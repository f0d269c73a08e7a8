"""The steps of a build: each rehearsed with a result to show, then applied, on a tree that was kept before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from greenroom.domain import trees
from greenroom.domain.digest import Digest
from greenroom.domain.errors import NotFound, Unusable
from greenroom.domain.plan import Plan, Step
from greenroom.domain.ports import Store
from greenroom.domain.proof import Receipt, Seal
from greenroom.domain.vocabulary import ChangeId

ROLES = ("rehearsal", "application")
REMEDY = "`greenroom retry ID` runs the change through simulate and verify again"
"""What helps against papers that cannot be believed; where the change is known, `remedy_for` names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One run of a step: the signed receipt, what it was asked, and whether it left a result."""

    receipt: Receipt
    request: Mapping[str, Any]
    told: bool


def check_steps(plan: Plan, where: Digest, runs: Sequence[Ran]) -> None:
    """Raise Unusable `seal-steps` unless `runs` are the plan's steps in order, each rehearsed and then applied."""
    wanted = [(step, role) for step in plan.steps for role in ROLES]
    if len(runs) != len(wanted):
        raise _bent(where, "a seal does not show every step rehearsed and applied")
    before = plan.base
    for (step, role), run in zip(wanted, runs, strict=True):
        if not _is(plan, step, role, run):
            raise _bent(where, f"step {step.id[:64]}: no {role} of it with its tool and arguments that ended well")
        mounted = run.receipt.mounted.get("work")
        if role == ROLES[0] and step is not plan.steps[0]:
            before = mounted or before
        if set(run.receipt.mounted) != {"work"} or mounted != before:
            raise _bent(where, f"step {step.id[:64]}: its {role} was not on the tree that was kept before it")
        if run.receipt.run in {other.receipt.run for other in runs if other is not run}:
            raise _bent(where, "two receipts are of one run")


def kept(store: Store, plan: Plan, seal: Seal, runs: Sequence[Ran]) -> frozenset[str]:
    """The ids of the steps before which Green was kept: seal and receipts name one tree, and all of it is stored."""
    mounted = {run.receipt.role: run.receipt.mounted.get("work") for run in runs}
    found = set()
    for step in plan.steps:
        tree = seal.snapshots.get(step.id)
        named = {mounted.get(f"{step.id}/{role}") for role in ROLES}
        if tree is not None and named == {tree} and (tree == plan.base or _whole(store, tree)):
            found.add(step.id)
    return frozenset(found)


def _is(plan: Plan, step: Step, role: str, run: Ran) -> bool:
    receipt = run.receipt
    named = (receipt.check, receipt.role, receipt.tool, receipt.golden)
    asked = (run.request.get("args"), run.request.get("dry_run"))
    return (
        named == ("build", f"{step.id}/{role}", step.tool, plan.golden)
        and asked == ({name: arg.value for name, arg in step.args.items()}, role == ROLES[0])
        and (receipt.ended_by, receipt.exit, run.told) == ("exit", 0, True)
    )


def _whole(store: Store, tree: Digest) -> bool:
    try:
        manifest = trees.parse_manifest(store.get(tree, trees.MAX_MANIFEST_BYTES))
    except NotFound:
        return False
    return all(store.has(entry.blob) for entry in manifest.entries if isinstance(entry, trees.File))


def _bent(where: Digest, why: str) -> Unusable:
    return Unusable("seal-steps", why, where=where, remedy=REMEDY)


def remedy_for(change: ChangeId, said: str = "") -> str:
    """`said`, or the usual remedy, as the command that a person types for `change`."""
    return (said or REMEDY).replace(" ID`", f" {change}`")
