"""`doctor --rebuild` on boxes of earlier releases: lost, damaged and earlier databases are made whole from the log."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest
from golden import NAMES, Golden

from greenroom.bootstrap import parts
from greenroom.bootstrap.rebuild import rebuild
from greenroom.config import Box
from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.errors import Tampered, Unusable
from greenroom.domain.verdict import Passed
from greenroom.domain.vocabulary import ChangeId, State
from greenroom.pipeline import tables
from greenroom.pipeline.board import read_changes
from greenroom.pipeline.changes import Deliveries
from greenroom.pipeline.decisions import Decisions, findings_of
from greenroom.release.store import FileStore

pytestmark = pytest.mark.slow
PAPERS = ("request", "plan", "green", "seals", "debate", "card", "consents", "carry", "warrant", "risk")
TOLD = (*PAPERS, "subject", "origin", "state", "base", "golden", "ended", "refused", "parent")
"""What log, ledger and documents tell of a change to the last member."""


@pytest.fixture(params=NAMES)
def golden(request: pytest.FixtureRequest) -> Golden:
    """Each history in turn."""
    return Golden(request.param)


@pytest.fixture
def box(golden: Golden, tmp_path: Path) -> Box:
    """Its box, laid out for this test alone."""
    return golden.lay_out(tmp_path / "box")


@pytest.fixture
def latest(tmp_path: Path) -> Box:
    """The box of the last history."""
    return Golden("hourly").lay_out(tmp_path / "latest")


def changes(box: Box) -> Mapping[ChangeId, Change]:
    """The changes of the box database."""
    return {change.id: change for change, _, _ in read_changes(box.db / "box.db")}


def same(found: Mapping[ChangeId, Change], wanted: Mapping[ChangeId, Change]) -> None:
    """Each change as it was, but for what no log holds: the words beside a hold's rule, the count of saves."""
    assert set(found) == set(wanted)
    for name, change in wanted.items():
        for member in TOLD:
            assert getattr(found[name], member) == getattr(change, member), (name, member)
        rules = [each.hold.rule if each.hold is not None else "" for each in (found[name], change)]
        assert rules[0] == rules[1], name
        # Of a watch the card knows nothing: its evidence came after.
        assert change.evidence[: len(found[name].evidence)] == found[name].evidence
        assert bool(found[name].commit) == bool(change.commit)


def test_a_lost_database_is_made_again_and_the_work_goes_on(golden: Golden, box: Box) -> None:
    """Every change with its papers, the delivery and a person's no; then what was kept is taken back."""
    wanted = changes(box)
    (box.db / "box.db").unlink()
    foreseen = rebuild(box, act=False)
    assert not (box.db / "box.db").exists()
    assert (foreseen["needed"], foreseen["rebuilt"], foreseen["database"]) == (True, False, "missing")
    made = rebuild(box, act=True)
    assert made["changes"] == foreseen["changes"]
    assert made["rebuilt"]
    assert made["unknown"] == []
    same(changes(box), wanted)
    [kept] = [change for change in wanted.values() if change.state == "kept"]
    [no] = [change for change in wanted.values() if change.ended == "rejected"]
    engine = tables.open_database(box.db / "box.db")
    delivery = Deliveries(engine).get(kept.subject)
    assert delivery is not None
    assert delivery.branch == "main"
    assert delivery.pending == ""
    assert delivery.delivered == delivery.wanted
    found = Decisions(engine).among(no.subject, findings_of(FileStore(box.store), no))
    assert {one.said for one in found.values()} == {"rejected"}
    engine.dispose()
    with parts.open_guard(box) as guard:
        assert isinstance(guard.revert(kept.subject, kept.id, "Ada"), Passed)
    # What was taken back without the executor is told by the guard's ledger.
    assert [(row["id"], row["state"]) for row in rebuild(box, act=True)["changes"]] == [(kept.id, "reverted")]
    assert not rebuild(box, act=True)["needed"]


def test_a_damaged_database_is_kept_aside_and_made_again(box: Box) -> None:
    """A file that was cut is no database any more: it is kept, to the byte, beside the one that is made."""
    wanted = changes(box)
    path = box.db / "box.db"
    cut = path.read_bytes()[:5000]
    path.write_bytes(cut)
    assert rebuild(box, act=False)["database"] == "damaged"
    assert path.read_bytes() == cut
    made = rebuild(box, act=True)
    [kept] = made["kept_aside"]
    assert Path(kept).read_bytes() == cut
    same(changes(box), wanted)


def test_an_earlier_copy_of_the_database_is_brought_up_to_the_log(box: Box) -> None:
    """A database that was rolled back: what it lacks is added, what it has of before goes on from the log."""
    wanted = changes(box)
    [approved] = [change for change in wanted.values() if change.state == "approved" and change.consents]
    last = [name for name in wanted if name != approved.id][-1]
    with closing(sqlite3.connect(box.db / "box.db")) as connection, connection:
        connection.execute("DELETE FROM changes WHERE id = ?", (last,))
        connection.execute("DELETE FROM board WHERE change = ?", (last,))
        put_back(connection, approved)
    made = rebuild(box, act=True)
    assert {(row["id"], row["why"]) for row in made["changes"]} == {(last, "lost"), (approved.id, "behind")}
    assert made["database"] == "whole"
    same(changes(box), wanted)


def put_back(connection: sqlite3.Connection, change: Change) -> None:
    """The row of `change` as it was before anybody agreed."""
    before = dataclasses.replace(change, state=State.VERIFIED, consents=(), version=change.version - 1)
    row = (before.state.value, before.version, documents.encode(before), before.id)
    connection.execute("UPDATE changes SET state = ?, version = ?, document = ? WHERE id = ?", row)


