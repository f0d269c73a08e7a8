"""*Improve REPO*: whatever the usual proposers find."""

from __future__ import annotations

from greenroom.agents.planners.grammar import Frame, either, maybe, phrases, seq
from greenroom.agents.planners.slots import ARTICLES, BRANCH, CODE, DIRECT, MOST, PLACE, WITHIN_TIME

_VERB = phrases(
    """
    improve, enhance, polish, clean up, tidy up, cleanup, tidy, better, brush up, spruce up, clean,
    touch up, freshen up, smarten up, do some housekeeping, do housekeeping, go over, do some
    cleanup, do a cleanup, do some clean up, housekeep
    """
)
_MAKE = seq(
    phrases("make"),
    DIRECT,
    maybe(phrases("a bit, a little, somewhat")),
    phrases("better, cleaner, tidier, nicer"),
)
_LEAVE = seq(phrases("leave"), DIRECT, phrases("better than you found it"))
_LOOK = phrases(
    """
    find, look for, search for, suggest, propose, scan for, show me, give me, make, recommend, check
    for, come up with, list, carry out, do, see
    """
)
_WHAT = either(
    seq(
        maybe(ARTICLES),
        maybe(phrases("possible, small, more, safe, potential")),
        phrases(
            """
            improvement, proposal, enhancement, suggestion for improvement, improvement proposal,
            opportunity for improvement, possible improvement, suggestion
            """
        ),
    ),
    seq(
        maybe(phrases("something, anything, what, thing, whatever")),
        maybe(phrases("there is, is there, else")),
        phrases(
            """
            to improve, to clean up, worth improving, worth changing, to tidy up, that can be
            improved, that could be improved, that needs improvement, can be improved, could be
            improved, could be better, can be better, worth cleaning up, you can improve, you could
            improve
            """
        ),
    ),
)
_ASKED = seq(
    phrases("what, is there anything, is there something, anything, something"),
    phrases(
        """
        can be improved, could be improved, could be better, can you improve, could you improve, to
        improve, is there to improve, worth improving, needs improving, would you improve, can we
        improve, that can be improved, that could be improved
        """
    ),
)
_SCAN = seq(
    phrases("scan, check, search, look through, go through, look over, examine, inspect, review"),
    DIRECT,
    phrases("for"),
    _WHAT,
)
_LOOK_AND = seq(
    phrases("look at, have a look at, take a look at, have a look through, go over, go through"),
    DIRECT,
    phrases("and"),
    _VERB,
    phrases("it, them, what you find, what you can"),
)
_ANY = seq(phrases("any, are there, are there any, is there any, have you, have you got, do you have, is there"), _WHAT)
_BOUNDS = (BRANCH, MOST, WITHIN_TIME)

FRAMES = (
    Frame("improve", (seq(_VERB, DIRECT),), _BOUNDS),
    Frame("improve", (_VERB,), (CODE, PLACE, *_BOUNDS)),
    Frame("improve", (seq(phrases("run"), phrases("improve"), maybe(phrases("on"))),), (PLACE, *_BOUNDS)),
    Frame("improve", (either(_MAKE, _LEAVE),), _BOUNDS),
    Frame("improve", (_LOOK, _WHAT), (CODE, PLACE, *_BOUNDS)),
    Frame("improve", (_ASKED,), (CODE, PLACE, *_BOUNDS)),
    Frame("improve", (_SCAN,), _BOUNDS),
    Frame("improve", (_LOOK_AND,), _BOUNDS),
    Frame("improve", (_ANY,), (CODE, PLACE, *_BOUNDS)),
    Frame("improve", (seq(phrases("fix, mend, repair, check"), DIRECT),), _BOUNDS, sure=90),
    Frame("improve", (seq(phrases("fix, mend, repair"), phrases("everything, all")),), (PLACE, *_BOUNDS), sure=90),
)
