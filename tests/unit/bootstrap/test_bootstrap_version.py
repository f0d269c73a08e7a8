"""An upgrade while old processes run: the command notices, and either takes over cleanly or says what to do."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from greenroom.bootstrap.local import ASKED, LocalServices
from greenroom.config import Box
from greenroom.domain.errors import Exit, Unreachable
from greenroom.wire import hello
from greenroom.wire.frames import MAX_FRAME
from greenroom.wire.rpc import Client, Server


@pytest.fixture
def box(tmp_path: Path) -> Box:
    made = Box(tmp_path)
    for directory in made.directories():
        directory.mkdir(exist_ok=True)
    made.identity.write_text("{}")
    return made


@contextmanager
def processes(box: Box, release: str | None, monkeypatch: pytest.MonkeyPatch, at: str = "") -> Iterator[ExitStack]:
    """Servers at the box's sockets that say they are `release`; None: from before `hello`. `at` one is at work."""
    with ExitStack() as stack, monkeypatch.context() as patched:
        if release is not None:
            patched.setattr("greenroom.wire.rpc.installation", lambda: release)
        for name in ASKED:
            said: Mapping[str, Any] = {"pending": lambda *_: release}
            server = Server(str(box.socket(name)), said, uids=frozenset({os.getuid()}))
            if release is None:
                del server.handlers[hello.HELLO]
            if at == name:
                stack.enter_context(server.busy())
            serve(stack, server)
        yield stack


def serve(stack: ExitStack, server: Server) -> None:
    """Serve until `stack` closes."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    stack.callback(thread.join)
    stack.callback(server.server_close)
    stack.callback(server.shutdown)


def test_the_same_installation_is_spoken_with(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is ended or started when the processes run the code of this command."""
    monkeypatch.setattr(LocalServices, "down", lambda self: pytest.fail("nothing is to be ended"))
    with processes(box, hello.installation(), monkeypatch, at="desk"):
        assert LocalServices(box).desk("pending") == hello.installation()


