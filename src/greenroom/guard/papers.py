"""What the owner signs for the guard beside a consent: orders of every kind, and a lift.

Each is a stored document in a DSSE envelope signed with the owner's key. `sign` makes the envelope; the
guard opens it with `open_paper`. Orders are single-use: they expire, and their nonce is spent for good.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from greenroom.domain import documents
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.errors import Tampered
from greenroom.domain.ports import Attestor
from greenroom.domain.proof import Consent, Predicate
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import ChangeId, Mode, Subject

MAX_PAPER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeOrder:
    """The owner sets how much the box may do by itself."""

    mode: Mode
    actor: str
    expires: Instant
    nonce: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstitutionOrder:
    """The owner puts the policy bundle `policy` in force, in place of `previous` (None: the box has none yet)."""

    policy: Digest
    previous: Digest | None
    actor: str
    expires: Instant
    nonce: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOrder:
    """The owner allows exactly this test command for `subject`, until further notice; another one asks again."""

    subject: Subject
    command: str
    actor: str
    expires: Instant
    nonce: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorOrder:
    """The owner sets the floor of a subject at `change`, or, where it `holds` no longer, takes that floor away."""

    change: ChangeId
    holds: bool
    actor: str
    expires: Instant
    nonce: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OptInOrder:
    """The owner agrees beforehand to level 1 changes of `rule`, in `repository` (empty: in each), until `until`."""

    rule: str
    repository: str
    until: Instant | None
    actor: str
    expires: Instant
    nonce: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LookOrder:
    """A person looked at what went live of `subject`, up to the promotion whose warrant is `through`."""

    subject: Subject
    through: Digest
    actor: str
    expires: Instant
    nonce: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOutOrder:
    """The owner takes back the opt-in whose order has the digest `opt_in`."""

    opt_in: Digest
    actor: str
    expires: Instant
    nonce: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lift:
    """The owner lifts exactly the stop whose id is `stop`; a later stop has another id and stays."""

    stop: Digest
    actor: str
    expires: Instant


Paper = (
    Consent | ModeOrder | ConstitutionOrder | CommandOrder | FloorOrder | LookOrder | OptInOrder | OptOutOrder | Lift
)
P = TypeVar(
    "P", Consent, ModeOrder, ConstitutionOrder, CommandOrder, FloorOrder, LookOrder, OptInOrder, OptOutOrder, Lift
)

PREDICATES: dict[type[Paper], Predicate] = {
    Consent: Predicate.CONSENT,
    ModeOrder: Predicate.MODE,
    ConstitutionOrder: Predicate.CONSTITUTION,
    CommandOrder: Predicate.COMMAND,
    FloorOrder: Predicate.FLOOR,
    LookOrder: Predicate.LOOK,
    OptInOrder: Predicate.OPT_IN,
    OptOutOrder: Predicate.OPT_OUT,
    Lift: Predicate.LIFT,
}


def about_of(paper: Paper) -> Digest:
    """The in-toto subject of `paper`: what it allows, names or ends; where it names nothing stored, its own words."""
    if isinstance(paper, Consent):
        return paper.green
    if isinstance(paper, ConstitutionOrder):
        return paper.policy
    if isinstance(paper, LookOrder):
        return paper.through
    if isinstance(paper, OptOutOrder):
        return paper.opt_in
    if isinstance(paper, Lift):
        return paper.stop
    return digest_of("text", documents.encode(paper))


def sign(owner: Attestor, paper: Paper) -> bytes:
    """The envelope of `paper`; `owner` signs with the owner's key."""
    return owner.sign(PREDICATES[type(paper)], about_of(paper), documents.encode(paper))


def open_paper(attestor: Attestor, envelope: bytes, kind: type[P]) -> P:
    """The paper inside `envelope`; raises Tampered when the owner did not sign it, Unusable when malformed."""
    attested = attestor.open(envelope, PREDICATES[kind], "owner")
    paper = documents.decode(kind, attested.body, limit=MAX_PAPER_BYTES)
    if attested.about != about_of(paper):
        raise Tampered("wrong-subject", "the statement is about something else than its body", where=attested.about)
    return paper
