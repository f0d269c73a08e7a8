"""Rebuild: what the box database should hold, worked out from the signed log, the guard's records and the documents.

The order of truth is pointer, log, box database: what those before it say, the last one follows. Nothing here gives
anybody's yes: consents, warrants and what is live are read from the guard's own entries and generations, and a change
that cannot be told is named, not guessed. Where the log does not say enough, a change waits for a person.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from greenroom.domain import documents
from greenroom.domain.card import Card
from greenroom.domain.change import PATH, Change
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.errors import GreenroomError, Unusable
from greenroom.domain.events import Event
from greenroom.domain.findings import Decision, Said
from greenroom.domain.outcomes import verdict_on
from greenroom.domain.plan import Plan
from greenroom.domain.ports import Store
from greenroom.domain.proposal import Proposal, origin_of
from greenroom.domain.verdict import Held, Instant, Passed, Refused
from greenroom.domain.vocabulary import ChangeId, Mode, Stage, State, Trust
from greenroom.pipeline.changes import Line
from greenroom.pipeline.decisions import Decisions, findings_of
from greenroom.pipeline.holds import (
    ANSWERED,
    BASE_MOVED,
    DEFERRED,
    NEEDS_APPROVAL,
    PROMOTE_LATER,
    RETRIED,
    REVERTING,
    WITHDRAWN,
    again,
    base_moved,
)

T = TypeVar("T")
TOLD = "told by the log; the box database was rebuilt"
_STATES: Mapping[str, State] = {
    "baking": State.PROMOTED,
    "kept": State.KEPT,
    "reverting": State.KEPT,
    "reverted": State.REVERTED,
}
"""What each state of a generation, in the guard's ledger, means for its change."""
_ENDS = ("rejected", "superseded", "merged", "squashed", "closed")
_BEFORE_LIVE = PATH[:6]
_VERSION_DIGITS = 9
_DELIVERED = re.compile(r"delivery/([0-9a-f]{40}(?:[0-9a-f]{24})?)/done")
_LAST = 2**63 - 1
"""The last instant that the box database can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """What the guard's ledger says of one swap for a change: its warrant and the commit that was staged for it."""

    subject: str
    change: str
    state: str
    warrant: Digest
    commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """A change as the records tell it, its line on the board, and when it began.

    `deferred`: until when a person put it off.
    """

    change: Change
    line: Line
    created: Instant
    rejected: bool = False
    deferred: Instant | None = None
    test_command: str = ""


