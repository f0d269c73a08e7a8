"""A person's word on a finding over a whole house in memory: it holds until the code changes or is taken back."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from greenroom.domain.errors import Unusable
from greenroom.domain.verdict import Instant, Passed
from greenroom.domain.vocabulary import ChangeId, State
from greenroom.pipeline import cancelling, deciding, lineage, verbs
from greenroom.testing.clock import SECOND
from greenroom.testing.house import OWNER, MemoryHouse
from greenroom.testing.parts import Finding, Killed, patch_of

pytestmark = pytest.mark.slow

DAY = 86_400
TWICE = {
    "README.md": b"# Project\n\nteh words\n\n\n\nmore words\n\n\n\nand teh end\n",
    "a.py": b"x = 1\n",
}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[MemoryHouse]:
    made = MemoryHouse(tmp_path)
    yield made
    made.close()


def deferred(house: MemoryHouse, change: str, seconds: int) -> dict[str, Any]:
    until = Instant(house.clock.now() + seconds * SECOND)
    return deciding.defer(house.house, change, until=until, actor=OWNER)


def reopened(house: MemoryHouse, change: str) -> dict[str, Any]:
    return deciding.reopen(house.house, change, actor=OWNER, tell=house.tell)


def reasons(answer: dict[str, Any]) -> list[tuple[str, int]]:
    return [(one["reason"], one["findings"]) for one in answer.get("withheld", [])]


def test_a_rejected_finding_stays_away_while_its_code_is_the_same(house: MemoryHouse) -> None:
    """After other commits it is left out, and counted; after its own lines changed it is asked about again."""
    change = house.proposed()
    house.reject(change)
    house.commit({"b.py": b"y = 1\n"})
    answer = house.improve()
    assert (answer["changes"], answer["known"]) == ([], [])
    assert reasons(answer) == [("rejected before", 1)]
    house.commit({"README.md": b"# Project\n\nteh other words\n"})
    (anew,) = house.improve()["changes"]
    assert anew["verdict"]["rule"] == "needs-approval"


def test_a_no_covers_its_findings_and_no_other_in_the_same_file(tmp_path: Path) -> None:
    """Of a change with two findings only the one that was not rejected comes back, as a smaller change."""
    house = MemoryHouse(tmp_path, files={"README.md": TWICE["README.md"].replace(b"and teh", b"and the")})
    house.reject(house.proposed())
    house.commit({"README.md": TWICE["README.md"]})
    answer = house.improve()
    (row,) = answer["changes"]
    assert reasons(answer) == [("rejected before", 1)]
    house.approve(row["id"])
    assert house.live_files()[b"README.md"] == TWICE["README.md"].replace(b"and teh", b"and the")
    house.close()


def test_a_rejected_finding_that_moved_is_the_same(tmp_path: Path) -> None:
    """Lines that come and go above it do not bring it back."""
    text = b"one\ntwo\nthree\nteh words\nfive\nsix\nseven\n"
    house = MemoryHouse(tmp_path, files={"README.md": text})
    house.reject(house.proposed())
    house.commit({"README.md": b"zero\nzero\n" + text + b"eight\n"})
    answer = house.improve()
    assert (answer["changes"], reasons(answer)) == ([], [("rejected before", 1)])
    house.close()


def test_a_refused_change_can_be_rejected_so_that_it_stays_away(house: MemoryHouse) -> None:
    """What a gate refuses would be tried at each scan; a no ends that."""
    house.checks["tests"] = "fail"
    (row,) = house.improve()["changes"]
    assert row["state"] == "aborted"
    assert house.reject(row["id"])["ended"] == "test-broken"
    assert house.improve()["changes"] == []


def test_a_rejected_finding_is_asked_about_again_after_reopen(house: MemoryHouse) -> None:
    """As a child of the change that was rejected; the no is gone, and there is nothing to take back a second time."""
    change = house.proposed()
    house.reject(change)
    answer = reopened(house, change)
    assert (answer["parent"], answer["verdict"]["rule"]) == (change, "needs-approval")
    assert house.change(answer["id"]).parent == change
    assert house.change(change).ended == "reopened"
    assert [row["id"] for row in house.improve()["known"]] == [answer["id"]]
    with pytest.raises(Unusable) as caught:
        reopened(house, answer["id"])
    assert caught.value.reference == "wrong-state"


def test_a_deferred_change_waits_until_its_time_and_asks_again(house: MemoryHouse) -> None:
    """Before: held as deferred, left out of scans also on another base; then `improve` asks."""
    change = house.proposed()
    answer = deferred(house, change, 3 * DAY)
    assert (answer["held"]["rule"], answer["state"]) == ("deferred", "verified")
    found = house.improve()
    assert (found["changes"], found["known"]) == ([], [])
    assert reasons(found)[0][0].startswith("deferred until ")
    with pytest.raises(Unusable):
        verbs.offer(house.house, change)
    house.clock.advance(3 * DAY)
    (known,) = house.improve()["known"]
    assert (known["id"], known["held"]["rule"]) == (change, "needs-approval")
    assert house.approve(change)["state"] == "kept"


def test_a_deferral_outlives_its_base(house: MemoryHouse) -> None:
    """The person's commits hold the change as base-moved; its finding still comes back only when the time is there."""
    change = house.proposed()
    deferred(house, change, DAY)
    house.commit({"b.py": b"y = 1\n"})
    assert house.improve()["changes"] == []
    house.clock.advance(DAY)
    (anew,) = house.improve()["changes"]
    assert house.change(anew["id"]).parent == change
    assert house.change(change).ended == "superseded"


