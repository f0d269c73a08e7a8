"""Two verify runs in a person's place: the guard recomputes both, from receipts that were made for this and once."""

from __future__ import annotations

from typing import Any

import pytest

from greenroom.domain.digest import Digest
from greenroom.domain.outcomes import ScanResult, TestOutcome
from greenroom.domain.verdict import Held, Passed, Refused
from greenroom.domain.vocabulary import ConsentLevel, Mode, Trust
from greenroom.guard.papers import ModeOrder
from greenroom.testing.papers import PaperHouse, Papers, papers


@pytest.fixture
def box(house: PaperHouse) -> PaperHouse:
    """A box in mode autonomous where every change is level 2."""
    house.use(level=ConsentLevel.REVIEW)
    house.order(ModeOrder, mode=Mode.AUTONOMOUS)
    return house


def again(made: Papers, *, outcome: TestOutcome = "passed", **members: Any) -> dict[str, Digest]:
    """The receipts of a second verify, made for the occasion of Green."""
    given = {"occasion": made.green} | members
    (diff,) = (run.result for run in made.opened({"classify": made.receipts["classify"]}))
    return {
        "classify": made.diff_run("classify", "classify_diff_t0", diff, **given),
        "scan": made.diff_run("scan", "scan_diff_t0", ScanResult(findings=()), **given),
        "loosened": made.diff_run("loosened", "compare_tests_t0", ScanResult(findings=()), **given),
        "base": made.test_run("base", **given),
        "green": made.test_run("base-on-green", outcome, **given),
        "own": made.test_run("own", check="own-tests", **given),
    }


def ask(box: PaperHouse, made: Papers, second: dict[str, Digest], mode: Mode = Mode.AUTONOMOUS, **bent: Any) -> Any:
    """Hand the papers in."""
    return box.guard.warrant(made.dossier(mode=mode, again=tuple(second.values()), **bent))


def test_guard_promotes_what_was_built_and_verified_twice(box: PaperHouse) -> None:
    """All of it, twice, the same: a warrant without a consent, and it goes live."""
    made = papers(box)
    assert isinstance(box.guard.promote(ask(box, made, again(made))), Passed)
    assert box.guard.live(made.plan.subject) == made.green


@pytest.mark.parametrize("mode", [Mode.PROPOSE, Mode.SUPERVISED])
def test_guard_two_verifies_count_in_one_mode_only(box: PaperHouse, mode: Mode) -> None:
    """Where a person is to be asked, they are asked; also when the owner lowers the mode before the swap."""
    made = papers(box)
    assert ask(box, made, again(made), mode).rule == "needs-approval"
    warrant = ask(box, made, again(made))
    box.order(ModeOrder, mode=mode)
    answer = box.guard.promote(warrant)
    assert isinstance(answer, Held)
    assert answer.rule == "needs-approval"
    assert box.guard.live(made.plan.subject) == made.base


def test_guard_holds_level_three_whatever_was_verified(box: PaperHouse) -> None:
    """Nothing stands in a person's place there."""
    box.use(level=ConsentLevel.PERSON)
    made = papers(box)
    assert ask(box, made, again(made)).rule == "needs-approval"


def test_guard_two_verifies_are_not_enough_for_an_untrusted_place(box: PaperHouse) -> None:
    """Code that came from anywhere could forge both: a person reads the diff."""
    box.guard.adopt(box.imported(box.base, commit="1" * 40, trust=int(Trust.UNTRUSTED)))
    made = papers(box)
    answer = ask(box, made, again(made))
    assert (answer.rule, answer.where) == ("needs-approval", "a person must agree")


@pytest.mark.parametrize("left", ["classify", "scan", "loosened", "base", "green", "own", None])
def test_guard_wants_every_check_twice(box: PaperHouse, left: str | None) -> None:
    """A second verify with a run left out, or with none."""
    made = papers(box)
    second = {} if left is None else {name: digest for name, digest in again(made).items() if name != left}
    answer = ask(box, made, second)
    assert isinstance(answer, Held)
    assert answer.rule == "needs-approval"


@pytest.mark.parametrize("outcome", ["failed", "error", "skipped"])
def test_guard_wants_the_second_verify_to_pass(box: PaperHouse, outcome: TestOutcome) -> None:
    """A test that does not pass the second time needs a person."""
    made = papers(box)
    answer = ask(box, made, again(made, outcome=outcome))
    assert isinstance(answer, Held)
    assert "tests came out as pass, and as fail the second time" in answer.where


def test_guard_takes_no_first_run_for_a_second(box: PaperHouse) -> None:
    """The first runs, runs for something else, and two draws of one run are refused."""
    made = papers(box)
    for occasion in (None, made.seals[0], made.base):
        answer = ask(box, made, again(made, occasion=occasion))
        assert isinstance(answer, Refused)
        assert answer.rule == "receipt-of-another-occasion"
    assert ask(box, made, made.receipts).rule == "receipt-of-another-occasion"
    assert ask(box, made, {**again(made), "more": again(made)["green"]}).rule == "receipt-of-a-second-draw"
    swapped = ask(box, made, again(made), receipts=tuple(again(made).values()))
    assert swapped.rule == "receipt-of-another-occasion"


def test_guard_wants_two_builds(box: PaperHouse) -> None:
    """One build, or one seal twice, is no second build; another Green is no equal one."""
    made = papers(box)
    for seals in (made.seals[:1], (made.seals[0], made.seals[0])):
        answer = ask(box, made, again(made), seals=seals)
        assert isinstance(answer, Held)
        assert answer.rule == "needs-approval"
    other = made.seal(green=box.tree({"a.py": b"x = 3\n"}))
    assert isinstance(ask(box, made, again(made), seals=(made.seals[0], other)), Held)


def test_guard_takes_no_forged_second_verify(box: PaperHouse) -> None:
    """Signed by somebody else than the keeper."""
    made = papers(box)
    forged = again(made, by=box.stranger["keeper"])
    assert ask(box, made, forged).rule == "statement-forged"


@pytest.mark.parametrize("unproven", [("calc.py",), None])
@pytest.mark.parametrize("time", ["first", "second"])
def test_guard_asks_a_person_where_base_s_tests_are_no_proof(
    box: PaperHouse, time: str, unproven: tuple[str, ...] | None
) -> None:
    """A changed file that base's tests rest on was Green's own in either verify, or the receipt does not say."""
    made = papers(box)
    second = again(made)
    if time == "first":
        made.receipts["green"] = made.test_run("base-on-green", unproven=unproven)
    else:
        second = again(made, unproven=unproven)
    answer = ask(box, made, second)
    assert answer.rule == "needs-approval"
    assert ("calc.py" if unproven else "do not say") in answer.where
    made.approve()
    assert not isinstance(box.guard.warrant(made.dossier()), Refused | Held)
