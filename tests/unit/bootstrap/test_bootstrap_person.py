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
