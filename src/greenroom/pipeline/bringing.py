"""Bring: a repository is taken in by the keeper and adopted by the guard, unless its branch waits for a delivery."""

from __future__ import annotations

import dataclasses

from greenroom.domain import documents
from greenroom.domain.proof import Import, Predicate
from greenroom.domain.verdict import Held, Refused
from greenroom.domain.vocabulary import Subject
from greenroom.pipeline.carrying import last_live, settle_siblings, want
from greenroom.pipeline.changes import Delivery
from greenroom.pipeline.house import House


def bring(house: House, subject: Subject, ticket: str, *, path: str, branch: str) -> Import | Refused | Held:
    """Import and adopt; open changes of another base are held as `base-moved`."""
    envelope = house.keeper.bring(subject, ticket, branch or None)
    if isinstance(envelope, Refused):
        return envelope
    body = house.attestor.open(house.store.get(envelope), Predicate.IMPORT, "keeper").body
    brought = documents.decode(Import, body)
    house.crash_point("import.brought")
    held = _undelivered(house, subject, brought.commit)
    if held is not None:
        return held
    adopted = house.guard.adopt(envelope)
    house.crash_point("import.adopted")
    if isinstance(adopted, Refused):
        return adopted
    at = house.guard.position(subject)
    if adopted != brought.tree:
        if brought.branch:
            return _behind(brought, at)
        brought = dataclasses.replace(brought, tree=adopted)
    _note_import(house, subject, brought, path, at)
    house.crash_point("import.noted")
    settle_siblings(house, subject)
    return brought


def _note_import(house: House, subject: Subject, brought: Import, path: str, at: str) -> None:
    delivery = Delivery(
        subject=str(subject),
        change=last_live(house, subject),
        repository=path,
        branch=brought.branch,
        delivered=brought.commit,
        wanted=at,
        pending="delivery-pending" if brought.branch and brought.commit != at else "",
    )
    house.deliveries.put(delivery)


def _undelivered(house: House, subject: Subject, commit: str) -> Held | None:
    """What is live but not in the branch, which stands at `commit`: to take the branch in now would undo it."""
    delivery = house.deliveries.get(subject)
    if delivery is None or not delivery.branch or house.guard.position(subject) == commit:
        return None
    want(house, subject)
    delivery = house.deliveries.get(subject) or delivery
    if not delivery.pending:
        return None
    return Held(
        rule=delivery.pending,
        where=f"{delivery.repository} ({delivery.branch}) still lacks {delivery.wanted[:12]}",
        remedy=_remedy(delivery),
    )


def _behind(brought: Import, at: str) -> Held:
    """The branch went back to a commit that was taken in before; what is live since stays live."""
    return Held(
        rule="branch-behind",
        where=f"{brought.branch} is at {brought.commit[:12]}, live is {at[:12]}",
        remedy=f"bring the branch to {at[:12]}, commit on it, or take the live changes back with `greenroom revert`",
    )


def _remedy(delivery: Delivery) -> str:
    ways = f"make the branch clean and let it stand at {delivery.delivered[:12]}, with your own work on another branch"
    return f"{ways}; or `greenroom revert {delivery.change}`" if delivery.change else ways