def test_what_the_database_has_is_left_alone(box: Box) -> None:
    """A whole database is not written, and the log does not grow."""
    before = (box.db / "box.db").read_bytes()
    made = rebuild(box, act=True)
    assert (made["needed"], made["rebuilt"], made["kept_aside"]) == (False, False, [])
    assert (box.db / "box.db").read_bytes() == before


def test_nobody_gives_a_yes_but_the_guard(box: Box) -> None:
    """The rebuilt changes have the consents of the guard's own entries; the warrants are those of its ledger."""
    wanted = changes(box)
    (box.db / "box.db").unlink()
    rebuild(box, act=True)
    found = changes(box)
    assert {name: change.consents for name, change in found.items()} == {n: c.consents for n, c in wanted.items()}
    with closing(sqlite3.connect(box.guard / "guard.db")) as connection:
        issued = {str(row[0]) for row in connection.execute("SELECT digest FROM warrants")}
    assert {change.warrant for change in found.values() if change.warrant} <= issued


def test_without_the_guards_own_records_nothing_is_rebuilt(box: Box) -> None:
    """Spent consents are in the ledger alone: where it is lost, damaged or of before, a backup is the way."""
    ledger = box.guard / "guard.db"
    whole = ledger.read_bytes()
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("DELETE FROM generations WHERE change IS NOT NULL")
    _refused(box, "ledger-behind")
    ledger.write_bytes(whole[:5000])
    _refused(box, "ledger-damaged")
    ledger.write_bytes(whole)
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("DELETE FROM nonces")
    _refused(box, "ledger-behind")
    ledger.write_bytes(b"")
    _refused(box, "ledger-lost")
    with pytest.raises(Tampered, match="ledger-lost"), parts.open_guard(box):
        pass
    assert ledger.read_bytes() == b"", "nor does the guard begin in an empty one"
    ledger.unlink()
    _refused(box, "ledger-lost")
    with pytest.raises(Tampered, match="ledger-lost"), parts.open_guard(box):
        pass
    assert not ledger.exists(), "nor does the guard begin an empty one"


def test_a_log_that_does_not_check_is_no_source(box: Box) -> None:
    """Nothing is rebuilt from a log that somebody changed."""
    for path in (box.log / "tile" / "entries").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes().replace(b"live.promoted", b"live.promotes"))
    shutil.copy(box.db / "box.db", box.root / "kept")
    _refused(box, "log-broken")
    assert (box.db / "box.db").read_bytes() == (box.root / "kept").read_bytes()


def test_while_the_processes_are_up_it_is_refused(box: Box) -> None:
    """The executor writes the database: two writers would undo each other."""
    fd = os.open(box.run / "rescue.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        with pytest.raises(Unusable) as caught:
            rebuild(box, act=True)
    finally:
        os.close(fd)
    assert caught.value.reference == "processes-up"
    assert "greenroom down" in caught.value.remedy


def test_what_an_executor_planted_is_never_written_through(latest: Box, tmp_path: Path) -> None:
    """Links in the executor's own directory: what they point to is left alone, and the changes are made again."""
    wanted, victim = changes(latest), tmp_path / "victim"
    victim.write_bytes(b"the guard's")
    for end in ("", "-wal", "-shm"):
        path = latest.db / f"box.db{end}"
        path.unlink(missing_ok=True)
        path.symlink_to(victim)
    made = rebuild(latest, act=True)
    assert victim.read_bytes() == b"the guard's"
    assert not any((latest.db / f"box.db{end}").is_symlink() for end in ("", "-wal", "-shm"))
    same(changes(latest), wanted)
    assert [Path(kept).is_symlink() for kept in made["kept_aside"]] == [True] * 3


@pytest.mark.parametrize("point", ["kept", "folded", "bared", "placed"])
def test_a_rebuild_that_is_cut_leaves_the_old_or_the_new(
    latest: Box, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """Cut at each point, the database is whole and has what only it knew; asked again, it is up to the log."""

    def dies(here: str) -> None:
        if here == f"rebuild.{point}":
            raise RuntimeError(here)

    wanted = changes(latest)
    [approved] = [change for change in wanted.values() if change.state == "approved"]
    tables.open_database(latest.db / "box.db").dispose()
    with closing(sqlite3.connect(latest.db / "box.db")) as connection, connection:
        put_back(connection, approved)
        connection.execute("INSERT INTO decisions (subject, finding, change, said) VALUES ('s', 'f', 'c', 'rejected')")
    monkeypatch.setattr(parts, "crash_points", lambda role: dies)
    with pytest.raises(RuntimeError, match=point):
        rebuild(latest, act=True)
    with closing(sqlite3.connect(latest.db / "box.db")) as connection:
        known = connection.execute("SELECT count(*) FROM decisions WHERE change = 'c'").fetchone()
    assert known == (1,)
    assert changes(latest)[approved.id].state == ("approved" if point == "placed" else "verified")
    monkeypatch.undo()
    assert rebuild(latest, act=True)["needed"] is (point != "placed")
    same(changes(latest), wanted)


def test_a_runs_database_that_is_damaged_is_set_aside(box: Box) -> None:
    """The last in the order of truth: a fresh one is made at the next start, `resume` carries what was cut."""
    (box.db / "dbos.db").write_bytes(b"no database" * 100)
    made = rebuild(box, act=True)
    assert made["runs"] == "damaged"
    [kept] = made["kept_aside"]
    assert Path(kept).read_bytes() == b"no database" * 100
    assert not (box.db / "dbos.db").exists()


def _refused(box: Box, reference: str) -> None:
    for act in (False, True):
        with pytest.raises(Tampered) as caught:
            rebuild(box, act=act)
        assert caught.value.reference == reference
        assert caught.value.remedy
