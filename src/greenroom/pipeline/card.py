"""Makes the card of a verified change: collects its papers and stores what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from greenroom.domain import card as cards
from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Bug, Unusable
from greenroom.domain.outcomes import RESULTS, Run
from greenroom.domain.plan import Plan
from greenroom.domain.ports import Attestor, Policy, Store
from greenroom.domain.proof import Evidence, Predicate, Receipt, Risk, RunOutput
from greenroom.domain.vocabulary import Subject
from greenroom.pipeline.stages.plan import read_proposal

MAX_RESULT_BYTES = 8 * 1024 * 1024


def _none_set(subject: Subject) -> str:
    del subject
    return ""


class CardMaker:
    """Collects the card from the change's own papers; `store` receives it.

    `test_command` gives the command that a person set for a subject's tests, empty where none is set.
    """

    def __init__(
        self,
        *,
        store: Store,
        attestor: Attestor,
        policy: Callable[[], Policy],
        test_command: Callable[[Subject], str] = _none_set,
    ) -> None:
        self._store = store
        self._attestor = attestor
        self._policy = policy
        self._test_command = test_command

    def make(self, change: Change, plan: Plan, evidence: tuple[Evidence, ...], risk: Risk) -> Digest:
        """Store the card; its digest is what a consent calls `shown`."""
        if change.plan is None or change.green is None:
            raise Bug("no-green", "a card needs a plan and a Green")
        papers = cards.Papers(
            change=change.id,
            plan_digest=change.plan,
            plan=plan,
            green=change.green,
            proposal_digest=change.request,
            proposal=read_proposal(self._store, change),
            golden=documents.load_json(self._store.get(change.golden)),
            evidence=evidence,
            runs=tuple(self._runs(evidence)),
            risk=risk,
            agree=self._policy().agree(change.mode, risk.level),
            origin=change.origin,
            debate=change.debate,
            test_command=self._test_command(change.subject) or None,
        )
        return self._store.put("card", documents.encode(cards.card_of(papers)))

    def _runs(self, evidence: tuple[Evidence, ...]) -> Iterator[Run]:
        for digest in (digest for item in evidence if item.check in cards.SHOWN for digest in item.receipts):
            opened = self._attestor.open(self._store.get(digest), Predicate.RECEIPT, "keeper")
            yield self._run(digest, documents.decode(Receipt, opened.body))

    def _run(self, digest: Digest, receipt: Receipt) -> Run:
        """The run with its result document; None where there is none that can be read."""
        output = documents.decode(RunOutput, self._store.get(receipt.output))
        if output.result is None:
            return Run(digest=digest, receipt=receipt, result=None)
        data = self._store.get(output.result, MAX_RESULT_BYTES)
        try:
            result = documents.decode(RESULTS[receipt.check], data, limit=MAX_RESULT_BYTES)
        except Unusable:
            result = None
        return Run(digest=digest, receipt=receipt, result=result)
