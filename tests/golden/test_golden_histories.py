"""Golden histories: boxes that earlier releases made are opened by the present code, in one process.

`scripts/golden_history.py` made them; tests/golden/README.md says of which release each is.
"""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from golden import NAMES, Golden

from greenroom.audit import keys
from greenroom.audit.attest import sign_statement
from greenroom.audit.check import check
from greenroom.audit.entry import encode_event
from greenroom.audit.keys import load_public
from greenroom.audit.reader import read_copy
from greenroom.bootstrap import parts
from greenroom.config import Box
from greenroom.domain import documents
from greenroom.domain.card import Card
from greenroom.domain.debate import Transcript
from greenroom.domain.digest import digest_of
from greenroom.domain.events import Event
from greenroom.domain.plan import Plan
from greenroom.domain.proof import Evidence, Import, Predicate
from greenroom.domain.verdict import Held, Instant, Passed, Refused
from greenroom.domain.vocabulary import ChangeId, subject_of
from greenroom.pipeline import tables
from greenroom.pipeline.board import read_board
from greenroom.pipeline.changes import DatabaseChanges
from greenroom.pipeline.runs import runs_of
from greenroom.pipeline.stages.plan import read_proposal
from greenroom.pipeline.stages.promote import dossier_of
from greenroom.policy.bundle import save_policy
from greenroom.policy.manifests import builtin_manifests
from greenroom.release.store import FileStore


@pytest.fixture(scope="module", params=NAMES)
def golden(request: pytest.FixtureRequest) -> Golden:
    """Each history in turn."""
    return Golden(request.param)


@pytest.fixture(scope="module")
def laid(golden: Golden, tmp_path_factory: pytest.TempPathFactory) -> Box:
    """Its box, for tests that only read or do what may be done twice."""
    return golden.lay_out(tmp_path_factory.mktemp(golden.name) / "box")


@pytest.fixture
def box(golden: Golden, tmp_path: Path) -> Box:
    """Its box, laid out for this test alone."""
    return golden.lay_out(tmp_path / "box")


def whole(box: Box) -> int:
    """The size of the box's log, which checks."""
    keeper = load_public(box.public / "keeper.pub")
    report = check(box.log, (load_public(box.public / "guard.pub"),), keeper=keeper)
    assert report.ok, report.findings
    return report.size


def test_a_first_history_is_there() -> None:
    """The histories are found: a suite over none of them would pass."""
    assert "first" in NAMES
    assert len(NAMES) >= 1


def test_each_entry_is_read_and_written_again_to_the_byte(golden: Golden) -> None:
    """Every event schema that was ever signed decodes, and what was signed is what is encoded."""
    assert golden.entries
    for entry in golden.entries:
        event = documents.decode(Event, entry)
        assert event.schema == 1
        assert encode_event(event) == entry


def test_the_published_log_checks_and_holds_the_same_entries(golden: Golden, laid: Box) -> None:
    """A log that was published in an earlier format verifies, entry by entry."""
    public = load_public(laid.public / "guard.pub")
    assert whole(laid) == len(golden.entries)
    assert list(read_copy(laid.log, (public,)).entries) == list(golden.entries)


@pytest.mark.slow
def test_a_changed_byte_of_an_earlier_log_is_found(golden: Golden, box: Box) -> None:
    """That an earlier log checks says something: with one byte changed it does not."""
    bundles = box.log / "tile" / "entries"
    last = max(bundles.glob("000.p/*"), key=lambda path: int(path.name))
    if (bundles / "000").exists():
        last = bundles / "000"
    last.write_bytes(last.read_bytes().replace(b"live.promoted", b"live.promotes", 1))
    keeper = load_public(box.public / "keeper.pub")
    report = check(box.log, (load_public(box.public / "guard.pub"),), keeper=keeper)
    assert not report.ok
    assert golden.entries[report.findings[0].entry or 0].count(b"live.promoted")


def test_the_list_says_what_it_said(golden: Golden, laid: Box) -> None:
    """`list --all` of the present code, from the file alone, gives the rows that the release gave."""
    found = {row["id"]: row for row in read_board(laid.db / "box.db", everything=True)}
    said: list[Mapping[str, Any]] = golden.said["list"]["changes"]
    assert [row["id"] for row in said] == list(found)
    for row in said:
        same = ("state", "ended", "summary", "rule", "risk", "level", "commit", "subject")
        assert {name: found[row["id"]][name] for name in same} == {name: row[name] for name in same}
        held = row["held"] and row["held"]["rule"]
        assert (found[row["id"]]["held"] or {}).get("rule") == held


