"""What several requests can be given: a directory, a branch, how many, how long, since when."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from greenroom.agents.planners.grammar import Element, Found, Tokens, either, known, maybe, named, phrases, seq
from greenroom.agents.planners.words import Token
from greenroom.domain.requests import Slot
from greenroom.domain.spans import WEEKDAYS

ARTICLES = phrases(
    """
    the, a, an, any, all, all the, all of the, every, each, some, my, our, its, their, this, that,
    these, those, of the
    """
)
WITHIN = phrases(
    """
    in, of, for, on, at, from, within, inside, inside of, under, across, through, throughout, over, to
    """
)
PLACES = phrases(
    """
    repo, repository, git repo, git repository, project, directory, folder, dir, codebase, code
    base, code, source, source code, package, checkout, workspace, working copy, tree
    """
)
OWN = phrases("the, my, our, this, that, the local, my local, the whole, the entire, the git")
CALLED = phrases("at, in, called, named, under, of")
USUAL = frozenset({"project", "repo", "repository", "package", "workspace", "checkout", "tree", "source"})
"""Words for a directory that are names of directories, too: without an article they are taken for the name."""
COUNTED = phrases("proposal, change, fix, suggestion, finding, patch, improvement, of them")
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_NAME = re.compile(r"[A-Za-z0-9_][\w.+-]*")
_DIGITS = re.compile(r"[1-9][0-9]{0,3}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[Tt][0-9]{2}:[0-9]{2})?")
_UNITS = {"second": "s", "sec": "s", "minute": "m", "min": "m", "hour": "h", "day": "d", "week": "w"}


def _token(fits: Callable[[Token], bool], slot: str) -> Element:
    """One token that fits, as the value of a slot."""

    def match(tokens: Tokens, at: int) -> Iterator[Found]:
        if at < len(tokens) and not tokens[at].stop and fits(tokens[at]):
            token = tokens[at]
            yield at + 1, (Slot(name=slot, value=token.text, begins=token.begins, ends=token.ends),)

    return match


def _pathlike(token: Token) -> bool:
    return token.path and not token.owner


def _bare(token: Token) -> bool:
    """A plain word that can be the name of a directory: it means nothing here, or is what directories are called."""
    named = not known(token) or token.text.casefold() in USUAL
    return not token.path and not token.owner and bool(_NAME.fullmatch(token.text)) and named


def _owner(token: Token) -> bool:
    return token.owner and (not known(token) or token.text.casefold() in USUAL)


def _branch_name(token: Token) -> bool:
    return token.quoted or bool(re.fullmatch(r"[A-Za-z0-9_][\w./+-]*", token.text))


PATH = _token(_pathlike, "path")
BARE = _token(_bare, "path")
ANY = either(PATH, BARE)
HERE = named("path", ".", phrases("here, in here, around here, over here, this, the current one"))
_THIS = named("path", ".", seq(OWN, maybe(phrases("current, present")), PLACES))
_NAMED_PLACE = seq(maybe(OWN), PLACES, maybe(CALLED), ANY)
_BEFORE_PLACE = seq(OWN, BARE, PLACES)

PLACE = either(
    seq(WITHIN, maybe(OWN), ANY),
    seq(WITHIN, _NAMED_PLACE),
    seq(WITHIN, _BEFORE_PLACE),
    seq(WITHIN, _THIS),
    seq(WITHIN, HERE),
    named("path", ".", phrases("here")),
    _token(_owner, "path"),
)
"""A directory after a preposition: *in ~/src/lib*, *of the project lib*, *in this repository*, *here*; or *lib's*."""
DIRECT = either(PATH, _NAMED_PLACE, _BEFORE_PLACE, _THIS, BARE)
"""A directory as the object of a verb: *lib*, *the repository lib*, *my code*."""
CODE = either(
    seq(ARTICLES, PLACES),
    phrases("code, source code, codebase"),
    phrases("everything"),
    seq(phrases("all of"), maybe(ARTICLES), PLACES),
)
"""The code as what something is done to, before *in* and a directory."""

_BRANCH_NAME = _token(_branch_name, "branch")
BRANCH = either(
    seq(maybe(WITHIN), maybe(phrases("the")), phrases("branch"), _BRANCH_NAME),
    seq(WITHIN, maybe(phrases("the")), _BRANCH_NAME, phrases("branch")),
)


def _count(slot: str) -> Element:
    def match(tokens: Tokens, at: int) -> Iterator[Found]:
        number = number_at(tokens, at)
        if number is not None:
            yield at + 1, (Slot(name=slot, value=str(number), begins=tokens[at].begins, ends=tokens[at].ends),)

    return match


def number_at(tokens: Tokens, at: int) -> int | None:
    """The number at a place, in digits or, up to twelve, in letters; None where there is none."""
    if at >= len(tokens) or tokens[at].path:
        return None
    text = tokens[at].text.casefold()
    if text in NUMBERS:
        return NUMBERS.index(text) + 1
    return int(text) if _DIGITS.fullmatch(text) else None


