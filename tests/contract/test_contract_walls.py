"""The conformance suite of the port Walls, against the real driver with and without control groups, and its teeth."""

import json
import os
import platform
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import greenroom
from greenroom.domain.ports import Cell, Mount, Outcome, Walls
from greenroom.domain.proof import Usage
from greenroom.domain.verdict import Refused
from greenroom.domain.vocabulary import CGROUP_LAYERS, LAYERS
from greenroom.sandbox import root
from greenroom.sandbox.build import build_launcher
from greenroom.sandbox.cgroups import Group
from greenroom.sandbox.checking import CAPS, Bench, Check, never
from greenroom.sandbox.process import ProcessWalls
from greenroom.sandbox.self_check import CHECKS, prove
from greenroom.testing.walls import FAKE_LAYERS, FakeWalls, ended

UID = 64321
OTHER_UID = 64322
SYSTEM_PYTHON = "/usr/bin/python3"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_launcher(tmp_path_factory.mktemp("launcher"))


@pytest.fixture(scope="module", params=["with-cgroups", "without-cgroups"])
def bench(request: pytest.FixtureRequest, built: Path) -> Iterator[Bench]:
    """A bench below /tmp that the cells' user reaches."""

    as_root = os.geteuid() == 0
    use_cgroups = request.param == "with-cgroups"
    user = {"sandbox_uid": UID, "sandbox_gid": UID} if as_root else {}
    walls = ProcessWalls(built, use_cgroups=use_cgroups, **user)
    with tempfile.TemporaryDirectory(prefix="greenroom-walls-") as directory:
        os.chmod(directory, 0o755)
        yield Bench(walls=walls, directory=Path(directory), uid=UID if as_root else None)


@pytest.mark.sandbox
@pytest.mark.parametrize("check", CHECKS, ids=[check.name for check in CHECKS])
def test_promise_holds(bench: Bench, check: Check) -> None:
    """Every promise of the walls holds on this machine, or needs a layer that it does not give."""
    (proof,) = prove(bench, [check])
    if proof.result == "skipped":
        pytest.skip(proof.why)
    assert (proof.result, proof.why) == ("held", "")


@pytest.mark.sandbox
def test_base_layers_are_enforced(bench: Bench) -> None:
    """All layers but the control groups and Landlock are had wherever bubblewrap works."""
    layers = bench.walls.layers()
    assert set(layers) == set(LAYERS)
    wanted = set(LAYERS) - {"landlock", "cgroup-memory", "cgroup-pids", "cgroup-cpu"}
    assert {name for name in wanted if not layers[name]} == set()


