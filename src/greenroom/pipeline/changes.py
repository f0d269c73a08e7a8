"""Changes in the box database, saved by compare-and-swap of their version."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest
from greenroom.domain.errors import NotFound, Unusable
from greenroom.domain.ports import Clock
from greenroom.domain.vocabulary import ChangeId, State, Subject, subject_of
from greenroom.pipeline.board import Tally, rows_of, tally_of
from greenroom.pipeline.holds import SUPERSEDED
from greenroom.pipeline.tables import BOARD, CHANGES, DELIVERIES, SETTINGS

AT_ONCE = 64
"""How many changes are read at a time where a few are likely to do."""


class DatabaseChanges:
    """The Changes port over SQLAlchemy."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def get(self, change: ChangeId) -> Change:
        """The change; raises NotFound `no-change-by-that-id`."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(CHANGES.c.document).where(CHANGES.c.id == change)).first()
        if row is None:
            raise NotFound(
                "no-change-by-that-id", f"there is no change {change!r}", remedy="`greenroom list` shows them all"
            )
        return documents.decode(Change, row.document)

    def save(self, change: Change) -> Change:
        """Store `change` as the next version; version 0 is new."""
        saved = dataclasses.replace(change, version=change.version + 1)
        values = columns_of(saved)
        with self._engine.begin() as connection:
            if change.version == 0:
                fixed = {"id": change.id, "subject": str(change.subject), "created": self._clock.now()}
                taken = connection.execute(sa.select(CHANGES.c.id).where(CHANGES.c.id == change.id)).first()
                if taken is None:
                    connection.execute(sa.insert(CHANGES).values(**fixed, **values))
                    return saved
                raise _conflict(change)
            same = sa.and_(CHANGES.c.id == change.id, CHANGES.c.version == change.version)
            if connection.execute(sa.update(CHANGES).where(same).values(**values)).rowcount != 1:
                raise _conflict(change)
        return saved

    def list(
        self,
        *,
        subject: Subject | None = None,
        open_only: bool = False,
        states: Collection[State] = (),
        held: str | None = None,
        base: Digest | None = None,
        plan: Digest | None = None,
        parent: ChangeId | None = None,
        children: bool = False,
    ) -> Sequence[Change]:
        """Changes, oldest first."""
        query = sa.select(CHANGES.c.document).order_by(CHANGES.c.created, CHANGES.c.id)
        if states:
            query = query.where(CHANGES.c.state.in_([state.value for state in states]))
        if open_only:
            query = query.where(CHANGES.c.open)
        if children:
            query = query.where(CHANGES.c.parent != "")
        asked = {"subject": subject, "held": held, "base": base, "plan": plan, "parent": parent}
        for name, value in asked.items():
            if value is not None:
                query = query.where(CHANGES.c[name] == str(value))
        with self._engine.connect() as connection:
            return [documents.decode(Change, row.document) for row in connection.execute(query)]

    def newest(self, subject: Subject) -> Iterator[Change]:
        """The changes of a subject, the latest first; read as they are taken."""
        query = (
            sa.select(CHANGES.c.document)
            .where(CHANGES.c.subject == str(subject))
            .order_by(CHANGES.c.created.desc(), CHANGES.c.id.desc())
            .limit(AT_ONCE)
        )
        at = 0
        while True:
            with self._engine.connect() as connection:
                rows = connection.execute(query.offset(at)).all()
            yield from (documents.decode(Change, row.document) for row in rows)
            if len(rows) < AT_ONCE:
                return
            at += AT_ONCE

    def subjects(self) -> Sequence[Subject]:
        """Each subject that has a change, in the order in which they came."""
        query = sa.select(CHANGES.c.subject).group_by(CHANGES.c.subject).order_by(sa.func.min(CHANGES.c.created))
        with self._engine.connect() as connection:
            return [subject_of(row.subject) for row in connection.execute(query)]


def columns_of(change: Change) -> Mapping[str, Any]:
    """A change as its row has it, but for what never changes; members are repeated for questions about many changes."""
    return {
        "state": change.state.value,
        "open": not change.terminal,
        "version": change.version,
        "document": documents.encode(change),
        "held": change.hold.rule if change.hold else "",
        "ended": change.ended or "",
        "tried": bool(change.evidence),
        "plan": change.plan or "",
        "base": change.base,
        "parent": change.parent or "",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What the board shows of a change at a glance."""

    change: str
    summary: str
    rule: str
    fingerprint: str


