"""The verbs over a whole house in memory: what each answers, and what each refuses."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.errors import NotFound, Unusable
from greenroom.domain.verdict import Instant, Passed, Refused
from greenroom.domain.vocabulary import Mode, State, Trust
from greenroom.pipeline import desk, holds, verbs
from greenroom.testing.clock import SECOND
from greenroom.testing.house import MemoryHouse, shipped_constitution
from greenroom.testing.parts import Finding, Killed

pytestmark = pytest.mark.slow

CODE = Finding(path="a.py", old=b"x = 1", new=b"x = 2", rule="ruff:F401")
OTHER = Finding(path="README.md", old=b"words", new=b"word")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[MemoryHouse]:
    made = MemoryHouse(tmp_path)
    yield made
    made.close()


def wrong(caught: Any) -> str:
    assert caught.value.reference == "wrong-state"
    assert caught.value.remedy
    return str(caught.value.where)


def test_improve_proposes_and_changes_nothing(house: MemoryHouse) -> None:
    """A finding waits for a person, with its card; live is what was taken in."""
    answer = house.improve()
    (row,) = answer["changes"]
    assert answer["verdict"] == {"is": "passed"}
    assert (row["state"], row["held"]["rule"]) == ("verified", "needs-approval")
    assert house.live() == answer["live"]
    assert house.live_files() == house.repository.files
    told = list(dict.fromkeys(event["event"] for event in house.told))
    assert told == [
        *("import", "imported", "propose", "proposal"),
        *("prepare", "prepared", "carrying", "stage", "carried"),
    ]


def test_known_findings_are_not_repeated(house: MemoryHouse) -> None:
    """A second run names the change of the first; on another base a child takes its place; a no holds on each."""
    first = house.proposed()
    again = house.improve()
    assert again["changes"] == []
    assert [row["id"] for row in again["known"]] == [first]
    house.commit({"b.py": b"y = 1\n"})
    (moved,) = house.improve()["changes"]
    assert (house.change(moved["id"]).parent, house.change(first).ended) == (first, "superseded")
    house.reject(moved["id"])
    house.commit({"b.py": b"y = 2\n"})
    assert (house.improve()["changes"], house.improve()["known"]) == ([], [])


def test_rejected_findings_are_not_proposed_again(house: MemoryHouse) -> None:
    """A person's no holds as long as the base is the same."""
    change = house.proposed()
    assert house.reject(change)["state"] == "aborted"
    assert house.improve()["changes"] == []
    assert house.names().count("change.rejected") == 1


def test_a_moved_base_holds_what_waits(house: MemoryHouse) -> None:
    """The owner's own commits are adopted; what was made against the earlier state is held, and says why."""
    change = house.proposed()
    house.commit({"b.py": b"y = 1\n"})
    house.findings.clear()
    house.improve()
    held = house.change(change).hold
    assert held is not None
    assert held.rule == "base-moved"
    assert f"greenroom approve {change}" in held.remedy
    assert house.live_files() == house.repository.files
    with pytest.raises(Unusable):
        house.approve(change, envelope=b"{}")


def test_siblings_of_a_promoted_change_are_held_and_come_back(house: MemoryHouse) -> None:
    """One promote holds the others of its base; its revert lets them go on."""
    house.findings.append(OTHER)
    first, second = (row["id"] for row in house.improve()["changes"])
    house.approve(first)
    held = house.change(second).hold
    assert held is not None
    assert held.rule == "base-moved"
    house.revert(first)
    back = house.change(second)
    assert back.state is State.VERIFIED
    assert back.hold is not None
    assert back.hold.rule == "needs-approval"


def test_approve_promotes_and_marks_good(house: MemoryHouse) -> None:
    """A right consent makes Green live; the delivery waits for the person's branch."""
    change = house.proposed()
    answer = house.approve(change)
    assert (answer["state"], answer["verdict"]) == ("kept", {"is": "passed"})
    assert house.live_files()[b"README.md"] == b"# Project\n\nthe words\n"
    assert answer["delivery"]["pending"] == "delivery-pending"
    assert answer["delivery"]["wanted"] == answer["commit"] == house.guard.position(house.subject)


