"""What a person shows is opened by the keeper where the person is; a descriptor alone proves nothing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from keeper_house import SUBJECT, House
from keeper_repository import make

from greenroom.domain.errors import Unusable
from greenroom.domain.verdict import Refused
from greenroom.keeper.presented import KEPT_S, MOST, Presented
from greenroom.keeper.server import Callers, handlers


class Times:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture
def presented(times: Times) -> Iterator[Presented]:
    made = Presented(os.open("/", os.O_PATH | os.O_CLOEXEC), now=times)
    yield made
    made.close()


def show(presented: Presented, path: str, directory: Path) -> str:
    """Present `path` with a descriptor of `directory`."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return presented.present(path, "main", fd)
    finally:
        os.close(fd)


def test_what_was_shown_is_read_once_through_the_keeper_s_own_descriptor(presented: Presented, tmp_path: Path) -> None:
    """A directory put in its place afterwards is not what is read, and a ticket is good once."""
    (tmp_path / "r" / "mine").mkdir(parents=True)
    ticket = show(presented, str(tmp_path / "r"), tmp_path / "r")
    (tmp_path / "r").rename(tmp_path / "away")
    (tmp_path / "r" / "evil").mkdir(parents=True)
    place = presented.take(ticket)
    assert place is not None
    with place:
        assert os.listdir(place.fd) == ["mine"]
        assert place.source == str(tmp_path / "r")
    assert presented.take(ticket) is None


@pytest.mark.parametrize("path", ["", "r", "/", "/{0}/r", "{0}/r/", "{0}/./r", "{0}/x/../r", "{0}/link", "{0}/gone",
                                  "{0}/file", "/proc/self/cwd", "{0}/r/sub"])  # fmt: skip
def test_only_the_directory_at_the_plain_path_is_taken(
    presented: Presented, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """No link on the way, no other directory, no path in another form: whoever shows the right one under it."""
    (tmp_path / "r" / "sub").mkdir(parents=True)
    (tmp_path / "x").mkdir()
    (tmp_path / "link").symlink_to("r")
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path / "r")
    with pytest.raises(Unusable) as caught:
        show(presented, path.format(tmp_path), tmp_path / "r")
    assert caught.value.reference == "directory-differs"
    assert caught.value.remedy


@pytest.mark.parametrize("inside", ["", "db/x", "store/x/y"])
def test_nothing_in_the_box_is_presented(tmp_path: Path, inside: str) -> None:
    """The executor makes what it likes there, at the very path that the person sees; what is beside it is presented."""
    box = tmp_path / "box"
    (box / inside).mkdir(parents=True)
    (tmp_path / "boxed").mkdir()
    presented = Presented(os.open("/", os.O_PATH | os.O_CLOEXEC), apart=box)
    open_before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(Unusable) as caught:
        show(presented, str(box / inside), box / inside)
    assert caught.value.reference == "repository-in-box"
    assert caught.value.remedy
    assert len(os.listdir("/proc/self/fd")) == open_before
    assert presented.take(show(presented, str(tmp_path / "boxed"), tmp_path / "boxed"))
    presented.close()


def test_a_directory_of_the_same_name_that_was_made_again_is_another(presented: Presented, tmp_path: Path) -> None:
    """The descriptor of the one keeps its inode from being given to the other."""
    (tmp_path / "r").mkdir()
    fd = os.open(tmp_path / "r", os.O_RDONLY | os.O_DIRECTORY)
    shutil.rmtree(tmp_path / "r")
    (tmp_path / "r").mkdir()
    with pytest.raises(Unusable, match="another directory"):
        presented.present(str(tmp_path / "r"), "", fd)
    os.close(fd)


IN_ITS_OWN = """
import os, socket, subprocess, sys
path, kind = sys.argv[2:4]
if kind == "below":
    subprocess.run(["mount", "-t", "tmpfs", "none", path + "/.git"], check=True)
else:
    subprocess.run(["mount", "-t", "tmpfs", "none", os.path.dirname(path)], check=True)
    os.makedirs(path + "/.git")
open(path + "/.git/evil", "w").close()
with socket.socket(fileno=int(sys.argv[1])) as to:
    socket.send_fds(to, [b"x"], [os.open(path, os.O_RDONLY | os.O_DIRECTORY)])
    to.recv(1)
"""


