"""The template planner: no model, no memory, no clock; the same words always give the same reading.

A request is one module in `intents` and one line in `FRAMES`; what it may be given, and how it is said, is its entry in
`domain.requests.KNOWN`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from greenroom.agents.planners.grammar import VOCABULARY, Cover, Frame, Matches, cover, known, score, single
from greenroom.agents.planners.intents import briefing, fix, improve, revert, tests
from greenroom.agents.planners.polite import POLITE
from greenroom.agents.planners.words import Token, forms_of, tokens
from greenroom.domain import documents
from greenroom.domain.requests import MAX_CHARACTERS, SURE, Meaning, Reading

NAME = "template/1"
FRAMES: Sequence[Frame] = (*fix.FRAMES, *improve.FRAMES, *tests.FRAMES, *revert.FRAMES, *briefing.FRAMES)
"""Every way to say every request."""
JOINTS = frozenset({"and", "then", "also", "plus", "afterwards", "before", "after", "but", "next"})
MOST_MEANINGS = 5
LIKE = 0.75
"""How much a mistyped word must be like one that is known for the nearest requests to be named."""
MOST_MISTYPED = 6
MEANT = 60
"""The least score that the words must have with the mistyped ones mended, for it to be worth naming."""


@dataclass(frozen=True)
class _Read:
    frame: Frame
    cover: Cover
    score: int


class TemplatePlanner:
    """The Planner port over the frames."""

    name = NAME

    def plan(self, request: bytes) -> bytes:
        """The reading of `request`, which is UTF-8; what is beyond the bound of a request is not looked at."""
        words = request.decode("utf-8", "replace")[:MAX_CHARACTERS]
        found = tokens(words)
        meanings = _meanings(found)
        parts: tuple[Meaning, ...] = ()
        if not any(_whole(each) for each in meanings):
            parts = _parts(found)
            meanings = _with_nearest(meanings, found)
        return documents.encode(Reading(planner=NAME, meanings=meanings[:MOST_MEANINGS], parts=parts))


def _meanings(found: Sequence[Token]) -> tuple[Meaning, ...]:
    """The best reading of each request, and of each other way in which one is whole; the likeliest first."""
    matches = Matches(found)
    read = [_Read(frame, made, score(frame, made)) for frame in FRAMES for made in [cover(frame, matches, POLITE)]]
    # What takes a word for its meaning comes before what takes it for politeness or for the name of a directory.
    read.sort(key=lambda each: (-each.score, -each.cover.by_elements, _named_by_chance(each, found)))
    made: dict[str, Meaning] = {}
    for each in read:
        if each.score and each.frame.request not in made:
            made[each.frame.request] = _meaning(each, found)
    return tuple(made.values())


def _named_by_chance(each: _Read, found: Sequence[Token]) -> int:
    """How many plain words are taken for names of directories."""
    plain = {(token.begins, token.ends) for token in found if not token.path}
    return sum((slot.begins, slot.ends) in plain and slot.name == "path" for slot in each.cover.slots)


def _meaning(each: _Read, found: Sequence[Token]) -> Meaning:
    unread = tuple(dict.fromkeys(found[number].text[:80] for number in each.cover.unread))
    slots = tuple(single(each.cover.slots).values())
    return Meaning(request=each.frame.request, score=each.score, slots=slots, unread=unread[:20])


def _whole(meaning: Meaning) -> bool:
    return meaning.score >= SURE and not meaning.unread


def _parts(found: Sequence[Token]) -> tuple[Meaning, ...]:
    """The requests that the words hold where they are parted at *and*, a comma or a full stop; empty unless all are."""
    made: list[Meaning] = []
    for part in _parted(found):
        whole = [meaning for meaning in _meanings(part) if _whole(meaning)]
        if whole:
            made.append(whole[0])
        elif cover(Frame("", ()), Matches(part), POLITE).unread:
            return ()
    return tuple(made) if len(made) > 1 else ()


def _parted(found: Sequence[Token]) -> Iterator[Sequence[Token]]:
    part: list[Token] = []
    for token in found:
        if token.stop or token.forms & JOINTS:
            if part:
                yield part
            part = []
        else:
            part.append(token)
    if part:
        yield part


def _with_nearest(meanings: tuple[Meaning, ...], found: Sequence[Token]) -> tuple[Meaning, ...]:
    """The meanings, and those that the words would have if mistyped ones were the known ones that they are like.

    They are for examples only: what was not read stays unread.
    """
    strange = [number for number, token in enumerate(found) if _strange(token)][:MOST_MISTYPED]
    guessed = list(found)
    for number in strange:
        like = difflib.get_close_matches(found[number].text.casefold(), sorted(VOCABULARY), n=1, cutoff=LIKE)
        if like:
            guessed[number] = replace(found[number], forms=forms_of(like[0]))
    if guessed == list(found):
        return meanings
    unread = tuple(found[number].text[:80] for number in strange if guessed[number] is not found[number])
    near = [each for each in _meanings(guessed) if each.score >= MEANT and not each.unread]
    return tuple(sorted((*meanings, *(replace(each, unread=unread) for each in near)), key=lambda each: -each.score))


def _strange(token: Token) -> bool:
    return not token.stop and not token.path and not known(token) and len(token.text) > 2
