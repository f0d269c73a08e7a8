"""What the executor knows of the world when it asks the policy for advice; the guard gathers its own."""

from __future__ import annotations

from collections.abc import Mapping

from greenroom.domain import conditions, documents
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest
from greenroom.domain.plan import Plan
from greenroom.domain.ports import Attestor, Clock, Facts, Guard, Store
from greenroom.domain.proof import Evidence, Predicate, Receipt, Seal
from greenroom.domain.vocabulary import State

JUDGED = (State.VERIFIED, State.APPROVED)
"""The states in which a change's papers are asked about."""


def gather(
    change: Change,
    *,
    guard: Guard,
    store: Store,
    opener: Attestor,
    clock: Clock,
    layers: Mapping[str, bool],
    disk_free_bytes: int,
) -> Facts:
    """The facts of a question about `change`. Raises Tampered for a seal or receipt that the keeper did not sign."""
    status = guard.status()
    judged = change.state in JUDGED
    return Facts(
        now=clock.now(),
        stopped=status.stopped,
        mode=change.mode,
        live=guard.live(change.subject),
        layers=layers,
        disk_free_bytes=disk_free_bytes,
        policy=status.policy,
        health=guard.health(change.subject),
        snapshots=_snapshots(change, store, opener) if judged else frozenset(),
        violations=_violations(change, store, opener) if judged else (),
    )


def _snapshots(change: Change, store: Store, opener: Attestor) -> frozenset[str]:
    if change.plan is None or not change.seals:
        return frozenset()
    plan = documents.decode(Plan, store.get(change.plan))
    seals = [
        documents.decode(Seal, opener.open(store.get(digest), Predicate.SEAL, "keeper").body) for digest in change.seals
    ]
    return conditions.kept_before(plan, seals)


def _violations(change: Change, store: Store, opener: Attestor) -> tuple[str, ...]:
    evidence = [documents.decode(Evidence, store.get(digest)) for digest in change.evidence]
    runs = [digest for item in evidence if item.check != "reseal" for digest in item.receipts]
    return conditions.violations([_receipt(store, opener, digest) for digest in runs])


def _receipt(store: Store, opener: Attestor, digest: Digest) -> Receipt:
    return documents.decode(Receipt, opener.open(store.get(digest), Predicate.RECEIPT, "keeper").body)
