"""A real box whose guard changes its key all the time: copies check by the anchor; thieves and crashes gain nothing."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e_box import House, open_house

from greenroom.audit import keys
from greenroom.audit.epochs import CHAIN, sign_certificate, walk
from greenroom.audit.journal import JOURNALS
from greenroom.audit.note import NoteSigner, sign_checkpoint
from greenroom.domain.proof import EpochCertificate
from greenroom.domain.verdict import Instant

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

SECONDS = "0.1"


@pytest.fixture
def turning() -> Iterator[House]:
    """A box that was made with an hour's key, and whose guard from then on changes it every tenth of a second."""
    home = Path(tempfile.mkdtemp(prefix="greenroom-epochs-"))
    house = open_house(home)
    house.run("down")
    house = dataclasses.replace(house, environment={**house.environment, "GREENROOM_EPOCH_SECONDS": SECONDS})
    yield house
    house.run("down")
    shutil.rmtree(home, ignore_errors=True)


def checked(house: House, log: Path, *more: str) -> Any:
    return house.json("log", "check", str(log), "--keys", str(house.box.public), *more)


def rule(answer: Any) -> str:
    assert answer.code == 8, answer
    data = answer.data
    return str(data["error"]["reference"] if "error" in data else data["findings"][0]["rule"])


def copied(house: House, name: str) -> Path:
    return Path(shutil.copytree(house.box.log, house.home / name))


def present_key(house: House) -> keys.PrivateKey:
    return keys.load_private(house.box.guard / "epoch.key")


def test_e2e_epochs(turning: House) -> None:
    """Changes over many epochs; then a copy, the anchor and old checkpoints are enough, and forgeries are refused."""
    anchor = (turning.box.public / "guard.pub").read_bytes()
    early = turning.home / "early.txt"
    early.write_text(turning.run("log", "checkpoint").out)
    place = turning.repository("turning")
    turning.take_in(place)
    stolen = present_key(turning)
    turning.good(place, "Better.")
    turning.run("down")
    turning.ok("status")
    late = turning.home / "late.txt"
    late.write_text(turning.run("log", "checkpoint").out)
    epoch = turning.ok("status")["epoch"]
    assert epoch >= 3
    assert turning.ok("doctor")["facts"]["guard key"].startswith("epoch ")
    assert (turning.box.public / "guard.pub").read_bytes() == anchor
    turning.log_is_whole()
    turning.run("down")
    assert (turning.box.keys / "guard.key").read_bytes() == b""
    assert present_key(turning).public != stolen.public

    copy = copied(turning, "copy")
    shutil.copytree(turning.box.public, turning.home / "elsewhere")
    for witness in (early, late):
        answer = checked(turning, copy, "--checkpoint", str(witness))
        assert (answer.code, answer.data["findings"]) == (0, [])
    _forged_head(turning, stolen, answer.data)
    _forged_continuation(turning, stolen, answer.data, late)
    _cut_chain(turning)


def _forged_head(house: House, stolen: keys.PrivateKey, whole: Any) -> None:
    """The stolen key is destroyed in the box; the thief's copy signs nothing beyond its span."""
    copy = copied(house, "forged-head")
    signer = NoteSigner(whole["origin"], stolen)
    (copy / "checkpoint").write_bytes(sign_checkpoint(signer, whole["size"], bytes.fromhex(whole["root"])))
    assert rule(checked(house, copy)) == "key-outlived"


def _forged_continuation(house: House, stolen: keys.PrivateKey, whole: Any, late: Path) -> None:
    """The thief certifies a key of its own and goes on with it: the entries of the true chain belie it."""
    copy = copied(house, "forged-chain")
    for name in JOURNALS:
        (copy / name).unlink()
    anchor = keys.load_public(house.box.public / "guard.pub")
    ring = walk(copy / CHAIN, (anchor,)).ring
    held = next(found for found in ring.certified if found.certificate.key == stolen.public).certificate
    own = keys.generate()
    lines = (copy / CHAIN).read_bytes().splitlines(keepends=True)
    fork = EpochCertificate(
        log=whole["origin"],
        epoch=held.epoch + 1,
        key=own.public,
        size=whole["size"] - 1,
        root=bytes(32),
        at=Instant(held.at + 1),
    )
    (copy / CHAIN).write_bytes(b"".join(lines[: held.epoch]) + sign_certificate(stolen, fork) + b"\n")
    note = sign_checkpoint(NoteSigner(whole["origin"], own), whole["size"], bytes.fromhex(whole["root"]))
    (copy / "checkpoint").write_bytes(note)
    assert rule(checked(house, copy)) in ("entry-changed", "epoch-unknown")
    assert rule(checked(house, copy, "--checkpoint", str(late))) == "checkpoint-forged"


def _cut_chain(house: House) -> None:
    copy = copied(house, "cut-chain")
    lines = (copy / CHAIN).read_bytes().splitlines(keepends=True)
    (copy / CHAIN).write_bytes(b"".join(lines[:-1]))
    assert checked(house, copy).code == 8
    (copy / CHAIN).unlink()
    assert checked(house, copy).code == 8


@pytest.mark.parametrize(
    "point", ["epoch.key-saved", "epoch.certified", "epoch.key-aside", "epoch.key-in-place", "epoch.key-replaced"]
)
def test_e2e_guard_killed_in_a_turn(turning: House, point: str) -> None:
    """Killed at each point the guard comes again, with a key that its chain certifies; the log checks."""
    marker = turning.box.guard / "marker"
    marker.touch()
    crashing = {**turning.environment, "GREENROOM_CRASH_AT": f"guard:{point}@{marker}"}
    before = dataclasses.replace(turning, environment=crashing)
    before.run("status")
    status = turning.ok("status")
    assert not marker.exists(), "the guard was not killed"
    assert status["epoch"] >= 1
    assert not (turning.box.guard / "epoch.next").exists()
    assert not (turning.box.guard / "epoch.old").exists()
    turning.log_is_whole()