def test_reopen_asks_at_once_about_a_deferred_change(house: MemoryHouse) -> None:
    """The same change goes on; nothing is proposed twice."""
    change = house.proposed()
    deferred(house, change, DAY)
    answer = reopened(house, change)
    assert (answer["id"], answer["verdict"]["rule"]) == (change, "needs-approval")
    assert house.improve()["changes"] == []


@pytest.mark.parametrize("verb", ["reject", "defer"])
def test_what_is_live_is_not_decided_on(house: MemoryHouse, verb: str) -> None:
    """A live change is taken back by revert; an approved one is deferred once its approval is withdrawn."""
    change = house.proposed()
    house.approve(change, promote=False)
    if verb == "defer":
        with pytest.raises(Unusable) as caught:
            deferred(house, change, DAY)
        assert "cancel" in caught.value.remedy
    house.promote(change)
    with pytest.raises(Unusable) as caught:
        house.reject(change) if verb == "reject" else deferred(house, change, DAY)
    assert (caught.value.reference, "revert" in caught.value.where) == ("wrong-state", True)


def test_a_time_that_is_past_defers_nothing(house: MemoryHouse) -> None:
    """It says so, and the change goes on waiting."""
    change = house.proposed()
    with pytest.raises(Unusable) as caught:
        deferred(house, change, 0)
    assert caught.value.reference == "time-is-past"
    held = house.change(change).hold
    assert held is not None
    assert held.rule == "needs-approval"


def test_rejecting_an_approved_change_voids_its_consent(house: MemoryHouse) -> None:
    """The guard gives no warrant on a yes that was followed by a no, whoever still holds it."""
    change = house.proposed()
    house.approve(change, promote=False)
    approved = house.change(change)
    house.reject(change)
    house.house.changes.save(dataclasses.replace(approved, version=house.change(change).version, hold=None))
    answer = verbs.promote(house.house, change, tell=house.tell)
    assert answer["verdict"]["rule"] == "approval-withdrawn"
    assert house.live() == approved.base


