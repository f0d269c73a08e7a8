"""The table of moves and the consent matrix."""

from __future__ import annotations

import pytest

from greenroom.domain.change import MOVES, PATH, STAGES, advance, move_of
from greenroom.domain.errors import Bug
from greenroom.domain.verdict import Held, Passed, Refused
from greenroom.domain.vocabulary import CONSENT, Agree, ConsentLevel, Mode, Move, Stage, State


def test_passing_every_stage_leads_from_proposed_to_kept() -> None:
    """Seven passes walk the whole path, one stage each, in the order of the stages."""
    state, met = State.PROPOSED, []
    while state in STAGES:
        met.append(STAGES[state])
        state = advance(state, Move.PASS)
    assert met == list(Stage)
    assert state is State.KEPT


def test_nothing_moves_back() -> None:
    """No move leads to an earlier state of the path."""
    rank = {state: index for index, state in enumerate(PATH)}
    for state, moves in MOVES.items():
        for after in moves.values():
            if state in rank and after in rank:
                assert rank[after] >= rank[state]


def test_a_promoted_change_that_is_not_watched_is_taken_back() -> None:
    """A refusal or a hold while watching ends in reverted."""
    assert advance(State.PROMOTED, Move.HOLD) is State.REVERTED
    assert advance(State.PROMOTED, Move.REFUSE) is State.REVERTED


@pytest.mark.parametrize("state", [State.ABORTED, State.REVERTED])
def test_an_ended_change_has_no_moves_and_asking_is_our_bug(state: State) -> None:
    """A missing move raises Bug."""
    for move in Move:
        with pytest.raises(Bug):
            advance(state, move)


def test_before_promote_a_hold_keeps_the_state_and_a_refusal_aborts() -> None:
    """Held is an attribute, not a state."""
    for state in PATH[:6]:
        assert advance(state, Move.HOLD) is state
        assert advance(state, Move.REFUSE) is State.ABORTED


def test_verdicts_name_their_move() -> None:
    """Each verdict has one move."""
    assert move_of(Passed()) is Move.PASS
    assert move_of(Refused(rule="r", where="w", remedy="m")) is Move.REFUSE
    assert move_of(Held(rule="r", where="w", remedy="m")) is Move.HOLD


def test_the_consent_matrix_never_lets_level_three_pass_without_a_person() -> None:
    """Level 3 asks a person in every mode; propose asks a person at every level."""
    assert all(row[ConsentLevel.PERSON] is Agree.PERSON for row in CONSENT.values())
    assert set(CONSENT[Mode.PROPOSE]) == {Agree.PERSON}
    assert CONSENT[Mode.AUTONOMOUS][ConsentLevel.REVIEW] is Agree.TWO_VERIFIES
