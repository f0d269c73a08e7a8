"""The report's parser, the disk watch, the task count, the build and the driver's own refusals."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain.errors import Unusable
from greenroom.domain.ports import Outcome
from greenroom.domain.proof import Usage
from greenroom.domain.verdict import Refused
from greenroom.domain.vocabulary import LAYERS
from greenroom.sandbox import build, process, report
from greenroom.sandbox.disk import DiskWatch
from greenroom.sandbox.process import ProcessWalls
from greenroom.sandbox.tasks import count_below, cpu_ms_below
from greenroom.sandbox.watch import Ending
from greenroom.testing.walls import ended

OURS = {"user": "1", "pid": "2", "net": "3", "tmp": "4"}
SAID = (
    b"user-namespace=11\npid-namespace=12\nnet-namespace=13\nlandlock=7\nseccomp=2\nno-new-privileges=1\nuid=1234\n"
    b"capabilities=0\nread-only-root=1\ntmp-device=14\nown-proc=1\nnested-user-namespaces=0\nrlimits=1\nstarted=1\n"
)


def test_report_proves_the_walls() -> None:
    """A full report proves every layer; the control groups are ours to know."""
    layers = report.enforced(report.parse(SAID), OURS, frozenset({"memory"}))
    assert set(layers) == set(report.LAYERS)
    assert {name for name, on in layers.items() if not on} == {"cgroup-pids", "cgroup-cpu"}


@pytest.mark.parametrize(
    ("line", "layer"),
    [
        (b"user-namespace=1\n", "user-namespace"),
        (b"pid-namespace=2\n", "pid-namespace"),
        (b"net-namespace=\n", "network-namespace"),
        (b"landlock=0\n", "landlock"),
        (b"seccomp=0\n", "seccomp"),
        (b"no-new-privileges=0\n", "no-new-privileges"),
        (b"uid=0\n", "unprivileged-uid"),
        (b"rlimits=0\n", "rlimits"),
        (b"capabilities=1\n", "dropped-capabilities"),
        (b"read-only-root=0\n", "read-only-root"),
        (b"tmp-device=4\n", "private-tmp"),
        (b"own-proc=0\n", "private-proc"),
        (b"nested-user-namespaces=1\n", "no-nested-user-namespaces"),
    ],
)
def test_report_of_a_missing_wall_is_believed(line: bytes, layer: str) -> None:
    """The namespace or /tmp that is also ours, uid 0, or a wall said to be off, count as not enforced."""
    layers = report.enforced(report.parse(line + SAID), OURS, frozenset())
    assert not layers[layer]


@given(st.binary(max_size=400))
def test_report_parser_takes_any_bytes(data: bytes) -> None:
    """Whatever the bytes, parsing gives text by name, and an unsaid layer is not enforced."""
    said = report.parse(data)
    assert all("=" not in name for name in said)
    assert set(report.enforced({}, OURS, frozenset()).values()) == {False}


@pytest.mark.parametrize(
    "trial",
    [
        ended(exit=125),
        ended(exit=1),
        ended(exit=0, ended_by="wall"),
        Refused(rule="wall-failed", where="limit-core: Operation not permitted", remedy="see"),
    ],
)
def test_a_trial_without_a_good_end_proves_no_layer(trial: Outcome | Refused) -> None:
    """Whatever a trial's report says, no layer is given where the trial's command did not run to a good end."""
    assert process._proved(trial) == dict.fromkeys(LAYERS, False)
    assert process._proved(ended()) == dict.fromkeys(LAYERS, True)


def _ending(**changes: object) -> Ending:
    plain: dict[str, object] = {
        "ended_by": "exit",
        "exit": 137,
        "stdout": b"",
        "stderr": b"",
        "truncated": False,
        "said": b"",
        "usage": Usage(wall_ms=1, cpu_ms=1),
    }
    return Ending(**{**plain, **changes})  # type: ignore[arg-type]


def _told(ending: Ending, said: dict[str, str]) -> tuple[str, int]:
    outcome: Outcome = ending.outcome(said, report.nothing(), None)
    return outcome.ended_by, outcome.exit


def test_ending_is_told_from_the_report() -> None:
    """Exit, signal, too large a file, a full /tmp and a vanished cell are told apart."""
    assert _told(_ending(), {"exit": "3"}) == ("exit", 3)
    assert _told(_ending(), {"signal": "15"}) == ("signal", 143)
    assert _told(_ending(), {"signal": "25"}) == ("disk", 153)
    assert _told(_ending(), {"exit": "1", "tmp-free": "0"}) == ("disk", 1)
    assert _told(_ending(), {"exit": "0", "tmp-free": "0"}) == ("exit", 0)
    assert _told(_ending(), {}) == ("signal", 137)
    assert _told(_ending(ended_by="wall"), {"exit": "0"}) == ("wall", 137)


def test_disk_watch_counts_growth_only(tmp_path: Path) -> None:
    """What was there before is free; growth beyond the bound is seen in portions and at once."""
    (tmp_path / "old").write_bytes(bytes(100_000))
    watch = DiskWatch([str(tmp_path)], 50_000)
    assert (watch.look(), watch.exceeded()) == (False, False)
    (tmp_path / "new").write_bytes(bytes(60_000))
    assert (watch.look(), watch.exceeded()) == (True, True)


def test_disk_watch_charges_names_and_follows_no_link(tmp_path: Path) -> None:
    """Empty files cost something, and a link's target costs nothing."""
    inside = tmp_path / "in"
    inside.mkdir()
    (tmp_path / "big").write_bytes(bytes(1_000_000))
    watch = DiskWatch([str(inside)], 20_000)
    (inside / "link").symlink_to(tmp_path / "big")
    (inside / "up").symlink_to(tmp_path)
    assert not watch.exceeded()
    for number in range(60):
        (inside / str(number)).touch()
    assert watch.exceeded()


