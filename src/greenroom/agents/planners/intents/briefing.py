"""*What happened last night*: what ran, went live, was taken back, waits, was refused and spent since a time."""

from __future__ import annotations

from greenroom.agents.planners.grammar import Frame, either, maybe, phrases, seq
from greenroom.agents.planners.slots import WHEN

_WHAT = phrases(
    """
    what, what all, what else, whatever, what things, which things, anything, something, what
    exactly, everything that, all that, has anything, did anything, did something, has something,
    what has, what did, what have
    """
)
_AUX = phrases("has, have, had, did, was, were, is, has been, have been, got, get, been, had been, being")
_WHO = phrases("you, the box, greenroom, the agent, your agent, the agents, it, they")
_ACT = phrases(
    """
    happen, change, promote, revert, refuse, hold, held, do, did, done, run, ran, spend, spent, take
    back, taken back, go live, went live, gone live, go on, went on, gone on, going on, go wrong,
    went wrong, gone wrong, go well, went well, gone well, go down, went down, occur, take place,
    took place, taken place, come up, came up, new, up, up to, work on, accept, approve, break,
    broke, broken, achieve, improve
    """
)
_HAPPENED = seq(maybe(_AUX), maybe(_WHO), maybe(_AUX), _ACT)
_TELL = seq(
    phrases(
        """
        tell me, show me, report, say, let me know, summarise, summarize, list, recap, give me,
        know, explain, tell us, show us, sum up, see, to know, hear, describe, fill me in on, update
        me on, brief me on, catch me up on, inform me of, inform me about, bring me up to date on
        """
    ),
    maybe(phrases("about, on, of")),
)
_BRIEF = phrases(
    """
    brief me, catch me up, fill me in, bring me up to date, update me, bring me up to speed, get me
    up to date, keep me posted, give me the news, what is new, what is up, any news, news, give me
    an update, status report, put me in the picture, what did i miss, what have i missed, anything
    new, anything i missed, anything i should know, how did it go, how was it, how did things go,
    how have things been, how did it all go, how was
    """
)
_GIVE = phrases(
    """
    give me, show me, show, write, make, prepare, i need, get me, print, send me, let me see, let me
    have, have, get, see, produce, read me, hand me, give us, need, write me, draw up
    """
)
_REPORT = seq(
    maybe(phrases("a, an, the, my, another, a short, a quick, the short, a brief, short, quick, a daily, the daily")),
    phrases(
        """
        briefing, summary, report, digest, recap, overview, rundown, run down, update, news,
        activity report, activity, summary of activity, highlight, brief, account, morning briefing,
        daily briefing, status report, log of events
        """
    ),
    maybe(seq(phrases("of, on, about, over"), phrases("what, everything that, all that"), _HAPPENED)),
)
_SUM_UP = phrases("summarise, summarize, recap, sum up, review")
_IN_BOX = phrases(
    """
    in the box, in here, here, in this box, with the box, while i was asleep, while i slept, while i
    was sleeping, in greenroom, in my box
    """
)
_WENT = phrases("it go, things go, go, it been, things been, it, things")

_NEEDS = seq(
    phrases(
        "what, what all, does anything, is there anything, anything, what things, which things, is anything, what else"
    ),
    phrases(
        """
        need me, need my attention, need my answer, need my approval, need a person, wait for me, is
        waiting for me, waiting for me, are waiting for me, do i have to do, have i to do, is there
        for me to do, is left for me, do i need to do, i need to do, i have to do, that need me,
        that waits for me, requires me, requires my attention, is held, to do for me, is open, for
        me to do
        """
    ),
)

FRAMES = (
    Frame("briefing", (_NEEDS,), (WHEN, _IN_BOX)),
    Frame("briefing", (seq(_WHAT, _HAPPENED),), (WHEN, _IN_BOX)),
    Frame("briefing", (seq(_TELL, maybe(_WHAT), _HAPPENED),), (WHEN, _IN_BOX)),
    Frame("briefing", (_BRIEF,), (WHEN, _IN_BOX, seq(phrases("on, about"), maybe(_WHAT), _HAPPENED))),
    Frame("briefing", (_REPORT,), (_GIVE, WHEN, _IN_BOX)),
    Frame("briefing", (either(_SUM_UP, _TELL), WHEN), (_IN_BOX,)),
    Frame("briefing", (phrases("how was, how did, how were, how has, how have"), WHEN), (_WENT, _IN_BOX)),
)
