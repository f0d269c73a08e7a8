"""Control groups of the cells: below the current group, in version 1, version 2 or a mixture of both.

Source: cgroups(7); Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst of the Linux kernel.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from greenroom.domain.plan import Caps

CONTROLLERS = ("memory", "pids", "cpu")
_PREFIX = "greenroom-"
_OWN_LEAF = "greenroom-keeper"
_PERIOD_US = 100_000
_REMOVE_S = 2.0
OWN_PROCESSES = 2
"""What the walls themselves need inside a group: bubblewrap and the launcher."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A directory below which groups with `controller` can be made; `version` is 1 or 2."""

    controller: str
    directory: Path
    version: int


class Group:
    """The groups of one cell, one directory per hierarchy; made by `Groups.make`."""

    def __init__(self, places: Mapping[str, tuple[Path, int]]) -> None:
        self._places = dict(places)

    @property
    def controllers(self) -> frozenset[str]:
        """The controllers that this group enforces."""
        return frozenset(self._places)

    def directories(self) -> tuple[Path, ...]:
        """Every directory of the group, once."""
        return tuple(dict.fromkeys(directory for directory, _ in self._places.values()))

    def open(self) -> tuple[tuple[str, int], ...]:
        """Ways in, for the warden; the caller closes the descriptors.

        `join`: a file to which a process writes "0"; `into`: a directory in which it is started. The other way,
        `cgroup.procs`, makes the kernel wait for a grace period: 10 to 20 ms.
        """
        with contextlib.ExitStack() as failing:
            opened: list[tuple[str, int]] = []
            for directory, version in dict.fromkeys(self._places.values()):
                path, flags = (directory / "tasks", os.O_WRONLY) if version == 1 else (directory, os.O_DIRECTORY)
                fd = os.open(path, flags | os.O_CLOEXEC)
                failing.callback(os.close, fd)
                opened.append(("join" if version == 1 else "into", fd))
            failing.pop_all()
            return tuple(opened)

    def memory_killed(self) -> bool:
        """Whether the kernel killed a process of the group for memory."""
        if "memory" not in self._places:
            return False
        directory, version = self._places["memory"]
        return _counter(directory / ("memory.oom_control" if version == 1 else "memory.events"), "oom_kill") > 0

    def processes_refused(self) -> bool:
        """Whether a new process was refused because of the bound on processes."""
        return "pids" in self._places and _counter(self._places["pids"][0] / "pids.events", "max") > 0

    def memory_peak(self) -> int | None:
        """Most bytes in use at one time, page cache included; None when this is not known."""
        if "memory" not in self._places:
            return None
        directory, version = self._places["memory"]
        text = _read(directory / ("memory.max_usage_in_bytes" if version == 1 else "memory.peak")).strip()
        return int(text) if text.isdigit() else None

    def remove(self) -> None:
        """Removes the directories; the kernel needs a moment after the last process has gone."""
        deadline = time.monotonic() + _REMOVE_S
        for directory in self.directories():
            while True:
                try:
                    directory.rmdir()
                except FileNotFoundError:
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        break
                    time.sleep(0.002)
                else:
                    break


class Groups:
    """Where groups can be made, found once by trying; `make` makes one for a cell."""

    def __init__(self, proc: Path = Path("/proc/self"), pid: int | None = None) -> None:
        self._pid = os.getpid() if pid is None else pid
        found = find_places(proc, self._pid)
        self._places = {place.controller: place for place in found if _usable(place)}
        for place in self._places.values():
            _remove_leftovers(place.directory)

    @property
    def controllers(self) -> frozenset[str]:
        """The controllers of which groups can be made here."""
        return frozenset(self._places)

    def find(self, controller: str) -> Place:
        """Where groups with this controller are made; raises KeyError where none can be."""
        return self._places[controller]

    def make(self, caps: Caps) -> Group | None:
        """A group with the bounds of `caps`; None where no controller is delegated. Raises OSError."""
        if not self._places:
            return None
        name = f"{_PREFIX}{self._pid}-{secrets.token_hex(6)}"
        made = {key: (place.directory / name, place.version) for key, place in self._places.items()}
        group = Group(made)
        try:
            for directory in group.directories():
                directory.mkdir()
            for controller, (directory, version) in made.items():
                for file, value in _bounds(controller, version, caps):
                    _write(directory / file, value)
                _set_optional(controller, directory, version, caps)
        except OSError:
            group.remove()
            raise
        return group


def find_places(proc: Path, pid: int) -> tuple[Place, ...]:
    """The places for the three controllers, from `proc`/mountinfo and `proc`/cgroup; version 1 first."""
    mounts = _mounts(proc / "mountinfo")
    found: dict[str, Place] = {}
    for line in _read(proc / "cgroup").splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        for controller in names.split(","):
            mount = mounts.get(controller)
            if controller in CONTROLLERS and mount is not None:
                directory = _inside(mount, path)
                if directory is not None:
                    found[controller] = Place(controller=controller, directory=directory, version=1)
    missing = [controller for controller in CONTROLLERS if controller not in found]
    unified = mounts.get("")
    own = _unified_path(proc / "cgroup")
    if missing and unified is not None and own is not None:
        directory = _inside(unified, own)
        if directory is not None:
            for controller in _delegated(directory, missing, pid):
                base = directory.parent if directory.name == _OWN_LEAF else directory
                found[controller] = Place(controller=controller, directory=base, version=2)
    return tuple(found.values())


