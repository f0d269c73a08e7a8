"""The branches that a box made, read from its database by whoever takes the box away."""

from __future__ import annotations

from pathlib import Path

from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import Kind, Subject, address_of
from greenroom.pipeline import tables
from greenroom.pipeline.board import branches_in
from greenroom.pipeline.branches import Branch, Branches
from greenroom.pipeline.changes import Deliveries, Delivery

PLACE = "/home/ada/project"
SUBJECT = Subject(kind=Kind.WORKSPACE, address=address_of(PLACE, "main"))


def test_branches_are_listed_with_their_repository_unless_they_were_closed(tmp_path: Path) -> None:
    """Merged ones may still be there; where there is no database, or one that cannot be read, there are none."""
    engine = tables.open_database(tmp_path / "box.db")
    Deliveries(engine).put(
        Delivery(subject=str(SUBJECT), change="", repository=PLACE, branch="main", delivered="", wanted="", pending="")
    )
    for change, fate in (("aaaaaa", "open"), ("bbbbbb", "merged"), ("cccccc", "closed")):
        made = {"branch": f"greenroom/{change}", "onto": "1" * 40, "made": "2" * 40, "at": Instant(1), "fate": fate}
        Branches(engine).put(Branch(change=change, subject=str(SUBJECT), **made))
    engine.dispose()
    assert branches_in(tmp_path / "box.db") == [(PLACE, "greenroom/aaaaaa"), (PLACE, "greenroom/bbbbbb")]
    assert branches_in(tmp_path / "none.db") == []
    (tmp_path / "bad.db").write_bytes(b"no database at all, but some text " * 40)
    assert branches_in(tmp_path / "bad.db") == []
