"""Simulate: build Green and rehearse it; each step dry-run, then applied in a sandbox; then sealed.

Meanwhile the tests of base begin, which verify will ask for: they need no Green.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.errors import Bug
from greenroom.domain.plan import Plan
from greenroom.domain.ports import Attestor, Evaluator, Keeper, Policy, Store
from greenroom.domain.proof import Predicate, Seal
from greenroom.domain.verdict import Passed, Refused
from greenroom.pipeline.flow import Done


class SimulateStage:
    """Has the keeper build the plan; `green` of the change is the sealed digest."""

    def __init__(
        self, *, store: Store, keeper: Keeper, attestor: Attestor, evaluator: Evaluator, policy: Callable[[], Policy]
    ) -> None:
        self._store = store
        self._keeper = keeper
        self._attestor = attestor
        self._evaluator = evaluator
        self._policy = policy

    def run(self, change: Change) -> Done:
        """Build, read the signed seal, and remember Green; where a step broke, the receipts that tell of it."""
        if change.plan is None:
            raise Bug("no-plan", "simulate needs a plan")
        plan = documents.decode(Plan, self._store.get(change.plan))
        self._evaluator.begin(self._policy().checks(plan), plan, change.base, None, change.golden)
        sealed = self._keeper.build(change.plan)
        if isinstance(sealed, Refused):
            broken = dataclasses.replace(change, broken=sealed.receipts)
            return Done(dataclasses.replace(sealed, receipts=()), broken)
        seal = documents.decode(Seal, self._attestor.open(self._store.get(sealed), Predicate.SEAL, "keeper").body)
        if seal.green == change.base:
            nothing = Refused(
                rule="no-change", where="Green equals Blue", remedy="nothing to do; it is as wished already"
            )
            return Done(nothing, change)
        produced = {"green": seal.green, "seal": sealed}
        built = dataclasses.replace(change, green=seal.green, seals=(sealed,), broken=())
        return Done(Passed(produced=produced), built)