def test_a_withdrawn_approval_is_void_and_can_be_given_again(house: MemoryHouse) -> None:
    """Cancel: the change waits again; the old consent, handed in again, is refused; another one is good."""
    change = house.proposed()
    paper = house.consent(change)
    house.approve(change, promote=False, envelope=paper)
    held = cancelling.cancel(house.house, change, actor=OWNER)["held"]
    assert held["rule"] == "approval-withdrawn"
    assert f"greenroom approve {change}" in held["remedy"]
    refused = house.guard.consent(paper)
    assert not isinstance(refused, str)
    assert refused.rule == "approval-withdrawn"
    with pytest.raises(Unusable):
        cancelling.cancel(house.house, change, actor=OWNER)
    assert house.approve(change)["state"] == "kept"
    assert house.names().count("consent.withdrawn") == 1


def test_cancel_ends_the_run_under_way(house: MemoryHouse) -> None:
    """Asked for while a stage works: its result is dropped, the change ends, and `improve` goes on with the next."""
    house.findings.append(Finding(path="README.md", old=b"words", new=b"word"))
    first: list[str] = []

    def tell(event: Any) -> None:
        if event["event"] == "stage" and event["stage"] == "debate" and event["phase"] == "intent" and not first:
            first.append(event["change"])
            cancelling.cancel(house.house, event["change"], actor=OWNER)

    house.told, house.tell = [], tell  # type: ignore[method-assign,assignment]
    one, other = house.improve()["changes"]
    assert (one["id"], one["state"], one["ended"], one["verdict"]["rule"]) == (
        first[0], "aborted", "cancelled", "cancelled",
    )  # fmt: skip
    assert other["verdict"]["rule"] == "needs-approval"
    assert house.live_files() == house.repository.files


def test_cancel_says_when_there_is_nothing_to_cancel(house: MemoryHouse) -> None:
    """A change that waits unapproved, or is live, is neither run nor approved."""
    change = house.proposed()
    with pytest.raises(Unusable) as caught:
        cancelling.cancel(house.house, change, actor=OWNER)
    assert "reject" in caught.value.remedy
    house.approve(change)
    with pytest.raises(Unusable) as caught:
        cancelling.cancel(house.house, change, actor=OWNER)
    assert "revert" in caught.value.where
    assert house.guard.withdraw(change, OWNER).rule == "already-live"  # type: ignore[union-attr]


def edited(house: MemoryHouse, change: str, new: bytes, actor: str = OWNER) -> dict[str, Any]:
    before = house.live_files()[b"README.md"]
    patch = house.store.put("blob", patch_of("README.md", before, new))
    return lineage.edit(house.house, change, patch=patch, actor=actor, tell=house.tell)


def test_an_edit_is_a_change_of_the_person_through_the_whole_gate(house: MemoryHouse) -> None:
    """Its parent ends superseded; its card names the person; what is approved is what was written."""
    change = house.proposed()
    answer = edited(house, change, b"# Project\n\nall the words\n")
    assert (answer["parent"], answer["verdict"]["rule"], answer["rule"]) == (change, "needs-approval", "edit")
    child = house.change(answer["id"])
    assert (child.origin.actor, child.origin.door, child.parent) == (OWNER, "edit", change)
    assert (house.change(change).state, house.change(change).ended) == (State.ABORTED, "superseded")
    assert house.show(child.id)["card"]["origin"]["actor"] == OWNER
    house.approve(child.id)
    assert house.live_files()[b"README.md"] == b"# Project\n\nall the words\n"
    assert "change.superseded" in house.names()
    with pytest.raises(Unusable) as caught:
        lineage.retry(house.house, change, tell=house.tell)
    assert caught.value.remedy == f"greenroom retry {child.id}"


