"""What the executor knows of the world when it asks the policy for advice; the guard gathers its own."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from greenroom.domain import conditions, documents
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unusable
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
    """The facts of a question about `change`.

    Papers that cannot be read or believed say nothing here: it is the guard that refuses them, by its own reading.
    """
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
    """The steps before which Green was kept, as the change's seals say; none where one cannot be believed."""
    if change.plan is None:
        return frozenset()
    try:
        plan = documents.decode(Plan, store.get(change.plan))
        opened = [opener.open(store.get(digest), Predicate.SEAL, "keeper") for digest in change.seals]
        return conditions.kept_before(plan, [documents.decode(Seal, seal.body) for seal in opened])
    except Unusable:
        return frozenset()


def _violations(change: Change, store: Store, opener: Attestor) -> tuple[str, ...]:
    """Where a wall ended a run of the change, as far as its receipts can be believed."""
    found: list[Receipt] = []
    for digest in change.evidence:
        with contextlib.suppress(Unusable):
            item = documents.decode(Evidence, store.get(digest))
            if item.check != "reseal":
                found += [_receipt(store, opener, receipt) for receipt in item.receipts]
    return conditions.violations(found)


def _receipt(store: Store, opener: Attestor, digest: Digest) -> Receipt:
    return documents.decode(Receipt, opener.open(store.get(digest), Predicate.RECEIPT, "keeper").body)
