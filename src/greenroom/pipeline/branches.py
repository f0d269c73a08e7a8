"""The branches that changes were delivered as, in the box database."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import ChangeId, Subject
from greenroom.pipeline.tables import BRANCHES

OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A change as a branch: commit `made` on the commit `onto`. `at` is the commit's time; `fate` is open at first."""

    change: str
    subject: str
    branch: str
    onto: str
    made: str
    at: Instant
    fate: str = OPEN


class Branches:
    """The branches of the box database, one a change."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def put(self, branch: Branch) -> None:
        """Store or replace the branch of a change."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(BRANCHES).where(BRANCHES.c.change == branch.change))
            connection.execute(sa.insert(BRANCHES).values(**dataclasses.asdict(branch)))

    def get(self, change: ChangeId) -> Branch | None:
        """The branch of a change."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(BRANCHES).where(BRANCHES.c.change == change)).mappings().first()
        return Branch(**row) if row else None

    def open_of(self, subject: Subject) -> Sequence[Branch]:
        """The branches of a subject of which nothing else is known than that they were made."""
        same = sa.and_(BRANCHES.c.subject == str(subject), BRANCHES.c.fate == OPEN)
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(BRANCHES).where(same).order_by(BRANCHES.c.at)).mappings()
            return [Branch(**row) for row in rows]
