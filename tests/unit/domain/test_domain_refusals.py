"""Every error can be told with what would help against it."""

from __future__ import annotations

import pytest

from greenroom.domain import errors
from greenroom.domain.refusals import refused_by, remedy_of
from greenroom.domain.verdict import Refused

CLASSES = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.GreenroomError)]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_kind_of_error_has_a_remedy(kind: type[errors.GreenroomError]) -> None:
    """Also one that was raised without, of a reference that nobody thought of."""
    error = kind("a-reference-of-its-own", "it went wrong")
    assert remedy_of(error)
    assert refused_by(error) == Refused(rule=error.reference, where="it went wrong", remedy=remedy_of(error))


def test_the_closest_remedy_is_told() -> None:
    """What the error says, else what the caller knows, else the usual one of its reference, else of its class."""
    said = errors.NotFound("not-stored", "gone", where="here", remedy="look again")
    unsaid = errors.NotFound("not-stored", "gone", where="here")
    assert refused_by(said) == Refused(rule="not-stored", where="here", remedy="look again")
    assert remedy_of(said, "else") == "look again"
    assert remedy_of(unsaid, "else") == "else"
    assert "greenroom restore" in remedy_of(unsaid)
    assert "greenroom list" in remedy_of(errors.NotFound("no-such-thing", "gone"))
