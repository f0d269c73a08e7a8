"""Changes that the gate refuses: each is told by rule, place and remedy, and nothing becomes live."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from e2e_box import CALM, CODES, Evidence, House, git

from greenroom.bootstrap import parts

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

SECRET = "AKIA" + "Q3EGVZLN5XTK7W2D"
FORGING = """import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    done = yield
    report = done.get_result()
    if report.failed:
        report.outcome = "passed"
"""

HIDING = """import _pytest.runner as runner

_make = runner.TestReport.from_item_and_call


def _lie(item, call):
    call.excinfo = None
    return _make(item, call)


runner.TestReport.from_item_and_call = _lie
"""
CRASH = b"import ctypes\n\nprint('it was about to apply', flush=True)\nctypes.string_at(0)\n"


def _refused(evidence: Evidence, case: str, change: Mapping[str, Any]) -> str:
    assert change["state"] == "aborted", change
    assert change["verdict"]["is"] == "refused", change
    return evidence.add(case, change["verdict"], CODES[change["verdict"]["is"]])


def test_e2e_whole_path_and_back(house: House, evidence: Evidence) -> None:
    """A good change becomes live after a yes, and a revert gives the earlier tree back, byte for byte."""
    place = house.repository("path")
    start = house.take_in(place)
    change = house.good(place)
    assert house.live(place) == start
    done = house.ok("approve", change["id"], "--yes")
    assert done["state"] == "kept"
    assert done["delivered"]["is"] == "passed"
    assert house.live(place) == done["green"] != start
    assert "small and calm" in (place / "README.md").read_text()
    back = house.ok("revert", change["id"])
    assert back["state"] == "reverted"
    assert house.live(place) == start
    assert git(place, "rev-parse", "HEAD^{tree}") == git(place, "rev-parse", "HEAD~2^{tree}")
    assert git(place, "rev-list", "--count", "HEAD") == "3"
    house.log_is_whole()


def test_e2e_constitution_path_not_allowed(house: House, evidence: Evidence, calm: Path) -> None:
    """A change outside the paths that the constitution allows is refused, and `show` says which path and what helps."""
    rules = house.home / "rules.yaml"
    rules.write_text(house.constitution({'allowed_paths:\n  - "**"': "allowed_paths:\n  - docs"}))
    before = house.box.constitution.read_text()
    house.ok("constitution", "edit", str(rules))
    try:
        with house.unmoved(calm):
            change = house.edit(calm, {"README.md": "# Calm\n\nElsewhere.\n"})
            assert _refused(evidence, "constitution: path not allowed", change) == "path-not-allowed"
            assert change["verdict"]["where"] == "README.md"
            shown = house.run("show", change["id"])
            assert shown.code == 0
            assert "path-not-allowed" in shown.out
            assert "allowed_paths" in shown.out
    finally:
        rules.write_text(before)
        house.ok("constitution", "edit", str(rules))


def test_e2e_protected_path_of_untrusted_release(house: House, evidence: Evidence) -> None:
    """A change to a protected path that comes from an unpacked release is refused."""
    place = house.home / "src" / "release-1.0"
    for name, text in CALM.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    start = house.take_in(place)
    patch = (
        b"diff --git a/.github/workflows/x.yml b/.github/workflows/x.yml\nnew file mode 100644\n"
        b"--- /dev/null\n+++ b/.github/workflows/x.yml\n@@ -0,0 +1 @@\n+on: push\n"
    )
    change = house.propose(place, patch, ".github/workflows/x.yml")
    assert _refused(evidence, "protected path, from a release", change) == "protected-path"
    assert change["verdict"]["where"] == ".github/workflows/x.yml"
    assert house.guard.status().live[f"workspace:{place}"] == start
    house.log_is_whole()


def test_e2e_protected_path_needs_a_person(house: House, calm: Path) -> None:
    """In the person's own repository a change to a protected path is level 3: only a person may agree."""
    with house.unmoved(calm):
        change = house.edit(calm, {".github/workflows/x.yml": "on: push\n"})
        assert change["verdict"]["rule"] == "needs-approval"
        assert change["level"] == 3


def test_e2e_secret_in_the_diff(house: House, evidence: Evidence, calm: Path) -> None:
    """A change that brings a key is refused; the key itself is not told."""
    with house.unmoved(calm):
        change = house.edit(calm, {"calm.py": CALM["calm.py"] + f'\nKEY_ID = "{SECRET}"\n'})
        assert "aws-key-id" in _refused(evidence, "secret in the diff", change)
        assert "calm.py" in change["verdict"]["where"]
        assert SECRET not in str(change)


