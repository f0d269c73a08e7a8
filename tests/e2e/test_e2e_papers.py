"""Papers that are forged, stale, replayed or about something else: the guard believes none of them."""

from __future__ import annotations

import dataclasses
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from e2e_box import Evidence, House, blob_file

from greenroom.audit import keys
from greenroom.audit.attest import KeyAttestor
from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest, parse_digest
from greenroom.domain.errors import Tampered
from greenroom.domain.proof import Evidence as Found
from greenroom.domain.proof import Predicate
from greenroom.domain.trees import parse_manifest
from greenroom.domain.verdict import Refused, Verdict
from greenroom.entrypoints.cli.output import exit_of
from greenroom.pipeline.plain import verdict_plain

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

LATE = "from greenroom.bootstrap.local import LocalServices\nLocalServices._consent_seconds = lambda _: -5"
STRANGER = """
from greenroom.audit import keys
from greenroom.audit.attest import KeyAttestor
from greenroom.bootstrap.local import LocalServices
key = keys.generate()
LocalServices._owner = lambda *_: KeyAttestor("owner", key, {"owner": (key.public,)})
"""


def _told(evidence: Evidence, case: str, verdict: Verdict | Any) -> str:
    """The rule of a verdict that the guard's socket gave; the code is the one that the command line makes of it."""
    plain = verdict_plain(verdict)
    return evidence.add(case, plain, exit_of(plain))


def test_e2e_consent_expired(house: House, evidence: Evidence, calm: Path) -> None:
    """A yes that is out of date when it arrives is refused; the change still waits."""
    change = house.good(calm, "Late.")
    with house.unmoved(calm):
        answer = house.json("approve", change["id"], "--yes", before=LATE)
        assert answer.code == 3
        assert evidence.add("consent expired", answer.said, answer.code) == "consent-expired"
        assert house.ok("show", change["id"])["state"] == "verified"


def test_e2e_consent_of_a_stranger(house: House, evidence: Evidence, calm: Path) -> None:
    """A yes that another key signed is refused."""
    change = house.good(calm, "Stranger.")
    with house.unmoved(calm):
        answer = house.json("approve", change["id"], "--yes", before=STRANGER)
        assert answer.code == 3
        assert evidence.add("consent of another key", answer.said, answer.code) == "statement-forged"


def test_e2e_consent_and_warrant_replayed(house: House, evidence: Evidence) -> None:
    """After a revert neither the old yes nor the old warrant makes anything live again."""
    place = house.repository("replay")
    house.take_in(place)
    first = house.good(place, "Once.")
    house.ok("approve", first["id"], "--yes")
    house.ok("revert", first["id"])
    consent = house.digests_in_log("consent.given", first["id"])["consent"]
    warrant = house.digests_in_log("warrant.issued", first["id"])["warrant"]
    second = house.good(place, "Once.")
    with house.unmoved(place):
        answer = house.json("approve", second["id"], "--yes", before=house.replay(consent))
        assert answer.code == 3
        assert evidence.add("consent replayed", answer.said, answer.code) == "consent-spent"
        verdict = house.guard.promote(parse_digest(warrant))
        assert isinstance(verdict, Refused)
        assert _told(evidence, "warrant replayed (at the guard's socket)", verdict) == "warrant-spent"


def test_e2e_consent_to_another_change(house: House, evidence: Evidence, calm: Path) -> None:
    """An unspent yes to one change does not carry another."""
    one, other = house.good(calm, "One."), house.good(calm, "Other.")
    house.ok("approve", one["id"], "--yes", "--no-promote")
    consent = house.digests_in_log("consent.given", one["id"])["consent"]
    with house.unmoved(calm):
        answer = house.json("approve", other["id"], "--yes", before=house.replay(consent))
        assert answer.code == 3
        assert evidence.add("consent to another change", answer.said, answer.code) == "consent-of-another-change"


def test_e2e_changed_green_after_approval(house: House, evidence: Evidence, calm: Path) -> None:
    """An approved change whose Green is exchanged is refused, by the executor's rules and by the guard alone."""
    shown, swapped = house.good(calm, "Shown."), house.good(calm, "Swapped.")
    house.ok("approve", shown["id"], "--yes", "--no-promote")
    with house.unmoved(calm):
        changed = house.hostile(shown["id"], lambda c: dataclasses.replace(c, green=parse_digest(swapped["green"])))
        verdict = house.guard.warrant(house.dossier(changed.id))
        assert isinstance(verdict, Refused)
        _told(evidence, "approval of a changed Green (at the guard's socket)", verdict)
        answer = house.json("promote", shown["id"])
        assert answer.code == 3
        evidence.add("approval of a changed Green", answer.said, answer.code)


