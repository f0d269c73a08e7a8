"""Debate: at least two reviewers score a dossier on every axis, two rounds at most; a pure judge decides.

Any error, missing or malformed review fails closed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.debate import ROUNDS, Failed, Round, Ruling, Transcript
from greenroom.domain.digest import Digest
from greenroom.domain.errors import GreenroomError
from greenroom.domain.ports import Review, Reviewer, Store
from greenroom.domain.verdict import Held, Passed, Refused, Verdict
from greenroom.pipeline.flow import Done
from greenroom.pipeline.stages.plan import read_proposal

MAX_REVIEW_BYTES = 64 * 1024
Judge = Callable[[Sequence[Review | None], int, int], tuple[Ruling, bool, str]]
"""(reviews of one round or None where one failed, round, rounds) -> ruling, decided, why."""


class DebateStage:
    """Asks every reviewer, round by round, until the judge has decided; the transcript is stored."""

    def __init__(
        self,
        *,
        store: Store,
        reviewers: Sequence[Reviewer],
        judge: Judge,
        history: Callable[[Change], Mapping[str, int]],
    ) -> None:
        self._store = store
        self._reviewers = reviewers
        self._judge = judge
        self._history = history

    def run(self, change: Change) -> Done:
        """Store the transcript; `debate` of the change is its digest."""
        dossier = self._dossier(change)
        rounds: list[Round] = []
        ruling: Ruling = "ERROR"
        why = "no round was held"
        for number in range(1, ROUNDS + 1):
            reviews = [self._review(reviewer, dossier, number) for reviewer in self._reviewers]
            ruling, decided, why = self._judge([r if isinstance(r, Review) else None for r in reviews], number, ROUNDS)
            rounds.append(Round(round=number, reviews=tuple(reviews), ruling=ruling, why=why))
            if decided:
                break
        transcript = Transcript(dossier=dossier, rounds=tuple(rounds), ruling=ruling, why=why)
        digest = self._store.put("text", documents.encode(transcript))
        return Done(_verdict(ruling, why, digest), dataclasses.replace(change, debate=digest))

    def _dossier(self, change: Change) -> Digest:
        proposal = read_proposal(self._store, change)
        patch = self._store.get(proposal.patch)
        lines = [line for line in patch.split(b"\n") if line[:1] in (b"+", b"-") and line[:3] not in (b"+++", b"---")]
        dossier = {
            "plan": change.plan,
            "patch": proposal.patch,
            "files": list(proposal.files),
            "lines": len(lines),
            "rule": proposal.rule,
            "subject": {"kind": change.subject.kind.value, "address": change.subject.address},
            "history": dict(self._history(change)),
        }
        return self._store.put("dossier", documents.encode(dossier))

    def _review(self, reviewer: Reviewer, dossier: Digest, number: int) -> Review | Failed:
        try:
            answer = reviewer.debate(dossier, number)
            if isinstance(answer, Held):
                return Failed(error=f"{reviewer.name}: {answer.rule}")
            return documents.decode(Review, answer, limit=MAX_REVIEW_BYTES)
        except GreenroomError as error:
            return Failed(error=f"{reviewer.name}: {error}")


def _verdict(ruling: Ruling, why: str, transcript: Digest) -> Verdict:
    if ruling == "ACCEPT":
        return Passed(produced={"debate": transcript})
    rule = "debate-rejected" if ruling == "REJECT" else "debate-error"
    remedy = "the transcript, in `greenroom show ID`, says what took the points; `greenroom edit ID` mends the patch"
    return Refused(rule=rule, where=why, remedy=remedy)
