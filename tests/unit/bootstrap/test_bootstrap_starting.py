"""Who waits for a process is told at once that it is dead, with its last words; a slow start is waited for."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.bootstrap import lastwords, making, starting, upkeep
from greenroom.bootstrap.lastwords import LastWords
from greenroom.bootstrap.starting import Death, death
from greenroom.bootstrap.upkeep import Upkeep
from greenroom.config import Box
from greenroom.domain.errors import Tampered, Unreachable
from greenroom.rescue import MAX_SAID_BYTES
from greenroom.wire.rpc import Handler, Server

SPOILED = LastWords(reference="ledger-damaged", message="it cannot be read", where="/box/guard", remedy="restore it")
SAID = '{"message":"it cannot be read","reference":"ledger-damaged","remedy":"restore it","where":"/box/guard"}'


@pytest.fixture
def box(tmp_path: Path) -> Box:
    made = Box(tmp_path)
    for name in ("guard", "keeper", "desk"):
        made.socket(name).parent.mkdir(parents=True)
    (made.run / "processes.log").touch()
    return made


@pytest.fixture
def serve(box: Box) -> Iterator[Callable[..., None]]:
    """Has somebody answer in the place of a process."""
    servers: list[Server] = []

    def answer(process: str, **handlers: Handler) -> None:
        server = Server(str(box.socket(process)), handlers, uids=frozenset({os.geteuid()}))
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    yield answer
    for server in servers:
        server.shutdown()
        server.server_close()


def tell(box: Box, rescue: int = 1, **died: Any) -> int:
    """What rescue writes into its lock; the id that it writes."""
    told = {role: {"exit": 8, "unanswered": 2, "said": SAID} | more for role, more in died.items()}
    (box.run / "rescue.lock").write_text(f"{rescue}\n{json.dumps(told)}\n")
    return rescue


def test_what_died_twice_before_it_answered_is_dead(box: Box) -> None:
    """With its exit code and its last words; who needs the keeper needs the guard too, and not the other way round."""
    rescue = tell(box, guard={})
    dead = Death(role="guard", exit=8, unanswered=2, said=SPOILED)
    assert [death(box, process, rescue) for process in ("guard", "keeper", "desk")] == [dead] * 3
    assert str(dead) == "the guard ended with exit code 8 before it answered, 2 times"
    tell(box, keeper={"exit": -9, "unanswered": 3, "said": "no words"})
    assert death(box, "guard", rescue) is None
    found = death(box, "desk", rescue)
    assert found is not None
    assert (str(found), found.said) == ("the keeper ended by signal 9 before it answered, 3 times", None)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "1",
        "1\n",
        "1\n{",
        "1\n[]",
        '1\n{"guard": 7}',
        '1\n{"guard": {"exit": "8", "unanswered": 2, "said": ""}}',
        "x",
    ],
)
def test_a_lock_that_tells_of_no_death_is_no_death(box: Box, written: str) -> None:
    """Also one that is written just now, or by a rescue of an earlier release."""
    (box.run / "rescue.lock").write_text(written)
    assert death(box, "guard", 1) is None


def test_one_death_what_an_earlier_rescue_told_and_what_answers_after_all_are_no_death(
    box: Box, serve: Callable[..., None]
) -> None:
    """The first may be chance; the second is of another start; the third is over."""
    assert death(box, "guard", 1) is None
    rescue = tell(box, guard={"unanswered": 1})
    assert death(box, "guard", rescue) is None
    tell(box, guard={})
    assert death(box, "guard", rescue + 1) is None
    assert death(box, "guard") is None
    serve("guard")
    assert death(box, "desk", rescue) is None


def test_how_the_executor_died_is_told_by_the_keeper(box: Box, serve: Callable[..., None]) -> None:
    """It matters to whoever waits for the desk only; a keeper that does not know the call tells of no death."""
    serve("guard")
    serve("keeper", executor=lambda *_: {"exit": 2, "unanswered": 2, "said": SAID})
    assert death(box, "desk") == Death(role="executor", exit=2, unanswered=2, said=SPOILED)
    assert death(box, "keeper") is None
    serve("keeper")
    assert death(box, "desk") is None


def started(monkeypatch: pytest.MonkeyPatch, *words: str) -> list[subprocess.Popen[bytes]]:
    """Has a program run in the place of each rescue that is started."""
    made: list[subprocess.Popen[bytes]] = []

    def spawn(box: Box) -> subprocess.Popen[bytes]:
        made.append(subprocess.Popen(words))
        return made[-1]

    monkeypatch.setattr(starting, "_spawn", spawn)
    return made


def test_a_dead_process_is_told_of_without_waiting(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has reference, place and remedy of what it died of; nobody waits for the end of the time."""
    (rescue,) = [subprocess.Popen(["/bin/sleep", "60"])]
    monkeypatch.setattr(starting, "_spawn", lambda box: rescue)
    tell(box, rescue.pid, guard={})
    try:
        with pytest.raises(Unreachable) as raised:
            starting.wait(box, "desk", 3600.0)
    finally:
        rescue.kill()
        rescue.wait()
    error = raised.value
    assert error.reference == "processes-do-not-start"
    assert (
        "guard ended with exit code 8 before it answered, 2 times: ledger-damaged: it cannot be read" in error.message
    )
    assert "/box/guard" in error.message
    assert error.remedy.startswith("restore it")


