"""*Revert the last change*: of the box, or of REPO."""

from __future__ import annotations

from greenroom.agents.planners.grammar import Frame, either, maybe, phrases, seq
from greenroom.agents.planners.slots import BRANCH, PLACE

_VERB = phrases(
    """
    revert, undo, roll back, rollback, take back, back out, reverse, unpromote, withdraw, pull back,
    un do, retract, backout
    """
)
_OPEN = phrases("roll, take, back, pull")
_CLOSE = phrases("back, out")
_LATEST = phrases(
    """
    last, latest, most recent, newest, previous, very last, last promoted, latest promoted,
    most recent promoted, last applied, most recently promoted, most recently applied, last live,
    last accepted, last approved, last kept, latest approved, last delivered, latest applied
    """
)
_THING = phrases(
    """
    =change, =promotion, =improvement, =modification, =flip, =swap, =alteration, =fix,
    =thing you did, =thing you changed, =thing that was changed, =change you made,
    =change that was promoted, =change that went live, =thing you promoted, =thing that went live,
    =thing that was promoted, =change that was made, =change to go live, =promotion you made,
    =change you promoted, =one
    """
)
_LAST = seq(maybe(phrases("the, my, your, our, its, this, that")), _LATEST, _THING)
_CLAUSE = seq(
    phrases("what, whatever"),
    either(
        seq(
            phrases("you, the box, greenroom, we, i"),
            phrases("change, do, promote, apply, did, made, changed, have change, have do, put live"),
        ),
        seq(
            phrases("was, has been, got, went, is"),
            phrases("change, promote, apply, do, live, done, put live, made live"),
        ),
    ),
    phrases("last, most recently, just now, most recent, latest"),
)
_GO_BACK = seq(
    phrases("go back to, return to, restore, bring back, put back, get back to"),
    maybe(phrases("the, what was there, how it was, how things were")),
    phrases(
        """
        before the last change, state before the last change, version before the last change, tree
        before the last change, one before the last change
        """
    ),
)

FRAMES = (
    Frame("revert", (_VERB, either(_LAST, _CLAUSE)), (PLACE, BRANCH)),
    Frame("revert", (_OPEN, either(_LAST, _CLAUSE), _CLOSE), (PLACE, BRANCH)),
    Frame("revert", (_GO_BACK,), (PLACE, BRANCH)),
)