AT_MOST = phrases(
    """
    at most, up to, no more than, not more than, max, maximum, a maximum of, limit to, not over
    """
)
MOST = either(
    seq(AT_MOST, _count("most"), maybe(maybe(COUNTED))),
    seq(maybe(phrases("with, and")), AT_MOST, _count("most"), maybe(COUNTED)),
)


def length_at(tokens: Tokens, at: int) -> tuple[int, str] | None:
    """A length of time at a place, as where it ends and how it is written (`10m`); None where there is none."""
    if at >= len(tokens):
        return None
    short = re.fullmatch(r"([1-9][0-9]{0,3})([smhdw])", tokens[at].text.casefold())
    if short is not None and not tokens[at].path:
        return at + 1, short[0]
    number = number_at(tokens, at)
    if number is None and tokens[at].forms & {"a", "an"}:
        number = 1
    begins = at + (number is not None)
    if begins < len(tokens):
        unit = next((_UNITS[form] for form in sorted(tokens[begins].forms) if form in _UNITS), "")
        if unit:
            return begins + 1, f"{1 if number is None else number}{unit}"
    return None


def _length(slot: str, units: str, *, needs_number: bool) -> Element:
    def match(tokens: Tokens, at: int) -> Iterator[Found]:
        found = length_at(tokens, at)
        if (
            found is None
            or found[1][-1] not in units
            or (needs_number and found[0] == at + 1 and not _short(tokens[at]))
        ):
            return
        ends, value = found
        yield ends, (Slot(name=slot, value=value, begins=tokens[at].begins, ends=tokens[ends - 1].ends),)

    return match


def _short(token: Token) -> bool:
    return token.text[:1].isdigit()


FOR_UP_TO = phrases(
    """
    within, in at most, in under, in no more than, for at most, for up to, for no more than, taking
    at most, spend at most, and spend at most, in less than
    """
)
WITHIN_TIME = seq(FOR_UP_TO, _length("within", "smh", needs_number=True))

_LAST = phrases("last, past, previous")
_SPOKEN = {
    "last-night": phrases(
        """
        last night, overnight, over night, during the night, in the night, over the night, during
        last night, through the night, the night, tonight so far
        """
    ),
    "today": phrases("today, so far today, this day, during the day"),
    "this-morning": phrases("this morning"),
    "yesterday": phrases("yesterday, the previous day, the day before, last day"),
    "this-week": phrases("this week, so far this week, during the week, in this week, the week so far"),
    "last-week": phrases("last week, the previous week, the week before"),
    "this-month": phrases("this month, so far this month"),
    "last-weekend": phrases(
        """
        over the weekend, on the weekend, at the weekend, this weekend, last weekend, during the
        weekend, the weekend
        """
    ),
}


def _weekday(relation: str) -> Element:
    def match(tokens: Tokens, at: int) -> Iterator[Found]:
        day = next((day for day in WEEKDAYS if at < len(tokens) and day in tokens[at].forms), None)
        if day is not None:
            token = tokens[at]
            yield at + 1, (Slot(name="when", value=f"{relation}-{day}", begins=token.begins, ends=token.ends),)

    return match


def _date(relation: str) -> Element:
    def match(tokens: Tokens, at: int) -> Iterator[Found]:
        if at < len(tokens) and _DATE.fullmatch(tokens[at].text):
            token = tokens[at]
            value = f"{relation}-{token.text.lower()}"
            yield at + 1, (Slot(name="when", value=value, begins=token.begins, ends=token.ends),)

    return match


def _since(element: Element) -> Element:
    """A span of its own name, from its beginning until now."""

    def match(tokens: Tokens, at: int) -> Iterator[Found]:
        for ends, slots in element(tokens, at):
            yield ends, tuple(Slot(name=s.name, value=f"since-{s.value}", begins=s.begins, ends=s.ends) for s in slots)

    return match


_BY_NAME = either(*(named("when", value, element) for value, element in _SPOKEN.items()))
_FROM = phrases("since, from, starting, as of, beginning, after")
_DURING = phrases("in, during, over, for, from, within, of, on, through, about, throughout")
WHEN = either(
    seq(maybe(_DURING), _BY_NAME),
    seq(_FROM, maybe(phrases("last, this, the last")), either(_weekday("since"), _date("since"))),
    seq(phrases("since"), maybe(phrases("the")), _since(_BY_NAME)),
    seq(maybe(phrases("on, during, for, of")), maybe(phrases("last")), either(_weekday("on"), _date("on"))),
    seq(maybe(_DURING), maybe(phrases("the")), _LAST, _length("when", "mhdw", needs_number=False)),
)
"""A time that has passed: *last night*, *since Monday*, *in the last 3 days*."""