@pytest.mark.sandbox
def test_a_wall_that_is_left_out_is_seen_missing(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a cell made without them, the walls of bubblewrap are reported as not enforced; the others as before."""
    # The process namespace stays: the launcher ends all that it can see.
    open_wide = ["--unshare-user", "--unshare-pid", "--as-pid-1", "--cap-add", "ALL", "--bind", "/", "/"]
    monkeypatch.setattr(root, "arguments", lambda *_: open_wide)
    user = {"sandbox_uid": UID, "sandbox_gid": UID} if os.geteuid() == 0 else {}
    layers = ProcessWalls(built, use_cgroups=False, **user).layers()
    missing = {"network-namespace", "dropped-capabilities", "read-only-root", "private-tmp", "private-proc"}
    assert {name for name, on in layers.items() if not on} - {"landlock"} == missing | set(CGROUP_LAYERS)


@pytest.mark.sandbox
@pytest.mark.slow
def test_linked_with_the_c_library_the_walls_are_the_same(
    built: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As other processors have it, launcher and warden are built with the C library, and give the same layers."""
    monkeypatch.setattr(platform, "machine", lambda: "another")
    linked = build_launcher(tmp_path_factory.mktemp("linked"))
    monkeypatch.undo()
    assert linked.stat().st_size > built.stat().st_size
    user = {"sandbox_uid": UID, "sandbox_gid": UID} if os.geteuid() == 0 else {}
    layers = [ProcessWalls(launcher, use_cgroups=False, **user).layers() for launcher in (built, linked)]
    assert layers[0] == layers[1]
    assert layers[1]["rlimits"]


_UNDER_LIMITS = """
import ctypes, json, platform, resource, struct, sys
from pathlib import Path
from greenroom.domain.ports import Cell
from greenroom.sandbox.checking import CAPS, never
from greenroom.sandbox.process import ProcessWalls

def forbid_setting_limits():
    # seccomp(2): setrlimit, and prlimit64 with a limit to set (its third argument), fail with EPERM
    calls = {"x86_64": (160, 302), "aarch64": (164, 261)}[platform.machine()]
    deny, allow = 0x00050001, 0x7FFF0000
    program = b"".join(struct.pack("=HBBI", *line) for line in (
        (0x20, 0, 0, 0), (0x15, 4, 0, calls[0]), (0x15, 0, 2, calls[1]),
        (0x20, 0, 0, 32), (0x15, 0, 1, 0), (0x06, 0, 0, allow), (0x06, 0, 0, deny),
    ))
    class Program(ctypes.Structure):
        _fields_ = [("count", ctypes.c_ushort), ("code", ctypes.c_char_p)]
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, ctypes.byref(Program(len(program) // 8, program)), 0, 0) == 0

if sys.argv[3] == "forbidden":
    forbid_setting_limits()
else:
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))
uid = int(sys.argv[2]) or None
walls = ProcessWalls(Path(sys.argv[1]), sandbox_uid=uid, sandbox_gid=uid)
script = "ulimit -Sn; ulimit -Hn; ulimit -Hc"
outcome = walls.run(Cell(argv=("/bin/sh", "-c", script), mounts=(), caps=CAPS), never)
told = {name: str(getattr(outcome, name, None)) for name in ("exit", "stdout", "rule", "where", "remedy")}
print(json.dumps([told, dict(walls.layers())]))
"""


def _under_limits(built: Path, kind: str) -> tuple[dict[str, str], dict[str, bool]]:
    uid = str(UID if os.geteuid() == 0 else 0)
    words = [sys.executable, "-c", _UNDER_LIMITS, str(built), uid, kind]
    done = subprocess.run(words, capture_output=True, timeout=60, check=False)
    assert done.stderr == b""
    told, layers = json.loads(done.stdout)
    return told, layers


@pytest.mark.sandbox
def test_a_lower_hard_limit_binds_the_cell_too(built: Path) -> None:
    """Under a hard limit below ours, which cannot be raised, cells run, and under that limit."""
    told, layers = _under_limits(built, "lowered")
    assert (told["exit"], told["stdout"]) == ("0", str(b"512\n512\n0\n"))
    assert layers["rlimits"]


@pytest.mark.sandbox
def test_limits_that_cannot_be_set_refuse_the_cell(built: Path) -> None:
    """Where the kernel refuses to set a limit, the command is not started, and no layer is reported as enforced."""
    told, layers = _under_limits(built, "forbidden")
    assert (told["rule"], told["where"]) == ("wall-failed", "limit-core: Operation not permitted")
    assert "setrlimit" in told["remedy"]
    assert layers == dict.fromkeys(LAYERS, False)


_AS_USER = """
import json, os, sys
from pathlib import Path
from greenroom.sandbox.checking import Bench
from greenroom.sandbox.process import ProcessWalls
from greenroom.sandbox.self_check import prove
proofs = prove(Bench(walls=ProcessWalls(Path(sys.argv[1])), directory=Path(sys.argv[2])))
print(json.dumps([[proof.name, proof.result, proof.why] for proof in proofs]))
"""


@pytest.mark.sandbox
@pytest.mark.slow
def test_promises_hold_for_an_ordinary_user(built: Path, tmp_path: Path) -> None:
    """Started by an ordinary user instead of root, the walls keep the same promises."""
    if os.geteuid() != 0:
        pytest.skip("the other tests run as an ordinary user already")

    with tempfile.TemporaryDirectory(prefix="greenroom-user-") as name:
        directory = Path(name)
        shutil.copytree(Path(greenroom.__file__).parent, directory / "src/greenroom")
        shutil.copytree(built.parent, directory / "bin")
        (directory / "bench").mkdir()
        for path in (directory, directory / "bench"):
            os.chown(path, OTHER_UID, OTHER_UID)
        (directory / "bin").chmod(0o755)
        done = subprocess.run(
            [
                *("setpriv", f"--reuid={OTHER_UID}", f"--regid={OTHER_UID}", "--clear-groups"),
                *(SYSTEM_PYTHON, "-B", "-c", _AS_USER, str(directory / "bin/gr_launch"), str(directory / "bench")),
            ],
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(directory / "src")},
            cwd="/",
            capture_output=True,
            timeout=120,
            check=False,
        )
    assert done.stderr == b""
    proofs = json.loads(done.stdout)
    assert len(proofs) == len(CHECKS)
    assert [proof for proof in proofs if proof[1] == "broken"] == []
    assert {proof[0] for proof in proofs if proof[1] == "skipped"} <= {"cpu-share", "memory-of-all"}


