"""Consent: a person's signed yes, given once and spent once, to exactly this plan, this Green and this card."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from greenroom.domain import documents
from greenroom.domain.card import Card, Papers, card_of, differences
from greenroom.domain.debate import read_transcript
from greenroom.domain.digest import Digest, prefix_of
from greenroom.domain.errors import Unusable
from greenroom.domain.plan import Plan
from greenroom.domain.ports import Dossier, Store
from greenroom.domain.proof import Consent, Risk
from greenroom.domain.proposal import origin_of
from greenroom.domain.proposal import read as read_proposal
from greenroom.domain.refusals import refused_by
from greenroom.domain.verdict import Held, Instant, Refused
from greenroom.domain.vocabulary import Agree, Mode, Trust
from greenroom.guard.cardwords import card_differs_in
from greenroom.guard.carried import carried
from greenroom.guard.commands import command_allowed
from greenroom.guard.evidence import Found
from greenroom.guard.journal import tidy
from greenroom.guard.papers import MAX_PAPER_BYTES, open_paper
from greenroom.guard.room import Room
from greenroom.guard.takenback import taken_back
from greenroom.guard.withdraw import early, void

MAX_CONSENTS = 16
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Recomputed:
    """What the guard found out by itself, for a card to be compared with."""

    dossier: Dossier
    plan: Plan
    trust: Trust
    patches: frozenset[Digest]
    found: Found
    risk: Risk
    mode: Mode
    agree: Agree


def give(room: Room, envelope: bytes) -> Digest | Refused:
    """Take a person's consent in: the digest of the stored envelope, or why it is not one. Twice is once."""
    try:
        if len(envelope) > MAX_PAPER_BYTES:
            raise Unusable("consent-too-large", f"a consent has at most {MAX_PAPER_BYTES} bytes")
        consent = open_paper(room.attestor, envelope, Consent)
        refused = _unfit(room, consent, room.clock.now())
    except Unusable as error:
        refused = refused_by(error)
        room.journal.write("consent.refused", f"consent-refused/{secrets.token_hex(8)}", about=refused.rule)
        return refused
    if refused is not None:
        key = f"consent-refused/{consent.nonce}/{refused.rule}"
        room.journal.write("consent.refused", key, change=consent.change, about=refused.rule)
        return refused
    digest = room.store.put("statement", envelope)
    room.crash_point("consent.stored")
    papers = {"consent": digest, "plan": consent.plan, "green": consent.green, "card": consent.shown}
    room.journal.write(
        "consent.given", f"consent/{digest}", actor=tidy(consent.actor), change=consent.change, digests=papers
    )
    room.crash_point("consent.logged")
    return digest


def _unfit(room: Room, consent: Consent, now: Instant) -> Refused | None:
    longest = room.rules.current().constitution.consent_seconds
    if not 16 <= len(consent.nonce) <= 128 or not consent.nonce.isalnum():
        return Refused(rule="consent-malformed", where="nonce", remedy="a nonce has 16 to 128 letters and digits")
    if room.ledger.spent(consent.nonce):
        return Refused(rule="consent-spent", where=consent.change, remedy=_again(consent.change))
    if now >= consent.expires:
        return Refused(rule="consent-expired", where=consent.change, remedy=_again(consent.change))
    if consent.expires > now + longest * _SECOND:
        remedy = f"a consent holds for at most {longest} seconds here"
        return Refused(rule="consent-too-long", where=consent.change, remedy=remedy)
    withdrawn = early(room, consent) or void(room, consent.change, consent)
    if withdrawn is not None:
        return Refused(rule=withdrawn.rule, where=withdrawn.where, remedy=withdrawn.remedy)
    card = read_card(room.store, consent.shown)
    if (card.change, card.plan, card.green) != (consent.change, consent.plan, consent.green):
        return Refused(rule="consent-of-another-card", where=consent.shown, remedy=_again(consent.change))
    return None


def agreed(room: Room, made: Recomputed, now: Instant) -> tuple[tuple[Digest, Consent] | None, Refused | Held | None]:
    """The consent that allows this change, or what is missing. (None, None) where nobody needs to agree.

    Whoever is not `nobody` is a person here; `guard/standing.py` knows who may agree in a person's place.
    """
    change = made.dossier.change
    if made.agree is Agree.NOBODY and not _asks_for_a_person(room, made):
        return None, None
    if len(made.dossier.consents) > MAX_CONSENTS:
        return None, Refused(rule="too-many-consents", where=change, remedy=f"at most {MAX_CONSENTS} in a dossier")
    missing: Refused | Held = Held(rule="needs-approval", where="a person must agree", remedy=_again(change))
    for digest in reversed(made.dossier.consents):
        consent, problem = consent_to(room, made, digest, now)
        if consent is not None:
            return (digest, consent), None
        missing = problem or missing
    return None, missing