def _unified_path(file: Path) -> str | None:
    for line in _read(file).splitlines():
        if line.startswith("0::"):
            return line[3:]
    return None


def _mounts(file: Path) -> dict[str, tuple[str, Path]]:
    """Controller -> (root of the mount inside its hierarchy, mount point); version 2 under the empty name."""
    found: dict[str, tuple[str, Path]] = {}
    for line in _read(file).splitlines():
        left, _, right = line.partition(" - ")
        fields, kinds = left.split(), right.split()
        if len(fields) < 5 or len(kinds) < 3:
            continue
        mount = (_unescape(fields[3]), Path(_unescape(fields[4])))
        if kinds[0] == "cgroup2":
            found.setdefault("", mount)
        elif kinds[0] == "cgroup":
            for option in kinds[2].split(","):
                if option in CONTROLLERS:
                    found.setdefault(option, mount)
    return found


def _unescape(text: str) -> str:
    return text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")


def _inside(mount: tuple[str, Path], path: str) -> Path | None:
    """Where the group `path` is seen through a mount whose own root may be deeper in the hierarchy."""
    root, point = mount
    if ".." in path.split("/"):
        return None
    relative = os.path.relpath(path, root)
    if relative == ".":
        return point
    return None if relative.startswith("..") else point / relative


def _delegated(directory: Path, wanted: list[str], pid: int) -> list[str]:
    """Hands controllers down to the children of our group. Version 2 allows that only to a group without
    processes, so we first move into a leaf; when others share the group, we leave all as it is."""
    base = directory.parent if directory.name == _OWN_LEAF else directory
    available = _read(base / "cgroup.controllers").split()
    wanted = [controller for controller in wanted if controller in available]
    enabled = _read(base / "cgroup.subtree_control").split()
    missing = [controller for controller in wanted if controller not in enabled]
    if not missing:
        return wanted
    try:
        is_root = not (base / "cgroup.type").exists()
        if not is_root and base == directory:
            if _read(base / "cgroup.procs").split() != [str(pid)]:
                return [controller for controller in wanted if controller in enabled]
            leaf = base / _OWN_LEAF
            leaf.mkdir(exist_ok=True)
            _write(leaf / "cgroup.procs", str(pid))
        _write(base / "cgroup.subtree_control", " ".join(f"+{controller}" for controller in missing))
    except OSError:
        return [controller for controller in wanted if controller in enabled]
    return wanted


def _usable(place: Place) -> bool:
    """By trying: whether a group can be made there and takes a bound."""
    directory = place.directory / f"{_PREFIX}{os.getpid()}-{secrets.token_hex(6)}"
    trial = Caps(
        cpu_s=1,
        cpu_millicores=1000,
        wall_s=1,
        memory_bytes=1 << 30,
        disk_bytes=1,
        processes=16,
        output_bytes=1,
    )
    try:
        directory.mkdir()
    except OSError:
        return False
    try:
        for file, value in _bounds(place.controller, place.version, trial):
            _write(directory / file, value)
    except OSError:
        return False
    finally:
        with contextlib.suppress(OSError):
            directory.rmdir()
    return True


def _bounds(controller: str, version: int, caps: Caps) -> tuple[tuple[str, str], ...]:
    if controller == "memory":
        return (("memory.limit_in_bytes" if version == 1 else "memory.max", str(caps.memory_bytes)),)
    if controller == "pids":
        return (("pids.max", str(caps.processes + OWN_PROCESSES)),)
    quota = max(1000, caps.cpu_millicores * _PERIOD_US // 1000)
    if version == 1:
        return (("cpu.cfs_period_us", str(_PERIOD_US)), ("cpu.cfs_quota_us", str(quota)))
    return (("cpu.max", f"{quota} {_PERIOD_US}"),)


def _set_optional(controller: str, directory: Path, version: int, caps: Caps) -> None:
    """Bounds on swap, which a kernel may be built without."""
    if controller != "memory":
        return
    wanted = (
        (("memory.memsw.limit_in_bytes", str(caps.memory_bytes)),)
        if version == 1
        else (("memory.swap.max", "0"), ("memory.oom.group", "1"))
    )
    for file, value in wanted:
        with contextlib.suppress(OSError):
            _write(directory / file, value)


def _remove_leftovers(directory: Path) -> None:
    """Groups of keepers that were killed; only empty ones can be removed."""
    for entry in directory.glob(f"{_PREFIX}*-*"):
        pid = entry.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            with contextlib.suppress(OSError):
                entry.rmdir()


def _counter(file: Path, name: str) -> int:
    for line in _read(file).splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.isdigit():
            return int(value)
    return 0


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _write(file: Path, value: str) -> None:
    fd = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode("ascii"))
    finally:
        os.close(fd)
