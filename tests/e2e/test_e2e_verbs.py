"""A person's word on a change, and branches, in a real box: what is withdrawn or rejected stays so."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from e2e_box import CALM, Evidence, House, commit, git, patch_of

from greenroom.domain.change import Change

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]


def test_e2e_a_withdrawn_approval_promotes_nothing(house: House, evidence: Evidence, calm: Path) -> None:
    """Though a hostile executor kept the consent and says that the change is approved; another yes is good."""
    change = house.good(calm, "A withdrawn word.")["id"]
    house.ok("approve", change, "--yes", "--no-promote")
    kept = house.changes.get(change)
    assert house.ok("cancel", change)["held"]["rule"] == "approval-withdrawn"

    def approved(stored: Change) -> Change:
        return dataclasses.replace(kept, version=stored.version)

    with house.unmoved(calm):
        house.hostile(change, approved)
        answer = house.json("promote", change)
        assert answer.code == 4
        assert evidence.add("promote after a withdrawal", answer.said, answer.code) == "approval-withdrawn"
        said = house.json("approve", change, "--yes", "--no-promote", before=house.replay(kept.consents[0]))
        assert evidence.add("a withdrawn consent handed in again", said.said, said.code) == "approval-withdrawn"
    assert len(house.logged("consent.withdrawn")) >= 1
    house.ok("reject", change)


def test_e2e_no_means_not_again(house: House, evidence: Evidence) -> None:
    """A rejected finding stays away after a commit that moves it; reopened, edited and approved, it arrives."""
    place = house.repository("not-again")
    house.take_in(place)
    wish = house.proposal(patch_of(place, {"README.md": "# Calm\n\nA quiet package.\n"}), "README.md")
    house.wish(wish)
    (row,) = house.ok("improve", str(place), "--only", "wished")["changes"]
    house.ok("reject", row["id"], "--why", "no")
    (place / "more.md").write_text("# More\n")
    commit(place, "mine")
    again = house.ok("improve", str(place), "--only", "wished")
    assert (again["changes"], [one["reason"] for one in again["withheld"]]) == ([], ["rejected before"])
    child = house.ok("reopen", row["id"])
    assert child["parent"] == row["id"]
    late = house.ok("defer", child["id"], "--until", "2w")
    assert late["held"]["rule"] == "deferred"
    patch = house.home / "edited.diff"
    patch.write_bytes(patch_of(place, {"README.md": "# Calm\n\nA silent package.\n"}))
    edited = house.ok("edit", child["id"], "--patch", str(patch))
    assert (edited["rule"], edited["parent"]) == ("edit", child["id"])
    bad = house.json("edit", edited["id"], "--patch", str(place / "README.md"))
    assert evidence.add("an edit that is no patch", bad.said, bad.code) == "bad-patch"
    card = house.ok("show", edited["id"])["card"]
    assert (card["origin"]["actor"].startswith("person:"), card["origin"]["door"]) == (True, "edit")
    assert house.ok("approve", edited["id"], "--yes")["delivered"]["is"] == "passed"
    assert "silent" in (place / "README.md").read_text()
    house.log_is_whole()


def at_rest(place: Path) -> tuple[str, ...]:
    """Worktree, HEAD and the branch that is checked out."""
    return git(place, "status", "--porcelain"), git(place, "rev-parse", "HEAD"), git(place, "branch", "--show-current")


def test_e2e_branches_are_made_noticed_and_leave_all_else_alone(house: House, evidence: Evidence) -> None:
    """Two changes as branches of a dirty worktree; one is merged, one deleted; then several are approved at once."""
    place = house.repository("branches")
    house.take_in(place)
    texts = {"README.md": "# Calm\n\nA quiet package.\n"}
    other = {"calm.py": CALM["calm.py"].replace('"""Calm."""', '"""Calm, and quiet."""')}
    wishes = [house.proposal(patch_of(place, each), *each) for each in (texts, other)]
    house.wish(*wishes)
    one, two = (row["id"] for row in house.ok("improve", str(place), "--only", "wished")["changes"])
    (place / "deploy/.env.sample").write_text("REGION=south\n")
    before = at_rest(place)
    made = house.ok("pr", one)
    assert made["made"] == git(place, "rev-parse", f"greenroom/{one}")
    house.ok("pr", two, "--out", str(house.home / "pr.md"))
    assert "## Checks" in (house.home / "pr.md").read_text()
    remote = house.home / "remote.git"
    git(place, "init", "-q", "--bare", str(remote))
    assert house.ok("pr", two, "--push", "--remote", str(remote))["pushed"] is True
    assert at_rest(place) == before
    git(place, "checkout", "-q", "deploy/.env.sample")
    git(place, "merge", "-q", "--no-ff", "-m", "merge", f"greenroom/{one}")
    git(place, "branch", "-D", f"greenroom/{two}")
    house.wish(wishes[1])
    found = house.ok("improve", str(place), "--only", "wished")
    assert found["changes"] == []
    assert {each["change"]: each["fate"] for each in found["branches"]} == {one: "merged", two: "closed"}
    ended = {row["id"]: row["ended"] for row in house.ok("list", "--all")["changes"]}
    assert (ended[one], ended[two]) == ("merged", "closed")
    taken = house.json("pr", one)
    assert evidence.add("a branch of what is over", taken.said, taken.code) == "wrong-state"
    house.log_is_whole()


def test_e2e_several_are_approved_at_once(house: House) -> None:
    """Two changes, one command: each has its own consent; the second goes live as a child on the first."""
    place = house.repository("several")
    house.take_in(place)
    texts = {"README.md": "# Calm\n\nA quiet package.\n"}
    other = {"calm.py": CALM["calm.py"].replace('"""Calm."""', '"""Calm, and quiet."""')}
    house.wish(house.proposal(patch_of(place, texts), "README.md"), house.proposal(patch_of(place, other), "calm.py"))
    one, two = (row["id"] for row in house.ok("improve", str(place), "--only", "wished")["changes"])
    answer = house.json("approve", one, two, "--yes")
    first, second = answer.data["approved"]
    assert (first["state"], first["delivered"]["is"]) == ("kept", "passed")
    assert (answer.code, second["verdict"]["is"], second["state"]) == (0, "passed", "kept")
    assert second["id"] not in (one, two)
    assert len({entry["digests"]["consent"] for entry in house.logged("consent.given")[-2:]}) == 2
    house.log_is_whole()
