"""What a cell sees: the bubblewrap arguments for its root, and the rules for mounts and environment."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import PurePosixPath

from greenroom.domain.ports import Cell, Mount
from greenroom.domain.verdict import Refused

HOST_NAME = "greenroom"
ENVIRONMENT: Mapping[str, str] = {
    "HOME": "/tmp",  # noqa: S108 - inside the cell, private
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "TMPDIR": "/tmp",  # noqa: S108 - inside the cell, private
    "TZ": "UTC",
    "USER": "sandbox",
}
_OURS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/proc", "/dev", "/sys")
_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_HOST_FILES = ("/etc/ld.so.cache", "/etc/alternatives")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHM_BYTES = 64 * 1024 * 1024
_PAGE = 4096
_MAX_MOUNTS = 48

_NAMESPACES = (
    "--unshare-user",
    "--disable-userns",
    "--unshare-ipc",
    "--unshare-pid",
    "--unshare-net",
    "--unshare-uts",
    "--unshare-cgroup-try",
)


def etc_files(uid: int, gid: int) -> Mapping[str, bytes]:
    """The files of the cell's /etc, for a user `sandbox` with these ids."""
    return {
        "/etc/passwd": f"sandbox:x:{uid}:{gid}:sandbox:/tmp:/bin/sh\n".encode(),
        "/etc/group": f"sandbox:x:{gid}:\n".encode(),
        "/etc/hosts": f"127.0.0.1 localhost {HOST_NAME}\n::1 localhost\n".encode(),
        "/etc/nsswitch.conf": b"passwd: files\ngroup: files\nhosts: files\n",
    }


def find_fault(cell: Cell) -> Refused | None:
    """The first thing in the cell that cannot be had: bad command, environment, directory or mount."""
    if not cell.argv or not cell.argv[0] or any("\0" in word for word in cell.argv):
        return Refused(rule="bad-command", where=repr(cell.argv[:1]), remedy="name a command without NUL bytes")
    for name, value in cell.env.items():
        if not _NAME.fullmatch(name) or "\0" in value:
            return Refused(rule="bad-environment", where=repr(name), remedy="use names of letters, digits and _")
    if not _is_plain(cell.cwd):
        return Refused(rule="bad-directory", where=repr(cell.cwd), remedy="name an absolute, plain path")
    caps = cell.caps
    smallest = min(caps.cpu_s, caps.cpu_millicores, caps.wall_s, caps.memory_bytes, caps.disk_bytes, caps.processes)
    if smallest < 1 or caps.output_bytes < 0:
        return Refused(rule="bad-caps", where=repr(caps), remedy="give positive caps")
    return _find_bad_mount(cell.mounts)


def in_order(mounts: Sequence[Mount]) -> list[Mount]:
    """The mounts, those that others lie in first; a `.git` at the top of a writable one is added, read-only."""
    wanted = list(mounts)
    for mount in mounts:
        git = os.path.join(mount.source, ".git")
        target = os.path.join(mount.target, ".git")
        if mount.writable and os.path.lexists(git) and not any(other.target == target for other in mounts):
            wanted.append(Mount(source=git, target=target))
    return sorted(wanted, key=lambda mount: PurePosixPath(mount.target).parts)


def writable_paths(mounts: Sequence[Mount]) -> tuple[str, ...]:
    """The paths inside the cell that may be written."""
    return ("/tmp", "/dev", *(mount.target for mount in mounts if mount.writable))  # noqa: S108 - inside the cell


