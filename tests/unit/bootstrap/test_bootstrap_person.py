"""What a person names on the command line and cannot be used is told by reference, place and remedy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from greenroom.bootstrap.local import LocalServices
from greenroom.bootstrap.person import repository
from greenroom.config import Box
from greenroom.domain.errors import NotFound, Unusable


@pytest.mark.parametrize(
    ("name", "said"), [("none", "no such directory"), ("file", "a file"), ("", "no such directory")]
)
def test_what_is_no_directory_is_told(tmp_path: Path, name: str, said: str) -> None:
    """A file, nothing and no name at all are told apart; the empty name is not this directory."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotFound) as caught:
        repository(str(tmp_path / name) if name else "", None)
    assert caught.value.reference == "no-such-directory"
    assert said in caught.value.message
    assert caught.value.where
    assert caught.value.remedy


def test_a_way_that_is_no_text_is_told(tmp_path: Path) -> None:
    """A repository below a name that is not UTF-8 is refused before anything is asked of the box."""
    place = Path(os.fsdecode(os.fsencode(tmp_path) + b"/r\xff"))
    place.mkdir()
    with pytest.raises(Unusable) as caught:
        repository(str(place), None)
    assert caught.value.reference == "not-utf8"
    assert "\\udcff" in caught.value.where


def test_a_box_of_another_user_is_not_called_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever does not own the box is told so by every command, also those that only read; root may."""
    box = Box(tmp_path)
    box.identity.write_text("{}")
    services = LocalServices(box)
    for directory in box.directories():
        directory.mkdir(exist_ok=True)
    assert services.board(everything=True) == []
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    for call in (
        lambda: services.board(everything=True),
        lambda: services.desk("pending"),
        lambda: services.guard("stop"),
        lambda: services.log_entries(0, 1),
        services.doctor,
        services.down,
    ):
        with pytest.raises(Unusable) as caught:
            call()
        assert caught.value.reference == "box-of-another-user"
        assert caught.value.remedy


class Told:
    """A guard that says what a test wants: what is live, and what was taken in last."""

    def __init__(self, release: RefRelease, adopted: str) -> None:
        self._release = release
        self._adopted = adopted

    def position(self, subject: Subject) -> str:
        """The live commit."""
        return self._release.position(subject)

    def adopted(self, subject: Subject) -> str:
        """The commit that was taken in last."""
        del subject
        return self._adopted


def test_a_branch_is_moved_over_the_guard_s_own_commits_only(bench: Bench, tmp_path: Path) -> None:
    """Where the executor says that the branch should follow what was taken in, it stays where the person left it."""
    place = tmp_path / "project"
    first, second = bench.repository(place, ({"a": b"1\n"}, {"a": b"2\n"}))
    subject = Subject(kind=Kind.WORKSPACE, address=f"{place}#main")
    box = Box(tmp_path / "box")
    release = bench.taken_in(box, subject, place, second)
    wanted = {"subject": str(subject), "repository": str(place), "branch": "main", "wanted": second}

    def tried(delivered: str, adopted: str = second) -> Verdict:
        said = {**wanted, "delivered": delivered, "wanted": release.position(subject)}
        return deliver(box, Told(release, adopted), said, lambda _: None)

    assert tried(first) == Passed()
    bench.git(place, "reset", "--hard", "--quiet", first)
    for delivered in (first, "0" * 40, "HEAD", ""):
        refused = tried(delivered)
        assert isinstance(refused, Refused)
        assert refused.rule == "delivery-adopted"
    assert isinstance(tried(first, ""), Refused)
    assert bench.git(place, "rev-parse", "HEAD") == first
    bench.git(place, "reset", "--hard", "--quiet", second)
    promoted = bench.promoted(release, subject, {"a": b"3\n"})
    assert tried(second) == Passed()
    assert bench.git(place, "rev-parse", "HEAD") == promoted
    assert (place / "a").read_bytes() == b"3\n"
