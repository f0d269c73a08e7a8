"""Opt-ins in the guard: signed by the owner, held until they end, once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unusable
from greenroom.domain.lowrules import LOW, OF_CODE, check_low
from greenroom.domain.standing import OptIn, covering
from greenroom.domain.verdict import Instant, Passed, Refused
from greenroom.domain.vocabulary import Kind, Subject
from greenroom.guard.optins import MOST
from greenroom.guard.papers import OptInOrder, OptOutOrder
from greenroom.testing.papers import SECOND, Killed, PaperHouse
from greenroom.tools import _families

OPT_IN = ("opt-in.taken", "opt-in.logged", "opt-in.in-force")
OPT_OUT = ("opt-out.taken", "opt-out.logged", "opt-out.in-force")


def add(house: PaperHouse, rule: str = "codespell", **members: Any) -> Any:
    """The owner opts in."""
    return house.order(OptInOrder, **({"rule": rule, "repository": "", "until": None} | members))


def rules(house: PaperHouse) -> list[str]:
    """The rules of the opt-ins that count."""
    return [each.rule for each in house.guard.status().opt_ins]


def test_guard_holds_an_opt_in(house: PaperHouse) -> None:
    """It counts from when the owner signed it, the log says so, and a restart changes nothing."""
    until = Instant(house.clock.now() + 60 * SECOND)
    taken = add(house, "ruff:F401", repository="/home/ada/project", until=until)
    assert isinstance(taken, Passed)
    (found,) = house.guard.status().opt_ins
    assert (found.id, found.rule, found.repository) == (taken.produced["opt-in"], "ruff:F401", "/home/ada/project")
    assert (found.until, found.added, found.actor) == (until, house.clock.now(), "ada")
    entry = house.log.events()[-1]
    assert (entry.name, entry.about, entry.actor) == ("opt-in.added", "ruff:F401", "ada")
    assert house.restart().status().opt_ins == (found,)


def test_guard_opt_in_ends_by_itself(house: PaperHouse) -> None:
    """At its end it counts for nothing, and is gone with the next one."""
    add(house, until=Instant(house.clock.now() + 60 * SECOND))
    house.clock.advance(60)
    assert rules(house) == []
    add(house, "ruff:F401")
    assert house.guard._room.ledger.rows("SELECT rule FROM opt_ins") == [("ruff:F401",)]


def test_guard_opt_in_is_taken_back(house: PaperHouse) -> None:
    """By the owner's key and by its id; the log names both papers; the old order is refused for good."""
    paper = house.paper(OptInOrder, rule="codespell", repository="", until=None)
    opt_in = house.hand_in(paper).produced["opt-in"]
    add(house, "ruff:F401")
    assert isinstance(house.order(OptOutOrder, opt_in=opt_in), Passed)
    assert rules(house) == ["ruff:F401"]
    entry = house.log.events()[-1]
    assert (entry.name, entry.about, entry.digests["opt-in"]) == ("opt-in.removed", "codespell", opt_in)
    assert house.hand_in(paper).rule == "order-spent"
    house.restart()
    assert house.hand_in(paper).rule == "order-spent"
    assert rules(house) == ["ruff:F401"]
    assert house.order(OptOutOrder, opt_in=opt_in).rule == "no-such-opt-in"


def test_guard_opt_in_of_a_stranger_counts_for_nothing(house: PaperHouse) -> None:
    """Neither another owner nor the keeper can opt in or out."""
    opt_in = add(house).produced["opt-in"]
    for by in (house.stranger["owner"], house.keeper, house.signer):
        paper = house.paper(OptInOrder, rule="ruff:F401", repository="", until=None)
        assert house.hand_in(paper, by).rule == "statement-forged"
        assert house.hand_in(house.paper(OptOutOrder, opt_in=opt_in), by).rule == "statement-forged"
    assert rules(house) == ["codespell"]


@pytest.mark.parametrize(
    ("members", "rule"),
    [
        ({"rule": "Two words"}, "opt-in-malformed"),
        ({"rule": ""}, "opt-in-malformed"),
        ({"repository": "here"}, "opt-in-malformed"),
        ({"repository": "/a\n"}, "opt-in-malformed"),
        ({"repository": "/" + "a" * 4096}, "opt-in-malformed"),
        ({"until": Instant(1)}, "opt-in-expired"),
        ({"expires": Instant(1)}, "order-expired"),
        ({"nonce": "short"}, "order-malformed"),
    ],
)
def test_guard_refuses_an_opt_in_that_says_nothing(house: PaperHouse, members: dict[str, Any], rule: str) -> None:
    """What could never count is not taken in."""
    answer = add(house, **members)
    assert isinstance(answer, Refused)
    assert answer.rule == rule
    assert house.guard.status().opt_ins == ()


def test_guard_takes_an_opt_in_once(house: PaperHouse) -> None:
    """The same again is said to be known; another place or another end is another one."""
    add(house)
    assert add(house).rule == "opt-in-known"
    assert isinstance(add(house, repository="/a"), Passed)
    assert isinstance(add(house, until=Instant(house.clock.now() + SECOND)), Passed)
    assert len(house.guard.status().opt_ins) == 3


