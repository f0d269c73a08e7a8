"""*Fix the lint in REPO*: what one proposer mends, or several: lint, typos, unused code, outdated syntax, and more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from greenroom.agents.planners.grammar import Element, Found, Frame, Tokens, either, maybe, phrases, seq
from greenroom.agents.planners.slots import ARTICLES, BRANCH, CODE, DIRECT, MOST, PLACE, WITHIN, WITHIN_TIME
from greenroom.domain.requests import Slot

_FAULTS = (
    "error",
    "warning",
    "issue",
    "problem",
    "finding",
    "violation",
    "complaint",
    "mistake",
    "defect",
    "nit",
    "fault",
)
_BEFORE = phrases(
    """
    only, just, remaining, existing, obvious, simple, little, small, silly, known, automatic, safe,
    pending, open
    """
)


def _faults(*kinds: str) -> tuple[str, ...]:
    """Each kind by itself, and with every word for what is wrong with it."""
    return tuple(f"{kind} {fault}".strip() for kind in kinds for fault in ("", *_FAULTS))


_WORDS: Mapping[str, tuple[str, ...]] = {
    "ruff": (
        *_faults("lint", "linter", "linting", "ruff", "code style", "style", "coding style", "flake8", "pyflakes"),
        *("unused import", "import that is not used", "import nobody uses", "unneeded import", "unnecessary import"),
        *("superfluous import", "redundant import", "import order", "unsorted import", "dead import"),
    ),
    "codespell": (
        *_faults("typo", "spelling", "typing", "orthography", "codespell", "typographical", "orthographic"),
        *("misspelling", "misspelled word", "misspelt word", "misspelled comment", "wrong spelling", "spelling slip"),
        *(
            "wrongly spelled word",
            "wrongly spelt word",
            "mistyped word",
            "spelling in the comment",
            "spelling in comment",
        ),
        *("typo in the comment", "typo in comment", "typo in the doc", "typo in doc", "typo in the documentation"),
    ),
    "unused": (
        *(
            "unused code",
            "dead code",
            "code that does nothing",
            "code without effect",
            "useless code",
            "unused statement",
        ),
        *(
            "useless statement",
            "superfluous statement",
            "needless pass",
            "unneeded pass",
            "useless return",
            "empty block",
        ),
        *("unnecessary code", "superfluous code", "redundant code"),
    ),
    "strings": (
        *("typo in string", "typo in the string", "spelling in string", "spelling in the string", "typo in message"),
        *("typo in the message", "typo in error message", "typo in the error message", "misspelled string"),
        *("spelling mistake in string", "spelling mistake in the string", "misspelled message", "typo in help text"),
        *("typo in the help text", "string typo", "misspelt string"),
    ),
    "data": (
        *("broken data file", "malformed data file", "invalid data file", "broken json", "broken yaml", "broken toml"),
        *("malformed json", "malformed yaml", "malformed toml", "invalid json", "invalid yaml", "invalid toml"),
        *("data file that does not parse", "data file that do not parse"),
    ),
    "modernise": (
        *(
            "outdated syntax",
            "old syntax",
            "obsolete syntax",
            "old fashioned syntax",
            "old style syntax",
            "deprecated syntax",
        ),
        *(
            "outdated construct",
            "old idiom",
            "outdated idiom",
            "legacy syntax",
            "python 2 leftover",
            "pyupgrade finding",
        ),
    ),
    "shell": (
        *("shell script", "shell script layout", "layout of the shell script", "layout of shell script", "bash script"),
        *(
            "shell formatting",
            "shell layout",
            "shell style",
            "shell script formatting",
            "formatting of the shell script",
        ),
    ),
}
_TOPIC = {name: phrases(*texts) for name, texts in _WORDS.items()}
_AND = phrases("and, as well as, and also, plus, together with, along with, or")


def _topics(tokens: Tokens, at: int) -> Iterator[Found]:
    """A list of topics, as the names of the proposers in the order in which they are listed; the longest first."""
    ways: list[tuple[int, tuple[str, ...]]] = [(at, ())]
    made: list[Found] = []
    while ways:
        begins, names = ways.pop()
        for name, ends in _topic_at(tokens, begins):
            if name in names:
                continue
            listed = (*names, name)
            place = Slot(name="only", value=",".join(listed), begins=tokens[at].begins, ends=tokens[ends - 1].ends)
            made.append((ends, (place,)))
            ways += [(joined, listed) for joined in _joined(tokens, ends)]
    return iter(sorted(made, key=lambda found: -found[0]))


def _topic_at(tokens: Tokens, at: int) -> Iterator[tuple[str, int]]:
    for begins, _ in seq(maybe(ARTICLES), maybe(_BEFORE))(tokens, at):
        for name, element in _TOPIC.items():
            yield from ((name, ends) for ends, _ in element(tokens, begins))


def _joined(tokens: Tokens, at: int) -> Iterator[int]:
    after = at + (at < len(tokens) and tokens[at].stop and tokens[at].text == ",")
    ends = {end for end, _ in _AND(tokens, after)}
    yield from ends | ({after} if after > at else set())


_MEND = phrases(
    """
    fix, repair, mend, correct, resolve, clean up, clean, tidy up, tidy, remove, eliminate, get rid
    of, sort out, address, deal with, take care of, handle, solve, cure, cleanup, clear, clear up,
    rid, patch up, eradicate, weed out, drop, strip, purge, rectify, find and fix, look for and fix,
    search for and fix, find and correct, find and remove, find and repair, detect and fix, look
    after, put right, make right, autofix, auto fix, fix up, straighten out, iron out, sweep up,
    modernise, modernize, reformat, format, delete, prune
    """
)
_LOOK = phrases(
    """
    find, look for, search for, scan for, hunt for, check for, hunt, hunt down, track down, spot,
    detect, seek, check, show me, report, list, suggest a fix for, propose a fix for, go after,
    suggest fix for, propose fix for, come up with a fix for
    """
)
_LOOK_THROUGH = seq(
    phrases("check, scan, search, look through, go through, inspect, examine, proofread, review"),
    DIRECT,
    phrases("for"),
)
_RID = seq(phrases("rid, free, clear, clean, purge, strip"), DIRECT, phrases("of, from"))
_FIXED = phrases("fix, get fix, be fix, gone, clean up, remove, correct, sort out, have fix")


def _given(value: str, element: Element) -> Element:
    """A verb that says by itself what is mended."""

    def match(tokens: Tokens, at: int) -> Iterator[Found]:
        for ends, _ in element(tokens, at):
            yield ends, (Slot(name="only", value=value, begins=tokens[at].begins, ends=tokens[ends - 1].ends),)

    return match


_BY_VERB = either(
    _given(
        "ruff",
        phrases(
            """
        lint, run the linter, run ruff, run a linter, run the lint check, run a lint check, fix with
        ruff, do a lint, do the lint, run lint, do a lint run, run a lint fix, do the linting, apply
        the lint fix, apply lint fix, lint and fix
        """
        ),
    ),
    _given(
        "codespell",
        phrases(
            """
        spellcheck, spell check, check the spelling, fix the spelling, correct the spelling, run
        codespell, run the spell checker, run a spell checker, run a spell check, proofread, check
        spelling, do a spell check, proof read
        """
        ),
    ),
    _given(
        "modernise",
        phrases(
            """
        modernise, modernize, bring up to date the syntax, pyupgrade, run pyupgrade, modernise the
        syntax, modernize the syntax, update the syntax, modernise the python, modernize the python
        """
        ),
    ),
)
_BY_NOUN = either(
    _given("ruff", phrases("lint fix, lint clean up, lint cleanup, lint repair, fix for the lint, fix for lint")),
    _given("codespell", phrases("typo fix, spelling fix, spell fix, spelling correction, typo correction")),
)
_BOUNDS = (PLACE, BRANCH, MOST, WITHIN_TIME)
_CODE_OBJECT = seq(CODE, maybe(WITHIN))
_HAVE = phrases("get, have, make, do, apply, give me, start, run, perform, i need, need")
_THERE = phrases("there are, there is, i see, i found, i have, we have, i have found, you will find, i noticed")
_THEM = phrases("them, it, that, those, these, all of them, them all")
_ARE_THERE = phrases(
    "are there, is there, do you see, do you find, can you see, have i, do i have, is there any sign of"
)
_AND_MEND = seq(maybe(phrases("and, then, and then")), _MEND, _THEM)

FRAMES = (
    Frame("fix", (_MEND, _topics), _BOUNDS),
    Frame("fix", (_LOOK, _topics), (*_BOUNDS, _AND_MEND)),
    Frame("fix", (_LOOK_THROUGH, _topics), (BRANCH, MOST, WITHIN_TIME, _AND_MEND)),
    Frame("fix", (seq(_ARE_THERE, _topics),), (*_BOUNDS, _AND_MEND)),
    Frame("fix", (_RID, _topics), (BRANCH, MOST, WITHIN_TIME)),
    Frame("fix", (_topics, _FIXED), (_HAVE, *_BOUNDS)),
    Frame("fix", (seq(_THERE, _topics), seq(_MEND, _THEM)), _BOUNDS),
    Frame("fix", (_BY_VERB,), (*_BOUNDS, CODE)),
    Frame("fix", (seq(_BY_VERB, DIRECT),), (BRANCH, MOST, WITHIN_TIME)),
    Frame("fix", (seq(maybe(_HAVE), maybe(ARTICLES), _BY_NOUN),), _BOUNDS),
    Frame("fix", (seq(phrases("fix, repair, mend"), DIRECT),), (BRANCH, MOST, WITHIN_TIME), sure=90),
)
