"""Control groups: found in versions 1 and 2, bounds written, counters read. A plain directory plays the kernel."""

import dataclasses
import os
from pathlib import Path

import pytest

from greenroom.sandbox import cgroups
from greenroom.sandbox.cgroups import Group, Groups, find_places
from greenroom.sandbox.checking import CAPS

V1 = """\
30 20 0:26 / {root}/memory rw - cgroup cgroup rw,memory
31 20 0:27 /box {root}/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
32 20 0:28 / {root}/with\\040space rw - cgroup cgroup rw,pids
33 20 0:29 / {root}/unified rw - cgroup2 cgroup2 rw
"""
V2 = "33 20 0:29 / {root} rw - cgroup2 cgroup2 rw\n"
PID = 4242


def _proc(tmp_path: Path, mounts: str, groups: str) -> Path:
    proc = tmp_path / "proc"
    proc.mkdir()
    (proc / "mountinfo").write_text(mounts.format(root=tmp_path / "fs"))
    (proc / "cgroup").write_text(groups)
    return proc


def _v2(tmp_path: Path, path: str, procs: str, enabled: str = "", available: str = "cpu memory pids io") -> Path:
    group = tmp_path / "fs" / path
    group.mkdir(parents=True)
    for name, text in {
        "cgroup.controllers": available,
        "cgroup.subtree_control": enabled,
        "cgroup.procs": procs,
        "cgroup.type": "domain",
    }.items():
        (group / name).write_text(text + "\n")
    return group


def test_version_1_places_are_below_the_current_group(tmp_path: Path) -> None:
    """Each controller's place is its own hierarchy's current group, seen through the mount's root."""
    proc = _proc(tmp_path, V1, "9:memory:/a/b\n8:cpu,cpuacct:/box/c\n7:pids:/\n0::/\n")
    places = {place.controller: (place.directory, place.version) for place in find_places(proc, PID)}
    fs = tmp_path / "fs"
    assert places == {
        "memory": (fs / "memory/a/b", 1),
        "cpu": (fs / "cpu,cpuacct/c", 1),
        "pids": (fs / "with space", 1),
    }


def test_group_outside_the_mount_is_left_out(tmp_path: Path) -> None:
    """A current group that the mount does not show, or a path that climbs, gives no place."""
    proc = _proc(tmp_path, V1, "8:cpu,cpuacct:/elsewhere\n9:memory:/a/../../etc\n")
    assert find_places(proc, PID) == ()


def test_version_2_hands_down_to_children_from_a_leaf(tmp_path: Path) -> None:
    """Alone in its group, the process moves into a leaf, and the controllers are handed to the cells' groups."""
    group = _v2(tmp_path, "scope", str(PID))
    leaf = group / "greenroom-keeper"
    leaf.mkdir()
    (leaf / "cgroup.procs").write_text("")
    places = find_places(_proc(tmp_path, V2, "0::/scope\n"), PID)
    assert {(place.controller, place.directory, place.version) for place in places} == {
        (controller, group, 2) for controller in ("memory", "pids", "cpu")
    }
    assert (leaf / "cgroup.procs").read_text() == str(PID)
    assert (group / "cgroup.subtree_control").read_text() == "+memory +pids +cpu"


def test_version_2_group_with_others_is_left_as_it_is(tmp_path: Path) -> None:
    """When other processes share the group nothing is moved, and nothing is handed down."""
    group = _v2(tmp_path, "scope", f"{PID}\n77")
    assert find_places(_proc(tmp_path, V2, "0::/scope\n"), PID) == ()
    assert not (group / "greenroom-keeper").exists()


def test_version_2_uses_what_is_handed_down_already(tmp_path: Path) -> None:
    """Controllers that are enabled for children are used without a move; from our own leaf, its parent is used."""
    group = _v2(tmp_path, "scope", f"{PID}\n77", enabled="pids")
    (group / "greenroom-keeper").mkdir()
    places = find_places(_proc(tmp_path, V2, "0::/scope/greenroom-keeper\n"), PID)
    assert [(place.controller, place.directory) for place in places if place.controller == "pids"] == [("pids", group)]


def test_no_hierarchy_no_controllers(tmp_path: Path) -> None:
    """Where nothing is mounted there is no group, and none is made."""
    groups = Groups(_proc(tmp_path, "", ""), PID)
    assert (groups.controllers, groups.make(CAPS)) == (frozenset(), None)


def _group(tmp_path: Path, version: int, files: dict[str, str]) -> Group:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return Group(dict.fromkeys(cgroups.CONTROLLERS, (tmp_path, version)))


@pytest.mark.parametrize(
    ("version", "memory", "peak"),
    [(1, "memory.oom_control", "memory.max_usage_in_bytes"), (2, "memory.events", "memory.peak")],
)
def test_counters_tell_what_the_kernel_did(tmp_path: Path, version: int, memory: str, peak: str) -> None:
    """A kill for memory, a refused process and the peak are read from the version's own files."""
    group = _group(tmp_path, version, {memory: "low 0\noom_kill 0\n", "pids.events": "max 0\n", peak: "4096\n"})
    assert (group.memory_killed(), group.processes_refused(), group.memory_peak()) == (False, False, 4096)
    (tmp_path / memory).write_text("under_oom 0\noom_kill 2\n")
    (tmp_path / "pids.events").write_text("max 7\n")
    assert (group.memory_killed(), group.processes_refused()) == (True, True)


def test_counters_of_missing_files_are_zero(tmp_path: Path) -> None:
    """A kernel without a counter tells nothing, and that is not a kill."""
    group = _group(tmp_path, 2, {})
    assert (group.memory_killed(), group.processes_refused(), group.memory_peak()) == (False, False, None)


def test_real_group_has_the_bounds_and_is_removed() -> None:
    """A group on this machine has the caps as bounds, and leaves no directory behind."""
    groups = Groups()
    if "pids" not in groups.controllers or groups.find("pids").version != 1:
        pytest.skip("no version 1 pids controller is delegated here")
    group = groups.make(dataclasses.replace(CAPS, processes=7))
    assert group is not None
    directories = group.directories()
    assert [(d / "pids.max").read_text() for d in directories if (d / "pids.max").exists()] == ["9\n"]
    group.remove()
    assert [d for d in directories if d.exists()] == []


def test_leftovers_of_dead_keepers_are_removed(tmp_path: Path) -> None:
    """Empty groups of processes that are gone are removed at the start; those of the living stay."""
    dead, living = tmp_path / "greenroom-999999999-ab", tmp_path / f"greenroom-{os.getpid()}-ab"
    for directory in (dead, living, tmp_path / "other-1-a"):
        directory.mkdir()
    cgroups._remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([living.name, "other-1-a"])
