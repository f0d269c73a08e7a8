"""Requests: what a person asks for in words, as a typed request. Pure.

A planner reads the words and says what they may mean: a `Reading`, which is data. Nothing here believes it. The table
`KNOWN` says which requests there are and what each may be given; `decide` checks the reading against table and words,
labels each value with the trust of the words that it came from, and refuses what is not sure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from greenroom.domain import documents, spans
from greenroom.domain.errors import TooLarge, Unusable
from greenroom.domain.plan import Arg
from greenroom.domain.vocabulary import Trust

MAX_CHARACTERS = 400
MAX_READING_BYTES = 64 * 1024
SURE = 85
"""The least score, of 100, that is understood."""
MARGIN = 10
"""A second meaning whose score is no further behind than this makes a request ambiguous."""
NEAR = 10
"""The least score that makes a meaning worth naming as an example."""
MOST_EXAMPLES = 3
HERE = "."
_SPACES = frozenset(" \t\n\r")
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_URL = re.compile(r"(?i)[a-z][a-z0-9+.-]*://|[^\s/@]+@[^\s/:]+:|(?:www\.|git(?:hub|lab)\.com/|bitbucket\.org/)")
_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+-]{0,199}")
_NUMBER = re.compile(r"[1-9][0-9]{0,3}")
_DURATION = re.compile(r"[1-9][0-9]{0,3}[smh]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A value that a planner read, and the place in the words that it read it from: characters `begins` to `ends`."""

    name: str
    value: str
    begins: int
    ends: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """One thing that the words may mean, with a score of 0 to 100; `unread` are the words that it does not explain."""

    request: str
    score: int
    slots: tuple[Slot, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a planner says of the words: meanings, the likeliest first. `parts` are requests, where it sees several."""

    planner: str
    meanings: tuple[Meaning, ...]
    parts: tuple[Meaning, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRule:
    """What a value of a request may be. `default` is what holds where the words name none; None: it is left out."""

    check: Callable[[str], str]
    default: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One kind of request: what it may be given, how it is said, and an example that can be typed."""

    name: str
    slots: Mapping[str, SlotRule]
    says: Callable[[Mapping[str, str]], str]
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A typed request. `args` are labelled: a value that stands in the words so has the person's trust, one that was
    read from other words the planner's, a default the box's. `sources` says of each which of them, in words."""

    name: str
    args: Mapping[str, Arg]
    sources: Mapping[str, str]
    planner: str
    says: str = ""

    def value(self, name: str) -> str | None:
        """The value of an argument; None where there is none."""
        arg = self.args.get(name)
        return None if arg is None else str(arg.value)


class Unclear(Unusable):
    """The words are not understood, or not well enough. `nearest` are requests that are known, as they can be typed."""

    def __init__(self, reference: str, message: str, *, where: str, nearest: Sequence[str], remedy: str = "") -> None:
        typed = "; ".join(f"greenroom ask {quoted(each)}" for each in nearest)
        super().__init__(reference, message, where=where, remedy=remedy or f"type one that is known: {typed}")
        self.nearest = tuple(nearest)


def bounded(words: str) -> str:
    """`words`, each run of white space one space. Raises TooLarge `request-too-long`, Unusable `bad-request`."""
    if len(words) > MAX_CHARACTERS:
        message = f"a request has at most {MAX_CHARACTERS} characters, this one has {len(words)}"
        raise TooLarge("request-too-long", message, remedy="ask for one thing, in one short sentence")
    for number, character in enumerate(words, 1):
        if unicodedata.category(character) in _UNSEEN and character not in _SPACES:
            where = f"character {number}, U+{ord(character):04X}"
            message = "a request holds no character that cannot be seen, or that turns the reading direction"
            raise Unusable("bad-request", message, where=where, remedy="type the words again, without it")
    found = " ".join(words.split())
    if not found:
        raise Unusable("bad-request", "nothing is asked for", remedy=f"greenroom ask {quoted(_EXAMPLES[0])}")
    return found


def decide(words: str, reading: bytes, *, trust: Trust) -> Request:
    """The request that `words` make, by what a planner of this `trust` says of them.

    Raises Unclear `not-understood`, `ambiguous-request`, `several-requests`; Unusable `url-not-taken` and whatever the
    rules of the table, or a reading that is none, raise.
    """
    said = documents.decode(Reading, reading, limit=MAX_READING_BYTES)
    meanings = [_checked(words, meaning) for meaning in said.meanings]
    sure = [each for each in meanings if each.score >= SURE and not each.unread]
    if not sure:
        parts = [_checked(words, part) for part in said.parts]
        if len(parts) > 1:
            named = [_phrase(part) for part in parts]
            message = "these are several requests; one is done at a time"
            raise Unclear("several-requests", message, where=words, nearest=named)
        raise _not_understood(words, meanings)
    near = [each for each in sure if sure[0].score - each.score <= MARGIN]
    phrases = list(dict.fromkeys(_phrase(each) for each in near))
    if len(phrases) > 1:
        message = "this can mean more than one thing"
        raise Unclear("ambiguous-request", message, where=words, nearest=phrases[:MOST_EXAMPLES])
    return _labelled(words, sure[0], said.planner, trust)


def quoted(words: str) -> str:
    """Words as one argument of a shell: in double quotes, where nothing in them means anything to it there."""
    if not re.search(r'["\\$`!]', words):
        return f'"{words}"'
    return "'" + words.replace("'", "'\\''") + "'"


def _not_understood(words: str, meanings: Sequence[Meaning]) -> Unclear:
    near = [each for each in meanings if each.score >= NEAR]
    phrases = list(dict.fromkeys(_phrase(each) for each in near))[:MOST_EXAMPLES] or list(_EXAMPLES)
    unread = f"not read: {', '.join(repr(word) for word in near[0].unread)}" if near and near[0].unread else words
    return Unclear("not-understood", "this request is not understood", where=unread[:300], nearest=phrases)


def _checked(words: str, meaning: Meaning) -> Meaning:
    """The meaning; raises Unusable where it is not one that the table and the words allow."""
    known = KNOWN.get(meaning.request)
    if known is None or not 0 <= meaning.score <= 100:
        raise Unusable("bad-reading", "the planner named no request that there is", where=meaning.request[:80])
    names = [slot.name for slot in meaning.slots]
    for slot in meaning.slots:
        fits = 0 <= slot.begins < slot.ends <= len(words)
        if slot.name not in known.slots or names.count(slot.name) > 1 or not fits:
            raise Unusable(
                "bad-reading", "the planner gave a value that the request does not take", where=slot.name[:80]
            )
        known.slots[slot.name].check(slot.value)
    return meaning


def _labelled(words: str, meaning: Meaning, planner: str, trust: Trust) -> Request:
    args: dict[str, Arg] = {}
    sources: dict[str, str] = {}
    known = KNOWN[meaning.request]
    said = {slot.name: slot for slot in meaning.slots}
    for name, rule in known.slots.items():
        slot = said.get(name)
        if slot is None:
            if rule.default is not None:
                args[name], sources[name] = Arg(value=rule.default, trust=Trust.BOX), "by default"
            continue
        place = words[slot.begins : slot.ends]
        own = slot.value in place
        args[name] = Arg(value=rule.check(slot.value), trust=Trust.PERSON if own else trust)
        sources[name] = "your words" if own else f'read from "{place}"'
    values = {name: str(arg.value) for name, arg in args.items()}
    return Request(name=meaning.request, args=args, sources=sources, planner=planner, says=known.says(values))


def _phrase(meaning: Meaning) -> str:
    known = KNOWN[meaning.request]
    defaults = {name: rule.default for name, rule in known.slots.items() if rule.default is not None}
    return known.says({**defaults, **{slot.name: slot.value for slot in meaning.slots}})


def as_words(path: str) -> str:
    """A path as it is written in a request: with a slash, so that it is no other word; in quotes where it must be."""
    shown = path if re.search(r"/|^~|^\.+$", path) else f"./{path}"
    if re.fullmatch(r"[\w@%+=~./-]*[\w@%+=~/]|\.\.?", shown):
        return shown
    return f'"{shown}"' if '"' not in shown else f"`{shown}`"


# What values may be.


def _path(value: str) -> str:
    if _URL.match(value):
        message = "a request is about a directory on this machine, and this is an address of another"
        raise Unusable("url-not-taken", message, where=value[:200], remedy="clone it, then name the directory")
    if not value or len(value) > MAX_CHARACTERS or "\0" in value:
        raise Unusable("bad-path", "this is no path", where=ascii(value)[:80], remedy="name a directory")
    return value


def _fits(pattern: re.Pattern[str], what: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise Unusable("bad-request", f"this is no {what}", where=ascii(value)[:80], remedy="say it another way")
        return value

    return check


def _names(value: str) -> str:
    found = value.split(",")
    if not set(found) <= set(TOPICS) or len(set(found)) != len(found):
        raise Unusable(
            "bad-request", "nothing of this name is looked for", where=ascii(value)[:80], remedy=_TOPICS_SAID
        )
    return value


def _when(value: str) -> str:
    spans.require(value)
    return value


# The table.

TOPICS: Mapping[str, str] = MappingProxyType(
    {
        "ruff": "lint",
        "codespell": "typos",
        "unused": "unused code",
        "strings": "typos in strings",
        "data": "broken data files",
        "modernise": "outdated syntax",
        "shell": "shell scripts",
    }
)
"""What can be mended by itself: the proposer that does it, and its name in a request."""
_TOPICS_SAID = f"one of: {', '.join(TOPICS.values())}"
_BOUNDS: dict[str, SlotRule] = {
    "branch": SlotRule(check=_fits(_BRANCH, "branch")),
    "most": SlotRule(check=_fits(_NUMBER, "number"), default="10"),
    "within": SlotRule(check=_fits(_DURATION, "length of time")),
}


def _place(values: Mapping[str, str], preposition: str) -> str:
    branch = f" on branch {values['branch']}" if "branch" in values else ""
    return f" {preposition} {as_words(values['path'])}{branch}"


def _bounds(values: Mapping[str, str]) -> str:
    most = f", at most {values['most']} proposals" if values.get("most", "10") != "10" else ""
    return most + (f", within {values['within']}" if "within" in values else "")


def _says_fix(values: Mapping[str, str]) -> str:
    topics = [TOPICS[name] for name in values["only"].split(",")]
    listed = " and ".join(
        [", ".join(f"the {each}" for each in topics[:-1])] * (len(topics) > 1) + [f"the {topics[-1]}"]
    )
    return f"fix {listed}{_place(values, 'in')}{_bounds(values)}"


def _says_revert(values: Mapping[str, str]) -> str:
    return "revert the last change" + (_place(values, "of") if "path" in values else "")


KNOWN: Mapping[str, Known] = MappingProxyType(
    {
        each.name: each
        for each in (
            Known(
                name="fix",
                slots={"only": SlotRule(check=_names, default="ruff"), "path": SlotRule(check=_path, default=HERE)}
                | _BOUNDS,
                says=_says_fix,
                example="fix the lint in .",
            ),
            Known(
                name="improve",
                slots={"path": SlotRule(check=_path, default=HERE)} | _BOUNDS,
                says=lambda values: f"improve{_place(values, '')}{_bounds(values)}".replace("  ", " ", 1),
                example="improve .",
            ),
            Known(
                name="tests",
                slots={"path": SlotRule(check=_path, default=HERE), "branch": _BOUNDS["branch"]},
                says=lambda values: f"run the tests{_place(values, 'of')}",
                example="run the tests of .",
            ),
            Known(
                name="revert",
                slots={"path": SlotRule(check=_path), "branch": _BOUNDS["branch"]},
                says=_says_revert,
                example="revert the last change",
            ),
            Known(
                name="briefing",
                slots={"when": SlotRule(check=_when, default="last-night")},
                says=lambda values: f"what happened {spans.said(values['when'])}",
                example="what happened last night",
            ),
        )
    }
)
"""Every request that there is. What is not here is not understood, whatever a planner says."""
_EXAMPLES = tuple(known.example for known in KNOWN.values())


# The plan that a person sees before anything of it runs.


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """A tool that a step runs: its name, the digest of its signed manifest, and its tier."""

    name: str
    manifest: str
    tier: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestStep:
    """One step of what a request does: a verb of the box, what it does in words, and the tools that run for it."""

    verb: str
    what: str
    tools: tuple[ToolUse, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPlan:
    """What a request will do. `level` says who must agree to what comes of it; `asks` is True where a person is asked
    before it begins; `args` are what the verbs are given."""

    says: str
    request: Request
    args: Mapping[str, str]
    steps: tuple[RequestStep, ...]
    level: str
    writes: tuple[str, ...]
    asks: bool = True
    notes: tuple[str, ...] = field(default=())


def plan_of_reading(request: Request) -> RequestPlan:
    """The plan of a briefing: it reads files, and nobody is asked before that."""
    return RequestPlan(
        says=request.says,
        request=request,
        args={"when": request.value("when") or ""},
        steps=(RequestStep(verb="briefing", what="read the log, the board and the ledger of the box"),),
        level="0: it tells you something and changes nothing",
        writes=(),
        asks=False,
    )