class Board:
    """One line a change: found again by fingerprint, so that repeated runs do not repeat proposals."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def put(self, line: Line) -> None:
        """Store the line of a new change."""
        with self._engine.begin() as connection:
            connection.execute(sa.insert(BOARD).values(**dataclasses.asdict(line)))

    def line(self, change: ChangeId) -> Line | None:
        """The line of a change."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(BOARD).where(BOARD.c.change == change)).mappings().first()
        return Line(**row) if row else None

    def rows(
        self, *, everything: bool, most: int, begins: str = "", held: Collection[str] = ()
    ) -> Sequence[Mapping[str, Any]]:
        """The board as doors show it, as `pipeline.board.read_board` reads it from the file."""
        with self._engine.connect() as connection:
            opened: Any = connection.connection.driver_connection
            return rows_of(opened, everything=everything, most=most, begins=begins, held=held)

    def tally(self) -> Tally:
        """How many changes there are."""
        with self._engine.connect() as connection:
            opened: Any = connection.connection.driver_connection
            return tally_of(opened)

    def known(self, subject: Subject, fingerprint: str) -> Sequence[ChangeId]:
        """The changes of `subject` that were made from the same finding, oldest first."""
        query = (
            sa.select(CHANGES.c.id)
            .join(BOARD, BOARD.c.change == CHANGES.c.id)
            .where(BOARD.c.fingerprint == fingerprint, CHANGES.c.subject == str(subject))
            .order_by(CHANGES.c.created)
        )
        with self._engine.connect() as connection:
            return [ChangeId(row.id) for row in connection.execute(query)]

    def tried(self, *, besides: ChangeId, most: int) -> Sequence[tuple[Change, str]]:
        """The latest `most` changes with evidence, each with its rule, but for `besides` and what a child took over."""
        counted = (CHANGES.c.tried, CHANGES.c.ended != SUPERSEDED, CHANGES.c.id != besides)
        joined = CHANGES.outerjoin(BOARD, BOARD.c.change == CHANGES.c.id)
        query = sa.select(CHANGES.c.document, BOARD.c.rule).select_from(joined).where(*counted)
        query = query.order_by(CHANGES.c.created.desc(), CHANGES.c.id.desc()).limit(most)
        with self._engine.connect() as connection:
            return [(documents.decode(Change, found), str(rule or "")) for found, rule in connection.execute(query)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What a person's branch has (`delivered`) and should have (`wanted`); `pending` says why it has not."""

    subject: str
    change: str
    repository: str
    branch: str
    delivered: str
    wanted: str
    pending: str


class Deliveries:
    """The line of commits between the box's live position and the person's branch, one a subject."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def put(self, delivery: Delivery) -> None:
        """Store or replace the delivery of a subject."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(DELIVERIES).where(DELIVERIES.c.subject == delivery.subject))
            connection.execute(sa.insert(DELIVERIES).values(**dataclasses.asdict(delivery)))

    def get(self, subject: Subject) -> Delivery | None:
        """The delivery of a subject."""
        query = sa.select(DELIVERIES).where(DELIVERIES.c.subject == str(subject))
        with self._engine.connect() as connection:
            row = connection.execute(query).mappings().first()
        return Delivery(**row) if row else None

    def pending(self) -> Sequence[Delivery]:
        """The deliveries that wait."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(DELIVERIES).where(DELIVERIES.c.pending != "")).mappings()
            return [Delivery(**row) for row in rows]


class Settings:
    """What a person set for a subject, such as the command that runs its tests."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def put(self, subject: Subject, name: str, value: str) -> None:
        """Set `name`; an empty value takes the setting away."""
        same = sa.and_(SETTINGS.c.subject == str(subject), SETTINGS.c.name == name)
        with self._engine.begin() as connection:
            connection.execute(sa.delete(SETTINGS).where(same))
            if value:
                connection.execute(sa.insert(SETTINGS).values(subject=str(subject), name=name, value=value))

    def get(self, subject: Subject, name: str) -> str:
        """The value of `name`, empty when it is not set."""
        same = sa.and_(SETTINGS.c.subject == str(subject), SETTINGS.c.name == name)
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(SETTINGS.c.value).where(same)).first()
        return str(row.value) if row else ""


def _conflict(change: Change) -> Unusable:
    return Unusable(
        "version-conflict",
        f"change {change.id} was changed meanwhile",
        remedy="look again with `greenroom show`, then repeat the command",
    )