def test_approve_no_promote_stops_at_approved(house: MemoryHouse) -> None:
    """The change waits for `promote`, which carries it on."""
    change = house.proposed()
    before = house.live()
    answer = house.approve(change, promote=False)
    assert (answer["state"], answer["held"]["rule"]) == ("approved", holds.PROMOTE_LATER)
    assert house.live() == before
    assert house.promote(change)["state"] == "kept"


@pytest.mark.parametrize("promote", [True, False])
def test_approve_under_a_stop_promotes_nothing(house: MemoryHouse, promote: bool) -> None:
    """A yes under a stop is held as `stopped`; after the lift it can be given or goes on."""
    change = house.proposed()
    paper = house.consent(change)
    house.stop()
    before = house.live()
    answer = house.approve(change, promote=promote, envelope=paper)
    assert answer["verdict"]["rule"] == "stopped"
    assert house.live() == before
    assert isinstance(house.lift(), Passed)
    house.resume()
    assert house.change(change).state is (State.KEPT if promote else State.VERIFIED)


@pytest.mark.parametrize(
    ("bent", "rule"),
    [
        ({"expires": Instant(1)}, "consent-expired"),
        ({"nonce": "x"}, "consent-malformed"),
        ({"expires": Instant(2_000_000_000 * SECOND)}, "consent-too-long"),
    ],
)
def test_approve_refuses_a_bent_consent(house: MemoryHouse, bent: dict[str, Any], rule: str) -> None:
    """A consent that is not right is refused by the guard; the change goes on waiting."""
    change = house.proposed()
    answer = house.approve(change, envelope=house.consent(change, **bent))
    assert (answer["verdict"]["is"], answer["verdict"]["rule"]) == ("refused", rule)
    assert house.change(change).consents == ()


def test_approve_refuses_another_key(house: MemoryHouse) -> None:
    """Only the owner's key says yes."""
    change = house.proposed()
    answer = house.approve(change, envelope=house.consent(change, stranger=True))
    assert answer["verdict"]["is"] == "refused"
    assert house.change(change).state is State.VERIFIED
    assert "consent.refused" in house.names()


def test_a_consent_to_another_change_promotes_nothing(house: MemoryHouse) -> None:
    """A right consent handed in for a foreign change ends that one refused; nothing goes live."""
    house.findings.append(OTHER)
    first, second = (row["id"] for row in house.improve()["changes"])
    before = house.live()
    answer = house.approve(second, envelope=house.consent(first))
    assert (answer["verdict"]["is"], answer["verdict"]["rule"]) == ("refused", "consent-of-another-change")
    assert house.live() == before


def test_a_consent_is_spent_once(house: MemoryHouse) -> None:
    """The consent of a promoted and reverted change cannot be used again."""
    change = house.proposed()
    paper = house.consent(change)
    house.approve(change, envelope=paper)
    house.revert(change)
    assert isinstance(house.guard.consent(paper), Refused)


def test_promote_names_the_missing_step(house: MemoryHouse) -> None:
    """A change that is not approved says what is missing, in every state."""
    change = house.proposed()
    with pytest.raises(Unusable) as caught:
        house.promote(change)
    assert wrong(caught) == "it is not approved"
    assert caught.value.remedy == f"greenroom approve {change}"
    house.approve(change)
    with pytest.raises(Unusable) as caught:
        house.promote(change)
    assert "kept already" in wrong(caught)
    house.checks["scan"] = "inconclusive"
    house.deliver()
    house.commit({"README.md": b"teh\n"})
    held = house.proposed()
    with pytest.raises(Unusable) as caught:
        house.promote(held)
    assert "stuck" in wrong(caught)
    assert f"greenroom resume {held}" in caught.value.remedy
    with pytest.raises(Unusable) as caught:
        house.approve(held, envelope=b"")
    assert "stuck" in wrong(caught)
    assert f"greenroom resume {held}" in caught.value.remedy