def test_the_database_is_brought_up_to_date_and_keeps_every_change(golden: Golden, laid: Box) -> None:
    """Migrations run on the release's own file, give today's tables, and lose no row."""
    engine = tables.open_database(laid.db / "box.db")
    names = {row["id"] for row in golden.said["list"]["changes"]}
    assert {change.id for change in DatabaseChanges(engine, parts.SystemClock()).list()} == names
    engine.dispose()
    with closing(sqlite3.connect(laid.db / "box.db")) as connection:
        present = {str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert set(tables.METADATA.tables) <= present


def test_every_paper_of_every_change_is_read(golden: Golden, laid: Box) -> None:
    """What `show` needs of each change: proposal, plan, debate, card, evidence and the keeper's receipts."""
    engine = tables.open_database(laid.db / "box.db")
    store = FileStore(laid.store)
    opener = parts.opener_of(laid)
    shown = 0
    for change in DatabaseChanges(engine, parts.SystemClock()).list():
        assert read_proposal(store, change).summary
        for kind, digest in ((Plan, change.plan), (Transcript, change.debate), (Card, change.card)):
            if digest is not None:
                assert documents.decode(kind, store.get(digest))
                shown += 1
        for digest in change.evidence:
            assert documents.decode(Evidence, store.get(digest)).check
        runs = runs_of(change, store, opener)
        assert not [run for run in runs if run.get("problem")]
    engine.dispose()
    assert shown >= 3


@pytest.mark.slow
def test_the_guard_opens_it_with_what_was_live_and_the_rules_that_were_signed(golden: Golden, box: Box) -> None:
    """No stop, the same pointers, mode and policy; the log grows by what the guard itself has to say, and checks."""
    with parts.open_guard(box) as guard:
        status = guard.status()
        said = golden.said["status"]
        assert not status.stopped
        assert dict(status.live) == said["live"]
        assert status.mode == said["mode"]
    assert whole(box) >= len(golden.entries)


@pytest.mark.slow
def test_what_was_kept_is_taken_back(golden: Golden, box: Box) -> None:
    """A promotion that an earlier release made is reverted by the present one, from the undo that was saved then."""
    [kept] = golden.rows("kept")
    with parts.open_guard(box) as guard:
        subject = subject_of(kept["subject"])
        assert isinstance(guard.revert(subject, ChangeId(kept["id"]), "Ada"), Passed)
        assert guard.live(subject) == kept["base"]
    assert whole(box) > len(golden.entries)


@pytest.mark.slow
def test_a_yes_of_then_promotes_only_what_holds_today(golden: Golden, box: Box) -> None:
    """An approved change of then is asked about anew: promoted by its own papers, or refused in words, never lost."""
    [approved] = [row for row in golden.rows("approved") if row["held"]["rule"] == "promote-on-request"]
    engine = tables.open_database(box.db / "box.db")
    store = FileStore(box.store)
    change = DatabaseChanges(engine, parts.SystemClock()).get(ChangeId(approved["id"]))
    engine.dispose()
    with parts.open_guard(box) as guard:
        answer = guard.warrant(dossier_of(store, change))
        assert isinstance(answer, str | Refused | Held)
        if not isinstance(answer, str):
            assert answer.rule != "paper-not-shown"
            assert answer.remedy


@pytest.mark.slow
def test_the_keeper_s_key_of_then_signs_nothing_more(golden: Golden, box: Box) -> None:
    """What it signed counts; it is overdue: the first signature certifies the next key, and a copy of it is refused."""
    copy = keys.load_private(box.keys / "keeper.key")
    store = FileStore(box.store)
    about, body = digest_of("blob", b"x"), b"{}"
    with parts.open_guard(box) as guard:
        [adopted] = {event.digests["import"] for event in _events(golden, "live.adopted")}
        before = guard.adopt(adopted)
        assert isinstance(before, str), before
        late = documents.decode(Import, parts.opener_of(box).open(store.get(adopted), Predicate.IMPORT, "keeper").body)
        forged = documents.encode(dataclasses.replace(late, at=Instant(late.at + 1)))
        stolen = store.put("statement", sign_statement(copy, Predicate.IMPORT, late.tree, forged))
        keeper = parts.keeper_attestor(box, guard)
        assert keeper.open(keeper.sign(Predicate.RECEIPT, about, body), Predicate.RECEIPT, "keeper").about == about
        assert guard.keeper_epoch().number == 1
        refused = guard.adopt(stolen)
        assert isinstance(refused, Refused)
        assert refused.rule == "paper-not-shown"
        assert guard.adopt(adopted) == before
    assert (box.keys / "keeper.key").read_bytes() == b""
    assert whole(box) > len(golden.entries)


def _events(golden: Golden, name: str) -> list[Event]:
    events = [documents.decode(Event, entry) for entry in golden.entries]
    return [event for event in events if event.name == name]


@pytest.mark.slow
def test_the_tools_of_today_are_signed_over_the_constitution_of_then(golden: Golden, box: Box) -> None:
    """What `init` does after an upgrade: the text that the owner signed stays, word for word, and can be used."""
    store = FileStore(box.store)
    bodies = {name: store.put("blob", body) for name, body in parts.tool_bodies().items()}
    with parts.open_guard(box) as guard:
        before = guard.policy()
    assert before is not None
    after = save_policy(store, box.constitution.read_bytes(), builtin_manifests(bodies))
    assert (
        documents.load_json(store.get(after))["constitution"] == documents.load_json(store.get(before))["constitution"]
    )