def test_disk_watch_finishes_large_trees_in_portions(tmp_path: Path) -> None:
    """A count that takes several portions still comes to an end and starts anew."""
    for number in range(2500):
        (tmp_path / str(number)).touch()
    watch = DiskWatch([str(tmp_path)], 1_000)
    assert [watch.look() for _ in range(4)] == [False] * 4
    (tmp_path / "more").write_bytes(bytes(50_000))
    assert any(watch.look() for _ in range(6))


def test_disk_watch_of_nothing_is_never_exceeded() -> None:
    """Without writable mounts there is nothing to count."""
    watch = DiskWatch([], 1)
    assert (watch.look(), watch.exceeded()) == (False, False)


def test_tasks_are_counted_down_the_tree(tmp_path: Path) -> None:
    """Threads of children and grandchildren are added; what vanished counts nothing; names may hold brackets."""
    for pid, children, threads in ((1, "2 3", 9), (2, "4", 2), (3, "5", 1), (4, "", 3)):
        task = tmp_path / str(pid) / "task" / str(pid)
        task.mkdir(parents=True)
        (task / "children").write_text(children)
        fields = " ".join(str({11: 1, 12: 2, 13: 3, 14: 4, 17: threads}.get(place, 0)) for place in range(30))
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a) b) ) {fields}\n")
    assert count_below(1, 100, tmp_path) == 6
    assert cpu_ms_below(1, tmp_path) == 3 * 10 * 1000 // os.sysconf("SC_CLK_TCK")


def test_tasks_of_a_real_process_are_bounded() -> None:
    """Counting below ourselves works on the real /proc, and counts no ancestor."""
    assert count_below(os.getpid(), 10_000) >= 0


@pytest.mark.sandbox
def test_build_makes_static_programs_once(tmp_path: Path) -> None:
    """Launcher and warden are built, executable for all and writable for none; a second call builds nothing."""
    launcher = build.build_launcher(tmp_path / "bin")
    before = launcher.stat()
    assert before.st_mode & 0o777 == 0o555
    assert (launcher.parent / "gr_warden").stat().st_mode & 0o777 == 0o555
    assert build.build_launcher(tmp_path / "bin").stat().st_ino == before.st_ino
    assert sorted(path.name for path in launcher.parent.iterdir()) == ["gr_launch", "gr_sources.sha256", "gr_warden"]