def arguments(cell: Cell, mounts: Sequence[Mount], files: Mapping[str, int]) -> list[str]:
    """Arguments of bubblewrap, without the command. `files` are readable descriptors for the files of /etc."""
    caps = cell.caps
    words = [*_NAMESPACES, "--die-with-parent", "--new-session", "--as-pid-1", "--hostname", HOST_NAME]
    words += ["--cap-drop", "ALL", "--clearenv"]
    for name, value in {**ENVIRONMENT, **cell.env}.items():
        words += ["--setenv", name, value]
    words += ["--ro-bind", "/usr", "/usr"]
    words += _tops()
    for target, fd in files.items():
        words += ["--perms", "0444", "--file", str(fd), target]
    for path in _HOST_FILES:
        words += ["--ro-bind-try", path, path]
    # tmpfs sizes are whole pages; zero would mean no bound
    tmp = max(caps.disk_bytes // _PAGE, 1) * _PAGE
    words += ["--proc", "/proc", "--dev", "/dev"]
    words += ["--perms", "1777", "--size", str(min(tmp, _SHM_BYTES)), "--tmpfs", "/dev/shm"]  # noqa: S108
    words += ["--perms", "1777", "--size", str(tmp), "--tmpfs", "/tmp"]  # noqa: S108 - inside the cell
    for mount in mounts:
        words += ["--bind" if mount.writable else "--ro-bind", mount.source, mount.target]
    return [*words, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", cell.cwd]


@cache
def _tops() -> tuple[str, ...]:
    """Looked up once: a machine does not change the shape of its root while it runs."""
    return tuple(word for name in _MERGED for word in _top(name))


def _top(name: str) -> list[str]:
    """A top directory of the host, as it is there: a link into /usr on a merged system, else a directory."""
    path = f"/{name}"
    try:
        kind = os.lstat(path).st_mode
    except OSError:
        return []
    return ["--symlink", os.readlink(path), path] if stat.S_ISLNK(kind) else ["--ro-bind", path, path]


def _is_plain(path: str) -> bool:
    return path.startswith("/") and "\0" not in path and os.path.normpath(path) == path and not path.startswith("//")


def _find_bad_mount(mounts: Sequence[Mount]) -> Refused | None:
    if len(mounts) > _MAX_MOUNTS:
        return Refused(rule="too-many-mounts", where=str(len(mounts)), remedy=f"mount at most {_MAX_MOUNTS} paths")
    targets = [mount.target for mount in mounts]
    for mount in mounts:
        fault = _fault_of_target(mount, targets) or _fault_of_source(mount)
        if fault is not None:
            return fault
    ordered = in_order(mounts)
    for index, mount in enumerate(ordered):
        for outer in ordered[:index]:
            fault = _fault_of_nesting(outer, mount)
            if fault is not None:
                return fault
    return None


def _fault_of_target(mount: Mount, targets: Sequence[str]) -> Refused | None:
    target = mount.target
    if not _is_plain(target) or target in ("/", "/tmp"):  # noqa: S108 - inside the cell
        return Refused(rule="mount-target", where=target, remedy="mount at an absolute, plain path")
    if any(target == path or target.startswith(path + "/") for path in _OURS):
        return Refused(rule="mount-target", where=target, remedy="mount outside the directories of the system")
    if targets.count(target) > 1:
        return Refused(rule="mount-target", where=target, remedy="mount each path once")
    return None


def _fault_of_source(mount: Mount) -> Refused | None:
    if not _is_plain(mount.source):
        return Refused(rule="mount-source", where=mount.source, remedy="name an absolute, plain path")
    try:
        kind = os.lstat(mount.source).st_mode
    except PermissionError:
        return unreachable(mount.source)
    except OSError:
        return Refused(rule="mount-missing", where=mount.source, remedy="make it before the cell is started")
    if not stat.S_ISDIR(kind) and not stat.S_ISREG(kind):
        return Refused(rule="mount-source", where=mount.source, remedy="mount a directory or a regular file, no link")
    return None


def _fault_of_nesting(outer: Mount, inner: Mount) -> Refused | None:
    """A mount point inside another mount must be there already and no link may lead to it: bubblewrap would
    make it on the host, or follow the link."""
    if not inner.target.startswith(outer.target + "/"):
        return None
    path = outer.source
    for part in inner.target[len(outer.target) + 1 :].split("/"):
        path = os.path.join(path, part)
        try:
            kind = os.lstat(path).st_mode
        except OSError:
            return Refused(rule="mount-target", where=inner.target, remedy=f"make {path} before the cell is started")
        if stat.S_ISLNK(kind):
            return Refused(rule="mount-target", where=inner.target, remedy=f"{path} must not be a link")
    if stat.S_ISDIR(kind) != stat.S_ISDIR(os.lstat(inner.source).st_mode):
        return Refused(
            rule="mount-target", where=inner.target, remedy="mount files on files, directories on directories"
        )
    return None


def unreachable(path: str) -> Refused:
    """The sandbox user cannot reach `path` on the host."""
    return Refused(
        rule="mount-unreachable",
        where=path,
        remedy="let the sandbox user pass through (x) every directory above it, and read it",
    )
