"""Readings are judged by the table and the words, whatever a planner says."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain import documents
from greenroom.domain.errors import GreenroomError, Unusable
from greenroom.domain.requests import (
    KNOWN,
    MARGIN,
    SURE,
    Meaning,
    Reading,
    Request,
    RequestPlan,
    Slot,
    Unclear,
    as_words,
    decide,
    plan_of_reading,
    quoted,
)
from greenroom.domain.vocabulary import Trust

WORDS = "fix the lint in /srv/lib"


def path(value: str = "/srv/lib", begins: int = 16, ends: int = 24) -> Slot:
    return Slot(name="path", value=value, begins=begins, ends=ends)


def reading(*meanings: Meaning, parts: tuple[Meaning, ...] = ()) -> bytes:
    return documents.encode(Reading(planner="p", meanings=meanings, parts=parts))


def meaning(request: str = "fix", score: int = 100, *slots: Slot, unread: tuple[str, ...] = ()) -> Meaning:
    return Meaning(request=request, score=score, slots=slots, unread=unread)


def decided(*meanings: Meaning, trust: Trust = Trust.BOX) -> Request:
    return decide(WORDS, reading(*meanings), trust=trust)


def test_a_value_has_a_person_s_trust_only_where_it_stands_in_the_words() -> None:
    """A planner that names another path than the one that was typed gives it no more trust than it has itself."""
    assert decided(meaning("fix", 100, path())).args["path"].trust is Trust.PERSON
    bent = decided(meaning("fix", 100, path("/etc")), trust=Trust.UNTRUSTED).args["path"]
    assert bent.trust is Trust.UNTRUSTED


def test_what_is_not_sure_is_refused_and_so_is_what_is_not_read_to_its_end() -> None:
    """The score and the unread words each are enough for a no."""
    assert decided(meaning("fix", SURE, path())).name == "fix"
    for unsure in (meaning("fix", SURE - 1, path()), meaning("fix", 100, path(), unread=("not",))):
        with pytest.raises(Unclear) as caught:
            decided(unsure)
        assert caught.value.reference == "not-understood"


def test_a_second_meaning_close_behind_is_an_ambiguity_and_one_far_behind_is_none() -> None:
    """The margin is the same whatever the planner is."""
    with pytest.raises(Unclear) as caught:
        decided(meaning("fix", 100, path()), meaning("improve", 100 - MARGIN, path()))
    assert caught.value.reference == "ambiguous-request"
    assert caught.value.nearest == ("fix the lint in /srv/lib", "improve /srv/lib")
    assert decided(meaning("fix", 100, path()), meaning("improve", 99 - MARGIN, path())).name == "fix"


@pytest.mark.parametrize(
    "bent",
    [
        meaning("drop-tables", 100),
        meaning("fix", 101),
        meaning("fix", 100, path(), path()),
        meaning("fix", 100, Slot(name="command", value="rm", begins=0, ends=3)),
        meaning("fix", 100, path(begins=16, ends=400)),
        meaning("fix", 100, path(begins=9, ends=9)),
        meaning("fix", 100, path(begins=-1)),
        meaning("fix", 100, Slot(name="only", value="evil", begins=0, ends=3)),
        meaning("fix", 100, Slot(name="only", value="ruff,ruff", begins=0, ends=3)),
        meaning("fix", 100, Slot(name="most", value="0", begins=0, ends=3)),
        meaning("fix", 100, Slot(name="most", value="99999", begins=0, ends=3)),
        meaning("fix", 100, Slot(name="within", value="1d", begins=0, ends=3)),
        meaning("fix", 100, Slot(name="branch", value="--upload-pack=x", begins=0, ends=3)),
        meaning("fix", 100, Slot(name="path", value="", begins=0, ends=3)),
        meaning("fix", 100, Slot(name="path", value="a\0b", begins=0, ends=3)),
        meaning("briefing", 100, Slot(name="when", value="tomorrow", begins=0, ends=3)),
    ],
)
def test_a_planner_can_name_nothing_that_the_table_does_not_have(bent: Meaning) -> None:
    """Another request, another argument, a value outside its rule, a place outside the words: none is taken."""
    with pytest.raises(Unusable) as caught:
        decided(bent)
    assert caught.value.reference in ("bad-reading", "bad-request", "bad-path", "bad-span")


@given(st.binary(max_size=400))
def test_no_bytes_of_a_planner_are_more_than_unusable(data: bytes) -> None:
    """Whatever it returns, the answer is a reference, never a bug."""
    with pytest.raises(GreenroomError) as caught:
        decide(WORDS, data, trust=Trust.UNTRUSTED)
    assert isinstance(caught.value, Unusable)


def test_every_example_says_itself() -> None:
    """What the table gives as an example is how a request with only defaults, or none, is said."""
    for known in KNOWN.values():
        values = {name: rule.default for name, rule in known.slots.items() if rule.default is not None}
        assert known.says(values) == known.example


@given(st.text(alphabet=st.characters(exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")), max_size=60))
def test_quoted_words_are_one_argument_of_a_shell(words: str) -> None:
    """The remedy can be pasted: nothing in it is run, expanded or lost."""
    assert shlex.split(quoted(words)) == [words]


@pytest.mark.parametrize(
    ("path_", "said"),
    [
        ("lib", "./lib"),
        (".", "."),
        ("..", ".."),
        ("~/x", "~/x"),
        ("a b", '"./a b"'),
        ("a.", '"./a."'),
        ('a"b', '`./a"b`'),
    ],
)
def test_a_path_is_said_so_that_it_is_no_other_word(path_: str, said: str) -> None:
    """With a slash; in quotes where a sentence would end in it."""
    assert as_words(path_) == said


def test_requests_and_plans_are_documents() -> None:
    """They cross sockets as JSON, and come back the same."""
    made = decided(meaning("fix", 100, path()))
    assert documents.decode(Request, documents.encode(made)) == made
    plan = plan_of_reading(decided(meaning("briefing", 100)))
    assert documents.decode(RequestPlan, documents.encode(plan)) == plan
    assert not plan.asks
