"""A real box whose keeper changes its key all the time: held changes go live later, thieves, crashes and backups gain
nothing."""

from __future__ import annotations

import dataclasses
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e_box import House, open_house

from greenroom.audit import keepers, keys
from greenroom.audit.attest import key_id, sign_statement
from greenroom.audit.keepers import sign_certificate
from greenroom.domain import documents
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Tampered
from greenroom.domain.proof import KeeperCertificate, Predicate, Receipt
from greenroom.domain.verdict import Refused

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

SECONDS = "0.6"
TRIED = 8
POINTS = (
    "epoch.key-saved",
    "epoch.signed",
    "epoch.certified",
    "epoch.key-aside",
    "epoch.key-in-place",
    "epoch.key-replaced",
)


@pytest.fixture
def house() -> Iterator[House]:
    """A box that was made with an hour's keys, and whose keys from then on live for a second."""
    home = Path(tempfile.mkdtemp(prefix="greenroom-keepers-"))
    made = open_house(home)
    made.run("down")
    made = dataclasses.replace(made, environment={**made.environment, "GREENROOM_EPOCH_SECONDS": SECONDS})
    yield made
    made.run("down")
    shutil.rmtree(home, ignore_errors=True)


def private(house: House) -> list[keys.PrivateKey]:
    """Every private key of the keeper's that is in the box."""
    places = [house.box.keys / "keeper.key", *sorted(house.box.keeper.glob("epoch.*"))]
    return [keys.load_private(place) for place in places if place.stat().st_size]


def present(house: House) -> int:
    """The keeper's present epoch, of which alone there is a private key."""
    epoch = house.guard.keeper_epoch()
    assert [f"key:{key_id(key.public)}" for key in private(house)] == [epoch.key]
    return epoch.number


def ring(house: House) -> keepers.KeeperRing:
    found = keepers.walk(house.box.log / keepers.CHAIN, (keys.load_public(house.box.public / "keeper.pub"),))
    assert found.error is None
    return found.ring


def epochs_of(house: House, papers: tuple[Digest, ...]) -> set[int]:
    """The epochs in which some papers were signed."""
    signers = {documents.load_json(house.store.get(paper))["signatures"][0]["keyid"] for paper in papers}
    return {found[0] for signer in signers if (found := ring(house).find(signer)) is not None}


def test_e2e_keeper_epochs(house: House) -> None:
    """A change whose papers are of several epochs is held, and goes live epochs later; copies check; forgeries fail."""
    first = keys.load_private(house.box.keys / "keeper.key")
    place = house.repository("turning")
    house.take_in(place)
    change = _over_a_turn(house, place)
    began = present(house)
    assert began >= 2
    stolen = private(house)[0]
    house.run("down")

    house.take_in(place)
    assert present(house) > began
    assert (house.box.keys / "keeper.key").read_bytes() == b""
    assert house.ok("doctor")["facts"]["keeper key"] == f"epoch {present(house)}, 0 min old"
    _stolen_keys(house, change, (first, stolen))
    house.ok("approve", change, "--yes")
    assert house.logged("live.promoted")[-1]["change"] == change
    house.ok("show", change, "--runs")
    house.ok("resume")
    assert "live.marked-good" in {entry["name"] for entry in _entries(house)}
    _copy_elsewhere(house)
    _backup(house)


def _over_a_turn(house: House, place: Path) -> str:
    """A change whose papers are of several epochs; how many a key signs depends on the machine."""
    for number in range(TRIED):
        change = str(house.good(place, f"Better by {number}.")["id"])
        dossier = house.dossier(change)
        if len(epochs_of(house, (*dossier.receipts, *dossier.seals))) >= 2:
            return change
    raise AssertionError(f"each of {TRIED} changes was tried within one epoch")


def _entries(house: House) -> list[Any]:
    return [documents.load_json(line.encode())["entry"] for line in house.run("log", "export").out.splitlines()]


