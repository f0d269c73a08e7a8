"""The conformance suite of the Guard port: the service, the service behind its door, and the fake."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from greenroom.domain.errors import Unusable
from greenroom.domain.events import Event
from greenroom.domain.plan import Caps
from greenroom.domain.ports import Dossier, Guard
from greenroom.domain.verdict import Held, Instant, Passed, Refused
from greenroom.domain.vocabulary import ChangeId, Kind, Subject
from greenroom.guard.client import GuardClient
from greenroom.guard.papers import CommandOrder, Lift
from greenroom.guard.server import handlers
from greenroom.testing.guard import FakeGuard
from greenroom.testing.papers import SUBJECT, PaperHouse, Papers, papers, promoted

pytestmark = pytest.mark.slow

CAPS = Caps(cpu_s=1, cpu_millicores=1, wall_s=1, memory_bytes=1, disk_bytes=1, processes=1, output_bytes=1)


def _over_the_wire(house: PaperHouse) -> GuardClient:
    """The service behind its handlers, with every message through JSON and back."""
    answers = handlers(house.guard)

    def call(name: str, arguments: Mapping[str, Any]) -> Any:
        said = json.loads(json.dumps(arguments))
        return json.loads(json.dumps(answers[name](said, (), lambda _: None, 0)))

    return GuardClient(call)


@pytest.fixture(params=["service", "wire", "fake"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PaperHouse]:
    made = PaperHouse(tmp_path)
    service = made.guard
    other: Any = service
    if request.param == "wire":
        other = _over_the_wire(made)
    elif request.param == "fake":
        other = FakeGuard(store=made.store, log=made.log, attestor=made.signer, clock=made.clock, policy=made.first)
        other.adopt(made.imported(made.base))
    made.guard = other
    yield made
    service.close()


def _rule(answer: object) -> str:
    return answer.rule if isinstance(answer, Refused | Held) else f"passed: {answer}"


def _guard(house: PaperHouse) -> Guard:
    return house.guard


def _with_last_yes(made: Papers) -> Dossier:
    """The dossier with the last yes only: of those that were spent or withdrawn before, the answer says nothing."""
    dossier = made.dossier()
    return dataclasses.replace(dossier, consents=dossier.consents[-1:])


def test_contract_guard_takes_a_change_all_the_way(house: PaperHouse) -> None:
    """Consent, warrant, promote, mark-good and revert, each once and each idempotent."""
    guard = _guard(house)
    made, warrant = promoted(house)
    assert guard.live(SUBJECT) == made.green
    assert guard.warrant(made.dossier()) == warrant
    assert isinstance(guard.promote(warrant), Passed)
    receipts = made.live_runs()
    assert isinstance(guard.mark_good(made.change, receipts), Passed)
    assert isinstance(guard.mark_good(made.change, receipts), Passed)
    assert isinstance(guard.revert(SUBJECT, made.change, "ada"), Passed)
    assert isinstance(guard.revert(SUBJECT, made.change, "ada"), Passed)
    assert guard.live(SUBJECT) == made.base
    for name in ("warrant.issued", "live.promoted", "live.marked-good", "live.reverted"):
        assert house.names().count(name) == 1


def test_contract_guard_health_is_green_until_something_is_under_way(house: PaperHouse) -> None:
    """Green after an import; a promotion that is still watched and a stop are told, each with place and remedy."""
    guard = _guard(house)
    assert guard.health(SUBJECT) == ()
    made, _ = promoted(house)
    (baking,) = guard.health(SUBJECT)
    assert (baking.rule, made.change in baking.where, bool(baking.remedy)) == ("change-baking", True, True)
    guard.mark_good(made.change, made.live_runs())
    assert guard.health(SUBJECT) == ()
    guard.stop("ada")
    assert [held.rule for held in guard.health(SUBJECT)] == ["stopped"]


def test_contract_guard_holds_without_consent(house: PaperHouse) -> None:
    """A change that nobody agreed to is held, not refused."""
    answer = _guard(house).warrant(papers(house).dossier())
    assert isinstance(answer, Held)
    assert answer.rule == "needs-approval"


def test_contract_guard_refuses_replays(house: PaperHouse) -> None:
    """Neither warrant nor consent works again after a revert."""
    guard = _guard(house)
    made, warrant = promoted(house)
    guard.revert(SUBJECT, made.change, "ada")
    assert _rule(guard.promote(warrant)) == "warrant-spent"
    assert _rule(guard.warrant(made.dossier())) == "consent-spent"


def test_contract_guard_withdraws_a_yes(house: PaperHouse) -> None:
    """What was agreed to before a withdrawal is void, consent and warrant; a later yes counts; what is live stays."""
    guard = _guard(house)
    made = papers(house)
    made.approve()
    early = guard.warrant(made.dossier())
    assert isinstance(early, str)
    house.clock.advance(1)
    assert isinstance(guard.withdraw(made.change, "ada"), Passed)
    assert _rule(guard.promote(early)) == "approval-withdrawn"
    assert _rule(guard.warrant(made.dossier())) == "approval-withdrawn"
    assert guard.live(SUBJECT) == made.base
    assert house.names().count("consent.withdrawn") == 1
    house.clock.advance(1)
    made.approve()
    warrant = guard.warrant(made.dossier())
    assert isinstance(warrant, str)
    assert isinstance(guard.promote(warrant), Passed)
    assert _rule(guard.withdraw(made.change, "ada")) == "already-live"


def test_contract_guard_voids_a_second_yes_with_a_revert(house: PaperHouse) -> None:
    """A yes that was given twice counts once: taking the change back voids the other, and only a later yes counts."""
    guard = _guard(house)
    made, _ = promoted(house)
    made.approve()
    house.clock.advance(1)
    assert isinstance(guard.revert(SUBJECT, made.change, "ada"), Passed)
    assert _rule(guard.warrant(_with_last_yes(made))) == "approval-withdrawn"
    house.clock.advance(1)
    made.approve()
    assert isinstance(guard.warrant(_with_last_yes(made)), str)


def test_contract_guard_voids_what_is_unspent_of_a_live_change(house: PaperHouse) -> None:
    """A withdrawal that comes too late is refused, and logged; the yes that was not spent is void all the same."""
    guard = _guard(house)
    made, _ = promoted(house)
    made.approve()
    house.clock.advance(1)
    assert _rule(guard.withdraw(made.change, "ada")) == "already-live"
    assert house.names().count("consent.withdrawn") == 1
    assert guard.live(SUBJECT) == made.green
    assert isinstance(guard.revert(SUBJECT, made.change, "ada"), Passed)
    assert _rule(guard.warrant(_with_last_yes(made))) == "approval-withdrawn"


def test_contract_guard_refuses_forgeries(house: PaperHouse) -> None:
    """Papers of other keys count for nothing."""
    guard = _guard(house)
    made = papers(house)
    assert _rule(house.hand_in(made.consent(shown=made.plan_digest), house.stranger["owner"])) == "statement-forged"
    assert _rule(guard.adopt(house.imported(made.green, by=house.stranger["keeper"]))) == "statement-forged"
    assert _rule(guard.promote(made.seals[0])) in ("wrong-predicate", "statement-forged")
    assert guard.live(SUBJECT) == made.base


def test_contract_guard_expires_warrants(house: PaperHouse) -> None:
    """A warrant does not hold for ever."""
    made = papers(house)
    made.approve()
    warrant = _guard(house).warrant(made.dossier())
    assert isinstance(warrant, str)
    house.clock.advance(10_000)
    assert _rule(_guard(house).promote(warrant)) == "warrant-expired"


def test_contract_guard_sees_that_base_moved(house: PaperHouse) -> None:
    """A commit of the person's own makes a waiting change base-moved, and names it once."""
    guard = _guard(house)
    made = papers(house)
    made.approve()
    house.clock.advance(1)
    tree = house.tree({"b": b"1"})
    imported = house.imported(tree)
    assert guard.adopt(imported) == tree
    assert guard.adopt(imported) == tree
    assert _rule(guard.warrant(made.dossier())) == "base-moved"


