"""What goes live by itself is bounded until a person looks; only the owner's signature is a look."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from guard_cases import told

from greenroom.domain.digest import Digest
from greenroom.domain.verdict import Passed
from greenroom.domain.vocabulary import ConsentLevel, Mode
from greenroom.guard.papers import LookOrder, ModeOrder
from greenroom.testing.papers import SUBJECT, Killed, PaperHouse, Papers, constitution, papers

pytestmark = pytest.mark.slow

DAY = 24 * 60 * 60
LOOK = ("look.taken", "look.logged", "look.in-force")


@pytest.fixture
def alone(house: PaperHouse) -> PaperHouse:
    """A box that needs nobody for changes of level 0, three of a subject at most until a person looks."""
    house.use(constitution(changes=3), level=ConsentLevel.INFORM)
    house.order(ModeOrder, mode=Mode.SUPERVISED)
    return house


def _next(house: PaperHouse) -> Papers:
    """A change on what is live, unlike any before."""
    word = secrets.token_hex(4)
    return papers(house, house.guard.live(SUBJECT), name=f"change-{word}", text=f"{word}\n".encode())


def _go(house: PaperHouse, made: Papers) -> Any:
    """Promote it in the box's own mode and mark it good, a day later; the guard's answer."""
    warrant = house.guard.warrant(made.dossier(mode=Mode.SUPERVISED))
    if not isinstance(warrant, str):
        return warrant
    answer = house.guard.promote(Digest(warrant))
    if isinstance(answer, Passed):
        assert isinstance(house.guard.mark_good(made.change, made.live_runs()), Passed)
        house.clock.advance(DAY)
    return answer


def _alone(house: PaperHouse, times: int) -> list[Papers]:
    """So many changes went live by themselves, one a day."""
    gone: list[Papers] = []
    for _ in range(times):
        gone.append(_next(house))
        assert isinstance(_go(house, gone[-1]), Passed)
    return gone


def _look(house: PaperHouse, **members: Any) -> Any:
    (found,) = house.guard.unseen()
    return house.order(LookOrder, **({"subject": SUBJECT, "through": found["through"]} | members))


def test_guard_holds_what_nobody_looked_at(alone: PaperHouse) -> None:
    """One a day is below each day's cap, but the fourth waits: nobody looked. No day that passes changes that."""
    gone = _alone(alone, 3)
    fourth = _next(alone)
    held = _go(alone, fourth)
    told(held, "not-looked-at")
    assert str(SUBJECT) in held.where
    assert "greenroom looked" in held.remedy
    assert held.ask_again is None
    alone.clock.advance(30 * DAY)
    told(_go(alone, fourth), "not-looked-at")
    assert alone.guard.live(SUBJECT) == gone[-1].green


@pytest.mark.parametrize(("name", "limit"), [("lines", 5), ("risk", 25)])
def test_guard_holds_too_many_lines_or_too_much_risk_unseen(house: PaperHouse, name: str, limit: int) -> None:
    """Two lines and ten points each: the third is too much of either."""
    house.use(constitution(**{name: limit}), level=ConsentLevel.INFORM)
    house.order(ModeOrder, mode=Mode.SUPERVISED)
    _alone(house, 2)
    held = _go(house, _next(house))
    told(held, "not-looked-at")
    assert held.where.startswith(f"{name}: ")


def test_guard_lets_go_on_when_a_person_looked(alone: PaperHouse) -> None:
    """The owner's order names the last promotion that was shown; from there it is counted anew."""
    gone = _alone(alone, 3)
    (found,) = alone.guard.unseen()
    assert [(each["change"], each["lines"], each["risk"]) for each in found["changes"]] == [
        (made.change, 2, 10) for made in gone
    ]
    assert isinstance(_look(alone), Passed)
    assert alone.guard.unseen() == ()
    assert alone.log.events()[-1].name == "person.looked"
    _alone(alone, 3)
    told(_go(alone, _next(alone)), "not-looked-at")


def test_guard_counts_a_consent_as_a_look(alone: PaperHouse) -> None:
    """A change that a person said yes to is never held for this, and what came before it was seen with it."""
    _alone(alone, 3)
    agreed = _next(alone)
    told(_go(alone, agreed), "not-looked-at")
    alone.use(constitution(changes=3), level=ConsentLevel.REVIEW)
    agreed.approve()
    assert isinstance(_go(alone, agreed), Passed)
    assert alone.guard.unseen() == ()
    alone.use(constitution(changes=3), level=ConsentLevel.INFORM)
    _alone(alone, 3)
    told(_go(alone, _next(alone)), "not-looked-at")


def test_guard_takes_no_consent_for_a_look_before_it_is_spent(alone: PaperHouse) -> None:
    """A yes that is only handed in, again and again, lets nothing more through."""
    _alone(alone, 3)
    alone.use(constitution(changes=3), level=ConsentLevel.REVIEW)
    other = _next(alone)
    other.approve()
    alone.use(constitution(changes=3), level=ConsentLevel.INFORM)
    alone.guard.consent(alone.store.get(other.consents[0]))
    told(_go(alone, _next(alone)), "not-looked-at")


