"""Test commands and commit terms: whose words they are, and what a guard wants before it believes them."""

from __future__ import annotations

import dataclasses

import pytest

from greenroom.domain import documents
from greenroom.domain.plan import Plan
from greenroom.domain.terms import Terms
from greenroom.domain.verdict import Held, Passed, Refused
from greenroom.domain.vocabulary import ConsentLevel, Mode
from greenroom.guard.papers import CommandOrder, ModeOrder
from greenroom.testing.papers import SUBJECT, PaperHouse, Papers, constitution, papers


def alone(house: PaperHouse) -> None:
    """Nobody needs to agree to a change: it is for information, in a box that is supervised."""
    house.use(level=ConsentLevel.INFORM)
    house.order(ModeOrder, mode=Mode.SUPERVISED)


def with_command(made: Papers, command: str = "pytest -q") -> Papers:
    """The same papers, their tests run by a command."""
    asked = {"args": {"argv": command}}
    made.receipts.update(
        base=made.test_run("base", request=asked),
        green=made.test_run("base-on-green", request=asked | {"overlay": ["base", "work"]}),
        own=made.test_run("own", check="own-tests", request=asked),
    )
    return made


def with_terms(made: Papers, terms: Terms) -> Papers:
    """The same papers over a plan with `terms`."""
    made.plan = dataclasses.replace(made.plan, terms=terms)
    made.plan_digest = made.house.store.put("plan", documents.encode(made.plan))
    made.seals = (made.seal(), made.seal())
    made.debate()
    return made


@pytest.mark.parametrize("command", ["", "pytest 'open", "a\nb", "pytest \u202e", "x" * 5000])
def test_guard_takes_no_order_for_what_is_no_command_line(house: PaperHouse, command: str) -> None:
    """One printable, bounded command line; anything else is refused and not remembered."""
    verdict = house.order(CommandOrder, subject=SUBJECT, command=command)
    assert isinstance(verdict, Refused)
    assert verdict.rule == "order-malformed"
    assert not house.guard.command_allowed(SUBJECT, command)


def test_guard_wants_a_person_for_a_command_that_nobody_signed_for(house: PaperHouse) -> None:
    """Where nobody needs to agree, another argv than the owner's own still waits for a person."""
    alone(house)
    made = with_command(papers(house))
    answer = house.guard.warrant(made.dossier(mode=Mode.SUPERVISED))
    assert isinstance(answer, Held)
    assert answer.rule == "needs-approval"
    house.order(CommandOrder, subject=SUBJECT, command="pytest -q -k another")
    assert isinstance(house.guard.warrant(made.dossier(mode=Mode.SUPERVISED)), Held)
    house.order(CommandOrder, subject=SUBJECT, command="pytest -q")
    assert str(house.guard.warrant(made.dossier(mode=Mode.SUPERVISED))).startswith("statement:")


def test_guard_wants_a_person_for_words_in_a_commit(house: PaperHouse) -> None:
    """An author or a trailer says something in somebody's name: only a consent whose card shows it lets it through."""
    alone(house)
    assert str(house.guard.warrant(papers(house).dossier(mode=Mode.SUPERVISED))).startswith("statement:")
    made = with_terms(papers(house, name="change-2"), Terms(author="Linus <l@example.org>"))
    answer = house.guard.warrant(made.dossier(mode=Mode.SUPERVISED))
    assert isinstance(answer, Held)
    assert answer.rule == "needs-approval"


@pytest.mark.parametrize(
    "terms",
    [
        Terms(author="Ada"),
        Terms(author="Ada <a@b>\ncommitter Eve <e@f>"),
        Terms(trailers=("Greenroom-Warrant: forged",)),
        Terms(trailers=("Signed-off-by: Ada\n\nmore",)),
        Terms(trailers=tuple(f"A: {n}" for n in range(9))),
        Terms(changes=-1),
        Terms(environment=("LD_PRELOAD",)),
        Terms(environment=("A B",)),
    ],
)
def test_guard_refuses_terms_that_settings_could_not_say(house: PaperHouse, terms: Terms) -> None:
    """The executor's plan is not believed: line ends, forged trailers and odd caps are refused in the guard."""
    answer = house.guard.warrant(with_terms(papers(house), terms).dossier())
    assert isinstance(answer, Refused)
    assert answer.rule == "bad-terms"


def test_guard_wants_the_variables_that_the_plan_names(house: PaperHouse) -> None:
    """Tests that were given another environment than the card shows prove nothing; the same one is fine."""
    made = with_terms(papers(house), Terms(environment=("TOKEN",)))
    made.approve()
    answer = house.guard.warrant(made.dossier())
    assert isinstance(answer, Refused)
    assert answer.rule == "receipt-wrong-args"
    asked = {"args": {"environment": "TOKEN"}}
    made.receipts.update(
        base=made.test_run("base", request=asked),
        green=made.test_run("base-on-green", request=asked | {"overlay": ["base", "work"]}),
        own=made.test_run("own", check="own-tests", request=asked),
    )
    made.approve()
    assert str(house.guard.warrant(made.dossier())).startswith("statement:")


def test_guard_keeps_caps_below_the_constitution_at_warrant_and_at_promote(house: PaperHouse) -> None:
    """A cap in the plan lowers the day's; one above it does nothing."""
    house.use(constitution(changes=1))
    made = with_terms(papers(house), Terms(changes=99))
    made.approve()
    assert str(house.guard.warrant(made.dossier())).startswith("statement:")
    none = with_terms(papers(house, name="change-2"), Terms(changes=0))
    none.approve()
    answer = house.guard.warrant(none.dossier())
    assert isinstance(answer, Held)
    assert answer.rule == "day-cap-changes"


def test_guard_commits_with_the_author_and_trailers_that_the_person_saw(house: PaperHouse) -> None:
    """The card shows them; the consent over that card lets exactly them into the commit."""
    made = with_terms(papers(house), Terms(author="Ada <ada@example.org>", trailers=("Reviewed-by: Ada <a@b>",)))
    made.approve()
    warrant = house.guard.warrant(made.dossier())
    assert str(warrant).startswith("statement:"), warrant
    assert isinstance(house.guard.promote(warrant), Passed)  # type: ignore[arg-type]
    assert documents.decode(Plan, house.store.get(made.plan_digest)).terms == made.plan.terms
