"""Code that fills, floods, hangs or breeds: the walls end it, nothing of it is left, and nothing becomes live."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from e2e_box import CALM, CODES, Evidence, House, processes_with

from greenroom.domain.verdict import Refused
from greenroom.entrypoints.cli.output import exit_of
from greenroom.pipeline.plain import verdict_plain

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

MIB = 1024 * 1024
CAPS = {
    "wall_s": 15,
    "cpu_s": 60,
    "memory_bytes": 1024 * MIB,
    "disk_bytes": 24 * MIB,
    "processes": 48,
    "output_bytes": 2 * MIB,
}
SHORT = {"warrant_seconds: 600": "warrant_seconds: 10"}
HEAD = "import os\nimport subprocess\nimport sys\nimport time\n\n\ndef double(number):\n"
DISK = HEAD + (
    "    with open('/tmp/filler', 'wb') as file:\n        for _ in range(400):\n"
    "            file.write(os.urandom(1 << 20))\n            file.flush()\n    return number * 2\n"
)
WORK = HEAD + (
    "    here = os.path.dirname(os.path.abspath(__file__))\n    for name in range(200):\n"
    "        with open(f'{here}/filler{name}', 'wb') as file:\n            file.write(os.urandom(1 << 20))\n"
    "    return number * 2\n"
)
STUCK = HEAD + "    subprocess.Popen(['/bin/sleep', 'MARK'])\n    while True:\n        pass\n"
BOMB = HEAD + ("    while True:\n        subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(MARK)'])\n")
BREED = HEAD + "    while True:\n        os.fork()\n"
FLOOD = HEAD + "    while True:\n        os.write(2, b'MARK' * 4096)\n"
MEMORY = HEAD + "    kept = []\n    while True:\n        kept.append(bytearray(64 << 20))\n"
SEGFAULT = "import ctypes\n" + HEAD + "    ctypes.string_at(0)\n    return number * 2\n"


@pytest.fixture(scope="module")
def tight(house: House) -> Iterator[Path]:
    """A repository of its own under small caps for test runs, which the owner signs."""
    place = house.repository("tight")
    house.take_in(place)
    before = house.guard.policy()
    house.enforce(house.tight(CAPS, SHORT))
    yield place
    house.enforce(before)


def _ended(evidence: Evidence, case: str, change: Mapping[str, Any]) -> str:
    """Held or refused, never waiting for a yes; the rule."""
    assert change["verdict"]["is"] in ("held", "refused"), change
    assert change["verdict"]["rule"] != "needs-approval", change
    return evidence.add(case, change["verdict"], CODES[change["verdict"]["is"]])


@pytest.mark.parametrize(
    ("case", "text", "rule"),
    [
        ("disk full", DISK, "disk-full"),
        ("disk full, in the tree", WORK, "disk-full"),
        ("stuck process", STUCK, "stuck"),
        ("tests that crash the interpreter", SEGFAULT, "test-broken"),
        ("fork bomb", BOMB, "processes-exceeded"),
        pytest.param("fork bomb, bare", BREED, "processes-exceeded", marks=pytest.mark.full),
        pytest.param("output flood", FLOOD, "output-exceeded", marks=pytest.mark.full),
        pytest.param("memory", MEMORY, "memory-exceeded", marks=pytest.mark.full),
    ],
)
def test_e2e_bounds(house: House, evidence: Evidence, tight: Path, case: str, text: str, rule: str) -> None:
    """Code that takes more than its caps is ended with all it started; the change does not get through.

    The person is told which bound it was, and where.
    """
    mark = f"3{secrets.randbelow(10**8):08d}"
    began = time.monotonic()
    with house.unmoved(tight):
        change = house.edit(tight, {"calm.py": text.replace("MARK", mark)})
        assert _ended(evidence, case, change) == rule
        assert "test" in change["verdict"]["where"]
        assert change["verdict"]["remedy"]
        assert time.monotonic() - began < 120
        assert processes_with(mark) == []
        assert not Path("/tmp/filler").exists()


def test_e2e_warrant_expired(house: House, evidence: Evidence, tight: Path) -> None:
    """A warrant that is out of date promotes nothing."""
    change = house.good(tight, "Too late.")
    house.ok("approve", change["id"], "--yes", "--no-promote")
    warrant = house.guard.warrant(house.dossier(change["id"]))
    assert isinstance(warrant, str), warrant
    with house.unmoved(tight):
        over = time.monotonic() + 10.5
        other = house.edit(tight, {"calm.py": CALM["calm.py"].replace("number * 2", "number - 1")})
        assert other["state"] == "aborted"
        while time.monotonic() < over:
            house.guard.status()
            time.sleep(0.2)
        verdict = house.guard.promote(warrant)
        assert isinstance(verdict, Refused)
        plain = verdict_plain(verdict)
        assert evidence.add("warrant expired (at the guard's socket)", plain, exit_of(plain)) == "warrant-expired"


def test_e2e_warrant_of_another_policy(house: House, evidence: Evidence, tight: Path) -> None:
    """A warrant that was issued under an earlier constitution promotes nothing."""
    change = house.good(tight, "Another policy.")
    house.ok("approve", change["id"], "--yes", "--no-promote")
    warrant = house.guard.warrant(house.dossier(change["id"]))
    assert isinstance(warrant, str), warrant
    with house.unmoved(tight):
        house.enforce(house.tight(CAPS | {"wall_s": 16}, SHORT))
        verdict = house.guard.promote(warrant)
        assert isinstance(verdict, Refused)
        plain = verdict_plain(verdict)
        assert (
            evidence.add("warrant of another policy (at the guard's socket)", plain, exit_of(plain)) == "policy-changed"
        )
