"""The words of a request as tokens: quotes kept together, contractions taken apart, inflections looked through.

Each token knows its place in the text, so that what is read from it can be shown and labelled.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

MAX_TOKENS = 80
"""More than any one sentence for one thing has; what is beyond is one unread token."""
_TOKEN = re.compile(r"\"([^\"]*)\"|`([^`]*)`|(?<!\S)'([^']+)'(?=[\s,.;:!?]|$)|\S+")
_QUOTES = str.maketrans({"‘": "'", "’": "'", "ʼ": "'", "“": '"', "”": '"', "„": '"', "‐": "-", "‑": "-"})
_OPENING, _CLOSING = "([{<", ")]}>,;:!?."
_STOPS = re.compile(r"[,;:!?.–—-]+|\.\.\.|…")
_PATH = re.compile(r"[/~]|^\.|\\")
_JOINS = {"&": "and", "&&": "and", "+": "and"}
_NEGATED = {"can't": "can", "won't": "will", "shan't": "shall"}
_BARE = {
    **{f"{verb}nt": (verb, "not") for verb in ("do", "does", "did", "is", "are", "was", "were", "should", "would")},
    **{f"{verb}nt": (verb, "not") for verb in ("could", "have", "has", "had", "must")},
    "cant": ("can", "not"),
    "cannot": ("can", "not"),
    "wont": ("will", "not"),
    "dont": ("do", "not"),
    "whats": ("what", "is/has"),
    "lets": ("let", "us"),
    "pls": ("please",),
    "plz": ("please",),
    "ill": ("i", "will"),
    "gimme": ("give", "me"),
    "wanna": ("want", "to"),
    "gonna": ("going", "to"),
    "ive": ("i", "have"),
}
_ENDINGS = {"'d": "would", "'ll": "will", "'re": "are", "'ve": "have", "'m": "am"}
_SHORT_IS = frozenset(
    {"what", "that", "it", "who", "there", "here", "how", "where", "everything", "anything", "she", "he"}
)
_VOWELS = frozenset("aeiou")
_GRAMMAR = """
    a about above after again against all almost also although always am an and any anyone anything are around as
    at away be because been before behind being below beside besides between both but by can could despite did do
    does done down during each either else ever every everyone everything except few for from had has have he her
    here hers him his how however i if in instead into is it its itself just least less like many may me might
    mine more most much must my near neither never no nobody none nor not nothing now of off often on once only
    onto or other others ought our ours out over own past per quite rather same shall she should since so some
    somebody someone something soon still such than that the their theirs them then there these they this those
    though through throughout till to today tomorrow tonight too toward towards under unless until unto up upon us
    very was we were what whatever when whenever where whereas wherever whether which whichever while who whoever
    whole whom whose why will with within without would yes yesterday yet you your yours yourself
"""
FUNCTION_WORDS = frozenset(_GRAMMAR.split())
"""Words of grammar, a closed class: none of them names a directory unless it is written as a path."""


@dataclass(frozen=True, slots=True)
class Token:
    """One word: `text` as it was written, `forms` what it may be a form of, `begins` and `ends` its place.

    `stop` is punctuation. `quoted` words, and those that look like a `path`, are nobody's verb or noun. `owner` is True
    before a possessive s.
    """

    text: str
    forms: frozenset[str]
    begins: int
    ends: int
    stop: bool = False
    quoted: bool = False
    path: bool = False
    owner: bool = False


def tokens(words: str) -> tuple[Token, ...]:
    """The tokens of `words`, at most MAX_TOKENS."""
    text = words.translate(_QUOTES)
    found: list[Token] = []
    for match in _TOKEN.finditer(text):
        if len(found) >= MAX_TOKENS:
            return (*found[:MAX_TOKENS], _plain("...", match.start(), len(text), ()))
        inner = next((number for number in (1, 2, 3) if match[number] is not None), 0)
        if inner:
            begins, ends = match.span(inner)
            found.append(Token(match[inner], frozenset(), begins, ends, quoted=True, path=True))
        else:
            found += _written(match[0], match.start())
    return tuple(found[:MAX_TOKENS])


def _written(word: str, at: int) -> Iterator[Token]:
    """The tokens of what stands between two spaces."""
    if _STOPS.fullmatch(word) and word not in (".", ".."):
        yield _stop(word, at)
        return
    body = word.lstrip(_OPENING)
    at += len(word) - len(body)
    core = _trimmed(body)
    if core:
        yield from _core(core, at)
    if len(core) < len(body):
        yield _stop(body[len(core) :], at + len(core))


def _trimmed(word: str) -> str:
    """Without the punctuation that ends a clause; dots that are a directory stay."""
    core = word.rstrip(_CLOSING)
    rest = word[len(core) :]
    dots = re.match(r"\.{1,2}(?!\.)", rest)
    return core + dots[0] if dots and (not core or core.endswith("/")) else core


def _core(word: str, at: int) -> Iterator[Token]:
    lower = unicodedata.normalize("NFKC", word).casefold()
    ends = at + len(word)
    if lower in _JOINS:
        yield _plain("and", at, ends, ("and",))
        return
    if _PATH.search(word) and not lower.endswith("n't"):
        owner = lower.endswith("'s")
        text = word[:-2] if owner else word
        yield Token(text, frozenset(), at, at + len(text), path=True, owner=owner)
        return
    for part in _BARE.get(lower) or _contracted(lower):
        if part.endswith("'s"):
            text = word[:-2]
            yield Token(text, frozenset({part[:-2]}), at, ends - 2, owner=True)
        else:
            yield _plain(word, at, ends, frozenset().union(*map(forms_of, part.split("/"))))


def _contracted(lower: str) -> tuple[str, ...]:
    if lower.endswith("n't"):
        return (_NEGATED.get(lower, lower[:-3]), "not")
    if lower == "let's":
        return ("let", "us")
    for ending, word in _ENDINGS.items():
        if lower.endswith(ending) and len(lower) > len(ending):
            return (lower.removesuffix(ending), word)
    if lower.endswith("'s") and lower[:-2] in _SHORT_IS:
        return (lower[:-2], "is/has")
    return (lower,)


def forms_of(word: str) -> frozenset[str]:
    """The words that `word` may be an inflected form of, itself among them."""
    found = {word, word.replace("-", "")}
    for base in tuple(found):
        found |= _uninflected(base)
    return frozenset(found)


def _uninflected(word: str) -> set[str]:
    found = set()
    for ending, others in (("ies", ("y",)), ("es", ("", "e")), ("s", ("",)), ("ied", ("y",)), ("ed", ("", "e"))):
        if word.endswith(ending) and len(word) - len(ending) >= 2:
            found |= {word.removesuffix(ending) + other for other in others}
    if word.endswith("ing") and len(word) > 5:
        found |= {word[:-3], word[:-3] + "e"}
    doubled = {each[:-1] for each in found if len(each) > 2 and each[-1] == each[-2] and each[-1] not in _VOWELS}
    return found | doubled


def _plain(word: str, begins: int, ends: int, forms: tuple[str, ...] | frozenset[str]) -> Token:
    return Token(word, frozenset(forms), begins, ends)


def _stop(word: str, at: int) -> Token:
    return Token(word, frozenset(), at, at + len(word), stop=True)
