"""Verify: every check that the policy asks for, on throwaway copies of the sealed trees; then the card."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.debate import read_transcript
from greenroom.domain.digest import Digest, parse_digest
from greenroom.domain.errors import Bug
from greenroom.domain.outcomes import BROKEN, verdict_on
from greenroom.domain.plan import Plan
from greenroom.domain.ports import Evaluator, Policy, Store
from greenroom.domain.proof import Evidence, Risk
from greenroom.domain.verdict import Passed
from greenroom.pipeline.flow import Done

CardMaker = Callable[[Change, Plan, tuple[Evidence, ...], Risk], Digest]


class VerifyStage:
    """Runs the checks, weighs what they found, and stores the card that a person will be shown."""

    def __init__(self, *, store: Store, evaluator: Evaluator, policy: Callable[[], Policy], card: CardMaker) -> None:
        self._store = store
        self._evaluator = evaluator
        self._policy = policy
        self._card = card

    def run(self, change: Change) -> Done:
        """Evidence, risk and card of the change; refuses or holds on what the evidence says.

        Where the second build broke off, the change names the receipts that tell of it, as after simulate.
        """
        if change.plan is None or change.green is None:
            raise Bug("no-green", "verify needs a sealed Green")
        plan = documents.decode(Plan, self._store.get(change.plan))
        found: list[Evidence] = []
        broken: tuple[Digest, ...] = ()
        checks = self._policy().checks(plan)
        self._evaluator.begin(checks, plan, change.base, change.green, change.golden)
        for check in checks:
            item = self._evaluator.verify(check, plan, change.base, change.green, change.golden, found=found)
            broken = broken or tuple(map(parse_digest, item.facts.get(BROKEN, "").split()))
            item = dataclasses.replace(item, facts={k: v for k, v in item.facts.items() if k != BROKEN})
            found.append(item if item.receipts else self._with_earlier(change, item))
            if not isinstance(verdict_on(found), Passed):
                break
        evidence = tuple(found)
        risk = self._policy().weigh(plan, evidence, read_transcript(self._store, change.debate))
        stored = tuple(self._store.put("output", documents.encode(item)) for item in evidence)
        seals = next((item.receipts for item in evidence if item.check == "reseal" and item.receipts), change.seals)
        weighed = dataclasses.replace(change, evidence=stored, risk=risk, seals=seals, broken=broken)
        card = self._card(weighed, plan, evidence, risk)
        return Done(verdict_on(evidence), dataclasses.replace(weighed, card=card))

    def _with_earlier(self, change: Change, item: Evidence) -> Evidence:
        """Where nothing was run any more, the runs of the last try: how they ended is what a person asks for then."""
        for digest in change.evidence:
            earlier = documents.decode(Evidence, self._store.get(digest))
            if (earlier.check, earlier.about) == (item.check, item.about):
                return dataclasses.replace(item, receipts=earlier.receipts)
        return item