def _asks_for_a_person(room: Room, made: Recomputed) -> bool:
    """Whether a change that nobody need agree to is for a person all the same."""
    if persons_words(room, made) or void(room, made.dossier.change, None) is not None:
        return True
    return taken_back(room, made.dossier) is not None


def persons_words(room: Room, made: Recomputed) -> bool:
    """Whether the change rests on words that only a person can answer for, and that the owner did not sign for."""
    command, terms = made.found.test_command, made.plan.terms
    signs = terms is not None and terms.signs
    return signs or (command is not None and not command_allowed(room, made.dossier.subject, command))


def consent_to(
    room: Room, made: Recomputed, digest: Digest, now: Instant
) -> tuple[Consent | None, Refused | Held | None]:
    """The consent that `digest` names, where it allows this change as it was shown; else what stands against it."""
    dossier = made.dossier
    again = _again(dossier.change)
    if prefix_of(digest) != "statement":
        return None, Refused(rule="not-a-statement", where=digest, remedy=again)
    consent = open_paper(room.attestor, room.store.get(digest, MAX_PAPER_BYTES), Consent)
    said = (consent.change, consent.plan, consent.green, consent.shown)
    shown = dossier.card
    if shown is None or (
        said != (dossier.change, dossier.plan, dossier.green, shown) and not carried(room, made, digest)
    ):
        return None, Refused(rule="consent-of-another-change", where=f"consent to {consent.green}", remedy=again)
    if room.ledger.spent(consent.nonce):
        return None, Refused(rule="consent-spent", where=dossier.change, remedy=again)
    if now >= consent.expires:
        return None, Held(rule="consent-expired", where=dossier.change, remedy=again)
    withdrawn = early(room, consent) or void(room, dossier.change, consent) or void(room, consent.change, consent)
    if withdrawn is not None:
        return None, withdrawn
    problem = card_differs(room.store, read_card(room.store, shown), made)
    return (None, problem) if problem else (consent, None)


def read_card(store: Store, digest: Digest) -> Card:
    """The card that is stored as `digest`, strictly parsed."""
    return documents.decode(Card, store.get(digest))


def card_differs(store: Store, card: Card, made: Recomputed) -> Refused | None:
    """None where a card is true: the card that was shown must be the one that the papers give, member by member."""
    expected = card_of(_papers(store, card, made))
    change = made.dossier.change
    for name in differences(card, expected):
        return card_differs_in(change, name, getattr(card, name), getattr(expected, name))
    if card.patch not in made.patches:
        return card_differs_in(change, "patch", card.patch, "what the plan applies, or the classifier's diff")
    if card.summary != made.plan.intent:
        return card_differs_in(change, "summary", card.summary, made.plan.intent)
    if (about := _debated(store, card)) != (made.dossier.plan, card.patch):
        return card_differs_in(change, "debate", card.debate, about)
    return None


def _papers(store: Store, card: Card, made: Recomputed) -> Papers:
    """The papers behind a card. Of these, the card itself names only the proposer's document and the debate."""
    if card.proposal is None:
        message = "the card was made by an earlier Greenroom: it does not name the proposer's document"
        remedy = f"greenroom retry {card.change}, then look at the card and approve it"
        raise Unusable("card-outdated", message, where=card.change, remedy=remedy)
    proposal = read_proposal(store, card.proposal)
    return Papers(
        change=made.dossier.change,
        plan_digest=made.dossier.plan,
        plan=made.plan,
        green=made.dossier.green,
        proposal_digest=card.proposal,
        proposal=proposal,
        golden=documents.load_json(store.get(made.plan.golden)),
        evidence=made.found.evidence,
        runs=made.found.runs,
        risk=made.risk,
        agree=made.agree,
        origin=origin_of(proposal.proposer, made.trust),
        debate=card.debate,
        test_command=made.found.test_command,
    )


def _debated(store: Store, card: Card) -> tuple[object, object] | None:
    """The plan and the patch that the card's debate was about."""
    transcript = read_transcript(store, card.debate)
    given = None if transcript is None else documents.load_json(store.get(transcript.dossier))
    return (given.get("plan"), given.get("patch")) if isinstance(given, dict) else None


def _again(change: str) -> str:
    return f"greenroom approve {change}"