@pytest.mark.parametrize(
    ("case", "text", "rule"),
    [
        (
            "tests loosened: deleted",
            CALM["tests/test_calm.py"].partition("\n\n\ndef test_zero")[0] + "\n",
            "test-deleted",
        ),
        (
            "tests loosened: weakened",
            CALM["tests/test_calm.py"].replace("assert calm.double(2) == 4", "assert calm.double(2)"),
            "assertion-",
        ),
        (
            "tests loosened: skipped",
            CALM["tests/test_calm.py"].replace("def test_zero", "@pytest.mark.skip\ndef test_zero").replace(
                "import calm", "import calm\nimport pytest"
            ),
            "test-skipped",
        ),
    ],
)  # fmt: skip
def test_e2e_tests_loosened(house: House, evidence: Evidence, calm: Path, case: str, text: str, rule: str) -> None:
    """A change that makes tests less strict is refused, though all tests pass."""
    with house.unmoved(calm):
        change = house.edit(calm, {"tests/test_calm.py": text})
        assert _refused(evidence, case, change).startswith(rule)
        assert "tests/test_calm.py" in change["verdict"]["where"]


def test_e2e_forged_by_conftest(house: House, evidence: Evidence, calm: Path) -> None:
    """A change that breaks a function and turns failures into passes by a conftest is refused."""
    with house.unmoved(calm):
        broken = CALM["calm.py"].replace("number * 2", "number * 3")
        change = house.edit(calm, {"calm.py": broken, "conftest.py": FORGING})
        assert _refused(evidence, "forged by conftest", change) == "collection-changed"


def test_e2e_forged_by_conftest_is_caught_by_the_sentinel(house: House, evidence: Evidence, calm: Path) -> None:
    """A conftest that hides failures without any hook in sight hides the test that must fail, too: forged."""
    with house.unmoved(calm):
        new = "import calm\n\n\ndef test_triple():\n    assert calm.double(2) == 6\n"
        change = house.edit(calm, {"conftest.py": HIDING, "tests/test_triple.py": new})
        assert _refused(evidence, "forged by conftest, caught by the sentinel", change) == "tests-forged"


def test_e2e_conftest_of_a_change_does_not_judge_the_change(house: House, evidence: Evidence, calm: Path) -> None:
    """Base's tests run with base's conftest: one that hides failures does not hide what the change breaks."""
    with house.unmoved(calm):
        broken = CALM["calm.py"].replace("number * 2", "number * 3")
        change = house.edit(calm, {"calm.py": broken, "conftest.py": HIDING})
        assert _refused(evidence, "broken, and hidden by a conftest", change) == "test-broken"
        assert "test_double" in change["verdict"]["where"]


def test_e2e_forged_by_the_package(house: House, evidence: Evidence, calm: Path) -> None:
    """A change whose own module patches pytest when it is imported is refused as forged or broken."""
    forging = (
        "import _pytest.runner as runner\n_make = runner.TestReport.from_item_and_call\n\n\n"
        "def _lie(item, call):\n    call.excinfo = None\n    return _make(item, call)\n\n\n"
        "runner.TestReport.from_item_and_call = _lie\n"
    )
    with house.unmoved(calm):
        broken = CALM["calm.py"].replace("number * 2", "number * 3") + forging
        change = house.edit(calm, {"calm.py": broken})
        assert _refused(evidence, "forged by the package itself", change) in ("tests-forged", "test-broken")


def test_e2e_failing(house: House, evidence: Evidence, calm: Path) -> None:
    """A change that breaks a test is refused, and the test is named."""
    with house.unmoved(calm):
        change = house.edit(calm, {"calm.py": CALM["calm.py"].replace("number * 2", "number + 2 if number else 1")})
        assert _refused(evidence, "failing", change) == "test-broken"
        assert "test_zero" in change["verdict"]["where"]


def test_e2e_flaky(house: House, evidence: Evidence) -> None:
    """A change with which some test now and then fails is refused as flaky, not as broken."""
    many = "import calm\nimport pytest\n\n\n@pytest.mark.parametrize('number', range(600))\n"
    many += "def test_double(number):\n    assert calm.double(number) == number + number\n"
    place = house.repository("flaky", dict(CALM) | {"tests/test_calm.py": many})
    house.take_in(place)
    coin = "import os\n\n\ndef double(number):\n    return number * 2 + (os.urandom(2) < b'\\x02')\n"
    with house.unmoved(place):
        for _ in range(4):  # of 600 tosses of 1 in 128 some lose; that one loses twice is rare, and then it is broken
            change = house.edit(place, {"calm.py": coin})
            if change["verdict"]["rule"] == "flaky":
                break
        assert _refused(evidence, "flaky", change) == "flaky"
        assert "test_double" in change["verdict"]["where"]