def test_a_yes_to_what_was_edited_promotes_no_edit(house: MemoryHouse) -> None:
    """The guard compares the patches: `promote` of the edit names the step that is missing, and nothing moves."""
    change, live = house.proposed(), house.live()
    house.approve(change, promote=False)
    child = edited(house, change, b"# Project\n\nall the words\n")["id"]
    with pytest.raises(Unusable) as caught:
        house.promote(child)
    assert (caught.value.reference, caught.value.remedy) == ("wrong-state", f"greenroom approve {child}")
    assert (house.change(child).state, house.live()) == (State.VERIFIED, live)


@pytest.mark.parametrize(
    ("patch", "reference"),
    [(b"", "no-change"), (b"not a patch", "bad-patch"), (b"diff --git a/x b/x\n@@ -1 +1 @@\n-a\n", "bad-patch")],
)
def test_an_edit_that_is_no_patch_changes_nothing(house: MemoryHouse, patch: bytes, reference: str) -> None:
    """It says what is wrong; the change goes on waiting."""
    change = house.proposed()
    with pytest.raises(Unusable) as caught:
        lineage.edit(house.house, change, patch=house.store.put("blob", patch), actor=OWNER, tell=house.tell)
    assert caught.value.reference == reference
    with pytest.raises(Unusable):
        edited(house, change, b"# Project\n\nall the words\n", actor="proposer:evil")
    assert house.change(change).state is State.VERIFIED


def test_an_edit_that_does_not_fit_spends_nothing(house: MemoryHouse) -> None:
    """The parent goes on waiting, and no child is made: on its own base the patch is refused, on another it is held."""
    change = house.proposed()
    readme, stranger = house.live_files()[b"README.md"], b"# Another\n\nteh words\n"
    wrong = house.store.put("blob", patch_of("README.md", stranger, b"# Another\n\nthe words\n"))
    with pytest.raises(Unusable) as caught:
        lineage.edit(house.house, change, patch=wrong, actor=OWNER, tell=house.tell)
    assert (caught.value.reference, caught.value.where) == (
        "patch-does-not-apply",
        "README.md: the lines are others there",
    )
    old = house.store.put("blob", patch_of("README.md", readme, b"# Project\n\nall the words\n"))
    house.commit({"README.md": b"# Project\n\nteh other words\n"})
    house.findings.clear()
    house.improve()
    answer = lineage.edit(house.house, change, patch=old, actor=OWNER, tell=house.tell)
    assert (answer["id"], answer["verdict"]["rule"]) == (change, "restack-conflict")
    assert answer["verdict"]["remedy"].startswith("nothing was changed")
    assert (house.change(change).ended, len(house.changes())) == (None, 1)
    assert house.change(change).hold.rule == "base-moved"  # type: ignore[union-attr]


def test_an_edit_of_the_old_base_is_moved_to_its_place_on_what_is_live(house: MemoryHouse) -> None:
    """The person edited what they were shown; lines that came above it move it down."""
    change = house.proposed()
    readme = house.live_files()[b"README.md"]
    old = house.store.put("blob", patch_of("README.md", readme, b"# Project\n\nall the words\n"))
    house.commit({"README.md": b"An introduction.\n\n\n" + readme})
    house.findings.clear()
    house.improve()
    child = lineage.edit(house.house, change, patch=old, actor=OWNER, tell=house.tell)
    assert (child["parent"], child["held"]["rule"]) == (change, "needs-approval")
    house.approve(child["id"])
    assert house.live_files()[b"README.md"] == b"An introduction.\n\n\n# Project\n\nall the words\n"


def test_retry_is_a_rebase_where_the_base_moved(house: MemoryHouse) -> None:
    """The same proposal on what is live, as a child; a rejected change is reopened instead."""
    change = house.proposed()
    house.commit({"b.py": b"y = 1\n"})
    house.findings.clear()
    house.improve()
    answer = lineage.retry(house.house, change, tell=house.tell)
    child = house.change(answer["id"])
    assert (child.base, child.parent) == (house.live(), change)
    assert house.change(change).ended == "superseded"
    house.reject(child.id)
    with pytest.raises(Unusable) as caught:
        lineage.retry(house.house, child.id, tell=house.tell)
    assert caught.value.remedy == f"greenroom reopen {child.id}"