@pytest.mark.parametrize("verb", ["show", "approve", "promote", "reject", "revert", "offer", "diff"])
def test_unknown_changes_are_not_found(house: MemoryHouse, verb: str) -> None:
    """Every verb says that there is no such change."""
    arguments = {"change": "nope", "why": "", "actor": "ada", "envelope": "00"}
    with pytest.raises(NotFound) as caught:
        desk.handlers(house.house)[verb](arguments, (), lambda _: None, 0)
    assert caught.value.reference == "no-change-by-that-id"


def test_revert_takes_back_the_last_and_only_the_last(house: MemoryHouse) -> None:
    """Others that stand on a change are named; the last goes back, twice is once, and the branch is to follow."""
    first = house.proposed()
    house.approve(first)
    house.deliver()
    house.findings.append(OTHER)
    (row,) = house.improve()["changes"]
    house.approve(row["id"])
    refused = house.revert(first)
    assert (refused["verdict"]["rule"], refused["state"], refused["held"]) == ("not-last", "kept", None)
    assert row["id"] in refused["verdict"]["where"]
    for _ in range(2):
        assert house.revert(row["id"])["state"] == "reverted"
    assert house.revert(first)["state"] == "reverted"
    assert house.live_files()[b"README.md"] == b"# Project\n\nteh words\n"
    assert house.names().count("live.reverted") == 2
    house.deliver()
    assert house.repository.files == house.live_files()


def test_revert_of_what_is_not_live_is_a_wrong_state(house: MemoryHouse) -> None:
    """Only what is live can be taken back."""
    change = house.proposed()
    with pytest.raises(Unusable) as caught:
        house.revert(change)
    assert "not live" in wrong(caught)


def test_revert_works_under_a_stop(house: MemoryHouse) -> None:
    """The way back is always open."""
    change = house.proposed()
    house.approve(change)
    house.stop()
    assert house.revert(change)["state"] == "reverted"


def test_a_cut_revert_is_finished_by_resume(house: MemoryHouse) -> None:
    """Killed at any point of a revert, box and guard agree after resume."""
    for kill in range(1, 8):
        house.commit({"README.md": b"teh %d\n" % kill})
        change = house.proposed()
        house.approve(change)
        house.points.count, house.points.at = 0, kill
        try:
            house.revert(change)
        except Killed:
            house.restart()
            house.resume()
        house.points.at = None
        expected = State.KEPT if house.change(change).state is State.KEPT else State.REVERTED
        assert (house.change(change).state, house.change(change).hold) == (expected, None)
        standing = house.live_files()[b"README.md"] == b"the %d\n" % kill
        assert standing is (expected is State.KEPT)
        house.revert(change)
        house.deliver()
        assert house.repository.files == house.live_files()


def test_a_promoted_change_that_was_not_saved_can_be_reverted_not_rejected(house: MemoryHouse) -> None:
    """Killed between the guard's swap and the box's save: it is live, whatever the box says."""
    change = house.proposed()
    house.approve(change, promote=False)
    original = house.guard.promote

    def promote(warrant: Any) -> Any:
        original(warrant)
        raise Killed("after the swap")

    house.guard.promote = promote  # type: ignore[method-assign]
    with pytest.raises(Killed):
        house.promote(change)
    house.guard.promote = original  # type: ignore[method-assign]
    house.restart()
    cut = house.change(change)
    assert cut.state is State.APPROVED
    assert house.live() == cut.green
    with pytest.raises(Unusable) as caught:
        house.reject(change)
    assert "revert" in wrong(caught)
    assert house.revert(change)["state"] == "reverted"
    assert house.live() == cut.base


def test_watch_reverts_what_fails_live(house: MemoryHouse) -> None:
    """A change that breaks the live tree is taken back by itself, and says what it was."""
    change = house.proposed()
    before = house.live_files()
    house.checks["live-tests"] = "fail"
    answer = house.approve(change)
    assert (answer["state"], answer["verdict"]["is"], answer["verdict"]["rule"]) == (
        "reverted",
        "refused",
        "test-broken",
    )
    assert house.live_files() == before