def test_e2e_tool_crash(house: House, evidence: Evidence, calm: Path) -> None:
    """A tool whose body dies of a signal is a refusal that names the tool and the step; nothing is live of it."""
    before = house.guard.policy()
    house.enforce(house.with_body("apply_patch_t1", CRASH))
    try:
        with house.unmoved(calm):
            change = house.edit(calm, {"README.md": "# Calm\n\nNever applied.\n"})
            assert _refused(evidence, "tool crash", change) == "tool-crash"
            assert "step apply" in change["verdict"]["where"]
            assert "ended by signal" in change["verdict"]["where"]
        (run,) = house.ok("show", change["id"], "--runs")["runs"]
        assert (run["check"], run["role"], run["ended_by"], run["exit"]) == ("build", "apply/rehearsal", "signal", 139)
        assert run["printed"]["stdout"]["text"] == "it was about to apply\n"
        shown = house.run("show", change["id"], "--runs").out
        assert "apply/rehearsal" in shown
        assert "it was about to apply" in shown
    finally:
        house.enforce(before)


def test_e2e_upgrade_while_a_change_waits(house: House, calm: Path) -> None:
    """Once the owner signs another body of one tool, a waiting change is verified again before its card is signed."""
    change = house.good(calm, "It waits for an upgrade.")
    before = house.guard.policy()
    house.enforce(house.with_body("run_tests_t1", parts.tool_bodies()["run_tests_t1"] + b"\n# a later version\n"))
    try:
        (problem,) = [each for each in house.json("doctor").data["problems"] if change["id"] in each["message"]]
        # Other changes of the box may be outdated too: the message names each, the remedy the first.
        assert re.match(r"greenroom approve \w{6} verifies it again", problem["remedy"])
        row = house.ok("approve", change["id"], "--yes")
        assert (row["state"], row["verdict"]["is"]) == ("kept", "passed")
        parent = house.ok("show", change["id"])
        assert (parent["ended"], house.ok("show", row["id"])["parent"]) == ("superseded", change["id"])
        house.ok("revert", row["id"])
    finally:
        house.enforce(before)


def test_e2e_patch_that_does_not_apply(house: House, evidence: Evidence, calm: Path) -> None:
    """A patch that does not apply is refused in the rehearsal."""
    patch = b"diff --git a/calm.py b/calm.py\n--- a/calm.py\n+++ b/calm.py\n@@ -1 +1 @@\n-no such line\n+a line\n"
    with house.unmoved(calm):
        change = house.propose(calm, patch, "calm.py")
        assert _refused(evidence, "tool: the patch does not apply", change) == "patch-does-not-apply"
        assert "calm.py" in change["verdict"]["where"]


@pytest.mark.parametrize(
    ("case", "patch", "rule"),
    [
        (
            "a patch that steps out of the tree",
            b"diff --git a/../x b/../x\nnew file mode 100644\n--- /dev/null\n+++ b/../x\n@@ -0,0 +1 @@\n+x\n",
            "patch-",
        ),
        (
            "a patch that makes a link",
            b"diff --git a/link b/link\nnew file mode 120000\n--- /dev/null\n+++ b/link\n@@ -0,0 +1 @@\n+/etc/passwd\n",
            "",
        ),
        ("a patch that is no patch", b"\x00\xff rubbish", ""),
    ],
)
def test_e2e_hostile_patches(house: House, evidence: Evidence, calm: Path, case: str, patch: bytes, rule: str) -> None:
    """A patch that is not one, steps out of the tree or makes a link is refused."""
    with house.unmoved(calm):
        change = house.propose(calm, patch, "x")
        assert _refused(evidence, case, change).startswith(rule)


def test_e2e_denied_network(house: House, evidence: Evidence) -> None:
    """A test that needs the network fails on base and on Green alike: it is left out, counted and shown."""
    files = dict(CALM) | {
        "tests/test_net.py": (
            "import socket\n\n\ndef test_reach():\n    socket.create_connection(('192.0.2.1', 80), timeout=5)\n"
        )
    }
    place = house.repository("network", files)
    house.take_in(place)
    with house.unmoved(place):
        change = house.good(place)
        card = house.ok("show", change["id"])["card"]
        tests = next(item for item in card["evidence"] if item["check"] == "tests")
        assert tests["verdict"] == "pass"
        assert tests["facts"]["failing-before"] == "1"
        listed = " ".join(card["notes"])
        assert "test_reach" in listed
        assert "Network is unreachable" in listed
        evidence.note("denied network", card["notes"])


def test_e2e_bytes_that_are_no_proposal(house: House, calm: Path) -> None:
    """A plug-in whose proposals are not documents is told of, and changes nothing."""
    (house.box.root / "plugins" / "wishes.json").write_text('["00ff"]')
    with house.unmoved(calm):
        answer = house.json("improve", str(calm), "--only", "wished")
        assert answer.code in (0, 2), answer
        assert "Traceback" not in answer.err