class NoWalls:
    """A driver that puts up no wall: what the checks must find fault with."""

    def layers(self) -> dict[str, bool]:
        return dict.fromkeys(LAYERS, True)

    def run(self, cell: Cell, cancelled: Callable[[], bool]) -> Outcome | Refused:
        done = subprocess.run(cell.argv, input=cell.stdin, capture_output=True, timeout=20, check=False)
        return Outcome(
            exit=done.returncode,
            ended_by="exit",
            stdout=done.stdout,
            stderr=done.stderr,
            truncated=False,
            layers=dict.fromkeys(LAYERS, True),
            usage=Usage(wall_ms=1, cpu_ms=1),
        )


# Harmless when they get through: they read, or act on what the check itself made.
READING = [
    "environment",
    "directory",
    "mount-missing",
    "mount-nested",
    "mount-targets",
    "no-network",
    "loopback",
    "abstract-sockets",
    "no-capabilities",
    "host-files",
    "host-processes",
    "host-name",
    "open-files",
    "devices",
]


@pytest.mark.sandbox
@pytest.mark.parametrize("name", READING)
def test_checks_have_teeth(name: str, tmp_path: Path) -> None:
    """A driver without walls breaks the promises that can be tried without harm."""
    (check,) = [check for check in CHECKS if check.name == name]
    (proof,) = prove(Bench(walls=NoWalls(), directory=tmp_path), [check])
    assert proof.result == "broken"


def test_fake_gives_its_answers_in_order() -> None:
    """The fake gives scripted answers, the last one again and again, and remembers the cells."""
    refusal = Refused(rule="mount-missing", where="/x", remedy="make it")
    walls: Walls = FakeWalls([ended(1), refusal, lambda cell: ended(stdout=cell.stdin)])
    cell = Cell(argv=("true",), mounts=(), caps=CAPS, stdin=b"hi")
    answers = [walls.run(cell, never) for _ in range(4)]
    assert answers == [ended(1), refusal, ended(stdout=b"hi"), ended(stdout=b"hi")]
    assert set(walls.layers()) == set(FAKE_LAYERS) == set(LAYERS)


def test_fake_ends_a_cancelled_cell_by_stop() -> None:
    """The fake, like the real driver, ends a cancelled cell by `stop`."""
    outcome = FakeWalls().run(Cell(argv=("true",), mounts=(), caps=CAPS), lambda: True)
    assert isinstance(outcome, Outcome)
    assert (outcome.ended_by, outcome.exit) == ("stop", 137)


@pytest.mark.sandbox
def test_walls_are_safe_from_many_threads(bench: Bench) -> None:
    """Cells started by threads that end at once live on: their life hangs on the warden, not on the thread."""
    seen: list[bytes] = []

    def one() -> None:
        seen.append(bench.shell("sleep 0.1; echo done").stdout)

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [b"done\n"] * 6


@pytest.mark.sandbox
def test_mounts_behind_closed_directories(bench: Bench) -> None:
    """As root, what lies behind a directory that is closed to the cells' user can be mounted; else it is refused."""
    with bench.folder() as folder:
        closed = folder / "closed"
        (closed / "in").mkdir(parents=True)
        (closed / "in/file").write_text("inside")
        (closed / "one").write_text("one")
        mounts = tuple(Mount(source=str(closed / name), target=f"/mnt/{name}") for name in ("in", "one"))
        closed.chmod(0 if bench.uid is None else 0o700)
        try:
            if bench.uid is None:
                assert bench.refused(*mounts).rule == "mount-unreachable"
            else:
                outcome = bench.shell("cat /mnt/in/file /mnt/one; ls /mnt; ls /tmp", mounts)
                assert outcome.stdout == b"insideonein\none\n"
        finally:
            closed.chmod(0o700)


@pytest.mark.sandbox
def test_mounts_leave_no_trace_on_the_host(bench: Bench) -> None:
    """After a cell with mounts, the host's mount table is what it was."""
    before = Path("/proc/self/mounts").read_text()
    with bench.folder() as folder:
        assert bench.shell("true", (Mount(source=str(folder), target="/mnt/x", writable=True),)).exit == 0
    assert Path("/proc/self/mounts").read_text() == before


