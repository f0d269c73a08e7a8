"""`ProcessWalls`: a command between bubblewrap, seccomp, Landlock, control groups and resource limits."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import shutil
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from greenroom.domain.errors import Unusable
from greenroom.domain.plan import Caps
from greenroom.domain.ports import Cell, Mount, Outcome
from greenroom.domain.verdict import Refused
from greenroom.sandbox import report, root
from greenroom.sandbox.build import WARDEN
from greenroom.sandbox.cgroups import Group, Groups
from greenroom.sandbox.disk import DiskWatch
from greenroom.sandbox.spawn import Child, reap, spawn
from greenroom.sandbox.watch import Ending, Wires, watch

_OPEN_FILES = 1024
_GIB = 1 << 30
_LAUNCHER_PROCESSES = 1
_BEHIND = 16
"""Room above the bound on processes, so that the control group or our own count, which tell, are met first."""
_PATH = "/usr/bin:/bin"
_STAGE = "/tmp"  # noqa: S108 - the warden's own, in a mount namespace of the cell
_DOCTOR = "see `greenroom doctor`"
_LIMITS = "start the box where nothing forbids its processes to lower their resource limits (setrlimit)"
_TRIAL = Cell(
    argv=("/usr/bin/true",),
    mounts=(),
    caps=Caps(
        cpu_s=5,
        cpu_millicores=1000,
        wall_s=10,
        memory_bytes=256 * 1024 * 1024,
        disk_bytes=1024 * 1024,
        processes=8,
        output_bytes=4096,
    ),
)


class ProcessWalls:
    """Runs cells as processes of this machine (port `Walls`); safe to use from many threads.

    `launcher` is what `build_launcher` made. As root, `sandbox_uid` and `sandbox_gid` name the unprivileged user
    that cells run as; as an ordinary user they are None and cells run as that user. `use_cgroups` False leaves
    the control groups out. Raises Unusable `no-bubblewrap`, `no-launcher` or `sandbox-as-root`.
    """

    def __init__(
        self,
        launcher: Path,
        *,
        sandbox_uid: int | None = None,
        sandbox_gid: int | None = None,
        use_cgroups: bool = True,
    ) -> None:
        self._launcher = launcher
        self._warden = launcher.parent / WARDEN
        self._bwrap = _find_bwrap()
        self._rights, uid, gid = _rights(sandbox_uid, sandbox_gid)
        self._etc = root.etc_files(uid, gid)
        self._groups = Groups() if use_cgroups else None
        self._ours = report.own_namespaces()
        self._layers: Mapping[str, bool] | None = None
        self._lock = threading.Lock()
        for program in (self._launcher, self._warden):
            if not os.access(program, os.X_OK):
                raise Unusable(
                    "no-launcher",
                    "the sandbox launcher is not built",
                    where=str(program),
                    remedy="run the set-up again",
                )

    def layers(self) -> Mapping[str, bool]:
        """Each wall's name and whether this machine gives it, found by one trial run; kept.

        None is given where the trial's command did not run to a good end: no other command would.
        """
        with self._lock:
            if self._layers is None:
                outcome = self.run(_TRIAL, lambda: False)
                self._layers = _proved(outcome)
            return self._layers

    def run(self, cell: Cell, cancelled: Callable[[], bool]) -> Outcome | Refused:
        """Runs the cell to its end. Refused: `bad-*`, `mount-*`, `cgroup-failed`, `wall-failed`."""
        fault = root.find_fault(cell)
        if fault is not None:
            return fault
        try:
            group = self._groups.make(cell.caps) if self._groups is not None else None
        except OSError as error:
            return Refused(rule="cgroup-failed", where=str(error), remedy=_DOCTOR)
        try:
            return self._run(cell, group, cancelled)
        finally:
            if group is not None:
                group.remove()

    def _run(self, cell: Cell, group: Group | None, cancelled: Callable[[], bool]) -> Outcome | Refused:
        mounts = root.in_order(cell.mounts)
        disk = DiskWatch([mount.source for mount in mounts if mount.writable], cell.caps.disk_bytes)
        with ExitStack() as stack:
            try:
                child, wires = self._start(cell, mounts, group, stack)
            except OSError as error:
                return Refused(rule="wall-failed", where=str(error), remedy="see `greenroom doctor`")
            try:
                ending = watch(cell, wires, group, disk, cancelled)
            finally:
                # The warden kills and reaps all that is left, and then ends itself.
                wires.control.close()
                reap(child)
        said = report.parse(ending.said)
        controllers = group.controllers if group is not None else frozenset()
        if "started" not in said and ending.ended_by == "exit":
            return _failure(said, ending)
        return ending.outcome(said, report.enforced(said, self._ours, controllers), group)

    def _start(self, cell: Cell, mounts: Sequence[Mount], group: Group | None, stack: ExitStack) -> tuple[Child, Wires]:
        """Starts the warden, which starts bubblewrap, which starts the launcher, which starts the command.

        `stack` closes our ends; the ends of the cell are closed when it has them.
        """
        with ExitStack() as theirs:
            control, control_theirs = _pair(stack, theirs)
            status, status_theirs = _pair(stack, theirs)
            said, said_theirs = _pair(stack, theirs)
            warden, passed = self._warden_words(mounts, group, theirs)
            inner, inner_passed = self._inner_words(cell, mounts, group, said_theirs, theirs)
            fds = (*passed, *inner_passed, said_theirs)
            told = [f"pass={fd}" for fd in (*inner_passed, said_theirs)]
            words = [str(self._warden), str(control_theirs), str(status_theirs), *warden, *told, "--", *inner]
            child = spawn(words, _sealed(cell.stdin, theirs), (control_theirs, status_theirs, *fds), stack)
        return child, Wires(
            warden=child.pid,
            control=control,
            status=status,
            said=said,
            stdout=child.stdout,
            stderr=child.stderr,
        )

    def _warden_words(
        self, mounts: Sequence[Mount], group: Group | None, theirs: ExitStack
    ) -> tuple[list[str], list[int]]:
        """The warden's options, and the descriptors that they name."""
        ways = group.open() if group is not None else ()
        for _, fd in ways:
            theirs.callback(os.close, fd)
        words = [*self._rights, *(f"{way}={fd}" for way, fd in ways)]
        if self._rights:
            words += [f"stage={mount.source}" for mount in mounts]
        return words, [fd for _, fd in ways]

    def _inner_words(
        self, cell: Cell, mounts: Sequence[Mount], group: Group | None, said: int, theirs: ExitStack
    ) -> tuple[list[str], list[int]]:
        """Bubblewrap, the launcher and the command as one list of words, and the descriptors that they name."""
        files = {path: _sealed(data, theirs) for path, data in self._etc.items()}
        launcher = os.open(self._launcher, os.O_RDONLY | os.O_CLOEXEC)
        theirs.callback(os.close, launcher)
        sources = _staged(mounts) if self._rights else mounts
        # Through a descriptor: a list of processes then shows neither environment nor mounts.
        args = _sealed(os.fsencode("\0".join(root.arguments(cell, sources, files)) + "\0"), theirs)
        words = [
            *(self._bwrap, "--args", str(args), "--"),
            *(f"/proc/self/fd/{launcher}", str(said)),
            *_limits(cell.caps, group),
            *(f"rw={path}" for path in root.writable_paths(mounts)),
            "--",
            *cell.argv,
        ]
        return words, [launcher, args, *files.values()]