def _stolen_keys(house: House, change: str, stolen: tuple[keys.PrivateKey, ...]) -> None:
    """Every earlier key: a receipt that it signed is refused, and so is a key that it certifies."""
    true = house.dossier(change)
    opener, epoch = house.opener(), house.guard.keeper_epoch().number
    for thief in stolen:
        about, receipt = _receipt(house, opener, true.receipts[0])
        lie = documents.encode(dataclasses.replace(receipt, run="0" * 32))
        forged = house.store.put("statement", sign_statement(thief, Predicate.RECEIPT, about, lie))
        assert opener.open(house.store.get(forged), Predicate.RECEIPT, "keeper").about == about
        refused = house.guard.warrant(dataclasses.replace(true, receipts=(forged, *true.receipts[1:])))
        assert isinstance(refused, Refused)
        assert refused.rule == "paper-not-shown"
        assert refused.remedy
        origin = ring(house).certified[0].certificate.log
        mine = KeeperCertificate(log=origin, epoch=epoch + 1, key=keys.generate().public)
        with pytest.raises(Tampered, match="epoch-forged"):
            house.guard.certify_keeper(sign_certificate(thief, mine))
    assert house.guard.keeper_epoch().number == epoch


def _receipt(house: House, opener: Any, digest: Digest) -> tuple[Digest, Receipt]:
    opened = opener.open(house.store.get(digest), Predicate.RECEIPT, "keeper")
    return opened.about, documents.decode(Receipt, opened.body)


def _copy_elsewhere(house: House) -> None:
    """The log and the public keys alone: whole; with a certificate less, or another one, not."""
    house.log_is_whole()
    certified = house.logged("keeper.certified")
    assert [entry["about"] for entry in certified] == [str(n) for n in range(1, house.guard.keeper_epoch().number + 1)]
    copy = Path(shutil.copytree(house.box.log, house.home / "copy"))
    shutil.copytree(house.box.public, house.home / "elsewhere")
    words = ("log", "check", str(copy), "--keys", str(house.home / "elsewhere"))
    answer = house.json(*words)
    assert (answer.code, answer.data["findings"]) == (0, [])
    chain = copy / keepers.CHAIN
    lines = chain.read_bytes().splitlines(keepends=True)
    assert len(lines) == len(certified)
    for altered in (b"".join(lines[:-1]), b"".join((lines[1], lines[0], *lines[2:])), b""):
        chain.write_bytes(altered)
        answer = house.json(*words)
        assert answer.code == 8
        assert answer.data["findings"][0]["rule"] in ("epoch-unknown", "epoch-misplaced")


def _backup(house: House) -> None:
    """A backup has the present private key and no earlier one; the restored box goes on from it."""
    house.run("down")
    (key,) = private(house)
    file = house.home / "box.backup"
    house.ok("backup", str(file))
    with tarfile.open(file) as archive:
        held = [archive.extractfile(member) for member in archive if member.name.startswith(("keeper/epoch", "keys/"))]
        texts = [member.read() for member in held if member is not None]
    (mine,) = [text for text in texts if text == (house.box.keeper / "epoch.key").read_bytes()]
    assert mine
    elsewhere = dataclasses.replace(
        house,
        home=house.home / "restored",
        environment={**house.environment, "GREENROOM_HOME": str(house.home / "restored" / "box")},
    )
    elsewhere.home.mkdir()
    elsewhere.ok("restore", str(file))
    before = elsewhere.ok("status")
    assert before["stopped"] is False
    assert elsewhere.guard.keeper_epoch().key == f"key:{key_id(key.public)}"
    place = house.repository("restored")
    answer = elsewhere.ok("improve", str(place), "--only", "codespell")
    assert answer["failed"] == []
    assert f"key:{key_id(key.public)}" != elsewhere.guard.keeper_epoch().key
    elsewhere.log_is_whole()
    elsewhere.run("down")


def test_e2e_keeper_killed_in_a_turn(house: House) -> None:
    """Killed at each point, one after another, the keeper comes again, with a key that the guard knows and no other."""
    place = house.repository("killed")
    house.take_in(place)
    marker = house.box.guard / "marker"
    for point in POINTS:
        house.run("down")
        marker.touch()
        crashing = {**house.environment, "GREENROOM_CRASH_AT": f"keeper:{point}@{marker}"}
        dataclasses.replace(house, environment=crashing).run("improve", str(place), "--only", "wished")
        assert not marker.exists(), f"the keeper was not killed at {point}"
    house.run("down")
    house.take_in(place)
    assert present(house) >= len(POINTS) // 2
    house.log_is_whole()