@pytest.mark.sandbox
def test_failing_question_kills_the_cell(bench: Bench) -> None:
    """When asking whether to stop fails, the cell is killed, and the failure is passed on."""
    mark = f"7{os.getpid()}.125"

    def fails() -> bool:
        raise RuntimeError("no answer")

    with pytest.raises(RuntimeError, match="no answer"):
        bench.shell(f"sleep {mark} & sleep {mark}", cancelled=fails)
    assert _running(mark) == []


_KEEPER = """
import sys
from pathlib import Path
from greenroom.sandbox.checking import CAPS, never
from greenroom.sandbox.process import ProcessWalls
from greenroom.domain.ports import Cell
walls = ProcessWalls(Path(sys.argv[1]), sandbox_uid=int(sys.argv[2]) or None, sandbox_gid=int(sys.argv[2]) or None)
print("ready", flush=True)
script = "setsid sleep " + sys.argv[3] + " & sleep " + sys.argv[3]
walls.run(Cell(argv=("/bin/sh", "-c", script), mounts=(), caps=CAPS), never)
"""


def _running(mark: str) -> list[bytes]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if mark.encode() in words:
            found.append(words)
    return found


def _until(condition: Callable[[], bool], seconds: float) -> bool:

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


@pytest.mark.sandbox
def test_nothing_is_left_when_the_keeper_is_killed(built: Path) -> None:
    """When the process that runs a cell is killed with SIGKILL, the whole cell dies within two seconds."""
    mark = f"5{os.getpid()}.125"
    uid = UID if os.geteuid() == 0 else 0
    keeper = subprocess.Popen([sys.executable, "-c", _KEEPER, str(built), str(uid), mark], stdout=subprocess.PIPE)
    try:
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == b"ready\n"
        assert _until(lambda: sum(words.startswith(b"sleep") for words in _running(mark)) == 2, 10)
    finally:
        keeper.kill()
        keeper.communicate()
    assert _until(lambda: _running(mark) == [], 2), _running(mark)


@pytest.mark.sandbox
def test_a_kill_at_any_moment_of_the_start_leaves_nothing(built: Path) -> None:
    """Told to kill while bubblewrap is still setting up, the warden ends only when no process is left."""
    mark = f"9{os.getpid()}.125"
    rights = [f"uid={UID}", f"gid={UID}"] if os.geteuid() == 0 else []
    inside = ("--unshare-all", "--die-with-parent", "--as-pid-1", "--ro-bind", "/", "/", "/bin/sleep", mark)
    for step in range(40):
        control, theirs = socket.socketpair()
        with theirs:
            wires = (str(theirs.fileno()), str(theirs.fileno()))
            words = (str(built.parent / "gr_warden"), *wires, *rights, "--", "/usr/bin/bwrap", *inside)
            warden = subprocess.Popen(words, pass_fds=(theirs.fileno(),), stderr=subprocess.DEVNULL)
        select.select([], [], [], step * 0.0003)
        control.shutdown(socket.SHUT_WR)
        assert warden.wait(10) == 0
        assert _running(mark) == []
        control.close()


@pytest.mark.sandbox
def test_warden_starts_the_cell_inside_a_version_2_group(built: Path) -> None:
    """With the directory of a version 2 group, what the warden starts is in the group from its first moment."""
    mounts = [
        line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - cgroup2 " in line
    ]
    own = [line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")]
    if not mounts or not own:
        pytest.skip("no version 2 hierarchy is mounted here")
    directory = Path(mounts[0] + own[0]) / f"greenroom-test-{os.getpid()}"
    try:
        directory.mkdir()
    except OSError as error:
        pytest.skip(f"no version 2 group is delegated here: {error}")
    group = Group({"pids": (directory, 2)})
    control, theirs = socket.socketpair()
    ((way, fd),) = group.open()
    try:
        done = subprocess.run(
            [
                *(str(built.parent / "gr_warden"), str(theirs.fileno()), str(theirs.fileno())),
                *(f"{way}={fd}", "--", "/bin/cat", "/proc/self/cgroup"),
            ],
            pass_fds=(theirs.fileno(), fd),
            capture_output=True,
            timeout=20,
            check=True,
        )
    finally:
        control.close()
        theirs.close()
        os.close(fd)
        group.remove()
    assert way == "into"
    assert f"0::{own[0].rstrip('/')}/{directory.name}" in done.stdout.decode().splitlines()
    assert not directory.exists()
