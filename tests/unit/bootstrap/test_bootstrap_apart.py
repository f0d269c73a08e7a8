"""Box and repository lie apart: what lies in the box is nobody's repository, for the guard and for the person."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from greenroom.bootstrap import person
from greenroom.bootstrap.apart import belongs
from greenroom.config import Box
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unusable
from greenroom.domain.proof import Import
from greenroom.domain.verdict import Instant, Refused
from greenroom.domain.vocabulary import Kind, Subject, address_of


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """A box, which has also another name, and a repository in what the executor writes."""
    made = Box(tmp_path / "box")
    for directory in made.directories():
        directory.mkdir()
    made.identity.write_text("{}")
    (tmp_path / "other name").symlink_to("box")
    for place in (made.db / "x", tmp_path / "boxed"):
        subprocess.run(["git", "init", "--quiet", "--initial-branch", "main", str(place)], check=True)
    return made


def brought(source: Path) -> Import:
    """What the keeper would sign for a repository at `source`."""
    nothing = Digest(f"blob:{'0' * 64}")
    subject = Subject(kind=Kind.WORKSPACE, address=address_of(str(source), "main"))
    return Import(
        subject=subject, source=str(source), branch="main", commit="", commit_bytes=nothing, tree=nothing, trust=2,
        at=Instant(1),
    )  # fmt: skip


def test_the_guard_adopts_nothing_that_lies_in_the_box(box: Box, tmp_path: Path) -> None:
    """By whichever name; a link out of it that the executor made is in the box, too. Beside it all is as ever."""
    (box.db / "out").symlink_to(tmp_path / "boxed")
    for source in (box.root, box.db / "x", box.store / "none", tmp_path / "other name" / "db" / "x", box.db / "out"):
        assert not belongs(box, brought(source))
    named = Box(tmp_path / "other name")
    assert not belongs(named, brought(box.db / "x"))
    assert belongs(box, brought(tmp_path / "boxed"))
    assert belongs(named, brought(tmp_path / "boxed"))


class Guard:
    """Says that all is as the row has it."""

    def position(self, subject: Subject) -> str:
        return "1" * 40

    def adopted(self, subject: Subject) -> str:
        return "0" * 40


def test_the_person_s_command_opens_no_repository_in_the_box(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """The executor's rows and offers name it; neither git nor anything else looks into it outside of the sandbox."""
    for module in ("delivery.state", "delivery.head", "delivery.deliver", "branches.offer", "branches.pushable"):
        monkeypatch.setattr(f"greenroom.release.{module}", lambda *_, **__: pytest.fail("it was opened"))
    monkeypatch.setattr("greenroom.release.branches.push", lambda *_, **__: pytest.fail("it was opened"))
    place = str(box.db / "x")
    subject = str(brought(box.db / "x").subject)
    row = {"subject": subject, "repository": place, "branch": "main", "wanted": "1" * 40, "delivered": "0" * 40}
    offer: dict[str, Any] = {"id": "abc", "repository": place}
    for verdict in (
        person.deliver(box, Guard(), row, lambda point: None),
        person.pushable(box, offer, "origin"),
        person.push_branch(box, offer, "0" * 40, "origin", ask=False),
    ):
        assert isinstance(verdict, Refused)
        assert (verdict.rule, verdict.where) == ("repository-in-box", place)
        assert verdict.remedy
    for call in (lambda: person.offer_branch(box, offer), lambda: person.repository(place, None, box=box)):
        with pytest.raises(Unusable) as caught:
            call()
        assert caught.value.reference == "repository-in-box"


@pytest.mark.parametrize("kind", ["repository", "release", "neither"])
def test_a_repository_that_the_box_lies_in_is_none_to_work_on(box: Box, tmp_path: Path, kind: str) -> None:
    """Read as a whole, its keys would be in the store. A directory that is no repository is told of as that."""
    if kind == "repository":
        subprocess.run(["git", "init", "--quiet", "--initial-branch", "main", str(tmp_path)], check=True)
    elif kind == "release":
        (tmp_path / "pyproject.toml").touch()
    else:
        assert person.repository(str(tmp_path), None, box=box)["branch"] == ""
        return
    with pytest.raises(Unusable) as caught:
        person.repository(str(tmp_path), None, box=box)
    assert caught.value.reference == "box-in-repository"
    assert caught.value.remedy