def _proved(trial: Outcome | Refused) -> Mapping[str, bool]:
    if isinstance(trial, Refused) or (trial.ended_by, trial.exit) != ("exit", 0):
        return report.nothing()
    return trial.layers


def _staged(mounts: Sequence[Mount]) -> list[Mount]:
    """The mounts with the sources at which the warden puts them."""
    return [dataclasses.replace(mount, source=f"{_STAGE}/{index}") for index, mount in enumerate(mounts)]


def _find_bwrap() -> str:
    found = shutil.which("bwrap", path=_PATH)
    if found is None:
        raise Unusable("no-bubblewrap", "bubblewrap is not installed", where="bwrap", remedy="install bubblewrap")
    return found


def _rights(uid: int | None, gid: int | None) -> tuple[tuple[str, ...], int, int]:
    """What the warden is told to become, and the ids of the cells' user."""
    if os.geteuid() != 0:
        return (), os.geteuid(), os.getegid()
    if not uid or not gid:
        raise Unusable(
            "sandbox-as-root",
            "started by root, cells need an unprivileged user of their own",
            where="sandbox user",
            remedy="make a system user and name it",
        )
    return (f"uid={uid}", f"gid={gid}"), uid, gid


def _pair(ours: ExitStack, theirs: ExitStack) -> tuple[socket.socket, int]:
    """A socket pair: a socket, unlike a pipe, cannot be opened again through /proc/<pid>/fd."""
    here, there = socket.socketpair()
    ours.enter_context(here)
    theirs.enter_context(there)
    return here, there.fileno()


def _sealed(data: bytes, stack: ExitStack) -> int:
    """A readable descriptor of `data` that nobody can change."""
    fd = os.memfd_create("greenroom", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    stack.callback(os.close, fd)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _limits(caps: Caps, group: Group | None) -> tuple[str, ...]:
    """Resource limits of each process, setrlimit(2). Where a control group bounds the memory of all together,
    none is set per process: address space is not memory, and programs reserve much of it."""
    controllers = group.controllers if group is not None else frozenset()
    words = [
        f"cpu={caps.cpu_s}",
        f"fsize={caps.disk_bytes}",
        f"nproc={caps.processes + _LAUNCHER_PROCESSES + _BEHIND}",
        f"nofile={_OPEN_FILES}",
    ]
    if "memory" not in controllers:
        words += [f"data={caps.memory_bytes}", f"as={2 * caps.memory_bytes + _GIB}"]
    return tuple(words)


def _failure(said: Mapping[str, str], ending: Ending) -> Refused:
    """Why the command was never started."""
    if "error" in said:
        what = said["error"]
        return Refused(rule="wall-failed", where=what, remedy=_LIMITS if what.startswith("limit-") else _DOCTOR)
    message = ending.stderr.decode("utf-8", "replace").strip()[-1000:]
    if "Can't find source path" in message and "Permission denied" in message:
        return root.unreachable(message.partition("source path ")[2].rpartition(": ")[0])
    return Refused(rule="wall-failed", where=message or f"exit {ending.exit}", remedy=_DOCTOR)