@dataclass(slots=True, kw_only=True)
class Records:
    """All that a rebuild reads: the log's events, the ledger's generations, live by subject, cards and proposals."""

    events: Sequence[Event]
    generations: Sequence[Generation]
    live: Mapping[str, Digest]
    store: Store
    cards: Mapping[ChangeId, Sequence[tuple[Digest, Card]]]
    proposals: Mapping[Digest, Sequence[tuple[Digest, Proposal]]]
    """By patch."""
    by_change: dict[ChangeId, list[Event]] = field(default_factory=dict)
    parents: dict[ChangeId, ChangeId] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Sort the events by change, and children to their parents."""
        for event in self.events:
            if event.change is None:
                continue
            self.by_change.setdefault(event.change, []).append(event)
            if event.name in ("change.superseded", "change.followed"):
                self.parents[ChangeId(event.about)] = event.change


def index_cards(store: Store, digests: Iterable[Digest]) -> Mapping[ChangeId, Sequence[tuple[Digest, Card]]]:
    """Every card that can be read, by change."""
    found: defaultdict[ChangeId, list[tuple[Digest, Card]]] = defaultdict(list)
    for digest in digests:
        card = _read(Card, store, digest)
        if card is not None:
            found[card.change].append((digest, card))
    return found


def index_proposals(store: Store, digests: Iterable[Digest]) -> Mapping[Digest, Sequence[tuple[Digest, Proposal]]]:
    """Every stored text that is a proposal, by its patch."""
    found: defaultdict[Digest, list[tuple[Digest, Proposal]]] = defaultdict(list)
    for digest in digests:
        proposal = _read(Proposal, store, digest)
        if proposal is not None:
            found[proposal.patch].append((digest, proposal))
    return found


def rebuild(records: Records, change: ChangeId) -> Rebuilt | None:
    """The change as the records tell it; None where its plan or its proposal is not to be found.

    None, too, where an entry says what none of ours would: one that anybody could write must not keep the rest back.
    """
    try:
        return _Told(records, change).rebuilt()
    except (Unusable, ValueError, LookupError):
        return None


def delivered_by(event: Event) -> str | None:
    """The commit that an entry says was delivered; None where its key names none."""
    found = _DELIVERED.fullmatch(event.key) if event.name == "delivery.done" else None
    return None if found is None else found[1]


def behind(row: Change, told: Rebuilt, now: Instant) -> bool:
    """True where the database has less of a change than log and ledger: what they say goes before it.

    A change that was put off until before `now` may have gone on: that is in no log.
    """
    change = told.change
    if row.version < change.version or (change.terminal and not row.terminal):
        return True
    if row.state in PATH and change.state in PATH and PATH.index(row.state) < PATH.index(change.state):
        return True
    was_live = (State.PROMOTED, State.KEPT, State.REVERTED)
    if row.state is not change.state and (row.state in was_live or change.state in was_live):
        return True
    if row.consents and not change.consents and not row.terminal:
        return True
    if change.cancelled and not row.cancelled and row.state in _BEFORE_LIVE:
        return True
    put_off = row.hold is not None and row.hold.rule == DEFERRED
    return told.deferred is not None and told.deferred > now and not row.terminal and not put_off


def without_lost_parent(change: Change, known: Collection[ChangeId]) -> tuple[Change, ChangeId | None]:
    """The change, and its parent where that is none of `known`: the change then follows nothing."""
    if change.parent is None or change.parent in known:
        return change, None
    return dataclasses.replace(change, parent=None), change.parent


def merged(row: Change, told: Rebuilt) -> Change:
    """The change as told, with what only the database knew of it: its mode, its origin, what it follows.

    A cancel that either knows of holds. Where both have it in one state, its window and what broke stay with it.
    """
    change = told.change
    same = row.state is change.state
    cancelled = row.cancelled or change.cancelled
    return dataclasses.replace(
        change,
        mode=row.mode,
        origin=row.origin,
        parent=row.parent or change.parent,
        again=row.again,
        cancelled=cancelled,
        window=row.window if same and change.hold is None and not cancelled else None,
        broken=row.broken if same else (),
        version=max(row.version, change.version),
    )


def put_words(decisions: Decisions, store: Store, told: Rebuilt) -> None:
    """Store what a person said of a change for each finding that it mends: a cancel, and a no or a later."""
    change, named = told.change, findings_of(store, told.change)
    if change.cancelled:
        decisions.cancel(change.subject, change.id, named)
    if told.rejected or told.deferred is not None:
        said: Said = "rejected" if told.rejected else "deferred"
        until = None if told.rejected else told.deferred
        words = [Decision(finding=one, change=change.id, said=said, until=until) for one in named]
        decisions.put(change.subject, words)


class _Told:
    """What the events of one change say, read in order."""

    def __init__(self, records: Records, change: ChangeId) -> None:
        self._records = records
        self._id = change
        self._events = records.by_change[change]
        self.state = State.PROPOSED
        self.last: tuple[str, str] = ("", "")
        """Stage and word of the last result that did not pass; empty after a pass."""
        self.ended: str | None = None
        self.refused: Refused | None = None
        self.hold: Held | None = None
        self.consents: list[Digest] = []
        self.carry: Digest | None = None
        self.version = 0
        self.rejected = self.cancelled = False
        self.deferred: Instant | None = None
        self.digests: dict[str, Digest] = {}
        for event in self._events:
            self._take(event)

    def rebuilt(self) -> Rebuilt | None:
        """See `rebuild`."""
        plan = self._plan()
        found = self._proposal(plan) if plan is not None else None
        if plan is None or found is None:
            return None
        request, proposal = found
        card_digest, card = self._card() or (None, None)
        generation = next((g for g in reversed(self._records.generations) if g.change == self._id), None)
        trust = min((arg.trust for step in plan.steps for arg in step.args.values()), default=Trust.UNTRUSTED)
        change = Change(
            id=self._id,
            subject=plan.subject,
            origin=card.origin if card is not None else origin_of(proposal.proposer, Trust(trust)),
            request=request,
            mode=Mode.PROPOSE,
            state=self.state,
            base=plan.base,
            golden=plan.golden,
            plan=self.digests["plan"],
            green=self.digests.get("green"),
            seals=_seals(card),
            debate=card.debate if card is not None else None,
            card=card_digest,
            evidence=_evidence(self._records.store, card),
            consents=tuple(self.consents),
            carry=self.carry,
            warrant=generation.warrant if generation is not None and generation.state in _STATES else None,
            commit=generation.commit or None if generation is not None and generation.state in _STATES else None,
            risk=card.risk if card is not None else None,
            parent=self._records.parents.get(self._id),
            cancelled=self.cancelled,
            version=self.version,
        )
        line = Line(change=self._id, summary=proposal.summary, rule=proposal.rule, fingerprint=proposal.fingerprint)
        return Rebuilt(
            change=self._settled(change, card, generation),
            line=line,
            created=self._events[0].at,
            rejected=self.rejected,
            deferred=self.deferred,
            test_command=card.environment.get("test-command", "") if card is not None else "",
        )

    def _take(self, event: Event) -> None:
        named, *rest = event.key.split("/")
        if named == self._id and len(rest) == 3 and _is_version(rest[0]):
            # ID/VERSION/STAGE/PHASE: a stage is saved as the version after the one that it read.
            self.version = max(self.version, int(rest[0]) + 1)
        stage, _, phase = event.name.partition(".")
        if stage in {each.value for each in Stage}:
            self.digests |= {name: event.digests[name] for name in ("plan", "green") if name in event.digests}
            if phase == "result":
                self._take_result(Stage(stage), event.about)
        elif event.key.startswith("guard/"):
            self._take_guards(event)
        elif stage == "change":
            self._take_word(phase, event)

    def _take_result(self, stage: Stage, word: str) -> None:
        self.hold = None
        if word == "passed":
            self.state = PATH[list(Stage).index(stage) + 1]
            self.last = ("", "")
        else:
            self.last = (stage.value, word)

    def _take_guards(self, event: Event) -> None:
        """Only entries of the guard say that somebody agreed; what is live is its ledger's to say."""
        if event.name == "consent.given":
            self.consents.append(event.digests["consent"])
            self.hold = None
            self.digests["card"] = event.digests["card"]
        elif event.name == "consent.carried":
            self.consents, self.carry = [event.digests["consent"]], event.digests["carry"]
            self.state, self.last = State.APPROVED, ("", "")
        elif event.name == "consent.withdrawn":
            self.consents, self.carry = [], None
            rule = WITHDRAWN if self.state is State.APPROVED else NEEDS_APPROVAL
            self.hold = Held(rule=rule, where=TOLD, remedy=f"greenroom approve {self._id}")
        elif event.name == "window.cancelled":
            self.cancelled = True
            if not self.consents and (self.hold is None or self.hold.rule != WITHDRAWN):
                where = "its apply window was cancelled: a person must agree"
                self.hold = Held(rule=NEEDS_APPROVAL, where=where, remedy=f"greenroom approve {self._id}")

    def _take_word(self, word: str, event: Event) -> None:
        """What became of a change outside the stages."""
        if word == "deferred":
            self.deferred = _instant(event.about)
            remedy = f"greenroom reopen {self._id} asks at once; `greenroom improve` asks again then"
            self.hold = Held(rule=DEFERRED, where=f"until {event.about}", remedy=remedy, ask_again=self.deferred)
        elif word == "reopened":
            self.rejected, self.deferred, self.hold = False, None, None
            self.ended = "reopened" if self.ended in ("rejected", "closed") else self.ended
        elif word in _ENDS or (word == "cancelled" and event.about == "run"):
            self.rejected = self.rejected or word in ("rejected", "closed")
            self.ended = self.ended or word
            if word == "superseded":
                show = f"greenroom show {event.about}"
                self.refused = Refused(rule=word, where=f"{event.about} goes on in its place", remedy=show)

    def _plan(self) -> Plan | None:
        digest = self.digests.get("plan")
        return None if digest is None else _read(Plan, self._records.store, digest)

    def _card(self) -> tuple[Digest, Card] | None:
        """The card that was agreed to, else the one of this plan and Green; the first that can be read."""
        papers = (self.digests.get("plan"), self.digests.get("green"))
        fitting = [each for each in self._records.cards.get(self._id, ()) if (each[1].plan, each[1].green) == papers]
        agreed = [each for each in fitting if each[0] == self.digests.get("card")]
        return next(iter((*agreed, *fitting)), None)

    def _proposal(self, plan: Plan) -> tuple[Digest, Proposal] | None:
        card = self._card()
        named = card[1].proposal if card is not None else None
        found = [each for blob in plan.blobs for each in self._records.proposals.get(blob, ())]
        fitting = [each for each in found if named in (None, each[0]) and each[1].summary == plan.intent]
        return next(iter(fitting), None)

    def _settled(self, change: Change, card: Card | None, generation: Generation | None) -> Change:
        """The change in the state, and with the hold, that the records lead to; the guard's ledger stands above all."""
        if generation is not None and generation.state in _STATES:
            begun = Held(rule=REVERTING, where=TOLD, remedy=f"greenroom revert {change.id}")
            hold = begun if generation.state == "reverting" else None
            ended = "reverted" if generation.state == "reverted" else None
            return dataclasses.replace(change, state=_STATES[generation.state], hold=hold, ended=ended)
        if self.ended is not None:
            return dataclasses.replace(change, state=State.ABORTED, ended=self.ended, refused=self.refused)
        if generation is not None and generation.state == "intended":
            # What became of the swap is the pointer's to say: `resume` looks, as after any crash.
            return dataclasses.replace(change, state=State.APPROVED)
        if change.state not in _BEFORE_LIVE:
            # The log has a promotion that the ledger does not stand for: nobody's word but the guard's makes it live.
            change = dataclasses.replace(change, state=State.APPROVED)
        live = self._records.live.get(str(change.subject))
        verdict = self.hold or self._verdict(change, card)
        if isinstance(verdict, Refused):
            return dataclasses.replace(change, state=State.ABORTED, ended=verdict.rule, refused=verdict)
        if live is not None and live != change.base and (verdict is None or verdict.rule != DEFERRED):
            where = f"Blue is {live[:21]}, the change was made against {change.base[:21]}"
            verdict = base_moved(change, where)
        return dataclasses.replace(change, hold=verdict)

    def _verdict(self, change: Change, card: Card | None) -> Refused | Held | None:
        """What the last result means: a refusal that can be worked out again, else a hold that can be tried again."""
        stage, word = self.last
        if not word:
            later = Held(rule=PROMOTE_LATER, where=TOLD, remedy=f"greenroom promote {change.id}")
            return later if change.state is State.APPROVED else None
        found = verdict_on(card.evidence) if stage == Stage.VERIFY.value and card is not None else Passed()
        if isinstance(found, Refused) or stage == Stage.DEBATE.value:
            remedy = f"greenroom retry {change.id}"
            return found if isinstance(found, Refused) else Refused(rule=word, where=TOLD, remedy=remedy)
        if word == BASE_MOVED:
            return base_moved(change, TOLD)
        remedy = f"greenroom approve {change.id}" if word in ANSWERED - RETRIED else again(change.id)
        return Held(rule=word, where=TOLD, remedy=remedy)


def _seals(card: Card | None) -> tuple[Digest, ...]:
    evidence = card.evidence if card is not None else ()
    return next((item.receipts for item in evidence if item.check == "reseal"), ())


def _evidence(store: Store, card: Card | None) -> tuple[Digest, ...]:
    """The stored evidence that the card shows: the same bytes have the same digest."""
    evidence = card.evidence if card is not None else ()
    digests = tuple(digest_of("output", documents.encode(item)) for item in evidence)
    return tuple(digest for digest in digests if store.has(digest))


def _instant(text: str) -> Instant | None:
    try:
        moment = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.UTC)
    except ValueError:
        return None
    found = int(moment.timestamp()) * 1_000_000_000
    return Instant(found) if 0 <= found <= _LAST else None


def _is_version(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _VERSION_DIGITS


def _read(cls: type[T], store: Store, digest: Digest) -> T | None:
    try:
        return documents.decode(cls, store.get(digest))
    except GreenroomError:
        return None