def test_e2e_whole_papers_of_another_change(house: House, evidence: Evidence, calm: Path) -> None:
    """An approved change that takes over all papers of another but the consent is refused by the guard."""
    shown, other = house.good(calm, "Agreed."), house.good(calm, "Not agreed.")
    house.ok("approve", shown["id"], "--yes", "--no-promote")
    names = ("plan", "green", "seals", "evidence", "card", "risk", "debate")

    def alter(change: Change) -> Change:
        foreign = house.changes.get(other["id"])
        return dataclasses.replace(change, **{name: getattr(foreign, name) for name in names})

    with house.unmoved(calm):
        house.hostile(shown["id"], alter)
        answer = house.json("promote", shown["id"])
        assert answer.code == 3
        assert evidence.add("consent to other papers", answer.said, answer.code) == "consent-of-another-change"


def test_e2e_changed_bytes_of_green(house: House, evidence: Evidence, calm: Path) -> None:
    """A byte of Green that is changed in the store after the yes is found before the swap."""
    text = "Exact bytes."
    change = house.good(calm, text)
    manifest = parse_manifest(house.store.get(parse_digest(change["green"])))
    blob = next(entry.blob for entry in manifest.entries if entry.path == b"README.md")
    stored = blob_file(house, blob)
    good = stored.read_bytes()
    with house.unmoved(calm):
        stored.chmod(0o644)
        stored.write_bytes(good.replace(b"Exact", b"Wrong"))
        try:
            answer = house.json("approve", change["id"], "--yes")
        finally:
            stored.write_bytes(good)
            stored.chmod(0o444)
        assert answer.code in (3, 8)
        assert evidence.add("bytes of Green changed in the store", answer.said, answer.code) == "wrong-bytes"


def test_e2e_forged_receipt(house: House, evidence: Evidence, calm: Path) -> None:
    """A receipt that the keeper did not sign proves nothing: an approved change with one is refused."""
    change = house.good(calm, "Forged receipt.")
    house.ok("approve", change["id"], "--yes", "--no-promote")
    key = keys.generate()
    forger = KeyAttestor("keeper", key, {"keeper": (key.public,)})
    keeper = KeyAttestor("guard", None, {"keeper": (keys.load_public(house.box.public / "keeper.pub"),)})

    def forge(receipt: Digest) -> Digest:
        real = keeper.open(house.store.get(receipt), Predicate.RECEIPT, "keeper")
        return house.store.put("statement", forger.sign(Predicate.RECEIPT, real.about, real.body))

    with house.unmoved(calm):
        house.hostile(change["id"], lambda c: _other_receipts(house, c, forge))
        answer = house.json("promote", change["id"])
        assert answer.code == 3
        assert evidence.add("forged receipt", answer.said, answer.code) == "statement-forged"


def test_e2e_receipts_of_another_green(house: House, evidence: Evidence, calm: Path) -> None:
    """True receipts about another Green prove nothing about this one."""
    good, other = house.good(calm, "Proven."), house.good(calm, "Unproven.")
    house.ok("approve", other["id"], "--yes", "--no-promote")
    proven = house.dossier(good["id"])
    with house.unmoved(calm):
        dossier = dataclasses.replace(house.dossier(other["id"]), receipts=proven.receipts)
        try:
            verdict: Any = house.guard.warrant(dossier)
        except Tampered as error:  # pragma: no cover - the guard answers a Refused
            pytest.fail(str(error))
        assert isinstance(verdict, Refused)
        _told(evidence, "receipts of another Green (at the guard's socket)", verdict)


def test_e2e_forged_constitution(house: House, evidence: Evidence, calm: Path) -> None:
    """A constitution that another key signed is not put in force."""
    rules = house.home / "forged.yaml"
    rules.write_text(house.constitution({"  - force-push ": "  # - force-push "}))
    policy = house.guard.policy()
    with house.unmoved(calm):
        answer = house.json("constitution", "edit", str(rules), before=STRANGER)
        assert answer.code in (3, 8)
        assert evidence.add("constitution signed by another key", answer.said, answer.code) == "statement-forged"
        assert house.guard.policy() == policy