def test_resume_of_one_change_tries_what_held_it_again(house: MemoryHouse) -> None:
    """A change held for a passing reason names `greenroom resume ID`, and that command goes on with it."""
    house.checks["tests"] = "inconclusive"
    (row,) = house.improve()["changes"]
    assert (row["state"], row["held"]["rule"]) == ("simulated", "stuck")
    assert f"`greenroom resume {row['id']}`" in row["held"]["remedy"]
    (still,) = verbs.resume(house.house, change_id=row["id"], tell=house.tell)["resumed"]
    assert (still["state"], still["verdict"]["rule"]) == ("simulated", "stuck")
    del house.checks["tests"]
    (there,) = verbs.resume(house.house, change_id=row["id"], tell=house.tell)["resumed"]
    assert (there["state"], there["verdict"]["rule"]) == ("verified", "needs-approval")


def test_a_change_that_is_tried_again_and_cut_is_gone_on_with(house: MemoryHouse) -> None:
    """Killed between letting go of the hold and the run: it counts as cut, and `resume` carries it."""
    house.checks["tests"] = "inconclusive"
    (row,) = house.improve()["changes"]
    del house.checks["tests"]
    passed: list[str] = []

    def kill(point: str) -> None:
        passed.append(point)
        if point == "again.saved":
            raise Killed(point)

    doomed = dataclasses.replace(house.house, crash_point=kill)
    with pytest.raises(Killed):
        verbs.resume(doomed, change_id=row["id"], tell=house.tell)
    assert passed == ["again.saved"]
    house.restart()
    assert list(house.house.runs.unfinished()) == [row["id"]]
    (there,) = house.resume()["resumed"]
    assert (there["state"], there["verdict"]["rule"]) == ("verified", "needs-approval")


def test_resume_names_the_command_that_answers_a_hold(house: MemoryHouse) -> None:
    """A change that waits for a person's word is not gone on with; the answer says what to type."""
    change = house.proposed()
    for wanted in (f"greenroom approve {change}", f"greenroom promote {change}"):
        with pytest.raises(Unusable) as caught:
            verbs.resume(house.house, change_id=change, tell=house.tell)
        assert caught.value.remedy == wanted
        house.approve(change, promote=False) if "approve" in wanted else house.promote(change)
    with pytest.raises(Unusable) as caught:
        verbs.resume(house.house, change_id=change, tell=house.tell)
    assert "over" in wrong(caught)
    with pytest.raises(NotFound):
        verbs.resume(house.house, change_id="nope", tell=house.tell)


def test_a_plan_with_tools_that_are_signed_no_more_says_so(house: MemoryHouse) -> None:
    """After an upgrade what was planned with tools that are signed no more goes on as a child, and is not ended."""
    change = house.proposed()
    house.constitute(shipped_constitution(), release="next")
    offer = verbs.offer(house.house, change)
    assert (offer["verdict"]["is"], offer["verdict"]["rule"]) == ("held", "outdated")
    assert f"`greenroom approve {change}` verifies it again" in offer["verdict"]["remedy"]
    assert house.change(change).state is State.VERIFIED
    anew = house.restack(change)
    assert anew["verdict"]["rule"] == "needs-approval"
    assert house.approve(anew["id"])["state"] == "kept"


def test_improve_proposes_anew_what_waits_with_tools_that_are_signed_no_more(house: MemoryHouse) -> None:
    """A change that waits when other tools are signed is named as outdated; `improve` puts a child in its place."""
    change = house.proposed()
    assert verbs.outdated_changes(house.house) == []
    house.constitute(shipped_constitution(), release="next")
    assert verbs.outdated_changes(house.house) == [change]
    answer = house.improve()
    assert [(row["id"], row["ended"]) for row in answer["ended"]] == [(change, "superseded")]
    (anew,) = answer["changes"]
    assert (anew["id"] != change, anew["parent"]) == (True, change)
    assert verbs.outdated_changes(house.house) == []
    assert house.approve(anew["id"])["state"] == "kept"


