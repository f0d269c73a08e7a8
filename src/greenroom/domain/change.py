"""A change: one thing on its way through the gate, and the table of its moves.

A change is a compare-and-swap of one pointer, from the digest `base` to the sealed digest `green`.
That is why one flow serves every kind of subject. Nothing moves back: edit, rebase and retry are new
changes with a `parent`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

from greenroom.domain.digest import Digest
from greenroom.domain.errors import Bug
from greenroom.domain.proof import Risk
from greenroom.domain.verdict import Held, Instant, Passed, Refused, Verdict
from greenroom.domain.vocabulary import ChangeId, Mode, Move, Origin, Stage, State, Subject

PATH = (
    State.PROPOSED,
    State.PLANNED,
    State.DEBATED,
    State.SIMULATED,
    State.VERIFIED,
    State.APPROVED,
    State.PROMOTED,
    State.KEPT,
)
STAGES: Mapping[State, Stage] = MappingProxyType(dict(zip(PATH, Stage, strict=False)))
"""The stage that a change in each state meets next."""

MOVES: Mapping[State, Mapping[Move, State]] = MappingProxyType(
    {
        **{
            a: {Move.PASS: b, Move.REFUSE: State.ABORTED, Move.ABORT: State.ABORTED, Move.HOLD: a}
            for a, b in pairwise(PATH[:7])
        },
        State.PROMOTED: {
            Move.PASS: State.KEPT,
            Move.REFUSE: State.REVERTED,
            Move.HOLD: State.REVERTED,
            Move.REVERT: State.REVERTED,
        },
        State.KEPT: {Move.REVERT: State.REVERTED},
        State.ABORTED: {},
        State.REVERTED: {},
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change. `request` names the stored words or proposal; `version` counts saves (compare-and-swap).

    `ended` is the rule or the word that ended it; `refused` is that rule with its place and remedy. `carry` is the
    guard's statement that the consent of an earlier change holds for this one; `parent` the change that it follows.
    `window` is when its apply window ends: consent was given, and until then it can be cancelled; that is no hold.
    `broken` are the receipts of the last build, the first or the second, where it broke off: nobody judges by them, a
    person reads them.
    `cancelled`: a person did. `again` is the evidence of a second verify, where that stands in a person's place.
    """

    id: ChangeId
    subject: Subject
    origin: Origin
    request: Digest
    mode: Mode
    state: State
    base: Digest
    golden: Digest
    plan: Digest | None = None
    green: Digest | None = None
    seals: tuple[Digest, ...] = ()
    broken: tuple[Digest, ...] = ()
    debate: Digest | None = None
    card: Digest | None = None
    evidence: tuple[Digest, ...] = ()
    consents: tuple[Digest, ...] = ()
    carry: Digest | None = None
    warrant: Digest | None = None
    commit: str | None = None
    risk: Risk | None = None
    hold: Held | None = None
    window: Instant | None = None
    cancelled: bool = False
    again: tuple[Digest, ...] = ()
    ended: str | None = None
    refused: Refused | None = None
    parent: ChangeId | None = None
    version: int = 0

    @property
    def terminal(self) -> bool:
        """True when no stage follows."""
        return self.state not in STAGES


def move_of(verdict: Verdict) -> Move:
    """The move that a verdict asks for."""
    if isinstance(verdict, Passed):
        return Move.PASS
    if isinstance(verdict, Held):
        return Move.HOLD
    return Move.REFUSE


def advance(state: State, move: Move) -> State:
    """The state after `move`; a lookup. A missing move is our bug."""
    try:
        return MOVES[state][move]
    except KeyError:
        raise Bug("impossible-move", f"no move {move.value!r} from state {state.value!r}") from None