_LOADED = """
import ctypes, json, os, sys
program = open(sys.argv[1], "rb").read()
class Program(ctypes.Structure):
    _fields_ = [("count", ctypes.c_ushort), ("code", ctypes.c_char_p)]
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Program(len(program) // 8, program)), 0, 0) == 0
done = []
def attempt(name, act):
    try: act()
    except PermissionError: return
    done.append(name)
os.chdir(sys.argv[2])
attempt("write", lambda: open("x", "w").close())
attempt("truncate", lambda: os.truncate("x", 0))
attempt("open-to-read-truncating", lambda: os.open("x", os.O_RDONLY | os.O_TRUNC))
attempt("read", lambda: open("x").close())
print(json.dumps(done))
"""


@pytest.mark.sandbox
def test_truncation_is_denied_for_old_kernels(tmp_path: Path) -> None:
    """The extra program for kernels whose Landlock does not govern it denies truncation by path, and no more."""
    build._write_filter(build._compiler(), tmp_path)
    (tmp_path / "program").write_bytes(build._run([str(tmp_path / "gr_filter"), "truncate"]))
    done = subprocess.run(
        [sys.executable, "-c", _LOADED, str(tmp_path / "program"), str(tmp_path)], capture_output=True, check=True
    )
    assert json.loads(done.stdout) == ["write", "read"]


def test_build_without_compiler_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no compiler, the error says what to install."""
    monkeypatch.setitem(build._ENV, "PATH", str(tmp_path))
    with pytest.raises(Unusable, match="no-compiler") as caught:
        build.build_launcher(tmp_path / "bin")
    assert "gcc" in caught.value.remedy


@pytest.mark.parametrize(
    ("message", "reference"),
    [("seccomp.h: No such file or directory", "no-libseccomp"), ("syntax error", "launcher-build-failed")],
)
def test_build_failures_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: str, reference: str
) -> None:
    """Missing headers are told apart from other failures of the compiler."""
    compiler = tmp_path / "cc"
    compiler.write_text(f"#!/bin/sh\necho '{message}' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setattr(build, "_compiler", lambda: str(compiler))
    with pytest.raises(Unusable) as caught:
        build.build_launcher(tmp_path / "bin")
    assert caught.value.reference == reference


def test_root_needs_a_user_for_the_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Started by root without an unprivileged user, the driver refuses to be made."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(process, "_find_bwrap", lambda: "/usr/bin/bwrap")
    for uid in (None, 0):
        with pytest.raises(Unusable, match="sandbox-as-root"):
            ProcessWalls(tmp_path / "gr_launch", sandbox_uid=uid, sandbox_gid=uid)


def test_missing_launcher_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a built launcher the driver refuses to be made."""
    monkeypatch.setattr(process, "_find_bwrap", lambda: "/usr/bin/bwrap")
    with pytest.raises(Unusable, match="no-launcher"):
        ProcessWalls(tmp_path / "gr_launch", sandbox_uid=1234, sandbox_gid=1234, use_cgroups=False)


def test_missing_bubblewrap_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without bubblewrap the error says what to install."""
    monkeypatch.setattr(process, "_PATH", str(tmp_path))
    with pytest.raises(Unusable, match="no-bubblewrap"):
        ProcessWalls(tmp_path / "gr_launch")


def test_sealed_input_cannot_be_changed() -> None:
    """What a cell reads as input is sealed against writing, also through another descriptor."""
    with ExitStack() as stack:
        fd = process._sealed(b"data", stack)
        with pytest.raises(PermissionError):
            os.write(os.open(f"/proc/self/fd/{fd}", os.O_RDWR), b"x")
        assert os.read(fd, 10) == b"data"