def test_reject_ends_what_waits_and_nothing_else(house: MemoryHouse) -> None:
    """A waiting change ends; a live or ended one says so."""
    change = house.proposed()
    assert house.reject(change)["ended"] == "rejected"
    with pytest.raises(Unusable) as caught:
        house.reject(change)
    wrong(caught)


def test_reject_in_a_process_s_name_is_refused(house: MemoryHouse) -> None:
    """Nobody writes in the guard's name, and a change whose end cannot be logged does not end."""
    change = house.proposed()
    with pytest.raises(Unusable) as caught:
        verbs.reject(house.house, change, why="", actor="guard")
    assert caught.value.reference == "event-reserved"
    assert house.change(change).state is State.VERIFIED


def test_pending_deliveries_hold_the_next_import(house: MemoryHouse) -> None:
    """Taking in a branch that lacks what is live would undo it: held, with the way out."""
    change = house.proposed()
    house.approve(change)
    held = house.improve()
    assert (held["verdict"]["is"], held["verdict"]["rule"]) == ("held", "delivery-pending")
    assert f"greenroom revert {change}" in held["verdict"]["remedy"]
    house.repository.dirty = True
    (report,) = house.deliver()
    assert report["pending"] == "worktree-dirty"
    assert house.improve()["verdict"]["rule"] == "worktree-dirty"
    house.repository.dirty = False
    house.deliver()
    assert house.improve()["verdict"] == {"is": "passed"}
    assert verbs.pending(house.house) == []


def test_a_delivery_that_a_crash_forgot_is_found_again(house: MemoryHouse) -> None:
    """Killed after the change was kept, before its delivery was noted: neither lost nor undone."""
    change = house.proposed()
    put = house.house.deliveries.put

    def killed(delivery: Any) -> None:
        raise Killed("before the delivery was noted")

    house.house.deliveries.put = killed  # type: ignore[method-assign]
    with pytest.raises(Killed):
        house.approve(change)
    house.house.deliveries.put = put  # type: ignore[method-assign]
    house.restart()
    live = house.live()
    assert house.improve()["verdict"]["rule"] == "delivery-pending"
    assert house.live() == live
    house.deliver()
    assert house.repository.files == house.live_files()


def test_a_branch_set_back_is_told_so(house: MemoryHouse) -> None:
    """A branch that went back to a commit of before does not take live back with it."""
    head, files = house.repository.head, dict(house.repository.files)
    change = house.proposed()
    house.approve(change)
    house.deliver()
    house.repository.head, house.repository.files = head, files
    held = house.improve()
    assert (held["verdict"]["is"], held["verdict"]["rule"]) == ("held", "branch-behind")
    assert house.change(change).state is State.KEPT


def test_delivered_wants_the_commit_that_is_wanted(house: MemoryHouse) -> None:
    """A report about another commit or subject is not taken."""
    house.approve(house.proposed())
    for subject, commit in ((str(house.subject), "other"), ("workspace:/nowhere", "x")):
        with pytest.raises(NotFound):
            verbs.delivered(house.house, subject, commit=commit, pending="")


def test_only_known_proposers(house: MemoryHouse) -> None:
    """An unknown proposer is named together with those that there are."""
    with pytest.raises(Unusable) as caught:
        house.improve(only=("nope",))
    assert caught.value.reference == "unknown-proposer"
    assert "typo" in caught.value.remedy


def test_a_failing_proposer_does_not_stop_the_others(house: MemoryHouse) -> None:
    """Its failure is in the answer; the others' findings are carried."""

    class Failing:
        name = "failing"

        def propose(self, subject: object, live: object) -> Any:
            raise Unusable("proposer-failed", "it broke")

    class Huge(Failing):
        def propose(self, subject: object, live: object) -> Any:
            return [b" " * (256 * 1024 + 1)]

    good = house.house.proposers()
    more: Any = {"failing": lambda golden: Failing(), "huge": lambda golden: Huge(), **good}
    house.house = dataclasses.replace(house.house, proposers=lambda: more)
    answer = house.improve()
    assert [failed["reference"] for failed in answer["failed"]] == ["proposer-failed", "proposal-too-large"]
    assert all(failed["remedy"] for failed in answer["failed"])
    assert len(answer["changes"]) == 1


