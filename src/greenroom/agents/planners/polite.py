"""What people say around a request and that changes nothing of it: *please*, *could you*, *I would like to*."""

from __future__ import annotations

from greenroom.agents.planners.grammar import VOCABULARY, either, maybe, phrases, seq

_SOFTLY = phrases(
    """
    please, kindly, just, simply, maybe, perhaps, possibly, quickly, really, now, right now, at
    once, immediately, straight away, asap, as soon as possible, ok, okay, so, well, again please,
    real quick, for a moment, go ahead and, go ahead, then
    """
)
_GREETING = phrases(
    """
    hi, hello, hey, hi there, hello there, good morning, good evening, good afternoon, dear,
    greenroom, box
    """
)
_THANKS = phrases(
    """
    thanks, thank you, cheers, thanks a lot, thank you very much, many thanks, thanks in advance,
    thank you in advance, much appreciated, ta
    """
)
_WHO = phrases("you, i, we, us, me, greenroom, the box, somebody, someone")
_MODAL = phrases("can, could, will, would, may, might, shall")
_ASKED = seq(
    _MODAL,
    _WHO,
    maybe(_SOFTLY),
    maybe(phrases("mind, be so kind as to, be so kind and, help me, help me to, try to, have a go and")),
)
_WISH = seq(
    phrases("i, we"),
    maybe(phrases("would, do, am, are, will, have")),
    maybe(phrases("really, just, rather, also")),
    phrases("like, love, want, need, wish, going, hope, prefer, be glad, be happy"),
    maybe(seq(maybe(phrases("for")), phrases("you, greenroom, the box, us"))),
    maybe(phrases("to")),
)
_FAVOUR = phrases(
    """
    do me a favor and, do me a favour and, do me a favor, do me a favour, be so kind as to, be so
    kind and, let us, it is time to, time to, your task is to, i ask you to, i am asking you to,
    make sure to, be sure to, feel free to
    """
)
_IF = seq(
    phrases("if, when, whenever, once"),
    either(
        seq(
            phrases("you, it is, that is"),
            phrases(
                """
            can, could, may, have time, have a moment, possible, have a minute, get a chance, get
            the chance, please, like, are free, are ready, ok, okay, fine
            """
            ),
        ),
        phrases("possible, convenient, you do not mind"),
    ),
)
_GRATEFUL = seq(
    either(
        seq(
            phrases("i, we, it"),
            phrases("would"),
            phrases(
                """
            appreciate it, be grateful, be great, be nice, be good, be lovely, be wonderful, be
            kind, help
            """
            ),
        ),
    ),
    phrases("if, when"),
    phrases("you, we"),
    maybe(phrases("could, would, can, to")),
)

POLITE = either(
    _SOFTLY,
    _GREETING,
    _THANKS,
    _ASKED,
    _WISH,
    _FAVOUR,
    _IF,
    _GRATEFUL,
    phrases("for me, for us, on my behalf"),
)
VOCABULARY.discard("greenroom")
