"""Frames and calls on a real local socket."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain.errors import GreenroomError, NotFound, TooLarge, Unreachable, Unusable
from greenroom.wire import frames, rpc


def echo(arguments: Mapping[str, Any], descriptors: tuple[int, ...], progress: rpc.Progress, uid: int) -> Any:
    for number in range(arguments.get("steps", 0)):
        progress(number)
    return {"said": arguments, "read": [os.read(d, 10).decode() for d in descriptors], "uid": uid}


def missing(arguments: Mapping[str, Any], descriptors: tuple[int, ...], progress: rpc.Progress, uid: int) -> Any:
    raise NotFound("no-such-thing", "it is not here", where="there", remedy="look elsewhere")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    path = str(tmp_path / "s.sock")
    with rpc.Server(path, {"echo": echo, "missing": missing}, uids=frozenset({os.getuid()})) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield path
        server.shutdown()
        thread.join()


def test_a_call_answers_with_progress_before(served: str) -> None:
    """Progress arrives in order, then the answer; the peer's uid comes from the kernel."""
    seen: list[Any] = []
    answer = rpc.Client(served).call("echo", {"steps": 3}, progress=seen.append)
    assert seen == [0, 1, 2]
    assert answer["uid"] == os.getuid()


def test_descriptors_cross(served: str, tmp_path: Path) -> None:
    """A file descriptor is readable on the other side."""
    (tmp_path / "f").write_text("hello")
    descriptor = os.open(tmp_path / "f", os.O_RDONLY)
    try:
        assert rpc.Client(served).call("echo", {}, descriptors=(descriptor,))["read"] == ["hello"]
    finally:
        os.close(descriptor)


def test_errors_cross_with_class_reference_place_and_remedy(served: str) -> None:
    """What the server raised is raised here."""
    with pytest.raises(NotFound) as caught:
        rpc.Client(served).call("missing")
    error = caught.value
    assert (error.reference, error.where, error.remedy) == ("no-such-thing", "there", "look elsewhere")


def test_an_unknown_call_is_refused(served: str) -> None:
    """There is no default handler."""
    with pytest.raises(Unusable) as caught:
        rpc.Client(served).call("format-disk")
    assert caught.value.reference == "unknown-call"


def test_the_socket_is_for_its_owner_only(served: str) -> None:
    """Mode 0600."""
    assert os.stat(served).st_mode & 0o777 == 0o600


def test_another_user_is_not_answered(tmp_path: Path) -> None:
    """Peer credentials decide, not the file mode alone."""
    path = str(tmp_path / "other.sock")
    with rpc.Server(path, {"echo": echo}, uids=frozenset({os.getuid() + 1})) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            with pytest.raises(GreenroomError):
                rpc.Client(path).call("echo")
        finally:
            server.shutdown()
            thread.join()


def test_a_frame_over_the_bound_is_refused_before_it_is_read(served: str) -> None:
    """The length is checked first; the server answers and closes."""
    with frames.connect(served, 5) as connection:
        connection.sendall(struct.pack(">I", frames.MAX_FRAME + 1))
        received = frames.receive(connection)
        assert received is not None
        assert received[0]["error"]["reference"] == "frame-too-large"
        assert frames.receive(connection) is None


def test_a_message_over_the_bound_is_not_sent() -> None:
    """The sender refuses too."""
    left, right = socket.socketpair()
    with left, right, pytest.raises(TooLarge):
        frames.send(left, "x" * (frames.MAX_FRAME + 1))


@given(st.binary(max_size=200))
def test_any_bytes_on_the_socket_are_a_message_or_an_error(data: bytes) -> None:
    """The parser raises nothing but its own errors and never hangs on a closed peer."""
    left, right = socket.socketpair()
    with left, right:
        left.sendall(data)
        left.shutdown(socket.SHUT_WR)
        try:
            while frames.receive(right) is not None:
                pass
        except GreenroomError as error:
            assert error.reference in (
                "frame-cut",
                "frame-too-large",
                "bad-json",
                "document-too-deep",
            )


def test_nobody_home_is_unreachable(tmp_path: Path) -> None:
    """A missing server is named with its path."""
    with pytest.raises(Unreachable) as caught:
        rpc.Client(str(tmp_path / "none.sock")).call("echo")
    assert caught.value.where.endswith("none.sock")
