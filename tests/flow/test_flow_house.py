"""One flow for everything: every kind of subject, a whole life of a box, and what an executor alone cannot do."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.domain.change import Change
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unusable
from greenroom.domain.events import Event
from greenroom.domain.proposal import origin_of
from greenroom.domain.verdict import Held, Passed, Refused
from greenroom.domain.vocabulary import ChangeId, Kind, Mode, State, Subject, Trust
from greenroom.pipeline.stages.promote import PromoteStage
from greenroom.testing.house import MemoryHouse, shipped_constitution
from greenroom.testing.parts import Finding, FindingProposer

pytestmark = pytest.mark.slow


@pytest.fixture
def house(tmp_path: Path) -> Iterator[MemoryHouse]:
    made = MemoryHouse(tmp_path)
    yield made
    made.close()


def _proposed_about(house: MemoryHouse, subject: Subject, live: Digest) -> Change:
    """A change of `subject` that was carried until it waits for a person."""
    golden = house.keeper.prepare(live)
    assert isinstance(golden, str)
    (body,) = FindingProposer(house.store, house.findings, house.workshop).propose(subject, live)
    change = Change(
        id=ChangeId("toy"),
        subject=subject,
        origin=origin_of(FindingProposer.name, Trust.BOX),
        request=house.store.put("text", body),
        mode=Mode.PROPOSE,
        state=State.PROPOSED,
        base=live,
        golden=golden,
    )
    house.house.changes.save(change)
    held = house.house.runs.carry(change.id)
    assert held.hold is not None, held
    assert (held.state, held.hold.rule) == (State.VERIFIED, "needs-approval")
    return held


@pytest.mark.parametrize("kind", list(Kind))
def test_flow_is_one_for_every_kind(house: MemoryHouse, kind: Kind) -> None:
    """A change of any kind of subject goes the same way, from a proposal to live and back.

    What must hold at the end is data: the constitution here asks no kind for a probe, since nothing of a toy answers.
    """
    house.constitute(shipped_constitution().replace(b", probe]", b"]"))
    subject = dataclasses.replace(house.subject, kind=kind)
    imported = house.keeper.bring(subject, "ticket", house.branch)
    assert isinstance(imported, str)
    live = house.guard.adopt(imported)
    assert isinstance(live, str)
    change = _proposed_about(house, subject, live)
    assert house.approve(change.id)["state"] == "kept"
    assert house.guard.live(subject) == change.green
    assert house.revert(change.id)["state"] == "reverted"
    assert house.guard.live(subject) == live


def test_flow_takes_back_what_its_constitution_wants_probed(house: MemoryHouse) -> None:
    """A service whose probes nobody saw green is not marked good: live is what it was, and the rule says why."""
    subject = dataclasses.replace(house.subject, kind=Kind.SERVICE)
    imported = house.keeper.bring(subject, "ticket", house.branch)
    assert isinstance(imported, str)
    live = house.guard.adopt(imported)
    assert isinstance(live, str)
    change = _proposed_about(house, subject, live)
    taken = house.approve(change.id)
    assert (taken["state"], taken["ended"]) == ("reverted", "probe-short")
    assert house.guard.live(subject) == live


def test_flow_waits_until_health_is_green(house: MemoryHouse) -> None:
    """An approved change is held by what is not well, with place and remedy; live stays, and it goes on afterwards."""
    change = house.proposed()
    before = house.live()
    house.log_writable = False
    held = house.approve(change)
    assert (held["state"], held["verdict"]["rule"]) == ("approved", "log-unwritable")
    assert held["verdict"]["where"]
    assert held["verdict"]["remedy"]
    assert house.live() == before
    house.log_writable = True
    assert house.promote(change)["state"] == "kept"


def test_flow_shows_the_debate_in_the_risk(house: MemoryHouse) -> None:
    """Each built-in reviewer's doubt is a part of the risk on the card, and the guard finds the same."""
    change = house.proposed()
    parts = house.show(change)["card"]["risk"]["contributions"]
    said = [part["why"].split()[0] for part in parts if part["name"] == "debate"]
    assert said == ["rules", "estimate"]
    assert house.approve(change)["state"] == "kept"


def test_flow_of_a_whole_life(house: MemoryHouse) -> None:
    """Improve, approve, deliver, commit, improve again, stop, revert under it, lift: and the log tells it all."""
    first = house.proposed()
    house.approve(first)
    house.deliver()
    house.commit({"notes.md": b"teh notes\n"})
    house.findings.append(Finding(path="notes.md", old=b"teh", new=b"the"))
    second = house.proposed()
    house.stop()
    assert house.improve()["verdict"]["rule"] == "stopped"
    assert house.revert(first)["verdict"]["rule"] == "not-last"
    assert isinstance(house.lift(stranger=True), Refused)
    assert isinstance(house.lift(), Passed)
    house.resume()
    house.approve(second)
    house.stop()
    assert house.revert(second)["state"] == "reverted"
    assert isinstance(house.lift(), Passed)
    house.deliver()
    assert house.repository.files == house.live_files()
    moves = [name for name in house.names() if name.startswith(("live.", "stop.", "consent."))]
    assert moves == [
        "live.adopted",
        *("consent.given", "live.promoting", "live.promoted", "live.marked-good"),
        "live.adopted",
        *("stop.set", "stop.lifted"),
        *("consent.given", "live.promoting", "live.promoted", "live.marked-good"),
        *("stop.set", "live.reverting", "live.reverted", "stop.lifted"),
    ]


