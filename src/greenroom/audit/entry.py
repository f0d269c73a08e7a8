"""An event as the bytes of a log entry: its canonical document (RFC 8785)."""

from __future__ import annotations

import json

from greenroom.audit.tiles import MAX_ENTRY_BYTES
from greenroom.domain import documents
from greenroom.domain.errors import TooLarge, Unusable
from greenroom.domain.events import Event

# The general encoder takes as long as a third of a flush; for the members of an event, whose names are
# ASCII and whose values are strings, the C encoder writes the same bytes. A property test holds them equal.
_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, check_circular=False)


def encode_event(event: Event) -> bytes:
    """The entry of `event`; raises TooLarge `event-too-large`, or Unusable `bad-event` for text that is no Unicode."""
    try:
        entry = _encode(event)
    except UnicodeEncodeError:
        raise Unusable("bad-event", "a log entry is Unicode text", where=ascii(event.key[:80])) from None
    if len(entry) > MAX_ENTRY_BYTES:
        raise TooLarge("event-too-large", f"a log entry has at most {MAX_ENTRY_BYTES} bytes, this one has {len(entry)}")
    return entry


def _encode(event: Event) -> bytes:
    if not all(name.isascii() for name in event.digests):
        return documents.encode(event)
    plain = {
        "about": event.about,
        "actor": event.actor,
        "at": str(event.at),
        "change": event.change,
        "digests": dict(event.digests),
        "key": event.key,
        "name": event.name,
        "schema": event.schema,
    }
    return _encoder.encode(plain).encode("utf-8")
