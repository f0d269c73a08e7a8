"""Stored documents: canonical out, strict in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain import documents
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.errors import GreenroomError, TooLarge, Unusable
from greenroom.domain.events import Event
from greenroom.domain.proof import Consent, Contribution, Evidence, Risk
from greenroom.domain.verdict import Held, Instant
from greenroom.domain.vocabulary import ChangeId, ConsentLevel

DIGEST = digest_of("blob", b"x")
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
digests = st.binary(max_size=8).map(lambda data: digest_of("tree", data))
evidence = st.builds(
    Evidence,
    check=text,
    about=digests,
    verdict=st.sampled_from(["pass", "fail", "flaky", "broken-before", "inconclusive"]),
    receipts=st.lists(digests, max_size=3).map(tuple),
    findings=st.lists(
        st.builds(Contribution, name=text, points=st.integers(0, 100), why=text, source=st.none() | digests), max_size=3
    ).map(tuple),
    facts=st.dictionaries(text, text, max_size=3),
)


@given(evidence)
def test_what_was_encoded_decodes_to_the_same(value: Evidence) -> None:
    """encode then decode is the identity, and encoding is stable."""
    stored = documents.encode(value)
    back = documents.decode(Evidence, stored)
    assert back == value
    assert documents.encode(back) == stored


@given(st.binary(max_size=300))
def test_any_bytes_decode_or_are_refused_as_unusable(data: bytes) -> None:
    """The parser raises nothing but its own errors."""
    try:
        documents.decode(Event, data)
    except GreenroomError as error:
        assert error.reference in ("bad-json", "bad-document", "bad-digest", "document-too-deep")


def test_instants_are_decimal_strings() -> None:
    """A nanosecond instant is larger than JSON carries exactly, so it is a string."""
    event = Event(key="k", at=Instant(1_800_000_000_123_456_789), actor="a", name="n", change=ChangeId("c"))
    stored = documents.encode(event)
    assert json.loads(stored)["at"] == "1800000000123456789"
    assert documents.decode(Event, stored) == event


def test_an_optional_instant_is_a_decimal_string_too() -> None:
    """Also inside a union."""
    held = Held(rule="r", where="w", remedy="m", ask_again=Instant(2**60))
    assert documents.decode(Held, documents.encode(held)) == held


@pytest.mark.parametrize(
    ("stored", "reference"),
    [
        (b'{"name":"a","name":"b"}', "bad-json"),
        (b'{"name":NaN}', "bad-json"),
        (b'{"points":99999999999999999999}', "bad-json"),
        (b"\xff", "bad-json"),
        (b"[]", "bad-document"),
        (b'{"name":"n","points":1,"why":"w","extra":1}', "bad-document"),
        (b'{"name":"n","why":"w"}', "bad-document"),
        (b'{"name":"n","points":true,"why":"w"}', "bad-document"),
        (b'{"name":"n","points":1,"why":"w","source":"blob:zz"}', "bad-digest"),
    ],
)
def test_bad_documents_are_refused_with_a_reference(stored: bytes, reference: str) -> None:
    """Duplicate, unknown, missing and mistyped members are errors that name themselves."""
    with pytest.raises(Unusable) as caught:
        documents.decode(Contribution, stored)
    assert caught.value.reference == reference


def test_documents_are_bounded_in_size_and_depth() -> None:
    """A large or deep document is refused before it costs anything."""
    with pytest.raises(TooLarge):
        documents.load_json(b" " * 100, limit=10)
    with pytest.raises(TooLarge):
        documents.load_json(b"[" * 40 + b"]" * 40)


def test_enums_and_nested_documents_survive() -> None:
    """IntEnum members are numbers in JSON and members again when read."""
    risk = Risk(contributions=(Contribution(name="n", points=120, why="w"),), level=ConsentLevel.REVIEW)
    back = documents.decode(Risk, documents.encode(risk))
    assert back == risk
    assert back.level is ConsentLevel.REVIEW
    assert back.score == 100


def test_a_consent_names_what_was_shown() -> None:
    """The four digests of a consent are part of its bytes."""
    consent = Consent(
        change=ChangeId("c"),
        plan=DIGEST,
        green=DIGEST,
        shown=Digest(DIGEST),
        actor="person:me",
        expires=Instant(5),
        nonce="00",
    )
    assert documents.decode(Consent, documents.encode(consent)) == consent