def test_flow_survives_a_guard_that_restarts(house: MemoryHouse) -> None:
    """What waits can be approved after it; a stop is still set."""
    change = house.proposed()
    house.stop()
    house.restart_guard()
    assert house.guard.status().stopped
    assert isinstance(house.lift(), Passed)
    house.restart_guard()
    assert house.approve(change)["state"] == "kept"


@pytest.mark.parametrize("missing", ["consents", "seals", "evidence", "card", "plan", "green"])
def test_an_executor_alone_promotes_nothing(house: MemoryHouse, missing: str) -> None:
    """Papers that are left out or exchanged give no warrant, whatever the executor says."""
    house.findings.append(Finding(path="README.md", old=b"words", new=b"word"))
    one, other = (house.change(row["id"]) for row in house.improve()["changes"])
    consent = house.guard.consent(house.consent(one.id))
    assert isinstance(consent, str)
    agreed = dataclasses.replace(one, consents=(consent,))
    bent = {"consents": (), "seals": (), "evidence": (), "card": None, "plan": other.plan, "green": other.green}
    stage = PromoteStage(store=house.store, guard=house.guard)
    forged = dataclasses.replace(agreed, **{missing: bent[missing]})  # type: ignore[arg-type]
    before = house.live()
    answer = house.guard.warrant(stage.dossier(forged))
    assert isinstance(answer, Refused | Held), answer
    assert answer.rule
    assert answer.where
    assert house.live() == before
    assert isinstance(house.guard.warrant(stage.dossier(agreed)), str)


def test_a_check_that_gives_no_answer_is_tried_three_times(house: MemoryHouse) -> None:
    """Then the change waits with the rule and a way on, whatever another run would show."""
    house.checks["tests"] = "inconclusive"
    change = house.proposed()
    house.improve()
    house.improve()
    house.checks["tests"] = "pass"
    house.improve()
    held = house.change(change).hold
    assert held is not None
    assert (held.rule, "runs-exhausted: tests/base" in held.where) == ("inconclusive", True)
    assert "test command" in held.remedy


def test_a_person_sees_that_a_run_was_tried_again(house: MemoryHouse) -> None:
    """An attempt after the first, of base or of Green, is on the card with its points, and the guard agrees."""
    house.checks["tests"] = "inconclusive"
    change = house.proposed()
    house.checks["tests"] = "pass"
    house.improve()
    risk = house.change(change).risk
    assert risk is not None
    assert [part.points for part in risk.contributions if part.name == "tests:tried-again"] == [3]
    assert house.approve(change)["state"] == "kept"


def test_an_executor_cannot_write_in_the_guard_s_name(house: MemoryHouse) -> None:
    """Entries that only the guard writes are refused from anybody else."""
    size = house.log.size()
    for name, actor in (("live.promoted", "executor"), ("plan.intent", "guard"), ("stop.lifted", "executor")):
        event = Event(key=f"x/{name}", at=house.clock.now(), actor=actor, name=name)
        with pytest.raises(Unusable) as caught:
            house.guard.append(event)
        assert caught.value.reference == "event-reserved"
    assert house.log.size() == size


@pytest.mark.parametrize("box", [Mode.SUPERVISED, Mode.AUTONOMOUS])
def test_no_mode_promotes_low_changes_by_itself(house: MemoryHouse, box: Mode) -> None:
    """Without an owner's opt-in a change of level 1 waits for a person in every mode."""
    assert isinstance(house.set_mode(box), Passed)
    (row,) = house.improve()["changes"]
    assert row["held"]["rule"] == "needs-approval"
    assert house.live() == house.change(row["id"]).base
    assert house.approve(row["id"])["state"] == "kept"


def test_the_day_s_cap_holds_and_says_when(tmp_path: Path) -> None:
    """A subject that changed often enough today waits for tomorrow; nothing is promoted by the time alone."""
    text = shipped_constitution().replace(b"changes: 50", b"changes: 1")
    house = MemoryHouse(tmp_path, constitution=text)
    first = house.proposed()
    house.approve(first)
    house.deliver()
    house.findings.append(Finding(path="README.md", old=b"words", new=b"word"))
    second = house.proposed()
    answer = house.approve(second)
    assert (answer["verdict"]["is"], answer["verdict"]["rule"]) == ("held", "day-cap-changes")
    before = house.live()
    house.clock.advance(90_000)
    house.resume()
    assert house.live() == before
    house.close()
