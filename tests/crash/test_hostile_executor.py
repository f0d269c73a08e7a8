"""The executor replaced by a hostile one: with real guard and keeper it promotes nothing without true papers.

One box with two verified changes: a person agreed to one (`agreed`) and not to the other (`open`). A third (`flaky`)
was refused for a test that seldom passes on its Green. Each attack is carried out by `hostile_executor.py` in the
executor's own view of the machine.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from crash_box import FINDING, CrashBox
from hostile_executor import ATTACKS

from greenroom.audit import keys
from greenroom.domain.vocabulary import Kind, Subject, address_of
from greenroom.keeper.separation import executor_command

NOTES = "# Notes\n\nThe adress of it.\n"
SELDOM = f"""import os
import pathlib


def test_notes():
    text = pathlib.Path(__file__).parent.parent.joinpath("notes.md").read_text()
    assert len(text) == {len(NOTES)} or os.urandom(2) == bytes(2)
"""
"""A test that passes on base, and on the Green that mends the notes once in 65536 runs."""
MANY = FINDING | {
    "guide.md": "# Guide\n\nA seperate page about it.\n",
    "notes.md": NOTES,
    "tests/test_notes.py": SELDOM,
}
NOT_SHOWN = {"not-allowed", "not-presented", "bad-document"}
"""The keeper knows by the executor's user that no person calls; without users, by its namespace of process ids."""
ENDS = {
    "no_consent": {"needs-approval"},
    "another_consent": {
        "consent-of-another-change",
        "plan-of-another-subject",
        "receipt-wrong-trees",
        "seal-of-another-plan",
    },
    "another_carry": {
        "plan-differs",
        "patch-differs",
        "receipt-wrong-trees",
        "seal-of-another-plan",
        "consent-of-another-change",
        "statement-forged",
    },
    "another_green": {"receipt-wrong-trees"},
    "another_plan": {"seal-of-another-plan"},
    "another_card": {"consent-of-another-change"},
    "bent_cards": {"consent-of-another-change"},
    "forged_consent": {"statement-forged"},
    "edited_consent": {"statement-forged"},
    "higher_mode": {"needs-approval"},
    "other_papers_as_consent": {"statement-forged"},
    "forged_opt_ins": {"statement-forged", "needs-approval"},
    "another_rule_than_opted_in_to": {"needs-approval"},
    "before_its_window_ends": {"apply-window", "event-reserved", "cancelled", "needs-approval"},
    "no_receipts": {"inconclusive"},
    "no_seals": {"inconclusive", "not-rehearsed"},
    "forged_receipts": {"statement-forged"},
    "forged_seals": {"statement-forged"},
    "an_earlier_key_of_the_keeper": {"paper-not-shown", "not-allowed", "long over"},
    "receipts_of_another_change": {"receipt-wrong-trees"},
    "receipts_of_other_trees": {"receipt-wrong-trees"},
    "receipts_without_overlay": {"receipt-wrong-overlay"},
    "receipts_with_other_args": {"keeper: test-command", "receipt-wrong-args"},
    "receipts_until_one_passes": {
        "same",
        "bad-suite",
        "test-broken",
        "flaky",
        "receipt-of-another-occasion",
        "receipt-of-a-second-draw",
        "inconclusive",
    },
    "live_tests_of_another_promotion": {"inconclusive", "receipt-of-another-occasion", "not-promoted"},
    "golden_of_another_tree": {"golden-of-another-tree"},
    "receipts_of_other_tools": {"receipt-wrong-tool"},
    "runs_of_its_own_making": {"check-reserved"},
    "a_green_of_its_own": {"consent-of-another-change"},
    "a_green_with_other_bytes": {"wrong-bytes"},
    "forged_warrant": {"statement-forged"},
    "a_foreign_directory": NOT_SHOWN | {"import-from-elsewhere"},
    "the_same_path_of_its_own": NOT_SHOWN,
    "a_repository_in_its_share": NOT_SHOWN,
    "the_same_path_in_a_user_namespace": {"denied"},
    "a_forged_delivery": {"forged"},
    "a_forged_import": {"statement-forged", "wrong-predicate"},
    "an_old_import": {"unmoved", "import-from-elsewhere"},
    "reserved_entries": {"event-reserved"},
    "forged_orders": {"statement-forged"},
    "reverts": {"not-promoted", "bad-call"},
    "marks_good": {"not-promoted"},
    "around_the_sockets": {"hidden", "read-only", "powerless", "out of reach"},
    "a_forged_lift": {"statement-forged", "stopped"},
}
"""The only rules with which each attack may end."""
OPT_INS = {"another_rule_than_opted_in_to": "ruff:F401", "before_its_window_ends": "codespell"}
"""What the owner opted in to, in mode supervised, before an attack on standing consent."""


