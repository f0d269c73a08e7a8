"""One run for two checks: the guard lets a run of base's tests stand for Green's own only by the keeper's receipts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.outcomes import TestRun
from greenroom.domain.verdict import Held, Passed, Refused
from greenroom.testing.papers import PaperHouse, Papers, papers

RESULT = TestRun(framework="pytest", python="3.11", outcomes={"t::a": "passed"}, sentinel="failed", alone=True)


def lent(made: Papers, *, result: TestRun = RESULT, **members: Any) -> Digest:
    """A run of base's tests on Green whose receipt says that Green's very tree lay there."""
    given: dict[str, Any] = {"laid": {"work": made.green, "base": made.base}} | members
    return made.test_run("base-on-green", result=result, **given)


def two_runs(house: PaperHouse) -> Papers:
    """A change whose suite ran twice: on base, and on Green."""
    house.use_real_evidence()
    made = papers(house)
    del made.receipts["own"]
    made.receipts["green"] = lent(made)
    return made


def test_guard_lets_one_run_prove_both_checks(house: PaperHouse) -> None:
    """The overlay left Green as it is and nothing of base was used: two runs of the suite are enough to go live."""
    made = two_runs(house)
    made.approve()
    warrant = house.guard.warrant(made.dossier())
    assert not isinstance(warrant, Refused | Held), warrant
    assert isinstance(house.guard.promote(warrant), Passed)
    assert house.guard.live(made.plan.subject) == made.green


def other_tree(made: Papers) -> Digest:
    """What Green would be with base's tests over it, where they are not its own."""
    return made.house.tree({"a.py": b"x = 1\n", "README": b"the words\n", "tests/test_a.py": b""})


BENT: dict[str, Any] = {
    "the overlay made another tree": lambda m: lent(m, laid={"work": other_tree(m), "base": m.base}),
    "the receipt does not say what lay there": lambda m: lent(m, laid={}),
    "base lay where Green should": lambda m: lent(m, laid={"work": m.base, "base": m.base}),
    "probes stood in it, or base's settings were others": lambda m: lent(m, result=replace(RESULT, alone=False)),
    "no run on Green": lambda m: m.test_run("base"),
    "a forged sentinel": lambda m: lent(m, result=replace(RESULT, sentinel="passed")),
    "a failing test": lambda m: lent(m, result=replace(RESULT, outcomes={"t::a": "failed"})),
    "a run without a result": lambda m: lent(m, result=None),
    "a run that was cut off": lambda m: lent(m, ended_by="wall", exit=137),
}


@pytest.mark.parametrize("name", BENT)
def test_guard_lets_no_other_run_stand_for_own_tests(house: PaperHouse, name: str) -> None:
    """An executor that leaves the run of Green's own tests out has nothing to show for it, whoever agreed."""
    made = two_runs(house)
    made.approve()
    made.receipts["green"] = BENT[name](made)
    answer = house.guard.warrant(made.dossier())
    assert isinstance(answer, Refused | Held)
    assert answer.remedy
    assert house.guard.live(made.plan.subject) == made.base
    assert "warrant.issued" not in house.names()


SIGNED: dict[str, Any] = {
    "a stranger signed it": (lambda m: lent(m, by=m.house.stranger["keeper"]), "statement-forged"),
    "the owner signed it": (lambda m: lent(m, by=m.house.owner), "statement-forged"),
    "the run was on another tree": (
        lambda m: lent(m, mounted={"work": digest_of("tree", b"?"), "base": m.base}),
        "receipt-wrong-trees",
    ),
    "it is a run of base that says so of Green": (
        lambda m: lent(m, mounted={"work": m.base, "base": m.base}),
        "receipt-wrong-trees",
    ),
    "it is called a run of own-tests": (lambda m: lent(m, check="own-tests"), "receipt-unknown-role"),
    "Green's own run is called one of base's tests": (
        lambda m: m.test_run("base-on-green", mounted={"work": m.green}, result=RESULT, laid={"work": m.green}),
        "receipt-wrong-trees",
    ),
    "it was made for something else": (
        lambda m: lent(m, occasion=digest_of("statement", b"w")),
        "receipt-of-another-occasion",
    ),
    "it was narrowed": (
        lambda m: lent(m, request={"overlay": ["base", "work"], "args": {"only": "x"}}),
        "receipt-wrong-args",
    ),
}


@pytest.mark.parametrize("name", SIGNED)
def test_guard_takes_a_lent_run_for_exactly_what_the_keeper_signed(house: PaperHouse, name: str) -> None:
    """A receipt that is lent keeps every rule that it had before; what it says of its tree only the keeper can say."""
    bend, rule = SIGNED[name]
    made = two_runs(house)
    made.approve()
    made.receipts["green"] = bend(made)
    answer = house.guard.warrant(made.dossier())
    assert isinstance(answer, Refused | Held)
    assert answer.rule == rule
    assert house.guard.live(made.plan.subject) == made.base


def test_guard_takes_no_lent_run_beside_one_that_failed(house: PaperHouse) -> None:
    """A run of Green's own tests that is handed in counts, whatever another run would say."""
    made = two_runs(house)
    made.approve()
    made.receipts["own"] = made.test_run("own", "failed", check="own-tests")
    answer = house.guard.warrant(made.dossier())
    assert isinstance(answer, Refused | Held)
    assert house.guard.live(made.plan.subject) == made.base