def _other_receipts(house: House, change: Change, forge: Callable[[Digest], Digest]) -> Change:
    """The change with the receipts of its tests exchanged."""
    stored = []
    for digest in change.evidence:
        found = documents.decode(Found, house.store.get(digest))
        if found.check == "tests":
            found = dataclasses.replace(found, receipts=tuple(forge(receipt) for receipt in found.receipts))
        stored.append(house.store.put("output", documents.encode(found)))
    return dataclasses.replace(change, evidence=tuple(stored))


def _copy(house: House, name: str) -> Path:
    target = house.home / "copies" / name
    shutil.copytree(house.box.log, target)
    return target


def _widest(log: Path) -> Path:
    """The file with the newest entries that has enough of them: a tile that was just begun has too few."""
    place = log / "tile" / "entries"
    partial = sorted(place.rglob("*.p/*"), key=lambda path: (path.parent.name, int(path.name)))
    full = sorted(path for path in place.rglob("*") if path.is_file() and not path.parent.name.endswith(".p"))
    return next(path for path in (*partial[-1:], *full[::-1]) if len(_entries(path.read_bytes())) > 3)


def _check(house: House, log: Path, *more: str) -> Any:
    return house.json("log", "check", str(log), "--keys", str(house.box.public), *more)


def _tampered(evidence: Evidence, case: str, answer: Any) -> str:
    assert answer.code == 8, answer
    data = answer.data
    said = {"rule": data["findings"][0]["rule"], "where": data["problem"], "remedy": data["remedy"]}
    return evidence.add(case, said, answer.code)


def test_e2e_log_byte_changed(house: House, evidence: Evidence, calm: Path) -> None:
    """One changed byte of one entry is found in a copy, and the entry is named."""
    copy = _copy(house, "byte")
    assert _check(house, copy).code == 0
    target = _widest(copy)
    entries = _entries(target.read_bytes())
    entries[2] = entries[2].replace(b'"name"', b'"Name"', 1)
    _put(target, entries)
    answer = _check(house, copy)
    _tampered(evidence, "log: a byte changed", answer)
    assert answer.data["findings"][0]["entry"] is not None
    house.log_is_whole()


def test_e2e_log_entry_dropped(house: House, evidence: Evidence, calm: Path) -> None:
    """A dropped entry is found in a copy, and the entry is named."""
    copy = _copy(house, "dropped")
    target = _widest(copy)
    entries = _entries(target.read_bytes())
    del entries[3]
    _put(target, entries)
    answer = _check(house, copy)
    _tampered(evidence, "log: an entry dropped", answer)
    assert answer.data["findings"][0]["entry"] is not None


def test_e2e_log_truncated(house: House, evidence: Evidence, calm: Path) -> None:
    """An older copy of the log is whole by itself; a checkpoint that was kept elsewhere shows that it was cut."""
    copy = _copy(house, "truncated")
    house.good(calm, "Later.")
    kept = house.home / "kept.txt"
    kept.write_text(house.run("log", "checkpoint").out)
    alone = _check(house, copy)
    assert alone.code == 0
    assert alone.data["notes"], "a check without a checkpoint says that it cannot see truncation"
    _tampered(evidence, "log: truncated", _check(house, copy, "--checkpoint", str(kept)))
    assert _check(house, _copy(house, "fresh"), "--checkpoint", str(kept)).code == 0


def test_e2e_log_checkpoint_forged(house: House, evidence: Evidence, calm: Path) -> None:
    """A checkpoint that the guard did not sign is refused as such."""
    kept = house.home / "forged.txt"
    text = house.run("log", "checkpoint").out
    size = text.splitlines()[1]
    kept.write_text(text.replace(f"\n{size}\n", f"\n{int(size) + 7}\n", 1))
    answer = _check(house, _copy(house, "forged"), "--checkpoint", str(kept))
    assert answer.code == 8
    evidence.add("log: forged checkpoint", answer.said, answer.code)


def _entries(bundle: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(bundle):
        (length,) = struct.unpack_from(">H", bundle, at)
        found.append(bundle[at + 2 : at + 2 + length])
        at += 2 + length
    return found


def _put(target: Path, entries: list[bytes]) -> None:
    target.chmod(0o644)
    target.write_bytes(b"".join(struct.pack(">H", len(entry)) + entry for entry in entries))
