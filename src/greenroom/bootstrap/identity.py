"""The public description of a box, `box.json`: its id names the log's origin."""

from __future__ import annotations

import re

from greenroom.config import Box
from greenroom.domain import documents
from greenroom.domain.errors import NotFound, TooLarge, Unusable

MAX_IDENTITY_BYTES = 4096
_ID = re.compile(r"[0-9a-f]{16}")


def identity_of(box: Box) -> str:
    """The box's id, 16 hex digits; raises NotFound `no-box` and Unusable `box-damaged`, which names the file."""
    try:
        with box.identity.open("rb") as file:
            found = documents.load_json(file.read(MAX_IDENTITY_BYTES + 1), limit=MAX_IDENTITY_BYTES)
        name = found["id"]
        whole = isinstance(name, str) and _ID.fullmatch(name) is not None
    except FileNotFoundError:
        remedy = "make one with `greenroom init`"
        raise NotFound("no-box", "there is no box here", where=str(box.root), remedy=remedy) from None
    except (KeyError, TypeError, TooLarge, Unusable):
        whole = False
    if not whole:
        raise Unusable(
            "box-damaged",
            "the description of the box cannot be read; nothing was started",
            where=str(box.identity),
            remedy="put the file back from a backup of the box (`greenroom restore`); log, keys and live are untouched",
        )
    return str(name)