def test_guard_keeps_no_look_for_later(alone: PaperHouse) -> None:
    """An order that is handed in late counts for what it names, not for what went live since."""
    _alone(alone, 1)
    (found,) = alone.guard.unseen()
    early = alone.paper(LookOrder, subject=SUBJECT, through=found["through"])
    made = _next(alone)
    warrant = alone.guard.warrant(made.dossier(mode=Mode.SUPERVISED))
    alone.guard.promote(warrant)
    assert isinstance(alone.guard.mark_good(made.change, made.live_runs()), Passed)
    assert isinstance(alone.hand_in(early), Passed)
    (left,) = alone.guard.unseen()
    assert [each["change"] for each in left["changes"]] == [made.change]
    told(alone.hand_in(early), "order-spent")


def test_guard_look_never_goes_back(alone: PaperHouse) -> None:
    """A look at an earlier promotion takes nothing from a later look."""
    _alone(alone, 1)
    (found,) = alone.guard.unseen()
    first = found["through"]
    _alone(alone, 1)
    _look(alone)
    assert isinstance(alone.order(LookOrder, subject=SUBJECT, through=first), Passed)
    assert alone.guard.unseen() == ()


def test_guard_look_names_a_promotion_of_its_subject(alone: PaperHouse) -> None:
    """A warrant that promoted nothing, and another subject, are nothing that a person can have looked at."""
    _alone(alone, 1)
    told(_look(alone, through=Digest("statement:" + "0" * 64)), "not-promoted")
    other = type(SUBJECT)(kind=SUBJECT.kind, address="/elsewhere")
    told(_look(alone, subject=other), "not-promoted")
    assert len(alone.guard.unseen()) == 1


def test_guard_look_is_the_owners_alone(alone: PaperHouse) -> None:
    """What a caller signs with any other key is no look."""
    _alone(alone, 1)
    (found,) = alone.guard.unseen()
    order = alone.paper(LookOrder, subject=SUBJECT, through=found["through"])
    for key in (alone.keeper, alone.signer, alone.stranger["owner"]):
        told(alone.hand_in(order, key), "statement-forged")
    assert len(alone.guard.unseen()) == 1


def test_guard_counts_what_was_taken_back(alone: PaperHouse) -> None:
    """To promote and revert by turns is no way around: each promotion counts."""
    for _ in range(3):
        made = _next(alone)
        assert isinstance(_go(alone, made), Passed)
        alone.guard.revert(SUBJECT, made.change, "watch")
    told(_go(alone, _next(alone)), "not-looked-at")


def test_guard_asks_again_at_the_swap(alone: PaperHouse) -> None:
    """A warrant from before counts what went live since it was given."""
    alone.use(constitution(changes=2), level=ConsentLevel.INFORM)
    start = alone.guard.live(SUBJECT)
    late = _next(alone)
    warrant = alone.guard.warrant(late.dossier(mode=Mode.SUPERVISED))
    assert isinstance(warrant, str)
    for _ in range(2):
        made = _next(alone)
        alone.guard.promote(alone.guard.warrant(made.dossier(mode=Mode.SUPERVISED)))
        alone.guard.mark_good(made.change, made.live_runs())
        alone.guard.revert(SUBJECT, made.change, "ada")
    assert alone.guard.live(SUBJECT) == start
    found = alone.guard._room.ledger.totals(SUBJECT, alone.clock.now())
    assert found.changes == 2
    alone.guard._room.ledger._db.execute("DELETE FROM days")
    told(alone.guard.promote(Digest(warrant)), "not-looked-at")


@pytest.mark.parametrize("point", LOOK)
def test_guard_killed_in_a_look(alone: PaperHouse, point: str) -> None:
    """After a restart a look that was taken counts, is logged once, and its order spent."""
    _alone(alone, 3)
    (found,) = alone.guard.unseen()
    order = alone.paper(LookOrder, subject=SUBJECT, through=found["through"])
    alone.crash_at = point
    with pytest.raises(Killed):
        alone.hand_in(order)
    alone.restart()
    assert alone.guard.unseen() == ()
    assert alone.names().count("person.looked") == 1
    told(alone.hand_in(order), "order-spent")
    assert isinstance(_go(alone, _next(alone)), Passed)


def test_guard_unseen_answer_is_bounded(alone: PaperHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last ones are named, all are counted."""
    monkeypatch.setattr("greenroom.guard.looks._SHOWN", 2)
    gone = _alone(alone, 3)
    (found,) = alone.guard.unseen()
    assert found["count"] == 3
    assert [each["change"] for each in found["changes"]] == [made.change for made in gone[1:]]
