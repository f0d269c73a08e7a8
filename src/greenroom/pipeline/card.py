"""Makes the card of a verified change: everything a person needs to see, as one stored document."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from greenroom.domain import documents
from greenroom.domain.card import Card
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Bug, Unusable
from greenroom.domain.outcomes import DiffClass, FileDiff, TestRun
from greenroom.domain.plan import Plan
from greenroom.domain.ports import Attestor, Policy, Store
from greenroom.domain.proof import Evidence, Predicate, Receipt, Risk, RunOutput
from greenroom.domain.vocabulary import Subject
from greenroom.pipeline.stages.plan import read_proposal

MAX_RESULT_BYTES = 8 * 1024 * 1024
NO_TESTS = (
    "no test of this repository could be run in the sandbox, so the tests say nothing about this change; "
    "it is level 2: a person reads the diff"
)

T = TypeVar("T")


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
        proposal = read_proposal(self._store, change)
        golden = documents.load_json(self._store.get(change.golden))
        card = Card(
            change=change.id,
            subject=change.subject,
            summary=proposal.summary,
            rationale=proposal.rationale,
            expected=proposal.expected,
            confidence=proposal.confidence,
            rule=proposal.rule,
            patch=proposal.patch,
            files=self._files(evidence),
            suggested_tests=proposal.suggested_tests,
            evidence=evidence,
            risk=risk,
            agree=self._policy().agree(change.mode, risk.level),
            origin=change.origin,
            plan=change.plan,
            base=change.base,
            green=change.green,
            golden=change.golden,
            debate=change.debate,
            tools={"plan step " + step.id: step.tool for step in plan.steps}
            | {f"proposer {proposal.proposer}": proposal.proposer_version},
            environment={**_environment(golden), **self._command(change.subject)},
            notes=(*_notes(golden, evidence), *self._left_out(evidence)),
        )
        return self._store.put("card", documents.encode(card))

    def _command(self, subject: Subject) -> Mapping[str, str]:
        command = self._test_command(subject)
        return {"test-command": command} if command else {}

    def _files(self, evidence: tuple[Evidence, ...]) -> tuple[FileDiff, ...]:
        for item in evidence:
            if item.check == "classify" and item.receipts:
                return self._diff_class(item.receipts[0]).files
        return ()

    def _diff_class(self, digest: Digest) -> DiffClass:
        return self._result(self._receipt(digest), DiffClass) or DiffClass(files=())

    def _left_out(self, evidence: tuple[Evidence, ...]) -> Iterator[str]:
        """The tests that fail on the unchanged code too, each with its reason as the run noted it."""
        for digest in (digest for item in evidence if item.check == "tests" for digest in item.receipts):
            receipt = self._receipt(digest)
            ran = self._result(receipt, TestRun) if receipt.role == "base" else None
            if ran is None:
                continue
            failing = sum(outcome in ("failed", "error") for outcome in ran.outcomes.values())
            if failing:
                yield f"{failing} tests fail here on the unchanged code too and are left out of the comparison"
            yield from (note for note in ran.notes if note.startswith(("failed: ", "error: ")))

    def _receipt(self, digest: Digest) -> Receipt:
        opened = self._attestor.open(self._store.get(digest), Predicate.RECEIPT, "keeper")
        return documents.decode(Receipt, opened.body)

    def _result(self, receipt: Receipt, kind: type[T]) -> T | None:
        """The run's result document; None where there is none that can be read: its check is inconclusive then."""
        output = documents.decode(RunOutput, self._store.get(receipt.output))
        if output.result is None:
            return None
        data = self._store.get(output.result, MAX_RESULT_BYTES)
        try:
            return documents.decode(kind, data, limit=MAX_RESULT_BYTES)
        except Unusable:
            return None


def _environment(golden: Any) -> Mapping[str, str]:
    found = {"python tested": str(golden.get("python", "")), "interpreter": str(golden.get("interpreter", ""))}
    host = golden.get("host", {})
    if isinstance(host, dict):
        found |= {f"host {name}": str(value) for name, value in host.items()}
    packages = golden.get("packages", {})
    if isinstance(packages, dict):
        found["toolchain"] = ", ".join(f"{name} {version}" for name, version in sorted(packages.items()))
    return found


def _notes(golden: Any, evidence: tuple[Evidence, ...]) -> list[str]:
    notes = [str(note) for note in golden.get("notes", ())]
    for item in evidence:
        if item.check == "tests" and item.verdict == "broken-before":
            why = item.facts.get("why", "")
            notes.append(NO_TESTS if why == "no-runnable-tests" else f"too few of base's tests pass here ({why})")
        if item.check == "tests" and item.facts.get("skipped", "0") != "0":
            notes.append(f"{item.facts['skipped']} tests were skipped")
    return notes
