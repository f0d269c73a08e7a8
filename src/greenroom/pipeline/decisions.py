"""What a person said of findings, in the box database: a no, or not before a time."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping

import sqlalchemy as sa

from greenroom.domain.change import Change
from greenroom.domain.errors import Unusable
from greenroom.domain.findings import Decision, findings
from greenroom.domain.ports import Store
from greenroom.domain.proposal import Proposal
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import ChangeId, Subject
from greenroom.pipeline.stages.plan import MAX_PATCH_BYTES, read_proposal
from greenroom.pipeline.tables import DECISIONS

_CANCELLED = "cancelled/"
"""What a cancel is kept under: beside a no or a later to the same finding, which say nothing of it."""
AT_ONCE = 500
"""SQLite bounds the values of one statement."""


class Decisions:
    """The decisions on the findings of each subject; the last word on a finding counts."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def put(self, subject: Subject, decisions: Iterable[Decision]) -> None:
        """Store decisions, in the place of earlier ones on the same findings; all or none."""
        rows = {one.finding: one for one in decisions}
        with self._engine.begin() as connection:
            for names in _batches(rows):
                connection.execute(sa.delete(DECISIONS).where(_these(subject, names)))
            for one in rows.values():
                values = {"finding": one.finding, "change": one.change, "said": one.said, "until": one.until}
                connection.execute(sa.insert(DECISIONS).values(subject=str(subject), **values))

    def among(self, subject: Subject, findings: Collection[str]) -> Mapping[str, Decision]:
        """The decisions on those of `findings` that a person decided on, whether they hold still or not."""
        found: dict[str, Decision] = {}
        with self._engine.connect() as connection:
            for names in _batches(findings):
                rows = connection.execute(sa.select(DECISIONS).where(_these(subject, names))).mappings()
                found |= {row["finding"]: _decision(row) for row in rows}
        return found

    def forget(self, subject: Subject, findings: Collection[str]) -> int:
        """Take the decisions on `findings` away; how many there were."""
        with self._engine.begin() as connection:
            gone = (connection.execute(sa.delete(DECISIONS).where(_these(subject, n))) for n in _batches(findings))
            return sum(result.rowcount for result in gone)

    def cancel(self, subject: Subject, change: ChangeId, findings: Collection[str]) -> None:
        """Keep for good that a person cancelled `change`, which mends `findings`: none of them is applied by itself."""
        names = [_CANCELLED + name for name in findings]
        rows = [{"subject": str(subject), "finding": name, "change": change, "said": "cancelled"} for name in names]
        with self._engine.begin() as connection:
            for batch in _batches(names):
                connection.execute(sa.delete(DECISIONS).where(_these(subject, batch)))
            for row in rows:
                connection.execute(sa.insert(DECISIONS).values(**row))

    def cancelled(self, subject: Subject, findings: Collection[str]) -> bool:
        """True where a person cancelled a change that mends one of `findings`."""
        return bool(self.among(subject, [_CANCELLED + name for name in findings]))


def findings_of(store: Store, change: Change) -> tuple[str, ...]:
    """The findings that a change mends."""
    return names_of(store, read_proposal(store, change))


def names_of(store: Store, proposal: Proposal) -> tuple[str, ...]:
    """The findings of a proposal; of one whose patch cannot be read, the proposer's own name for it."""
    try:
        named = findings(proposal.rule, store.get(proposal.patch, MAX_PATCH_BYTES))
    except Unusable:
        named = ()
    return named or (proposal.fingerprint,)


def _these(subject: Subject, names: Collection[str]) -> sa.ColumnElement[bool]:
    return sa.and_(DECISIONS.c.subject == str(subject), DECISIONS.c.finding.in_(list(names)))


def _batches(names: Collection[str]) -> Iterable[list[str]]:
    waiting = iter(names)
    while batch := list(itertools.islice(waiting, AT_ONCE)):
        yield batch


def _decision(row: sa.RowMapping) -> Decision:
    until = None if row["until"] is None else Instant(int(row["until"]))
    return Decision(finding=str(row["finding"]), change=ChangeId(str(row["change"])), said=row["said"], until=until)
