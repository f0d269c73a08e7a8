"""The card, member by member: what a hostile executor shows a person is no card unless the papers give it."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from greenroom.domain import documents
from greenroom.domain.card import Card
from greenroom.domain.debate import read_transcript
from greenroom.domain.digest import digest_of
from greenroom.domain.outcomes import FileDiff
from greenroom.domain.proof import Contribution
from greenroom.domain.verdict import Held, Passed, Refused
from greenroom.domain.vocabulary import Agree, ChangeId, ConsentLevel, Kind, Origin, Subject, Trust
from greenroom.testing.papers import PaperHouse, Papers, papers

pytestmark = pytest.mark.slow

Bend = Callable[[Papers, Card], dict[str, Any]]


def _evidence(**members: Any) -> Bend:
    def bend(made: Papers, card: Card) -> dict[str, Any]:
        del made
        first = dataclasses.replace(card.evidence[0], **members)
        return {"evidence": (first, *card.evidence[1:])}

    return bend


def _origin(**members: Any) -> Bend:
    return lambda _, card: {"origin": dataclasses.replace(card.origin, **members)}


def _risk(part: Contribution, level: ConsentLevel | None = None) -> Bend:
    def bend(made: Papers, card: Card) -> dict[str, Any]:
        del made
        parts = (part, *card.risk.contributions[1:])
        return {"risk": dataclasses.replace(card.risk, contributions=parts, level=level or card.risk.level)}

    return bend


def _no_debate(made: Papers, card: Card) -> dict[str, Any]:
    """The debate left out, and what it added to the risk."""
    del made
    parts = tuple(part for part in card.risk.contributions if part.name != "debate")
    return {"debate": None, "risk": dataclasses.replace(card.risk, contributions=parts)}


def _proposal(**members: Any) -> Bend:
    """Another document of the proposer's, and a card that fits it."""

    def bend(made: Papers, card: Card) -> dict[str, Any]:
        del card
        found = dataclasses.replace(made.proposal(), **members)
        shown = {name: value for name, value in members.items() if name in {f.name for f in dataclasses.fields(Card)}}
        return {"proposal": made.house.store.put("text", documents.encode(found)), **shown}

    return bend


