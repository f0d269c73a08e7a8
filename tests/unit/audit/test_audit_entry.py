"""The quick encoder writes exactly what the general one writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.audit.entry import encode_event
from greenroom.domain import documents
from greenroom.domain.digest import digest_of
from greenroom.domain.errors import Unusable
from greenroom.domain.events import Event
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import ChangeId

EVENTS = st.builds(
    Event,
    key=st.text(),
    at=st.integers(0, 2**63).map(Instant),
    actor=st.text(),
    name=st.text(),
    change=st.none() | st.text().map(ChangeId),
    about=st.text(),
    digests=st.dictionaries(st.text(max_size=6), st.binary(max_size=4).map(lambda data: digest_of("blob", data))),
)


@given(event=EVENTS)
def test_an_entry_is_the_canonical_document(event: Event) -> None:
    """Whatever text an event holds, its entry is its RFC 8785 document, and decodes to the event."""
    entry = encode_event(event)
    assert entry == documents.encode(event)
    assert documents.decode(Event, entry) == event


def test_text_that_is_no_unicode_is_refused() -> None:
    """Half a surrogate pair cannot stand in a document."""
    with pytest.raises(Unusable, match="bad-event"):
        encode_event(Event(key="\ud800", at=Instant(1), actor="guard", name="stop.set"))
