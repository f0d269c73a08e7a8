"""A small grammar: elements that match runs of tokens, frames that say which elements make a request, and the cover.

A frame is understood only where its elements, in whatever order, and words of politeness explain every token. So a
word that nobody knows (*not*, *link*, *push*, *tomorrow*) is never passed over: it makes the request another one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from greenroom.agents.planners.words import FUNCTION_WORDS, Token
from greenroom.domain.requests import Slot

Tokens = Sequence[Token]
Found = tuple[int, tuple[Slot, ...]]
"""Where a match ends, and what it read."""
Element = Callable[[Tokens, int], Iterable[Found]]
MOST_WAYS = 24
"""How many ways to read one place are followed."""


def phrases(*texts: str) -> Element:
    """Any of these phrases, which commas part; each word in any of its forms, but one after `=` only as it stands."""
    by_first: defaultdict[str, list[tuple[str, ...]]] = defaultdict(list)
    for phrase in sorted(_listed(texts), key=lambda words: (-len(words), words)):
        by_first[phrase[0]].append(phrase)
        VOCABULARY.update(word.lstrip("=") for word in phrase)

    def match(tokens: Tokens, at: int) -> Iterator[Found]:
        for first in sorted((*tokens[at].forms, _exact(tokens[at]))) if at < len(tokens) else ():
            for phrase in by_first.get(first, ()):
                ends = at + len(phrase)
                if ends <= len(tokens) and all(map(_says, phrase, tokens[at:ends])):
                    yield ends, ()

    return match


def _listed(texts: Iterable[str]) -> set[tuple[str, ...]]:
    return {tuple(phrase.split()) for text in texts for phrase in text.split(",") if phrase.strip()}


def _says(word: str, token: Token) -> bool:
    return word in token.forms or word == _exact(token)


def _exact(token: Token) -> str:
    return f"={token.text.casefold()}" if not token.path else ""


def seq(*elements: Element) -> Element:
    """One after the other; a comma may stand between them."""

    def match(tokens: Tokens, at: int) -> Iterator[Found]:
        ways: list[Found] = [(at, ())]
        for number, element in enumerate(elements):
            ways = _few(
                (ends, slots + more)
                for begins, slots in ways
                for ends, more in element(tokens, _past_stops(tokens, begins) if number and begins > at else begins)
            )
        return iter(ways)

    return match


def either(*elements: Element) -> Element:
    """Any of these."""

    def match(tokens: Tokens, at: int) -> Iterator[Found]:
        return iter(_few(found for element in elements for found in element(tokens, at)))

    return match


def maybe(element: Element) -> Element:
    """This, or nothing."""

    def match(tokens: Tokens, at: int) -> Iterator[Found]:
        yield from element(tokens, at)
        yield at, ()

    return match


def named(slot: str, value: str, element: Element) -> Element:
    """The element; where it stands is what `value` was read from."""

    def match(tokens: Tokens, at: int) -> Iterator[Found]:
        for ends, _ in element(tokens, at):
            yield ends, (Slot(name=slot, value=value, begins=tokens[at].begins, ends=tokens[ends - 1].ends),)

    return match


@dataclass(frozen=True, eq=False)
class Frame:
    """One way to say a request: every element of `needs`, any of `may`, each once. `sure` is its score when whole."""

    request: str
    needs: tuple[Element, ...]
    may: tuple[Element, ...] = ()
    sure: int = 100

    @cached_property
    def elements(self) -> tuple[Element, ...]:
        """All of them, those that it needs first."""
        return (*self.needs, *self.may)


@dataclass(frozen=True)
class Cover:
    """How a frame explains the tokens: how many by its elements, what it read, what is left."""

    used: int = 0
    by_elements: int = 0
    slots: tuple[Slot, ...] = ()
    unread: tuple[int, ...] = ()

    @property
    def worth(self) -> tuple[int, int, int, int]:
        """The better cover is worth more: fewer words left, more with a meaning, values that are named earlier."""
        return -len(self.unread), self.by_elements, len(self.slots), -sum(slot.begins for slot in self.slots)


class Matches:
    """What elements match in one sentence: many frames ask for the same."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self._known: dict[tuple[Element, int], list[Found]] = {}

    def of(self, element: Element, at: int) -> list[Found]:
        """The matches of `element` that begin at a place."""
        found = self._known.get((element, at))
        if found is None:
            found = self._known[element, at] = [each for each in element(self.tokens, at) if each[0] > at]
        return found


def cover(frame: Frame, matches: Matches, filler: Element) -> Cover:
    """The best way in which `frame` explains the tokens."""
    tokens = matches.tokens
    places = [
        [(number, found) for number, element in enumerate(frame.elements) for found in matches.of(element, at)]
        for at in range(len(tokens))
    ]
    fillers = [[ends for ends, _ in matches.of(filler, at)] for at in range(len(tokens))]
    best: list[dict[int, Cover]] = [{} for _ in range(len(tokens) + 1)]
    best[0][0] = Cover()
    for at, token in enumerate(tokens):
        for have in tuple(best[at].values()):
            for ends, made in _steps(have, at, token, places[at], fillers[at]):
                known = best[ends].get(made.used)
                if known is None or made.worth > known.worth:
                    best[ends][made.used] = made
    needed = (1 << len(frame.needs)) - 1
    return max(best[-1].values(), key=lambda made: ((made.used & needed).bit_count(), *made.worth))


def _steps(
    have: Cover, at: int, token: Token, places: Iterable[tuple[int, Found]], fillers: Iterable[int]
) -> Iterator[tuple[int, Cover]]:
    for number, (ends, slots) in places:
        if not have.used >> number & 1:
            used, by_elements = have.used | 1 << number, have.by_elements + ends - at
            yield ends, Cover(used, by_elements, have.slots + slots, have.unread)
    for ends in fillers:
        yield ends, Cover(have.used, have.by_elements, have.slots, have.unread)
    left = have.unread if token.stop else (*have.unread, at)
    yield at + 1, Cover(have.used, have.by_elements, have.slots, left)


def score(frame: Frame, found: Cover) -> int:
    """0 to `frame.sure`: the share of the words that are explained, times the share of what is needed that is there."""
    read = found.by_elements
    there = sum(found.used >> number & 1 for number in range(len(frame.needs)))
    return frame.sure * read * there // ((read + len(found.unread)) * len(frame.needs)) if read else 0


def single(slots: Iterable[Slot]) -> Mapping[str, Slot]:
    """The slots by name, the first of each."""
    made: dict[str, Slot] = {}
    for slot in slots:
        made.setdefault(slot.name, slot)
    return made


VOCABULARY: set[str] = set()
"""Every word that some element knows: none of them is taken for the name of a directory."""


def known(token: Token) -> bool:
    """True for a word that has a meaning here, or in the language's grammar."""
    return bool(token.forms & VOCABULARY) or not token.forms.isdisjoint(FUNCTION_WORDS)


def _past_stops(tokens: Tokens, at: int) -> int:
    while at < len(tokens) and tokens[at].stop and tokens[at].text == ",":
        at += 1
    return at


def _few(found: Iterable[Found]) -> list[Found]:
    made: dict[Found, None] = {}
    for each in found:
        made[each] = None
        if len(made) >= MOST_WAYS:
            break
    return list(made)
