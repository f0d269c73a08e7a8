"""Carrying a yes: what a taken-over executor hands in is compared by the guard on the trees themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from greenroom.domain import documents
from greenroom.domain.card import Card
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.ports import Dossier
from greenroom.domain.proof import Carry, Predicate
from greenroom.domain.verdict import Held, Refused
from greenroom.domain.vocabulary import ChangeId, State
from greenroom.pipeline.restack import new_id
from greenroom.pipeline.stages.plan import read_proposal
from greenroom.pipeline.stages.promote import dossier_of
from greenroom.testing.house import MemoryHouse
from greenroom.testing.parts import Finding, patch_of

pytestmark = pytest.mark.slow

TEXT = b"".join(b"line %d\n" % number for number in range(40))
TWICE = TEXT + TEXT
FIRST = Finding(path="notes.md", old=b"line 5\n", new=b"LINE 5\n")
SECOND = Finding(path="notes.md", old=b"line 20\n", new=b"LINE 20\n")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[MemoryHouse]:
    made = MemoryHouse(tmp_path, files={"notes.md": TEXT, "more.md": b"teh\n", "a.py": b"x = 1\n"})
    made.findings[:] = [FIRST, SECOND]
    yield made
    made.close()


def agreed(house: MemoryHouse) -> Change:
    """A change that the person agreed to, for later, and whose base another promotion moved."""
    first, second = (ChangeId(row["id"]) for row in house.improve()["changes"])
    house.approve(second, promote=False)
    house.approve(first)
    return house.change(second)


def live_text(house: MemoryHouse) -> bytes:
    return house.live_files()[b"notes.md"]


def child(house: MemoryHouse, parent: Change, patch: bytes) -> Change:
    """A child of the executor's own making, carried as far as it goes without a yes."""
    live = house.live()
    assert live is not None
    proposal = dataclasses.replace(read_proposal(house.store, parent), patch=house.store.put("blob", patch))
    made = Change(
        id=new_id(),
        subject=parent.subject,
        origin=parent.origin,
        request=house.store.put("text", documents.encode(proposal)),
        mode=parent.mode,
        state=State.PROPOSED,
        base=live,
        golden=Digest(str(house.keeper.prepare(live))),
        parent=parent.id,
    )
    house.house.changes.save(made)
    carried = house.house.runs.carry(made.id)
    assert carried.state is State.VERIFIED, carried
    return carried


def papers(house: MemoryHouse, change: Change, **bent: object) -> Dossier:
    return dataclasses.replace(dossier_of(house.store, change), **bent)


def right_child(house: MemoryHouse, parent: Change) -> Change:
    before = live_text(house)
    return child(house, parent, patch_of("notes.md", before, before.replace(SECOND.old, SECOND.new)))


def rule(answer: object) -> str:
    assert isinstance(answer, Refused | Held), answer
    assert answer.where
    assert answer.remedy
    return answer.rule


def opened(house: MemoryHouse, statement: object) -> Carry:
    assert isinstance(statement, str)
    body = house.signers["owner"].open(house.store.get(Digest(statement)), Predicate.CARRY, "guard").body
    return documents.decode(Carry, body)


def test_carry_names_all_that_it_rests_on(house: MemoryHouse) -> None:
    """Consent, both plans, Greens and cards, the patch and both risks, in a statement that the log has."""
    parent = agreed(house)
    moved = right_child(house, parent)
    statement = house.guard.carry(papers(house, parent), papers(house, moved))
    said = opened(house, statement)
    assert (said.change, said.plan, said.green, said.shown) == (moved.id, moved.plan, moved.green, moved.card)
    given = (said.given, said.given_plan, said.given_green, said.given_shown)
    assert given == (parent.id, parent.plan, parent.green, parent.card)
    assert parent.risk is not None
    assert moved.risk is not None
    assert (said.given_risk, said.risk) == (parent.risk.score, moved.risk.score)
    assert said.consent == parent.consents[0]
    (event,) = [event for event in house.log.events() if event.name == "consent.carried"]
    assert event.digests["carry"] == statement
    assert event.digests["given-green"] == parent.green


ELSEWHERE: dict[str, Callable[[bytes], bytes]] = {
    "other lines": lambda text: text.replace(b"line 30\n", b"LINE 30\n"),
    "more lines": lambda text: text.replace(SECOND.old, SECOND.new + b"import os\n"),
    "less around it": lambda text: text.replace(SECOND.old, SECOND.new).replace(b"line 18\n", b"line 18 \n"),
    "another word": lambda text: text.replace(SECOND.old, b"LINE 21\n"),
}