IN_USE = SAID.replace("ledger-damaged", "log-in-use")
RUNS = SAID.replace("ledger-damaged", "keeper-runs-already")


@pytest.mark.parametrize(("role", "said"), [("guard", IN_USE), ("keeper", RUNS)], ids=["guard", "keeper"])
def test_what_another_process_keeps_out_is_waited_for(
    box: Box, serve: Callable[..., None], monkeypatch: pytest.MonkeyPatch, role: str, said: str
) -> None:
    """It comes up when the other lets go; also where rescue gave up meanwhile, since it died so often."""
    made: list[subprocess.Popen[bytes]] = []
    waited: list[float] = []

    def spawn(box: Box) -> subprocess.Popen[bytes]:
        made.append(subprocess.Popen(["/bin/false"]))
        made[-1].wait()
        tell(box, made[-1].pid, **{role: {"said": said, "unanswered": 9}})
        return made[-1]

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 5:
            serve(role)

    monkeypatch.setattr(starting, "_spawn", spawn)
    monkeypatch.setattr(starting.time, "sleep", sleep)
    starting.wait(box, role, 3600.0)
    assert len(waited) == 5
    assert len(made) > 1


def test_a_desk_that_answers_while_the_guard_is_kept_out_is_no_start(
    box: Box, serve: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked of it would wait for the guard, and be cut off. One death is enough to know."""
    made = started(monkeypatch, "/bin/true")
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        tell(box, 1, guard={"said": IN_USE, "unanswered": len(waited)})
        if len(waited) == 1:
            serve("desk")
        if len(waited) == 4:
            serve("guard")

    monkeypatch.setattr(starting, "rescue_of", lambda box: 1)
    monkeypatch.setattr(starting.time, "sleep", sleep)
    starting.wait(box, "desk", 3600.0)
    assert len(waited) == 4
    made[0].wait()


def test_what_another_process_keeps_out_to_the_end_is_told(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who holds the lock is the one to end; the last words say which lock it is."""
    made = started(monkeypatch, "/bin/sleep", "60")
    tell(box, 1, guard={"said": IN_USE})
    monkeypatch.setattr(starting, "rescue_of", lambda box: 1)
    seen: list[float] = []

    def sleep(seconds: float) -> None:
        seen.append(seconds)
        tell(box, 1, guard={"said": IN_USE, "unanswered": 2 + len(seen)})

    monkeypatch.setattr(starting.time, "sleep", sleep)
    with pytest.raises(Unreachable, match=r"another process still holds the lock of the guard: log-in-use") as raised:
        starting.wait(box, "guard", 0.1)
    assert raised.value.remedy.startswith("let the other process end")
    assert len(seen) > 1
    made[0].kill()
    made[0].wait()


def test_only_words_of_ones_own_lock_keep_a_process_from_being_dead(box: Box, serve: Callable[..., None]) -> None:
    """A keeper does not hold the log, and the executor may say what it likes."""
    rescue = tell(box, guard={"said": RUNS})
    assert death(box, "guard", rescue) is not None
    tell(box, guard={"said": IN_USE}, keeper={})
    assert [death(box, process, rescue) is None for process in ("guard", "keeper")] == [True, False]
    serve("guard")
    serve("keeper", executor=lambda *_: {"exit": 2, "unanswered": 2, "said": IN_USE})
    assert death(box, "desk") is not None


def test_what_died_before_somebody_waits_may_have_been_mended(
    box: Box, serve: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while it was started anew: two more deaths tell that it was not."""
    tale = {"exit": 2, "unanswered": 7, "said": SAID}
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) in (3, 6):
            tale["unanswered"] += 1

    serve("guard")
    serve("keeper", executor=lambda *_: dict(tale))
    made = started(monkeypatch, "/bin/true")
    monkeypatch.setattr(starting.time, "sleep", sleep)
    with pytest.raises(Unreachable, match="the executor ended with exit code 2 before it answered, 9 times"):
        starting.wait(box, "desk", 3600.0)
    assert len(waited) == 6
    made[0].wait()


def test_a_rescue_that_cannot_live_is_told_of_without_waiting(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk it may not even say so in its lock; its log may have the reason."""
    (box.run / "processes.log").write_text("OSError: no room\n")
    made = started(monkeypatch, "/bin/false")
    with pytest.raises(Unreachable, match=r"rescue ended with exit code 1.*OSError: no room"):
        starting.wait(box, "guard", 3600.0)
    assert len(made) == 1


def test_a_slow_start_is_waited_for(box: Box, serve: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the first attempt died, and where the first rescue left since another held the lock."""
    made = started(monkeypatch, "/bin/true")
    monkeypatch.setattr(starting, "TRY_S", 0.0)
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        made[-1].wait()
        if len(waited) == 3:
            serve("guard")

    monkeypatch.setattr(starting.time, "sleep", sleep)
    tell(box, guard={"unanswered": 1})
    starting.wait(box, "guard", 3600.0)
    assert len(waited) >= 3
    assert len(made) >= 2


def test_what_never_answers_is_told_of_in_the_end(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A living process that does not answer has the whole time."""
    (box.run / "processes.log").write_text("it hangs\n")
    made = started(monkeypatch, "/bin/sleep", "60")
    with pytest.raises(Unreachable, match=r"did not start.*it hangs"):
        starting.wait(box, "guard", 0.1)
    made[0].kill()
    made[0].wait()


def test_a_guard_that_init_starts_and_that_dies_is_told_of_at_its_first_death(box: Box) -> None:
    """Nobody starts that one again."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        lastwords.say(theirs.fileno(), Tampered("ledger-damaged", "it cannot be read"))
        child = subprocess.Popen(["/bin/false"])
        child.wait()
        with pytest.raises(Unreachable, match="exit code 1 before it answered: ledger-damaged: it cannot be read"):
            making._await_guard(box, child, ours)


EXECUTOR = """
import os, sys
mark, line = sys.argv[1], int(sys.argv[2])
seen = os.path.getsize(mark) if os.path.exists(mark) else 0
open(mark, "a").write("x")
if seen == 1:
    os.write(line, b"u")
if seen == 4:
    sys.exit(0)
os.write(line, {said!r}.encode())
sys.exit(8)
"""


def test_the_keeper_counts_deaths_of_the_executor_before_it_answered(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that answered begins the count anew; one that leaves because it is idle ends it."""
    seen: list[tuple[int, int, LastWords | None]] = []
    left: list[bool] = []
    script = EXECUTOR.format(said=SAID)

    def command(users: object, of: Box, argv: tuple[str, ...]) -> tuple[str, ...]:
        return (sys.executable, "-I", "-S", "-c", script, str(tmp_path / "mark"), argv[-1])

    monkeypatch.setattr(upkeep.separation, "executor_as", command)
    kept = Upkeep(box, None, lambda: left.append(True))

    def sleep(seconds: float) -> None:
        told = kept.told()
        seen.append((told["exit"], told["unanswered"], lastwords.heard(told["said"])))

    monkeypatch.setattr(upkeep.time, "sleep", sleep)
    kept.run()
    assert seen == [(8, 1, SPOILED), (8, 0, SPOILED), (8, 1, SPOILED), (8, 2, SPOILED)]
    assert left == [True]


@given(st.text(), st.text(), st.text())
def test_last_words_are_bounded_printable_and_read_again(message: str, where: str, remedy: str) -> None:
    """Whatever an error says: it fits where it is told, and prints nothing that moves a terminal."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        lastwords.say(theirs.fileno(), Tampered("odd", message * 20, where=where * 20, remedy=remedy * 20))
        said = ours.recv(64 * 1024)
    assert len(said) <= MAX_SAID_BYTES
    words = lastwords.heard(said.decode())
    assert words is not None
    assert words.reference == "odd"
    assert str(words).isprintable()


@given(st.binary(max_size=300))
def test_words_of_another_form_are_no_last_words(data: bytes) -> None:
    """The executor may say what it likes."""
    assert lastwords.heard(data.decode("utf-8", "replace")) is None


def test_an_error_that_is_not_ours_is_told_by_its_kind() -> None:
    """There is no reference then; what helps is known of a full disk."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        lastwords.say(theirs.fileno(), OSError(28, "No space left on device", "/box/guard/ledger.db"))
        words = lastwords.heard(ours.recv(4096).decode())
    assert words is not None
    assert str(words) == "OSError: [Errno 28] No space left on device: '/box/guard/ledger.db'"
    assert (words.reference, words.remedy) == ("", "free space")