def test_guard_opt_in_that_was_refused_is_spent(house: PaperHouse) -> None:
    """Kept back and handed in after the one that counted was removed, it counts for nothing either."""
    opt_in = add(house).produced["opt-in"]
    paper = house.paper(OptInOrder, rule="codespell", repository="", until=None)
    assert house.hand_in(paper).rule == "opt-in-known"
    house.order(OptOutOrder, opt_in=opt_in)
    assert house.hand_in(paper).rule == "order-spent"
    assert rules(house) == []


def test_guard_bounds_the_opt_ins(house: PaperHouse) -> None:
    """So many count at a time, and no more."""
    for number in range(MOST):
        row = (f"statement:{number:064x}", "codespell", f"/{number}", None, "1", "ada")
        house.guard._room.ledger.write("INSERT INTO opt_ins VALUES (?, ?, ?, ?, ?, ?)", *row)
    assert add(house).rule == "too-many-opt-ins"


@pytest.mark.parametrize("point", OPT_IN)
def test_guard_killed_in_an_opt_in(house: PaperHouse, point: str) -> None:
    """After a restart an order that was taken counts, logged once, and is spent."""
    order = house.paper(OptInOrder, rule="codespell", repository="", until=None)
    house.crash_at = point
    with pytest.raises(Killed):
        house.hand_in(order)
    house.restart()
    assert rules(house) == ["codespell"]
    assert house.names().count("opt-in.added") == 1
    assert house.hand_in(order).rule == "order-spent"


@pytest.mark.parametrize("point", OPT_OUT)
def test_guard_killed_in_an_opt_out(house: PaperHouse, point: str) -> None:
    """After a restart the opt-in is gone, and the log says so once, by its rule."""
    opt_in = add(house).produced["opt-in"]
    house.crash_at = point
    with pytest.raises(Killed):
        house.order(OptOutOrder, opt_in=opt_in)
    house.restart()
    assert rules(house) == []
    (entry,) = (event for event in house.log.events() if event.name == "opt-in.removed")
    assert entry.about == "codespell"


def opt_in(rule: str = "codespell", repository: str = "", until: int | None = None, added: int = 1) -> OptIn:
    """One that was added at `added`."""
    ends = None if until is None else Instant(until)
    name = Digest(f"statement:{added:064x}")
    return OptIn(id=name, rule=rule, repository=repository, until=ends, added=Instant(added), actor="ada")


@pytest.mark.parametrize(
    ("repository", "address", "fits"),
    [
        ("", "/a#main", True),
        ("/a", "/a", True),
        ("/a", "/a#main", True),
        ("/a", "/a#feature/b", True),
        ("/a", "/ab#main", False),
        ("/a", "/a/b#main", False),
        ("/a", "/b/a#main", False),
        ("/a", "/a#b/c#main", False),
        ("/a#b", "/a#b#main", True),
        ("/a/", "/a#main", False),
    ],
)
def test_an_opt_in_is_for_its_repository(repository: str, address: str, fits: bool) -> None:
    """Every branch of the directory that it names, and no other directory."""
    subject = Subject(kind=Kind.WORKSPACE, address=address)
    assert (covering([opt_in(repository=repository)], subject, "codespell", Instant(5)) is not None) is fits


def test_an_opt_in_covers_its_rule_until_it_ends() -> None:
    """Another rule, no rule, and a time after its end are not covered; of two the older one speaks."""
    subject = Subject(kind=Kind.WORKSPACE, address="/a")
    younger, older = opt_in(added=3), opt_in(added=2, until=9)
    assert covering([younger, older], subject, "codespell", Instant(8)) == older
    assert covering([younger, older], subject, "codespell", Instant(9)) == younger
    assert covering([younger], subject, "ruff:F401", Instant(8)) is None
    assert covering([opt_in(rule="")], subject, "", Instant(8)) is None


def test_rules_of_opt_ins_are_those_of_the_generators() -> None:
    """Every rule is one that its generator proposes; a family that is described is among them; code is not."""
    for rule in LOW:
        generator, _, code = rule.partition(":")
        assert generator == "codespell" or _families.FAMILIES[generator].supported.fullmatch(code)
        assert check_low(rule) == rule
    described = {f"ruff:{code}" for code in _families.WORDS if _families.RUFF.supported.fullmatch(code)}
    assert described <= set(LOW)
    assert set(_families.FAMILIES) - {"ruff"} <= set(OF_CODE)


@pytest.mark.parametrize(
    ("rule", "reference", "remedy"),
    [
        ("F401", "unknown-rule", "ruff:F401"),
        ("ruff:F410", "unknown-rule", "ruff:F401"),
        ("codespel", "unknown-rule", "codespell"),
        ("\x1b", "unknown-rule", "one of: codespell"),
        ("strings", "rule-not-low", "autonomous"),
        ("modernise:UP006", "rule-not-low", "autonomous"),
    ],
)
def test_an_unknown_rule_is_answered_with_the_nearest(rule: str, reference: str, remedy: str) -> None:
    """A slip of the finger never becomes an opt-in."""
    with pytest.raises(Unusable) as raised:
        check_low(rule)
    assert raised.value.reference == reference
    assert remedy in raised.value.remedy


def test_opt_ins_are_nowhere_but_in_the_ledger(tmp_path: Path) -> None:
    """A box whose ledger is fresh has none, whatever lies in its store."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    first = PaperHouse(tmp_path / "one")
    add(first)
    second = PaperHouse(tmp_path / "two", store=first.store)
    assert second.guard.status().opt_ins == ()
    first.guard.close()
    second.guard.close()
