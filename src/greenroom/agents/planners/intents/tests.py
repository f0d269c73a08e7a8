"""*Run the tests of REPO*: as they stand, in the sandbox, changing nothing."""

from __future__ import annotations

from greenroom.agents.planners.grammar import Frame, either, maybe, phrases, seq
from greenroom.agents.planners.slots import BRANCH, CODE, DIRECT, OWN, PLACE

_TESTS = phrases(
    """
    test, test suite, testsuite, suite, unit test, unittest, test case, test run, pytest, py test,
    whole test suite, full test suite, complete test suite, entire test suite, tests suite,
    automated test, existing test, regression test, suite of test, unit test suite, pytest suite,
    test set
    """
)
_ALL = phrases(
    """
    the, all, all the, all of the, its, their, my, our, your, a, any, every, the whole, each, these,
    those, this, the full, the entire
    """
)
_SUITE = seq(maybe(_ALL), _TESTS)
_RUN = phrases(
    """
    run, execute, launch, start, do, perform, carry out, kick off, try, try out, rerun, re run,
    trigger, fire up, run through, go through, exercise, invoke, run all of, give, have run, get
    run, see
    """
)
_SEE = seq(
    phrases(
        """
        check, see, tell me, find out, verify, show me, make sure, test, confirm, know, look, let me
        know, report, i wonder, say, ensure, to know, to see
        """
    ),
    maybe(phrases("whether, if, that, how")),
)
_BE = phrases("is, are, do, does, will, would, did, have, get, stay, remain")
_STILL = phrases("still, all, all still, still all, really, currently, now, even")
_STATE = phrases(
    """
    pass, succeed, work, run, run through, run clean, go through, hold, fail, break, green, red, ok, okay, fine, good,
    broken, all right, in order, intact, happy, do
    """
)
_PASS = seq(maybe(_BE), maybe(_STILL), _STATE)
_SHOWN = phrases(
    """
    and show me the result, and tell me the result, and report, and show the result, and report
    back, and tell me how it went, and tell me what fails, and tell me what failed, and show me what
    fails, and tell me which fail, and tell me the outcome, and report the result, and tell me
    whether they pass, and tell me if they pass, and let me know, and see if they pass, and see
    whether they pass, once, in the sandbox, in a sandbox, in your sandbox, for real, for me
    """
)
_ON = maybe(phrases("on, against, over, with, under"))
_TEST_RUN = seq(
    maybe(phrases("do, make, start, give me, perform, get, i need, need, have")),
    maybe(phrases("a, the, one")),
    phrases(
        """
        test run, run of the test, run of the test suite, run of the unit test, run of test, run of
        all test, testing
        """
    ),
)
_NOUN_FIRST = seq(phrases("give"), DIRECT, phrases("a test run, a test, a run of its test, a run through its test"))
_FARE = phrases("doing, do, look, looking, fare, faring, going, go, run, running, holding up, coming out")
_CHECK = phrases("verify, validate, check, check on")
_SHOW = seq(
    phrases("give me, show me, tell me, get me, get, show, report, i want, what are, what is, fetch"), maybe(_ALL)
)
_RESULT = seq(
    maybe(phrases("current, latest")),
    either(
        phrases("test result, test outcome, test status, test report, test state"),
        seq(phrases("result, outcome, status, state"), phrases("of"), _SUITE),
    ),
)

FRAMES = (
    Frame("tests", (_RUN, _SUITE), (PLACE, BRANCH, _SHOWN)),
    Frame("tests", (seq(_RUN, maybe(OWN), DIRECT, _TESTS),), (BRANCH, _SHOWN)),
    Frame("tests", (seq(_RUN, _SUITE, maybe(phrases("for, of, on, against, in")), DIRECT),), (BRANCH, _SHOWN)),
    Frame("tests", (seq(phrases("test, unit test, pytest"), maybe(DIRECT)),), (PLACE, BRANCH, _SHOWN)),
    Frame("tests", (seq(phrases("test"), CODE),), (PLACE, BRANCH, _SHOWN)),
    Frame("tests", (_SEE, _SUITE, _PASS), (PLACE, BRANCH)),
    Frame("tests", (_BE, _SUITE, seq(maybe(_STILL), _STATE)), (PLACE, BRANCH)),
    Frame("tests", (_SUITE, seq(_RUN, phrases("them, it, all of them, them all"))), (PLACE, BRANCH, _SHOWN)),
    Frame("tests", (phrases("how is, how are, how do, how does, how did"), _SUITE), (PLACE, BRANCH, _FARE)),
    Frame("tests", (_CHECK, _SUITE), (PLACE, BRANCH)),
    Frame("tests", (_SHOW, _RESULT), (PLACE, BRANCH)),
    Frame("tests", (_TEST_RUN,), (PLACE, BRANCH, _SHOWN)),
    Frame("tests", (_NOUN_FIRST,), (BRANCH,)),
    Frame("tests", (seq(phrases("check"), DIRECT),), (BRANCH,), sure=90),
    Frame("tests", (seq(either(_RUN, phrases("put")), DIRECT, phrases("through its test")),), (BRANCH, _SHOWN)),
)