@pytest.mark.parametrize("at", ASKED)
def test_another_installation_at_work_is_told_of(box: Box, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    """While one of the old processes is at a call, the command says which versions meet and what to type."""
    monkeypatch.setattr(LocalServices, "down", lambda self: pytest.fail("what is at work is not ended"))
    with processes(box, "0.0.1+old", monkeypatch, at=at), pytest.raises(Unreachable) as caught:
        LocalServices(box).desk("pending")
    assert (caught.value.reference, caught.value.exit_code) == ("other-version", Exit.UNREACHABLE)
    assert "0.0.1+old" in caught.value.message
    assert hello.installation() in caught.value.message
    assert "`greenroom down`" in caught.value.remedy


def test_processes_from_before_the_handshake_are_told_of(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not know `hello` gives no raw unknown call, but what to do."""
    monkeypatch.setattr(LocalServices, "down", lambda self: pytest.fail("nobody knows whether it is at work"))
    with processes(box, None, monkeypatch):
        for call in (lambda: LocalServices(box).desk("pending"), lambda: LocalServices(box).guard("status")):
            with pytest.raises(Unreachable) as caught:
                call()
            assert caught.value.reference == "other-version"
            assert "`greenroom down`" in caught.value.remedy


def test_another_installation_that_is_idle_is_replaced(
    box: Box, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Old processes that are at nothing are ended, and this installation's answer the same command."""
    with ExitStack() as later, processes(box, "0.0.1+old", monkeypatch) as old:

        def start(self: LocalServices, path: str) -> None:
            later.enter_context(processes(box, hello.installation(), monkeypatch))

        monkeypatch.setattr(LocalServices, "down", lambda self: old.close())
        monkeypatch.setattr(LocalServices, "_start", start)
        assert LocalServices(box).desk("pending") == hello.installation()
    assert "another installation" in capsys.readouterr().err


def test_what_answers_no_person_yet_is_replaced_before_a_directory_is_shown(
    box: Box, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A keeper of another installation may answer the executor only: the guard is asked first which one it is."""
    shown: Mapping[str, Any] = {"present": lambda *_: {"ticket": "a-ticket"}}
    keeper = str(box.socket("keeper"))
    with ExitStack() as later, processes(box, "0.0.1+old", monkeypatch) as old:
        serve(old, Server(keeper, shown, uids=frozenset({os.getuid() + 1})))

        def start(self: LocalServices, path: str) -> None:
            later.enter_context(processes(box, hello.installation(), monkeypatch))
            serve(later, Server(keeper, shown, uids=frozenset({os.getuid()})))

        monkeypatch.setattr(LocalServices, "down", lambda self: old.close())
        monkeypatch.setattr(LocalServices, "_start", start)
        assert LocalServices(box).present(str(tmp_path), "") == "a-ticket"


def test_stop_needs_no_handshake(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop is set whatever answers, and though nobody knows the call."""
    with processes(box, None, monkeypatch):
        LocalServices(box).guard("stop", {"actor": "person:ada"})
    assert (box.guard / "stop").is_file()


def test_hello_says_how_many_other_calls_run(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call that asks does not count itself."""
    with processes(box, "1", monkeypatch):
        assert Client(str(box.socket("guard"))).hello() == hello.Hello(installation="1", busy=0)
    with processes(box, "1", monkeypatch, at="guard"):
        assert Client(str(box.socket("guard"))).hello() == hello.Hello(installation="1", busy=1)


@contextmanager
def said_by_the_desk(box: Box, said: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Processes of this installation, of which the desk, in other hands, says something else of itself."""
    with processes(box, hello.installation(), monkeypatch):
        import os

        box.socket("desk").unlink()
        lying = Server(str(box.socket("desk")), {}, uids=frozenset({os.getuid()}))
        lying.handlers[hello.HELLO] = lambda *_: said
        thread = threading.Thread(target=lying.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield
        finally:
            lying.shutdown()
            lying.server_close()
            thread.join()


@pytest.mark.parametrize("busy", [0, 1])
def test_what_the_desk_says_ends_nothing_and_bars_nobody_from_the_guard(
    box: Box, monkeypatch: pytest.MonkeyPatch, busy: int
) -> None:
    """An executor in other hands that claims another installation neither ends the processes nor bars a lift."""
    monkeypatch.setattr(LocalServices, "down", lambda self: pytest.fail("the guard runs this installation"))
    with said_by_the_desk(box, {"installation": "x", "busy": busy}, monkeypatch):
        services = LocalServices(box)
        assert services.guard("pending") == hello.installation()
        with pytest.raises(Unreachable) as caught:
            services.desk("pending")
        assert caught.value.reference == "other-version"


@pytest.mark.parametrize("said", [{}, None, "z", {"installation": 1, "busy": 0}, {"installation": "x", "busy": "many"}])
def test_a_malformed_hello_is_told_plainly(box: Box, monkeypatch: pytest.MonkeyPatch, said: Any) -> None:
    """Whatever answers, the command ends with a reference, not with an error of its own."""
    with said_by_the_desk(box, said, monkeypatch), pytest.raises(Unreachable) as caught:
        LocalServices(box).desk("pending")
    assert caught.value.reference == "hello-malformed"


def test_a_board_that_outgrows_a_frame_is_read_from_the_file(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """The executor of another user cannot say it in one message: that is no reason to show nothing."""
    others = SimpleNamespace(stat=lambda: SimpleNamespace(st_uid=-1))
    monkeypatch.setattr(LocalServices, "_mine", lambda self: SimpleNamespace(db=others))
    answers = {"board": "x" * MAX_FRAME, "tally": {"all": 1}}
    said: Mapping[str, Any] = {name: lambda *_, answer=answer: answer for name, answer in answers.items()}
    server = Server(str(box.socket("desk")), said, uids=frozenset({os.getuid()}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        services = LocalServices(box)
        assert services._beside("tally", {}) == {"all": 1}
        assert services._beside("board", {}) is None
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
