"""Starting the warden: which descriptors it gets, and which it passes on; both ways of building it."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import socket
from pathlib import Path

import pytest

from greenroom.domain.errors import Bug
from greenroom.domain.ports import Cell, Mount, Outcome
from greenroom.domain.verdict import Refused
from greenroom.sandbox.build import LAUNCHER, WARDEN, build_launcher
from greenroom.sandbox.checking import CAPS, never
from greenroom.sandbox.process import ProcessWalls
from greenroom.sandbox.spawn import reap, spawn

USER = {"sandbox_uid": 64321, "sandbox_gid": 64321} if os.geteuid() == 0 else {}


@pytest.fixture(scope="module", params=["bare", "libc"])
def launcher(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built without the C library where this machine has that, and with it, as on other processors."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "libc":
            patch.setattr(platform, "machine", lambda: "other")
        return build_launcher(tmp_path_factory.mktemp(request.param))


def run(launcher: Path, *argv: str, mounts: tuple[Mount, ...] = ()) -> Outcome:
    outcome = ProcessWalls(launcher, use_cgroups=False, **USER).run(Cell(argv=argv, mounts=mounts, caps=CAPS), never)
    assert isinstance(outcome, Outcome), outcome
    return outcome


@pytest.mark.sandbox
def test_the_warden_passes_on_only_what_it_was_told(launcher: Path) -> None:
    """A descriptor that a library left open for others reaches neither bubblewrap nor the cell."""
    with contextlib.ExitStack() as stack:
        control, theirs = (stack.enter_context(one) for one in socket.socketpair())
        null = os.open("/dev/null", os.O_RDWR)
        leak, told = os.dup(null), os.dup(null)
        os.set_inheritable(leak, True)
        for fd in (null, leak, told):
            stack.callback(os.close, fd)
        wire = str(theirs.fileno())
        warden = str(launcher.parent / WARDEN)
        words = [warden, wire, wire, f"pass={told}", "--", "/bin/ls", "-l", "/proc/self/fd"]
        child = spawn(words, null, (theirs.fileno(), told), stack)
        theirs.close()
        with open(os.dup(child.stdout), "rb") as output:
            lines = [line for line in output.read().decode().splitlines() if "->" in line]
        seen = {int(line.split(" -> ")[0].split()[-1]): line.split(" -> ")[1] for line in lines}
        reap(child)
        assert {fd for fd, target in seen.items() if "/fd" not in target} == {0, 1, 2, told}
        assert control.recv(100).startswith(b"cpu-us=")
        with pytest.raises(ChildProcessError):
            os.waitpid(child.pid, 0)


@pytest.mark.sandbox
def test_the_c_library_is_left_out_where_it_can_be(launcher: Path, request: pytest.FixtureRequest) -> None:
    """Its start would take most of the time of a cell's two programs."""
    small = "bare" in request.node.name and platform.machine() == "x86_64"
    for name in (LAUNCHER, WARDEN):
        assert ((launcher.parent / name).stat().st_size < 64 * 1024) == small


@pytest.mark.sandbox
def test_every_layer_is_enforced_however_the_launcher_was_built(launcher: Path) -> None:
    """The walls are the same with and without the C library."""
    layers = run(launcher, "/usr/bin/true").layers
    assert {name for name, on in layers.items() if not on} == {"cgroup-memory", "cgroup-pids", "cgroup-cpu"}


@pytest.mark.sandbox
def test_a_script_without_an_interpreter_is_run_by_the_shell(launcher: Path, tmp_path: Path) -> None:
    """As execvp(3) says; its words reach it."""
    script = tmp_path / "script"
    script.write_text('echo "$0 $1"; exit 3\n')
    script.chmod(0o755)
    mounts = (Mount(source=str(script), target="/mnt/script"),)
    outcome = run(launcher, "/mnt/script", "word", mounts=mounts)
    assert (outcome.exit, outcome.stdout) == (3, b"/mnt/script word\n")


@pytest.mark.sandbox
def test_a_command_is_found_along_the_path(launcher: Path) -> None:
    """A name without a slash is looked up; one that is nowhere is told with its reason."""
    assert run(launcher, "echo", "here").stdout == b"here\n"
    missing = run(launcher, "no-such-command")
    assert (missing.exit, missing.stderr) == (127, b"cannot start no-such-command: No such file or directory\n")
    refused = run(launcher, "/etc/passwd")
    assert (refused.exit, refused.stderr) == (126, b"cannot start /etc/passwd: Permission denied\n")


def test_a_program_that_is_missing_is_an_error(tmp_path: Path) -> None:
    """Nothing is left open or running."""
    before = set(os.listdir("/proc/self/fd"))
    with contextlib.ExitStack() as stack:
        null = os.open("/dev/null", os.O_RDONLY)
        stack.callback(os.close, null)
        with pytest.raises(FileNotFoundError):
            spawn([str(tmp_path / "none")], null, (), stack)
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_closed_standard_stream_is_our_own_mistake() -> None:
    """A descriptor in the place of a standard stream would be written over on its way."""
    with contextlib.ExitStack() as stack, pytest.raises(Bug, match="standard-streams-closed"):
        spawn(["/bin/true"], 0, (), stack)


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("module", "name"), [(os, "posix_spawn"), (os, "memfd_create"), (socket, "socketpair"), (os, "pipe2")]
)
def test_a_cell_that_cannot_be_started_is_refused(
    launcher: Path, monkeypatch: pytest.MonkeyPatch, module: object, name: str
) -> None:
    """A machine without processes, memory or descriptors ran nothing, and that is what is said."""

    def short(*given: object, **named: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    walls = ProcessWalls(launcher, use_cgroups=False, **USER)
    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch:
        patch.setattr(module, name, short)
        answer = walls.run(Cell(argv=("/bin/true",), mounts=(), caps=CAPS), never)
    assert isinstance(answer, Refused)
    assert answer.rule == "wall-failed"
    assert "temporarily unavailable" in answer.where
    assert answer.remedy
    assert len(os.listdir("/proc/self/fd")) == before
    assert isinstance(walls.run(Cell(argv=("/bin/true",), mounts=(), caps=CAPS), never), Outcome)