_README = FileDiff(path="README", line_class="comment", added=0, removed=0, why="nothing")
_ADA = Origin(actor="person:ada", door="cli", engine="a-model", prompt=digest_of("text", b"?"), trust=Trust.PERSON)
BENT: dict[str, tuple[str, Bend]] = {
    "subject": ("subject", lambda _m, _c: {"subject": Subject(kind=Kind.WORKSPACE, address="/other")}),
    "summary": ("summary", lambda _m, _c: {"summary": "Nothing to see"}),
    "a summary that the proposal has and the plan has not": ("summary", _proposal(summary="Nothing to see")),
    "rationale": ("rationale", lambda _m, _c: {"rationale": "because"}),
    "expected": ("expected", lambda _m, _c: {"expected": "wonders"}),
    "confidence": ("confidence", lambda _m, _c: {"confidence": 100}),
    "rule": ("rule", lambda _m, _c: {"rule": "ruff:F401"}),
    "suggested tests": ("suggested_tests", lambda _m, _c: {"suggested_tests": ()}),
    "patch": ("patch", lambda _m, _c: {"patch": digest_of("blob", b"a harmless patch")}),
    "a patch that the proposal has and the plan has not": ("patch", _proposal(patch=digest_of("blob", b"harmless"))),
    "the proposer's version": ("tools", _proposal(proposer_version="99")),
    "another proposer": ("origin", _proposal(proposer="ruff")),
    "files left out": ("files", lambda _m, _c: {"files": ()}),
    "a file's class": ("files", lambda _m, _c: {"files": (_README,)}),
    "evidence left out": ("evidence", lambda _m, _c: {"evidence": ()}),
    "a check's verdict": ("evidence", _evidence(verdict="fail")),
    "a check's facts": ("evidence", _evidence(facts={"builds": "9"})),
    "a check's receipts": ("evidence", _evidence(receipts=())),
    "a check's findings": ("evidence", _evidence(findings=(Contribution(name="x", points=0, why="y"),))),
    "less risk": ("risk", _risk(Contribution(name="fake", points=0, why="a fake policy"))),
    "more risk that no debate added": ("risk", _risk(Contribution(name="fake", points=90, why="a fake policy"))),
    "another reason": ("risk", _risk(Contribution(name="fake", points=10, why="trust me"))),
    "another source": (
        "risk",
        _risk(Contribution(name="fake", points=10, why="a fake policy", source=digest_of("text", b""))),
    ),
    "a lower level": ("risk", _risk(Contribution(name="fake", points=10, why="a fake policy"), ConsentLevel.REVIEW)),
    "agree": ("agree", lambda _m, _c: {"agree": Agree.NOBODY}),
    "origin": ("origin", lambda _m, _c: {"origin": _ADA}),
    "the actor": ("origin", _origin(actor="proposer:ruff")),
    "the door": ("origin", _origin(door="cli")),
    "an engine": ("origin", _origin(engine="a-model")),
    "a prompt": ("origin", _origin(prompt=digest_of("text", b"?"))),
    "more trust": ("origin", _origin(trust=Trust.PERSON)),
    "less trust": ("origin", _origin(trust=Trust.UNTRUSTED)),
    "base": ("base", lambda _m, _c: {"base": digest_of("tree", b"?")}),
    "golden": ("golden", lambda _m, _c: {"golden": digest_of("golden", b"?")}),
    "no debate": ("debate", _no_debate),
    "no debate, and what it added": ("risk", lambda _m, _c: {"debate": None}),
    "tools": ("tools", lambda _m, _c: {"tools": {}}),
    "a step's tool": ("tools", lambda _m, card: {"tools": {**card.tools, "plan step apply": digest_of("tool", b"?")}}),
    "environment": ("environment", lambda _m, _c: {"environment": {"python tested": "3.99"}}),
    "a test command": ("environment", lambda _m, card: {"environment": {**card.environment, "test-command": "true"}}),
    "another seed": (
        "environment",
        lambda _m, card: {"environment": {**card.environment, "cell environment": "PYTHONHASHSEED=random"}},
    ),
    "notes left out": ("notes", lambda _m, _c: {"notes": ()}),
    "another note": ("notes", lambda _m, _c: {"notes": ("all is well",)}),
}
BOUND_BY_CONSENT = {"change", "plan", "green"}
"""Members that a consent names too: a card with another one is refused when the consent is handed in."""


def _shown(house: PaperHouse, made: Papers, card: Card) -> Any:
    """What the guard says when a person agreed to `card`."""
    made.card = house.store.put("card", documents.encode(card))
    given = house.hand_in(made.consent())
    assert isinstance(given, str), given
    made.consents = (given,)
    return house.guard.warrant(made.dossier())


def test_card_says_which_seeds_the_runs_had(house: PaperHouse) -> None:
    """The environment of every run is in the card, as the golden that the receipts name records it."""
    made = papers(house)
    golden = json.loads(house.store.get(made.plan.golden))
    said = made.make_card().environment["cell environment"]
    assert said == ", ".join(f"{name}={value}" for name, value in sorted(golden["environment"].items()))
    assert "PYTHONHASHSEED=0, SOURCE_DATE_EPOCH=315532800" in said


@pytest.mark.parametrize("name", BENT)
def test_guard_takes_no_card_with_a_bent_member(house: PaperHouse, name: str) -> None:
    """Each member is made again from the papers; the refusal names the first that differs, and live stays."""
    member, bend = BENT[name]
    made = papers(house)
    card = made.make_card()
    answer = _shown(house, made, dataclasses.replace(card, **bend(made, card)))
    assert isinstance(answer, Refused)
    assert (answer.rule, answer.where.partition(":")[0]) == ("card-differs", member)
    assert f"greenroom retry {made.dossier().change}`" in answer.remedy
    assert ("; found " in answer.where, "(" + member in answer.where) == (True, False)
    assert not re.search(
        r"Evidence\(|Contribution\(|FileDiff\(|Origin\(|Risk\(|mappingproxy|Digest\(|\[\(", answer.where
    )
    assert house.guard.live(made.plan.subject) == made.base
    assert "warrant.issued" not in house.names()