@pytest.mark.parametrize("bend", ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_yes_is_not_carried_onto_another_patch(house: MemoryHouse, bend: Callable[[bytes], bytes]) -> None:
    """Same summary, same file, same risk, other lines: the person has to be asked."""
    parent = agreed(house)
    before = live_text(house)
    forged = child(house, parent, patch_of("notes.md", before, bend(before)))
    assert rule(house.guard.carry(papers(house, parent), papers(house, forged))) == "patch-differs"
    with_consent = papers(house, forged, consents=parent.consents)
    assert rule(house.guard.warrant(with_consent)) == "consent-of-another-change"


def test_a_yes_is_not_carried_to_another_place(house: MemoryHouse) -> None:
    """The same hunk where its lines stand a second time is another change, and so is one in another file."""
    parent = agreed(house)
    house.deliver()
    house.commit({"notes.md": live_text(house) + b"--\n" + TEXT, "copy.md": live_text(house)})
    house.improve()
    before = live_text(house)
    at = before.rindex(SECOND.old)
    later = before[:at] + SECOND.new + before[at + len(SECOND.old) :]
    elsewhere = child(house, parent, patch_of("notes.md", before, later))
    assert rule(house.guard.carry(papers(house, parent), papers(house, elsewhere))) == "patch-differs"
    copied = house.live_files()[b"copy.md"]
    other = child(house, parent, patch_of("copy.md", copied, copied.replace(SECOND.old, SECOND.new)))
    assert rule(house.guard.carry(papers(house, parent), papers(house, other))) == "patch-differs"


def test_a_patch_says_what_its_green_has(house: MemoryHouse) -> None:
    """A build whose Green has more in it than the patch says is not the patch that the person agreed to."""
    parent = agreed(house)
    before = live_text(house)
    patch = patch_of("notes.md", before, before.replace(SECOND.old, SECOND.new))
    house.workshop.patches[digest_of("blob", patch)] = Finding(path="more.md", old=b"teh", new=b"evil")
    forged = child(house, parent, patch)
    assert rule(house.guard.carry(papers(house, parent), papers(house, forged))) == "patch-differs"


def test_a_greater_risk_asks_again(house: MemoryHouse) -> None:
    """The same patch on a base whose tests say less is a greater risk than the person was shown."""
    parent = agreed(house)
    house.checks["tests"] = "broken-before"
    moved = right_child(house, parent)
    assert rule(house.guard.carry(papers(house, parent), papers(house, moved))) == "risk-greater"


def test_another_toolchain_asks_again(house: MemoryHouse) -> None:
    """What the person was shown was tried with other dependencies."""
    parent = agreed(house)
    right = house.keeper.prepare

    def prepare(tree: Digest) -> Digest:
        golden = documents.load_json(house.store.get(Digest(str(right(tree)))))
        return house.store.put("golden", documents.encode({**golden, "packages": {"pytest": "9"}}))

    house.keeper.prepare = prepare  # type: ignore[method-assign]
    moved = right_child(house, parent)
    assert rule(house.guard.carry(papers(house, parent), papers(house, moved))) == "toolchain-differs"


def test_what_was_shown_must_have_been_true(house: MemoryHouse) -> None:
    """A yes to a card that showed another patch is carried nowhere: the person never saw this one."""
    first, second = (ChangeId(row["id"]) for row in house.improve()["changes"])
    true = house.change(second)
    assert true.card is not None
    card = documents.decode(Card, house.store.get(true.card))
    harmless = house.store.put("blob", b"a harmless patch")
    false = house.store.put("card", documents.encode(dataclasses.replace(card, patch=harmless)))
    given = house.guard.consent(house.consent(second, shown=false))
    assert isinstance(given, str)
    house.approve(first)
    moved = right_child(house, true)
    shown = papers(house, true, card=false, consents=(given,))
    assert rule(house.guard.carry(shown, papers(house, moved))) == "card-differs"


def test_nobody_s_yes_is_not_carried(house: MemoryHouse) -> None:
    """Without a consent, with a stranger's, and with one to another change, there is no statement."""
    parent = agreed(house)
    moved = right_child(house, parent)
    assert rule(house.guard.carry(papers(house, parent, consents=()), papers(house, moved))) == "no-consent"
    forged = house.store.put("statement", house.consent(moved.id, stranger=True))
    to = papers(house, moved)
    assert rule(house.guard.carry(papers(house, parent, consents=(forged,)), to)) == "statement-forged"
    other = next(change for change in house.changes() if change.state is State.KEPT)
    crossed = house.guard.carry(papers(house, parent, consents=other.consents), to)
    assert rule(crossed) == "consent-of-another-change"


def test_a_statement_serves_no_other_change(house: MemoryHouse) -> None:
    """A warrant takes it for exactly the change, plan, Green and card that it names, signed by the guard."""
    parent = agreed(house)
    moved, twin = right_child(house, parent), right_child(house, parent)
    statement = house.guard.carry(papers(house, parent), papers(house, moved))
    assert isinstance(statement, str)
    yes = {"consents": parent.consents, "carry": statement}
    assert rule(house.guard.warrant(papers(house, twin, **yes))) == "consent-of-another-change"
    said = dataclasses.replace(opened(house, statement), change=twin.id, plan=twin.plan, green=twin.green)
    signed = house.signers["keeper"].sign(Predicate.CARRY, said.green, documents.encode(said))
    forged = house.store.put("statement", signed)
    assert rule(house.guard.warrant(papers(house, twin, **yes | {"carry": forged}))) == "statement-forged"
    assert isinstance(house.guard.warrant(papers(house, moved, **yes)), str)


def test_a_carried_yes_goes_with_the_yes_itself(house: MemoryHouse) -> None:
    """A statement allows nothing once the consent that it names has expired."""
    parent = agreed(house)
    moved = right_child(house, parent)
    statement = house.guard.carry(papers(house, parent), papers(house, moved))
    house.clock.advance(601)
    answer = house.guard.warrant(papers(house, moved, consents=parent.consents, carry=statement))
    assert rule(answer) == "consent-expired"


def test_a_stop_carries_nothing(house: MemoryHouse) -> None:
    """Under a stop no statement is signed."""
    parent = agreed(house)
    moved = right_child(house, parent)
    house.stop()
    assert rule(house.guard.carry(papers(house, parent), papers(house, moved))) == "stopped"
    assert "consent.carried" not in house.names()