def test_contract_guard_reverts_last_in_first_out(house: PaperHouse) -> None:
    """What others stand on is not taken back."""
    guard = _guard(house)
    first, _ = promoted(house)
    guard.mark_good(first.change, first.live_runs())
    promoted(house, base=first.green, name="change-2", text=b"other\n")
    assert _rule(guard.revert(SUBJECT, first.change, "ada")) == "not-last"
    assert _rule(guard.revert(SUBJECT, ChangeId("change-9"), "ada")) == "not-promoted"


def test_contract_guard_one_watch_at_a_time(house: PaperHouse) -> None:
    """A second change waits until the first is marked good."""
    first, _ = promoted(house)
    second = papers(house, first.green, name="change-2", text=b"other\n")
    second.approve()
    assert _rule(_guard(house).warrant(second.dossier())) == "change-baking"


def test_contract_guard_watch_takes_runs_of_this_promotion_only(house: PaperHouse) -> None:
    """Live tests that were made for nothing, or for another promotion, mark nothing good."""
    first, spent = promoted(house)
    assert _rule(_guard(house).mark_good(first.change, first.live_runs(occasion=None))) == "receipt-of-another-occasion"
    _guard(house).mark_good(first.change, first.live_runs())
    second, _ = promoted(house, base=first.green, name="change-2", text=b"other\n")
    runs = second.live_runs(occasion=spent)
    assert _rule(_guard(house).mark_good(second.change, runs)) == "receipt-of-another-occasion"
    assert isinstance(_guard(house).mark_good(second.change, second.live_runs()), Passed)