@pytest.mark.parametrize("member", sorted(BOUND_BY_CONSENT))
def test_guard_takes_no_consent_to_a_card_of_something_else(house: PaperHouse, member: str) -> None:
    """The consent and the card that it was given to name the same change, plan and Green."""
    made = papers(house)
    others = {"change": ChangeId("other"), "plan": digest_of("plan", b"?"), "green": digest_of("tree", b"?")}
    card = dataclasses.replace(made.make_card(), **{member: others[member]})  # type: ignore[arg-type]
    made.card = house.store.put("card", documents.encode(card))
    refused = house.hand_in(made.consent())
    assert isinstance(refused, Refused)
    assert refused.rule == "consent-of-another-card"


def test_guard_every_member_of_a_card_is_bent_once() -> None:
    """No member of a card is without its test."""
    bent = {member for member, _ in BENT.values()} | BOUND_BY_CONSENT
    assert {field.name for field in dataclasses.fields(Card)} - bent == {"proposal"}


def test_guard_takes_the_card_that_the_papers_give(house: PaperHouse) -> None:
    """Nothing bent: a warrant. The order of receipts and contributions tells nothing."""
    made = papers(house)
    card = made.make_card()
    turned = tuple(dataclasses.replace(item, receipts=item.receipts[::-1]) for item in card.evidence)
    assert isinstance(_shown(house, made, dataclasses.replace(card, evidence=turned)), str)


def test_guard_reads_the_proposers_document_strictly(house: PaperHouse) -> None:
    """Prose that is in no document of a proposer's is nobody's words."""
    made = papers(house)
    card = dataclasses.replace(made.make_card(), proposal=house.store.put("text", b'{"summary": "x"}'))
    answer = _shown(house, made, card)
    assert isinstance(answer, Refused)
    assert answer.rule == "bad-document"


DEBATES: dict[str, tuple[Callable[[Papers], Any], str]] = {
    "a debate of another plan": (
        lambda m: m.debate(dossier=m.house.store.put("dossier", documents.encode({"plan": m.patch, "patch": m.patch}))),
        "card-differs",
    ),
    "a debate of another patch": (
        lambda m: m.debate(
            dossier=m.house.store.put("dossier", documents.encode({"plan": m.plan_digest, "patch": m.plan_digest}))
        ),
        "card-differs",
    ),
    "a debate without a dossier": (lambda m: m.debate(dossier=digest_of("dossier", b"?")), "not-stored"),
    "a debate that is not there": (lambda m: digest_of("text", b"?"), "not-stored"),
    "no transcript": (lambda m: m.house.store.put("text", b"{}"), "bad-document"),
}


@pytest.mark.parametrize("name", DEBATES)
def test_guard_takes_no_other_debate(house: PaperHouse, name: str) -> None:
    """The debate that a card names was about this plan and this patch, and can be read."""
    bend, rule = DEBATES[name]
    made = papers(house)
    answer = _shown(house, made, dataclasses.replace(made.make_card(), debate=bend(made)))
    assert isinstance(answer, Refused)
    assert answer.rule == rule


def test_guard_risk_is_higher_by_what_the_debate_adds(house: PaperHouse) -> None:
    """Reviewers who differed at first add to the risk that is shown, compared, and counted for the day."""
    made = papers(house)
    policy = house.policies[house.first].policy
    debate = made.debate(100, 10, 100, 100)
    risk = policy.weigh(made.plan, made.evidence(policy.checks(made.plan)), read_transcript(house.store, debate))
    assert {part.name: part.points for part in risk.contributions} == {"fake": 10, "debate": 10}
    bare = dataclasses.replace(made.make_card(), debate=debate)
    refused = _shown(house, made, bare)
    assert isinstance(refused, Refused)
    assert refused.where.startswith("risk")
    warrant = _shown(house, made, dataclasses.replace(bare, risk=risk))
    assert isinstance(warrant, str)
    assert isinstance(house.guard.promote(warrant), Passed)
    totals = house.guard._room.ledger.totals(made.plan.subject, house.clock.now())
    assert totals.risk == risk.score == 20


def test_guard_holds_without_a_yes_to_the_debated_card(house: PaperHouse) -> None:
    """A debate never takes away: without a consent nothing is emitted, whatever was said."""
    made = papers(house)
    made.card = house.store.put("card", documents.encode(made.make_card()))
    assert isinstance(house.guard.warrant(made.dossier()), Held)