@pytest.mark.sandbox
@pytest.mark.parametrize("kind", ["whole", "below"])
def test_a_directory_of_another_mount_namespace_is_never_read(presented: Presented, tmp_path: Path, kind: str) -> None:
    """The same path built in a namespace of its own reads as that path, and is refused; where something is mounted
    below the person's own directory there, what is read is what the person has there."""
    repository = tmp_path / "there" / "r"
    (repository / ".git").mkdir(parents=True)
    ours, theirs = socket.socketpair()
    argv = ("unshare", "-U", "-r", "-m", sys.executable, "-c", IN_ITS_OWN, str(theirs.fileno()), str(repository), kind)
    with subprocess.Popen(argv, pass_fds=(theirs.fileno(),)) as hostile:
        theirs.close()
        _, (fd,), *_ = socket.recv_fds(ours, 1, 1)
        assert os.readlink(f"/proc/self/fd/{fd}") == str(repository)
        assert (Path(f"/proc/self/fd/{fd}") / ".git" / "evil").exists()
        if kind == "whole":
            with pytest.raises(Unusable, match="another directory"):
                presented.present(str(repository), "", fd)
        else:
            place = presented.take(presented.present(str(repository), "", fd))
            assert place is not None
            with place:
                assert os.listdir(f"/proc/self/fd/{place.fd}/.git") == []
        os.close(fd)
        ours.close()
        assert hostile.wait(30) == 0


def test_tickets_end_by_time_and_by_number(presented: Presented, times: Times, tmp_path: Path) -> None:
    """What nobody takes is closed, and never more than a few wait."""
    before = len(os.listdir("/proc/self/fd"))
    first = show(presented, str(tmp_path), tmp_path)
    tickets = [show(presented, str(tmp_path), tmp_path) for _ in range(MOST)]
    assert len(os.listdir("/proc/self/fd")) == before + MOST
    assert presented.take(first) is None
    times.at = KEPT_S + 1
    assert presented.take(tickets[-1]) is None
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_keeper_reads_nothing_that_was_not_presented(house: House, tmp_path: Path) -> None:
    """A made-up ticket, one that was spent, and another branch than the person named."""
    house.tool("import_git_t1")
    repository = make(tmp_path / "r", {"a": b"1"})
    fd = os.open(repository, os.O_RDONLY | os.O_DIRECTORY)
    spent, other = (house.keeper.present(str(repository), "main", fd) for _ in range(2))
    os.close(fd)
    house.keeper.bring(SUBJECT, spent, "main")
    for ticket, branch in ((spent, "main"), ("", "main"), ("0" * 32, None), (other, "greenroom/x"), (other, "main")):
        refused = house.keeper.bring(SUBJECT, ticket, branch)
        assert isinstance(refused, Refused)
        assert refused.rule == "not-presented"


def test_only_the_person_presents(house: House, tmp_path: Path) -> None:
    """Where the executor has a user of its own, the kernel says who calls; and the person does nothing else."""
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    calls = handlers(house.keeper, Callers(persons=frozenset({0}), executors=frozenset({702})))
    present = calls["present"]
    with pytest.raises(Unusable) as caught:
        present({"path": str(tmp_path), "branch": ""}, (fd,), lambda _: None, 702)
    assert caught.value.reference == "not-allowed"
    assert present({"path": str(tmp_path), "branch": ""}, (fd,), lambda _: None, 0)["ticket"]
    for name in calls.keys() - {"present"}:
        with pytest.raises(Unusable) as caught:
            calls[name]({}, (), lambda _: None, 0)
        assert caught.value.reference == "not-allowed"
    assert calls["golden"]({}, (), lambda _: None, 702)["digest"]
    os.close(fd)