@dataclass(slots=True)
class Scene:
    """The box, its changes, and a directory of the attacker's."""

    box: CrashBox
    changes: dict[str, str] = field(default_factory=dict)
    foreign: Path = Path()
    apart: Path = Path()
    agent: Path = Path()
    stolen: str = ""
    """A private key of the keeper's that was copied in an epoch which is over, in hex."""

    def attack(self, name: str) -> list[str]:
        """What the hostile executor got."""
        said = {"foreign": str(self.foreign), "agent": str(self.agent), "apart": str(self.other), "back": self.back}
        said["stolen"] = self.stolen
        promoted = [entry for entry in self.box.entries() if entry["name"] == "live.promoted"]
        said["spent"] = " ".join(entry["digests"]["warrant"] for entry in promoted)
        wish = json.dumps(self.changes | said)
        program = str(Path(__file__).with_name("hostile_executor.py"))
        argv = executor_command(self.box.box, (sys.executable, program, str(self.box.box.root), name, wish))
        ended = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
        assert ended.returncode == 0, ended.stderr
        return list(json.loads(ended.stdout))

    def stands(self) -> tuple[str, ...]:
        """What is live of both repositories, and the branch and the worktree of the second."""
        live = self.box.release.position(self.other)
        return self.box.live(), live, self.back, (self.apart / "README.md").read_text()

    def forward(self) -> None:
        """The person brings the second branch to where live is: what was said to wait has arrived."""
        self.box.git("-C", str(self.apart), "reset", "--quiet", "--hard", self.box.release.position(self.other))
        assert self.box.must("resume").data["deliveries"]

    @property
    def other(self) -> Subject:
        """The second repository, of which the person took the branch back to where it began."""
        return Subject(kind=Kind.WORKSPACE, address=address_of(str(self.apart), "main"))

    @property
    def back(self) -> str:
        """Where the second repository's branch stands."""
        return self.box.git("-C", str(self.apart), "rev-parse", "main")


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """Changes that were proposed, built and tried for real: two verified, one of them with a consent, one refused."""
    root = Path(tempfile.mkdtemp(prefix="greenroom-hostile-"))
    apart = Path(tempfile.mkdtemp(prefix="greenroom-apart-"))
    # The attacks do not come through the desk: to the box they are no work that would keep it from leaving.
    box = CrashBox(root, idle_s=600)
    try:
        box.begin_with(MANY)
        stolen = keys.load_private(box.box.keys / "keeper.key").raw().hex()
        box.must("improve", str(box.repository), "--only", "codespell")
        first, second = (row["id"] for row in box.rows() if row["state"] == "verified")
        (flaky,) = (row["id"] for row in box.rows() if row["state"] == "aborted")
        box.must("approve", first, "--yes", "--no-promote")
        foreign = root / "box" / "run" / "foreign"
        box.git("clone", "--quiet", str(box.repository), str(foreign))
        (foreign / "small.py").write_text("evil = True\n")
        box.git("-C", str(foreign), "commit", "--quiet", "--all", "--message", "Evil")
        agent = root / "agent"
        agent.touch()
        box.down()
        box.epoch_seconds = "2"
        _taken_in_and_back(box, apart)
        box.down()
        box.epoch_seconds = ""
        box.must("status")
        yield Scene(box, {"agreed": first, "open": second, "flaky": flaky}, foreign, apart, agent, stolen)
    finally:
        box.run("down")
        shutil.rmtree(apart, ignore_errors=True)
        shutil.rmtree(root, ignore_errors=True)


