"""A box says where it cannot be before anything is made there."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenroom.bootstrap.identity import identity_of
from greenroom.bootstrap.local import LocalServices
from greenroom.bootstrap.making import make_box
from greenroom.config import IDLE_SECONDS, MAX_SOCKET_BYTES, SHORTEST_IDLE_SECONDS, Box, idle_seconds
from greenroom.domain.errors import NotFound, Unusable


def test_a_box_whose_sockets_cannot_be_named_is_refused_before_it_is_made(tmp_path: Path) -> None:
    """The path of a Unix socket is bounded: the reference, the place and what would help, and no directory."""
    deep = Box(tmp_path / ("d" * MAX_SOCKET_BYTES))
    with pytest.raises(Unusable) as caught:
        make_box(deep, lambda: None, ssh_agent=False)
    assert caught.value.reference == "box-path-too-long"
    assert "GREENROOM_HOME" in caught.value.remedy
    assert not deep.root.exists()


def test_a_box_at_the_limit_is_named() -> None:
    """One byte more is too many, and bytes count, not characters."""
    room = MAX_SOCKET_BYTES - len("/run/keeper/sock")
    assert Box(Path("/" + "x" * (room - 1))).require_short()
    for root in ("/" + "x" * room, "/" + "é" * (room // 2 + 1)):
        with pytest.raises(Unusable, match="box-path-too-long"):
            Box(Path(root)).require_short()


@pytest.mark.parametrize("stands", ["log/mine", "keys/k", ".git/HEAD"])
def test_a_box_is_not_made_among_somebodys_files(tmp_path: Path, stands: str) -> None:
    """What has the name of a part of a box would be taken for the box's; keys in a repository would be committed."""
    place = tmp_path / "box"
    (place / stands).parent.mkdir(parents=True)
    (place / stands).write_text("mine")
    with pytest.raises(Unusable) as caught:
        make_box(Box(place), lambda: None, ssh_agent=False)
    assert caught.value.reference == "not-an-empty-place"
    assert [path.name for path in place.iterdir()] == [stands.split("/")[0]]
    assert (place / stands).read_text() == "mine"


def test_a_box_of_an_agent_that_is_not_there_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner's key is looked for before a directory is made."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(Unusable, match="no-ssh-agent"):
        make_box(Box(tmp_path / "box"), lambda: None, ssh_agent=True)
    assert not (tmp_path / "box").exists()


def test_a_left_log_is_no_box(tmp_path: Path) -> None:
    """What `uninstall --keep-log` leaves says so to every command, is checked by `log check`, and gets no new keys."""
    (tmp_path / "log").mkdir()
    (tmp_path / "box.json").write_text("{}")
    for refused in (Box(tmp_path).require, lambda: make_box(Box(tmp_path), lambda: None, ssh_agent=False)):
        with pytest.raises(NotFound) as caught:
            refused()
        assert (caught.value.reference, "greenroom log check" in caught.value.remedy) == ("only-a-log", True)
    assert Box(tmp_path).require_log()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["box.json", "log"]


def test_a_copy_of_a_log_without_a_box_asks_for_its_keys(tmp_path: Path) -> None:
    """There is nothing to check its signatures with: the remedy is `--keys`, not another box."""
    with pytest.raises(NotFound) as caught:
        LocalServices(Box(tmp_path / "none")).log_check(str(tmp_path), None, None)
    assert f"greenroom log check {tmp_path} --keys" in caught.value.remedy


@pytest.mark.parametrize("data", [b"", b"junk", b"[]", b"{}", b'{"id": 1}', b'{"id": "../../etc"}', b" " * 5000])
def test_a_damaged_description_is_named_before_anything_is_started(tmp_path: Path, data: bytes) -> None:
    """Its file and the remedy; no process is begun that could only fail."""
    box = Box(tmp_path)
    box.identity.write_bytes(data)
    with pytest.raises(Unusable) as caught:
        identity_of(box)
    assert (caught.value.reference, caught.value.where) == ("box-damaged", str(box.identity))
    assert "greenroom restore" in caught.value.remedy
    box.identity.unlink()
    with pytest.raises(NotFound, match="no-box"):
        identity_of(box)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("", IDLE_SECONDS),
        ("2", 2.0),
        ("86400", 86400.0),
        ("0.01", SHORTEST_IDLE_SECONDS),
        ("0", IDLE_SECONDS),
        ("-1", IDLE_SECONDS),
        ("nan", IDLE_SECONDS),
        ("inf", IDLE_SECONDS),
        ("ten minutes", IDLE_SECONDS),
    ],
)
def test_the_idle_time_is_ten_minutes_unless_a_time_is_given(asked: str, seconds: float) -> None:
    """What is no time changes nothing: the processes neither leave at once nor stay for ever."""
    assert IDLE_SECONDS == 600.0
    assert idle_seconds(asked) == seconds
