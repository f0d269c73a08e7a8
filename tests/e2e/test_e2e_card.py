"""A card that deceives, at a real guard: a person said yes to it, and it is worth nothing."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from e2e_box import CALM, Evidence, House, in_seconds

from greenroom.domain import documents
from greenroom.domain.card import Card
from greenroom.domain.digest import digest_of
from greenroom.domain.proof import Consent
from greenroom.domain.verdict import Refused
from greenroom.domain.vocabulary import Agree, ConsentLevel, Kind, Subject, Trust
from greenroom.entrypoints.cli.output import exit_of
from greenroom.guard import papers
from greenroom.pipeline.plain import verdict_plain

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

BENT: Mapping[str, Callable[[Card], Any]] = {
    "subject": lambda _: Subject(kind=Kind.WORKSPACE, address="/other"),
    "summary": lambda _: "Nothing to see",
    "rationale": lambda _: "because",
    "expected": lambda _: "wonders",
    "confidence": lambda _: 100,
    "rule": lambda _: "codespell",
    "patch": lambda _: digest_of("blob", b"harmless"),
    "files": lambda _: (),
    "suggested_tests": lambda _: ("tests/test_all_is_well.py",),
    "evidence": lambda card: card.evidence[1:],
    "risk": lambda card: dataclasses.replace(card.risk, contributions=card.risk.contributions[1:]),
    "agree": lambda _: Agree.NOBODY,
    "origin": lambda card: dataclasses.replace(card.origin, actor="person:ada", trust=Trust.PERSON),
    "base": lambda _: digest_of("tree", b"?"),
    "golden": lambda _: digest_of("golden", b"?"),
    "debate": lambda _: digest_of("text", b"?"),
    "tools": lambda _: {},
    "environment": lambda card: {**card.environment, "test-command": "true"},
    "notes": lambda card: (*card.notes, "all is well"),
    "proposal": lambda _: digest_of("text", b"?"),
}
UNREAD = {"debate", "proposal"}
"""Members that name a document: one that is not there is refused as such."""


def _yes(house: House, change: str, card: Card) -> Any:
    """The verdict on a warrant, with a person's yes to exactly this card."""
    shown = house.store.put("card", documents.encode(card))
    consent = Consent(
        change=card.change,
        plan=card.plan,
        green=card.green,
        shown=shown,
        actor="person:ada",
        expires=in_seconds(300),
        nonce=secrets.token_hex(16),
    )
    given = house.guard.consent(papers.sign(house.owner(), consent))
    assert isinstance(given, str), given
    return house.guard.warrant(dataclasses.replace(house.dossier(change), card=shown, consents=(given,)))


def test_e2e_card_with_a_bent_member(house: House, evidence: Evidence, calm: Path) -> None:
    """Each member in turn is shown otherwise, and a person agrees: no warrant, the member is named, live stays."""
    change = house.good(calm, "Bent.")
    true = documents.decode(Card, house.store.get(house.changes.get(change["id"]).card or ""))  # type: ignore[arg-type]
    assert {field.name for field in dataclasses.fields(Card)} - set(BENT) == {"change", "plan", "green"}
    with house.unmoved(calm):
        for name, bend in BENT.items():
            verdict = _yes(house, change["id"], dataclasses.replace(true, **{name: bend(true)}))
            assert isinstance(verdict, Refused), (name, verdict)
            assert verdict.rule == ("not-stored" if name in UNREAD else "card-differs"), (name, verdict)
            assert name in UNREAD or verdict.where.startswith(f"{name}: "), (name, verdict)
            if name in ("summary", "risk", "notes"):
                plain = verdict_plain(verdict)
                evidence.add(f"a card that shows another {name} (at the guard's socket)", plain, exit_of(plain))
        level = dataclasses.replace(true.risk, level=ConsentLevel.INFORM)
        assert _yes(house, change["id"], dataclasses.replace(true, risk=level)).rule == "card-differs"


def test_e2e_card_as_the_papers_give_it(house: House) -> None:
    """The same yes to the true card is worth a warrant; the card names the changed line that no test of base ran."""
    place = house.repository("true-card")
    house.take_in(place)
    more = "    if number is None:\n        return None\n    # Twice.\n    return number + number\n"
    change = house.edit(place, {"calm.py": CALM["calm.py"].replace("    return number * 2\n", more)})
    true = documents.decode(Card, house.store.get(house.changes.get(change["id"]).card or ""))  # type: ignore[arg-type]
    (coverage,) = (part for part in true.risk.contributions if part.name == "coverage")
    assert coverage.why == "2 of 3 changed lines ran in base's tests; not run: calm.py:7"
    assert coverage.points == 9
    assert isinstance(_yes(house, change["id"], true), str)