def test_a_malformed_proposal_is_a_failure_of_its_proposer(house: MemoryHouse) -> None:
    """Bytes that are no proposal are told as such; the other findings are carried."""

    class Odd:
        name = "odd"

        def propose(self, subject: object, live: object) -> Any:
            return [b"{}", b"\xff"]

    good = house.house.proposers()
    more: Any = {"odd": lambda golden: Odd(), **good}
    house.house = dataclasses.replace(house.house, proposers=lambda: more)
    answer = house.improve()
    assert [failed["proposer"] for failed in answer["failed"]] == ["odd", "odd"]
    assert len(answer["changes"]) == 1


def test_a_proposer_proposes_in_no_other_name(house: MemoryHouse) -> None:
    """`another-proposer`: what it proposes is not taken in, whosever name it gives; a person's least of all."""

    class Borrowed:
        name = "borrowed"

        def propose(self, subject: Any, live: Any) -> Any:
            return house._proposer(live).propose(subject, live)

    class Person(Borrowed):
        name = "person:ada"

        def propose(self, subject: Any, live: Any) -> Any:
            for body in super().propose(subject, live):
                plain = documents.load_json(body)
                yield documents.encode({**plain, "proposer": self.name})

    more: Any = {"borrowed": lambda golden: Borrowed(), "person:ada": lambda golden: Person()}
    house.house = dataclasses.replace(house.house, proposers=lambda: more)
    answer = house.improve()
    assert [failed["reference"] for failed in answer["failed"]] == ["another-proposer", "another-proposer"]
    assert (answer["changes"], house.changes()) == ([], [])


@pytest.mark.parametrize("asked", [None, *Mode])
@pytest.mark.parametrize("box", [Mode.PROPOSE, Mode.SUPERVISED])
def test_a_mode_may_only_be_lowered(house: MemoryHouse, box: Mode, asked: Mode | None) -> None:
    """A command cannot do more than the owner allowed."""
    assert isinstance(house.set_mode(box), Passed)
    answer = house.improve(mode=asked)
    (row,) = answer["changes"]
    expected = Mode.PROPOSE if Mode.PROPOSE in (asked, box) else Mode.SUPERVISED
    assert house.change(row["id"]).mode is expected
    assert answer["mode"] == expected.value


def test_a_release_has_no_branch_and_less_trust(tmp_path: Path) -> None:
    """An unpacked release is untrusted, nothing is delivered to it, and it is improved from what is live."""
    house = MemoryHouse(tmp_path, branch="")
    change = house.proposed()
    assert house.change(change).origin.trust is Trust.UNTRUSTED
    answer = house.approve(change)
    assert (answer["state"], answer["delivery"]) == ("kept", None)
    house.findings.append(OTHER)
    (row,) = house.improve()["changes"]
    assert house.change(row["id"]).base == house.live()
    assert house.approve(row["id"])["state"] == "kept"
    assert house.live_files()[b"README.md"] == b"# Project\n\nthe word\n"
    house.close()


def test_code_needs_a_person_s_review(house: MemoryHouse) -> None:
    """A change of logic is level 2 whatever it is called, and failing tests refuse it."""
    house.findings[:] = [CODE]
    (row,) = house.improve()["changes"]
    assert row["level"] == 2
    house.reject(row["id"])
    house.commit({"a.py": b"x = 1\ny = 2\n"})
    house.checks["tests"] = "fail"
    (row,) = house.improve()["changes"]
    assert (row["state"], row["verdict"]["is"], row["verdict"]["rule"]) == ("aborted", "refused", "test-broken")


def test_improve_under_a_stop_does_nothing(house: MemoryHouse) -> None:
    """Nothing is taken in, nothing is run."""
    house.improve()
    house.commit({"README.md": b"teh\n"})
    house.stop()
    before, calls = house.live(), len([c for c in house.keeper.calls if c.startswith(("build", "check"))])
    answer = house.improve()
    assert answer["verdict"]["rule"] == "stopped"
    assert house.live() == before
    assert len([c for c in house.keeper.calls if c.startswith(("build", "check"))]) == calls