def test_contract_guard_stop_dominates(house: PaperHouse) -> None:
    """Under stop nothing starts, a revert works, and the owner's lift of this stop ends it."""
    guard = _guard(house)
    made, _ = promoted(house)
    guard.stop("ada")
    assert guard.status().stopped
    assert guard.status().stopped_by == "ada"
    assert _rule(guard.mark_good(made.change, made.live_runs())) == "stopped"
    assert _rule(guard.reserve(ChangeId("c"), SUBJECT, CAPS)) == "stopped"
    assert isinstance(guard.revert(SUBJECT, made.change, "ada"), Passed)
    other = papers(house, name="change-2", text=b"other\n")
    assert _rule(guard.warrant(other.dossier())) == "stopped"
    assert _rule(house.order(Lift, stop=made.plan_digest)) == "lift-names-another-stop"
    assert isinstance(house.order(Lift, stop=house.guard.stop_id()), Passed)
    assert not guard.status().stopped


def test_contract_guard_log_is_guarded(house: PaperHouse) -> None:
    """Callers append under the guard's time, once for each key, and nothing that only the guard says."""
    guard = _guard(house)
    event = Event(key="c/0/plan/intent", at=Instant(1), actor="executor", name="plan.intent")
    assert guard.append(event) == guard.append(event)
    with pytest.raises(Unusable, match="event-reserved"):
        guard.append(Event(key="x", at=Instant(1), actor="executor", name="live.promoted"))


def test_contract_guard_budget_settles_once(house: PaperHouse) -> None:
    """A reservation is settled once."""
    guard = _guard(house)
    reservation = guard.reserve(ChangeId("c"), SUBJECT, CAPS)
    assert isinstance(reservation, str)
    guard.settle(reservation, CAPS)
    with pytest.raises(Unusable, match="no-reservation"):
        guard.settle(reservation, CAPS)


def test_contract_guard_unknown_subject(house: PaperHouse) -> None:
    """A subject that was never taken in has no live state and no position."""
    nowhere = Subject(kind=Kind.WORKSPACE, address="/nowhere")
    assert _guard(house).live(nowhere) is None
    with pytest.raises(Unusable, match="no-subject"):
        _guard(house).position(nowhere)
    with pytest.raises(Unusable, match="unknown-subject"):
        _guard(house).reserve(ChangeId("c"), nowhere, CAPS)
    assert _guard(house).status().live == {str(SUBJECT): house.base}


def test_contract_guard_says_what_live_stands_on(house: PaperHouse) -> None:
    """The import first, then each promoted change, until it is taken back; nothing for a subject that nobody knows."""
    guard = _guard(house)
    assert [(each.change, each.green) for each in guard.standing(SUBJECT)] == [(None, house.base)]
    made, _ = promoted(house)
    found = [(each.change, each.green) for each in guard.standing(SUBJECT)]
    assert found == [(None, house.base), (made.change, made.green)]
    guard.revert(SUBJECT, made.change, "ada")
    assert len(guard.standing(SUBJECT)) == 1
    assert guard.standing(Subject(kind=Kind.WORKSPACE, address="/nowhere")) == ()


def test_contract_guard_carries_a_yes_and_nothing_else(house: PaperHouse) -> None:
    """A statement needs a consent that is in time, for the same subject, and no stop; else rule, place and remedy."""
    guard = _guard(house)
    made = papers(house)
    given = made.dossier()
    assert _rule(guard.carry(dataclasses.replace(given, consents=()), given)) == "no-consent"
    made.approve()
    elsewhere = dataclasses.replace(given, subject=Subject(kind=Kind.WORKSPACE, address="/other"))
    assert _rule(guard.carry(made.dossier(), elsewhere)) == "carry-of-another-subject"
    house.clock.advance(100_000)
    assert _rule(guard.carry(made.dossier(), made.dossier())) == "consent-expired"
    guard.stop("ada")
    assert _rule(guard.carry(made.dossier(), made.dossier())) == "stopped"
    assert "consent.carried" not in house.names()


def test_contract_guard_remembers_the_test_command_that_the_owner_signed_for(house: PaperHouse) -> None:
    """Exactly that command, for that subject only; the order works once, and a stranger's never."""
    guard, order = _guard(house), house.paper(CommandOrder, subject=SUBJECT, command="pytest -q")
    assert _rule(house.hand_in(order, house.stranger["owner"])) == "statement-forged"
    assert not guard.command_allowed(SUBJECT, "pytest -q")
    assert isinstance(house.hand_in(order), Passed)
    assert guard.command_allowed(SUBJECT, "pytest -q")
    assert not guard.command_allowed(SUBJECT, "pytest -q -x")
    assert not guard.command_allowed(Subject(kind=Kind.WORKSPACE, address="/elsewhere"), "pytest -q")
    assert _rule(house.hand_in(order)) == "order-spent"
    assert house.names().count("command.allowed") == 1
