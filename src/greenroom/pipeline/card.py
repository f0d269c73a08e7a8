"""Makes the card of a verified change: collects its papers and stores what follows from them. And makes it again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from greenroom.domain import card as cards
from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.debate import read_transcript
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Bug, NotFound, Tampered, Unusable
from greenroom.domain.outcomes import RESULTS, Run, conclude, conclude_reseal, runs_of
from greenroom.domain.plan import Plan
from greenroom.domain.ports import Attestor, Policy, Store
from greenroom.domain.proof import Evidence, Predicate, Receipt, Risk, RunOutput, Seal
from greenroom.domain.vocabulary import Subject
from greenroom.pipeline.stages.plan import read_proposal

MAX_RESULT_BYTES = 8 * 1024 * 1024
BY_RULE = frozenset({"files", "evidence", "risk", "agree", "environment", "notes"})
"""The members of a card that follow from its papers by rules: another version or constitution may have others."""


def _none_set(subject: Subject) -> str:
    del subject
    return ""


class CardMaker:
    """Collects the card from the change's own papers; `store` receives it.

    `test_command` gives the command that a person set for a subject's tests, empty where none is set; `min_share` is
    the percentage of base's tests that must pass.
    """

    def __init__(
        self,
        *,
        store: Store,
        attestor: Attestor,
        policy: Callable[[], Policy],
        test_command: Callable[[Subject], str] = _none_set,
        min_share: Callable[[], int],
    ) -> None:
        self._store = store
        self._attestor = attestor
        self._policy = policy
        self._test_command = test_command
        self._min_share = min_share

    def make(self, change: Change, plan: Plan, evidence: tuple[Evidence, ...], risk: Risk) -> Digest:
        """Store the card; its digest is what a consent calls `shown`."""
        shown = [digest for item in evidence if item.check in cards.SHOWN for digest in item.receipts]
        card = self._card(change, plan, evidence, risk, self._runs(shown), self._test_command(change.subject))
        return self._store.put("card", documents.encode(card))

    def stale(self, change: Change) -> Sequence[str]:
        """The members of the change's card that its papers give otherwise by the rules of today; none without a card.

        The guard makes the card again before a yes counts: what it would refuse need not be signed first. None where a
        member differs that no rule makes: such a card is of other papers, which the guard refuses by name. Raises
        NotFound, Tampered or Unusable for papers that cannot be read or believed.
        """
        if change.card is None or change.plan is None or change.green is None:
            return ()
        try:
            shown = documents.decode(cards.Card, self._store.get(change.card))
        except (NotFound, Tampered):
            raise
        except Unusable:
            return ("its form",)
        if shown.proposal is None:
            return ("its form",)
        plan = documents.decode(Plan, self._store.get(change.plan))
        told = [documents.decode(Evidence, self._store.get(digest)) for digest in change.evidence]
        runs = self._runs([digest for item in told if item.check != "reseal" for digest in item.receipts])
        evidence = tuple(
            self._sealed(change, change.green, change.plan)
            if check == "reseal"
            else conclude(check, change.green, runs_of(check, change.green, runs), min_share=self._min_share())
            for check in self._policy().checks(plan)
        )
        risk = self._policy().weigh(plan, evidence, read_transcript(self._store, change.debate))
        command = shown.environment.get("test-command", "")
        found = tuple(cards.differences(shown, self._card(change, plan, evidence, risk, runs, command)))
        return found if set(found) <= BY_RULE else ()

    def _sealed(self, change: Change, green: Digest, plan: Digest) -> Evidence:
        pairs = []
        for digest in change.seals:
            body = self._attestor.open(self._store.get(digest), Predicate.SEAL, "keeper").body
            pairs.append((digest, documents.decode(Seal, body)))
        return conclude_reseal(green, plan, pairs)

    def _card(
        self,
        change: Change,
        plan: Plan,
        evidence: tuple[Evidence, ...],
        risk: Risk,
        runs: Sequence[Run],
        command: str,
    ) -> cards.Card:
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
            runs=runs,
            risk=risk,
            agree=self._policy().agree(change.mode, risk.level),
            origin=change.origin,
            debate=change.debate,
            test_command=command or None,
        )
        return cards.card_of(papers)

    def _runs(self, receipts: Sequence[Digest]) -> Sequence[Run]:
        opened = {
            digest: self._attestor.open(self._store.get(digest), Predicate.RECEIPT, "keeper").body
            for digest in dict.fromkeys(receipts)
        }
        return [self._run(digest, documents.decode(Receipt, body)) for digest, body in opened.items()]

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