def test_show_has_everything(house: MemoryHouse) -> None:
    """Row, change, proposal, card and debate; a change without a card has none."""
    change = house.proposed()
    shown = house.show(change)
    assert shown["card"]["change"] == shown["change"]["id"] == change
    assert shown["proposal"]["rule"] == "typo"
    assert shown["debate"]["ruling"] == "ACCEPT"
    early = house.house.changes.save(
        dataclasses.replace(house.change(change), id=change + "b", card=None, debate=None, version=0)  # type: ignore[arg-type]
    )
    assert house.show(early.id)["card"] is None
    assert house.show(early.id)["debate"] is None


def test_offer_is_for_what_waits_for_a_person(house: MemoryHouse) -> None:
    """The papers of a waiting change; another state is wrong, another hold is its verdict."""
    change = house.proposed()
    offer = verbs.offer(house.house, change)
    stored = house.change(change)
    assert (offer["plan"], offer["green"], offer["card"]) == (stored.plan, stored.green, stored.card)
    house.commit({"b.py": b"1\n"})
    house.findings.clear()
    house.improve()
    assert verbs.offer(house.house, change)["verdict"]["rule"] == "base-moved"
    house.reject(change)
    with pytest.raises(Unusable) as caught:
        verbs.offer(house.house, change)
    wrong(caught)


@pytest.mark.parametrize(
    ("call", "arguments", "descriptors"),
    [
        ("improve", {"path": "/r", "branch": ""}, ()),
        ("improve", {"path": "/r", "branch": "", "ticket": "t"}, (1,)),
        ("improve", {"path": "/r", "branch": "", "ticket": "t", "mode": "all"}, ()),
        ("improve", {"path": "/r", "branch": "", "ticket": "t", "only": "ruff"}, ()),
        ("improve", {"path": "/r", "branch": "", "ticket": "t", "only": ["x"] * 65}, ()),
        ("improve", {"path": "/r" * 4096, "branch": "", "ticket": "t"}, ()),
        ("settings", {"path": "/r", "branch": "", "settings": {}}, ()),
        ("settings", {"path": "/r", "branch": "", "settings": {}, "ticket": "t"}, (1,)),
        ("approve", {"change": "a", "envelope": "zz"}, ()),
        ("approve", {"change": "a", "envelope": 7}, ()),
        ("approve", {"change": "a", "envelope": "00" * 200_000}, ()),
        ("show", {}, ()),
        ("show", {"change": 7}, ()),
        ("show", {"change": "x" * 4097}, ()),
        ("show", {"change": "x"}, (1,)),
        ("revert", {"change": "x"}, ()),
    ],
)
def test_the_desk_takes_only_what_it_knows(
    house: MemoryHouse, call: str, arguments: dict[str, Any], descriptors: tuple[int, ...]
) -> None:
    """A call with missing, mistyped or over-long arguments is unusable, and touches nothing."""
    with pytest.raises(Unusable) as caught:
        desk.handlers(house.house)[call](arguments, descriptors, lambda _: None, 0)
    assert caught.value.reference == "bad-call"
    assert house.changes() == []


def test_every_desk_call_answers_json(house: MemoryHouse) -> None:
    """What a verb answers can be sent as it is."""
    calls = desk.handlers(house.house)
    wish: dict[str, Any] = {"path": house.path, "branch": house.branch, "only": [], "mode": "propose"}
    (row,) = calls["improve"]({**wish, "ticket": "t"}, (), lambda _: None, 0)["changes"]
    change = {"change": row["id"]}
    paper = {"envelope": house.consent(row["id"]).hex(), "promote": True}
    asked = [("show", change), ("diff", change), ("offer", change), ("branch", change), ("approve", change | paper)]
    for name, arguments in [*asked, ("pending", {}), ("resume", {}), ("layers", {})]:
        answer = calls[name](arguments, (), lambda _: None, 0)
        assert documents.load_json(documents.encode(answer)) is not None
    change_after: Change = house.change(row["id"])
    assert change_after.state is State.KEPT
