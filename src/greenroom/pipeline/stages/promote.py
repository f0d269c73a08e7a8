"""Promote: the guard gives a warrant and swaps the pointer; the executor only carries the papers."""

from __future__ import annotations

import dataclasses

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Bug
from greenroom.domain.ports import Dossier, Guard, Store
from greenroom.domain.proof import Evidence
from greenroom.domain.verdict import Held, Passed, Refused
from greenroom.pipeline.flow import Done


class PromoteStage:
    """Asks for a warrant and spends it. A warrant that was spent for this change already is done."""

    def __init__(self, *, store: Store, guard: Guard) -> None:
        self._store = store
        self._guard = guard

    def run(self, change: Change) -> Done:
        """Promote; `commit` of the change is the live position afterwards."""
        if self._guard.live(change.subject) == change.green and change.warrant is not None:
            return self._done(change)
        warrant = self._guard.warrant(self.dossier(change))
        if isinstance(warrant, Refused | Held):
            return Done(warrant, change)
        carried = dataclasses.replace(change, warrant=warrant)
        verdict = self._guard.promote(warrant)
        return self._done(carried) if isinstance(verdict, Passed) else Done(verdict, change)

    def dossier(self, change: Change) -> Dossier:
        """The change's papers, by digest."""
        return dossier_of(self._store, change)

    def _done(self, change: Change) -> Done:
        commit = self._guard.position(change.subject)
        return Done(Passed(), dataclasses.replace(change, commit=commit))


def dossier_of(store: Store, change: Change) -> Dossier:
    """The papers of a verified change, by digest, for the guard."""
    if change.plan is None or change.green is None:
        raise Bug("no-green", "a dossier needs a plan and a sealed Green")
    return Dossier(
        change=change.id,
        subject=change.subject,
        mode=change.mode,
        plan=change.plan,
        base=change.base,
        green=change.green,
        receipts=_receipts(store, change.evidence),
        seals=change.seals,
        consents=change.consents,
        card=change.card,
        carry=change.carry,
        again=_receipts(store, change.again),
    )


def _receipts(store: Store, evidence: tuple[Digest, ...]) -> tuple[Digest, ...]:
    """The receipts behind `evidence`; seals stand for the builds."""
    found = [documents.decode(Evidence, store.get(digest)) for digest in evidence]
    return tuple(dict.fromkeys(digest for item in found if item.check != "reseal" for digest in item.receipts))