def _taken_in_and_back(box: CrashBox, apart: Path) -> None:
    """A second repository with a queued change, taken in with two commits; then its branch is back at the first."""
    box.git("-C", str(apart), "init", "--quiet", "--initial-branch", "main")
    for text in ("# Apart\n", FINDING["README.md"]):
        (apart / "README.md").write_text(text)
        box.git("-C", str(apart), "add", ".")
        box.git("-C", str(apart), "commit", "--quiet", "--message", text)
    box.must("improve", str(apart), "--only", "codespell", "--max", "0")
    box.git("-C", str(apart), "reset", "--quiet", "--hard", "HEAD~")


@pytest.mark.slow
@pytest.mark.sandbox
@pytest.mark.parametrize("name", ATTACKS)
def test_hostile_executor_promotes_nothing(scene: Scene, name: str) -> None:
    """Whatever it hands in, live stays as it is, byte for byte, the log stays whole, and a rule says why."""
    before = scene.stands()
    promoted = _promotions(scene)
    with _opted_in(scene.box, OPT_INS.get(name, "")):
        got = scene.attack(name)
    if name == "a_forged_lift":
        scene.box.must("lift")
    assert got
    assert not {"promoted", "taken", "seen", "written", "powerful", "reached"} & set(got), got
    assert set(got) <= ENDS[name], got
    if name == "a_forged_delivery":
        assert "delivery-adopted" in scene.box.run("resume").err
    assert scene.stands() == before
    assert _promotions(scene) == promoted
    if name == "a_forged_delivery":
        scene.forward()


@pytest.mark.slow
@pytest.mark.sandbox
def test_hostile_executor_promotes_what_a_person_agreed_to(scene: Scene) -> None:
    """The same client with the true papers promotes, once: what refused the attacks was the papers, not the client."""
    scene.box.must("resume")
    row = next(row for row in scene.box.rows() if row["id"] == scene.changes["agreed"])
    assert scene.attack("with_the_right_papers") == ["promoted"]
    assert scene.box.live() == row["green"]
    assert _promotions(scene) == 1
    scene.box.must("resume")


@pytest.mark.slow
@pytest.mark.sandbox
def test_hostile_executor_promotes_it_once(scene: Scene) -> None:
    """After the person took it back, neither the spent warrant nor the spent consent promotes it again."""
    row = next(row for row in scene.box.rows() if row["id"] == scene.changes["agreed"])
    scene.box.must("revert", row["id"])
    assert scene.box.live() == row["base"]
    assert set(scene.attack("again_after_a_revert")) == {"warrant-spent", "consent-spent"}
    assert scene.box.live() == row["base"]
    assert _promotions(scene) == 1


def test_hostile_executor_every_attack_has_its_ends() -> None:
    """No attack without a word on how it may end."""
    assert set(ENDS) == set(ATTACKS)


@contextlib.contextmanager
def _opted_in(box: CrashBox, rule: str) -> Iterator[None]:
    """The owner lets the box apply findings of `rule` by itself, and no longer afterwards."""
    if not rule:
        yield
        return
    box.must("mode", "supervised")
    box.must("opt-in", "add", rule)
    yield
    box.must("opt-in", "remove", rule)
    box.must("mode", "propose")


def _promotions(scene: Scene) -> int:
    """Promotions in the log, which is found whole first."""
    return sum(entry["name"] == "live.promoted" for entry in scene.box.entries())
