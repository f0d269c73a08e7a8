"""Stop: set by anybody at any stage, it leaves live as it was; only the owner's lift lets the work go on."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from e2e_box import Evidence, House, git, patch_of

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]


def _until(house: House, running: subprocess.Popen[str], words: str) -> tuple[int, Any, str]:
    """Set a stop as soon as the command's progress says `words`; its exit code, answer and progress."""
    assert running.stderr is not None
    assert running.stdout is not None
    seen = []
    for line in running.stderr:
        seen.append(line)
        if words in line:
            house.guard.stop("person:somebody")
            break
    else:
        pytest.fail(f"{words!r} was never said: {seen}")
    out, err = running.communicate(timeout=120)
    assert "Traceback" not in err, err
    return running.returncode, json.loads(out), "".join(seen) + err


def _said(answer: Any) -> dict[str, str]:
    if "error" in answer:
        error = answer["error"]
        return {"rule": error["reference"], "where": error["where"] or error["message"], "remedy": error["remedy"]}
    return dict(answer["verdict"])


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("import", "importing workspace"),
        ("propose", "looking for findings"),
        ("debate", "plan      passed"),
        ("simulate", "debate    passed"),
        ("verify", "simulate  passed"),
        ("approve", "verify    passed"),
    ],
)
def test_e2e_stop_during_improve(house: House, evidence: Evidence, stage: str, words: str) -> None:
    """A stop during `improve` ends it with code 7; after the lift the change goes on to where a person is asked."""
    place = house.repository(f"stop-{stage}")
    house.take_in(place)
    house.wish(house.proposal(patch_of(place, {"README.md": "# Calm\n\nStopped once.\n"}), "README.md"))
    try:
        with house.unmoved(place):
            running = house.started("improve", str(place), "--only", "wished", "--json")
            code, answer, progress = _until(house, running, words)
            assert code == 7, (answer, progress)
            assert evidence.add(f"stop during {stage}", _said(answer), code) == "stopped"
            assert house.ok("status")["stopped"] is True
            refused = house.json("improve", str(place), "--only", "wished")
            assert refused.code == 7
    finally:
        lifted = house.json("lift")
    assert lifted.code == 0, lifted
    with house.unmoved(place):
        if stage == "import":
            house.ok("improve", str(place), "--only", "wished")
        house.ok("resume")
        rows = [row for row in house.ok("list")["changes"] if str(place) in row["subject"]]
        if stage == "propose" and all(row["held"]["rule"] == "queued" for row in rows):
            house.ok("improve", str(place), "--only", "wished")
            rows = [row for row in house.ok("list")["changes"] if str(place) in row["subject"]]
        assert [row["held"]["rule"] for row in rows] == ["needs-approval"], rows


def test_e2e_stop_during_plan(house: House, evidence: Evidence) -> None:
    """A stop while a change is being planned ends `improve` with code 7; after the lift it is planned and goes on."""
    place = house.repository("stop-plan")
    house.take_in(place)
    house.wish(house.proposal(patch_of(place, {"README.md": "# Calm\n\nStopped in the plan.\n"}), "README.md"))
    before = len(house.logged("plan.intent"))
    house.plan_hold.touch()
    running = house.started("improve", str(place), "--only", "wished", "--json")
    try:
        with house.unmoved(place):
            deadline = time.monotonic() + 60
            while len(house.logged("plan.intent")) == before:
                assert time.monotonic() < deadline, "no change was planned"
            ended = len(house.logged("plan.result"))
            house.guard.stop("person:somebody")
            assert len(house.logged("plan.result")) == ended, "the plan ended before the stop"
            house.plan_hold.unlink()
            out, err = running.communicate(timeout=120)
            assert running.returncode == 7, (out, err)
            assert evidence.add("stop during plan", _said(json.loads(out)), running.returncode) == "stopped"
            assert len(house.logged("debate.intent")) == len(house.logged("debate.result"))
    finally:
        house.plan_hold.unlink(missing_ok=True)
        lifted = house.json("lift")
    assert lifted.code == 0, lifted
    with house.unmoved(place):
        house.ok("resume")
        rows = [row for row in house.ok("list")["changes"] if str(place) in row["subject"]]
        assert [row["held"]["rule"] for row in rows] == ["needs-approval"], rows


@pytest.mark.parametrize(("stage", "words"), [("promote", "approve   passed"), ("watch", "promote   passed")])
def test_e2e_stop_during_approve(house: House, evidence: Evidence, stage: str, words: str) -> None:
    """A stop during promote or watch leaves old live or new live; after the lift the change is carried to its end."""
    place = house.repository(f"stop-{stage}")
    start = house.take_in(place)
    change = house.good(place)
    try:
        running = house.started("approve", change["id"], "--yes", "--json")
        code, answer, progress = _until(house, running, words)
        assert code == 7, (answer, progress)
        assert evidence.add(f"stop during {stage}", _said(answer), code) == "stopped"
        assert house.live(place) in ((start, change["green"]) if stage == "promote" else (change["green"],))
        house.log_is_whole()
    finally:
        lifted = house.json("lift")
    assert lifted.code == 0, lifted
    house.ok("resume")
    rows = [row for row in house.ok("list", "--all")["changes"] if row["id"] == change["id"]]
    assert rows[0]["state"] == "kept", rows
    assert house.live(place) == change["green"]
    assert "small and calm" in (place / "README.md").read_text()
    assert git(place, "status", "--porcelain") == ""
    house.log_is_whole()


def test_e2e_revert_works_under_stop(house: House, evidence: Evidence) -> None:
    """Under a stop nothing new happens, but what is live can be taken back; a lift needs the owner's key."""
    place = house.repository("stop-revert")
    start = house.take_in(place)
    elsewhere = house.repository("stop-approve")
    house.take_in(elsewhere)
    change, other = house.good(place), house.good(elsewhere, "Under a stop.")
    house.ok("approve", change["id"], "--yes")
    house.ok("stop")
    try:
        approve = house.json("approve", other["id"], "--yes")
        assert approve.code == 7, approve
        assert evidence.add("approve under a stop", approve.said, approve.code) == "stopped"
        stranger = house.json("lift", before=STRANGER)
        assert stranger.code in (3, 8), stranger
        evidence.add("lift by another key", stranger.said, stranger.code)
        assert house.ok("status")["stopped"] is True
        back = house.ok("revert", change["id"])
        assert back["state"] == "reverted"
        assert house.live(place) == start
        assert Path(place, "README.md").read_text() == "# Calm\n\nA small package.\n"
    finally:
        assert house.json("lift").code == 0
    house.log_is_whole()


STRANGER = """
from greenroom.audit import keys
from greenroom.audit.attest import KeyAttestor
from greenroom.bootstrap.local import LocalServices
key = keys.generate()
LocalServices._owner = lambda *_: KeyAttestor("owner", key, {"owner": (key.public,)})
"""