def test_retry_where_there_is_no_place_spends_nothing(house: MemoryHouse) -> None:
    """Held with the commands that go on; the change is as it was, and a patch of the person's takes its place."""
    change = house.proposed()
    house.commit({"README.md": b"# Project\n\nteh other words\n"})
    house.findings.clear()
    house.improve()
    count = len(house.changes())
    answer = lineage.retry(house.house, change, tell=house.tell)
    assert (answer["id"], answer["verdict"]["rule"]) == (change, "restack-conflict")
    assert f"greenroom edit {change}" in answer["verdict"]["remedy"]
    assert (house.change(change).ended, len(house.changes())) == (None, count)
    child = edited(house, change, b"# Project\n\nthe other words\n")
    assert (child["parent"], child["held"]["rule"]) == (change, "needs-approval")


def test_reopen_of_what_was_reverted_names_retry(house: MemoryHouse) -> None:
    """Nobody said no to it: a revert is not taken back by `reopen`."""
    change = house.proposed()
    house.approve(change)
    house.revert(change)
    with pytest.raises(Unusable) as caught:
        reopened(house, change)
    assert caught.value.remedy.startswith(f"greenroom retry {change}")


def test_a_parent_that_a_crash_left_open_ends_at_the_next_start(house: MemoryHouse) -> None:
    """Killed between child and parent: both are open, until `settle_parents`; the person's edit is not lost."""

    def kill(point: str) -> None:
        if point == "child.saved":
            raise Killed(point)

    change = house.proposed()
    patch = house.store.put("blob", patch_of("README.md", house.live_files()[b"README.md"], b"all\n"))
    doomed = dataclasses.replace(house.house, crash_point=kill)
    with pytest.raises(Killed):
        lineage.edit(doomed, change, patch=patch, actor=OWNER, tell=house.tell)
    house.restart()
    assert [one.terminal for one in house.changes()] == [False, False]
    lineage.settle_parents(house.house)
    assert house.change(change).ended == "superseded"
    (child,) = house.resume()["resumed"]
    assert (child["rule"], child["verdict"]["rule"]) == ("edit", "needs-approval")


@pytest.mark.parametrize("agreed", [False, True])
def test_a_second_scan_takes_the_place_of_what_mended_more(tmp_path: Path, agreed: bool) -> None:
    """The person mended one of three lines: what is left of the proposal is a child; one that they agreed to stays."""
    text = b"".join(b"line %d\n" % number for number in range(60)) + b"teh\n"
    house = MemoryHouse(tmp_path, files={"notes.md": b"teh\n" + text})
    house.findings[:] = [Finding(path="notes.md", old=b"teh", new=b"the")]
    change = house.proposed()
    if agreed:
        house.approve(change, promote=False)
    house.deliver()
    house.commit({"notes.md": b"the\n" + text})
    house.findings[:] = [Finding(path="notes.md", old=b"teh", new=b"the", summary="the rest")]
    (anew,) = house.improve()["changes"]
    assert house.change(anew["id"]).parent == (None if agreed else change)
    assert house.change(change).ended == (None if agreed else "superseded")
    house.close()


def test_a_second_scan_on_another_base_takes_the_place_of_what_waited(house: MemoryHouse) -> None:
    """The finding is one change that waits, whatever the person commits in between."""
    change = house.proposed()
    house.commit({"b.py": b"y = 1\n"})
    (anew,) = house.improve()["changes"]
    assert house.improve()["changes"] == []
    assert house.change(anew["id"]).parent == change
    waiting = [one.id for one in house.changes() if not one.terminal]
    assert waiting == [ChangeId(anew["id"])]
    assert isinstance(house.guard.withdraw(ChangeId(anew["id"]), OWNER), Passed)
