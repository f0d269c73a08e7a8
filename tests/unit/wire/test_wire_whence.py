"""Whence a call comes: the kernel says whether who connected has the process ids that we have."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from greenroom.config import Box
from greenroom.domain.errors import Unusable
from greenroom.keeper.separation import executor_as
from greenroom.wire import whence
from greenroom.wire.rpc import Client, Server

CALL = """
import sys
from greenroom.domain.errors import GreenroomError
from greenroom.wire.rpc import Client
for name in ("shown", "other"):
    try:
        print(Client(sys.argv[1]).call(name))
    except GreenroomError as error:
        print(error.reference)
"""
HAND_ON = """
import os, socket, sys
with socket.socket(socket.AF_UNIX) as made, socket.socket(fileno=int(sys.argv[2])) as to:
    made.connect(sys.argv[1])
    socket.send_fds(to, [b"x"], [made.fileno()])
"""


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """A box whose keeper answers `shown` beside itself only, and `other` to everybody of the same user."""
    made = Box(tmp_path)
    for directory in made.directories():
        directory.mkdir(exist_ok=True)
    made.identity.write_text("{}")
    calls = {name: lambda *_: "answered" for name in ("shown", "other")}
    path, mine = str(made.socket("keeper")), frozenset({os.getuid()})
    with Server(path, calls, uids=mine, beside=frozenset({"shown"})) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        server.shutdown()
        thread.join()


def test_a_process_beside_ours_is_answered(box: Box) -> None:
    """This process, and another one that a person would start."""
    path = str(box.socket("keeper"))
    assert Client(path).call("shown") == "answered"
    ended = subprocess.run([sys.executable, "-c", CALL, path], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["answered", "answered"]


@pytest.mark.sandbox
def test_the_executor_s_own_view_is_another_place(box: Box) -> None:
    """Of the same user, in the view that the executor is started in: it calls, and shows nothing."""
    argv = executor_as(None, box, (sys.executable, "-c", CALL, str(box.socket("keeper"))))
    ended = subprocess.run(argv, capture_output=True, text=True, check=True, cwd="/")
    assert ended.stdout.split() == ["not-allowed", "answered"]


@pytest.mark.parametrize("known", [True, False])
def test_a_connection_of_a_process_that_is_gone_comes_from_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """Its id may be anybody's by then; also where the kernel gives no descriptor of who connected."""
    if not known:
        monkeypatch.setattr(whence, "SO_PEERPIDFD", 0x7FFF)
    ours, theirs = socket.socketpair()
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listening, ours:
        listening.bind(path)
        listening.listen()
        argv = (sys.executable, "-c", HAND_ON, path, str(theirs.fileno()))
        with subprocess.Popen(argv, pass_fds=(theirs.fileno(),)):
            theirs.close()
            _, (kept,), *_ = socket.recv_fds(ours, 1, 1)
        accepted, _ = listening.accept()
        with accepted:
            assert not whence.beside(accepted)
        os.close(kept)
        with socket.socket(socket.AF_UNIX) as mine:
            mine.connect(path)
            accepted, _ = listening.accept()
            with accepted:
                assert whence.beside(accepted)


def test_the_refusal_says_what_would_help(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person may be in another namespace than the box's processes: ended there, they start again here."""
    monkeypatch.setattr(whence, "beside", lambda connection: False)
    with pytest.raises(Unusable) as caught:
        Client(str(box.socket("keeper"))).call("shown")
    assert caught.value.reference == "not-allowed"
    assert "greenroom down" in caught.value.remedy
