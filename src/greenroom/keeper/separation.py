"""Who sees what, and as whom: the command lines that start the processes of a box with only their share of it.

Bubblewrap lays the view out. The executor gets the system and the installation to read, its own share of the box to
write, no network, no capability and its own process ids; nothing else of the machine is there: neither keys nor
pointers nor an SSH agent's socket are in its reach, and the guard's own program is read-only. A box that root made on a
machine with the system users has more: guard and executor run as their own users, each in such a view, without a way to
get a capability. The keeper, as root, gets a view in which every directory above the box and above the installation can
be passed through by the sandbox's unprivileged user.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from greenroom.config import Box
from greenroom.domain.errors import Unusable

Separation = Literal["users", "namespaces", "none"]

GROUP = "greenroom"
"""Guard and executor are its members: what they share with the keeper belongs to it."""
GUARD_USER = "greenroom-guard"
EXECUTOR_USER = "greenroom-executor"
READ_BY_ALL = ("box.json", "public", "run")
WRITTEN_BY_EXECUTOR = ("db", "run/desk", "store")
WRITTEN_BY_GUARD = ("guard", "keys/guard.key", "live", "log", "run/guard", "store")
"""The guard overwrites the key that `init` made, once the next one is certified."""
HIDDEN_FROM_EXECUTOR = ("keys", "log", "live", "guard", "keeper")
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
_SETTINGS = ("alternatives", "group", "ld.so.cache", "localtime", "passwd")
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "TERM", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
KEPT_PREFIX = "GREENROOM_"
NEEDED_TO_DROP = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """User and group ids of the processes that do not run as root, and the group that they share."""

    guard: int
    guard_group: int
    executor: int
    executor_group: int
    shared: int


def system_users() -> Users | None:
    """The system users of this machine; None unless all are there and differ from root and from each other."""
    try:
        guard, executor = pwd.getpwnam(GUARD_USER), pwd.getpwnam(EXECUTOR_USER)
        shared = grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return None
    if 0 in (guard.pw_uid, executor.pw_uid, shared) or guard.pw_uid == executor.pw_uid:
        return None
    return Users(
        guard=guard.pw_uid,
        guard_group=guard.pw_gid,
        executor=executor.pw_uid,
        executor_group=executor.pw_gid,
        shared=shared,
    )


def users_of(box: Box) -> Users | None:
    """The users that the processes of `box` run as; None where all of them run as whoever starts them.

    The mark is `run/`: it is root's and of the shared group, and the last that `init` hands over.
    """
    users = system_users()
    if users is None:
        return None
    mark = box.run.stat()
    return users if (mark.st_uid, mark.st_gid) == (0, users.shared) else None


def callers(users: Users | None, process: Literal["guard", "keeper", "desk"]) -> frozenset[int]:
    """The user ids that may call a process: of the executor and the person, or all the same one without `users`."""
    if users is None:
        return frozenset({os.geteuid()})
    return {
        "guard": frozenset({0, users.executor}),
        "keeper": frozenset({0, users.executor}),
        "desk": frozenset({0}),
    }[process]


def socket_mode(users: Users | None, process: Literal["guard", "keeper", "desk"]) -> int:
    """The mode of a process's socket: the group may write to one that the executor calls."""
    return 0o660 if users is not None and process != "desk" else 0o600


def executor_command(box: Box, argv: tuple[str, ...]) -> tuple[str, ...]:
    """`argv` in a view that has the system, the installation and the executor's share of the box, and no more.

    It runs as the executor's own user where the box has users.
    """
    return executor_as(users_of(box), box, argv)


def executor_as(users: Users | None, box: Box, argv: tuple[str, ...]) -> tuple[str, ...]:
    """The same, as the executor of `users`, whatever the box says; without `users`, as whoever starts it.

    It makes no namespaces of its own (`closed.py`), so what it sees stays what it was given.
    """
    view = _view(box, READ_BY_ALL, WRITTEN_BY_EXECUTOR)
    closed = str(Path(__file__).with_name("closed.py"))
    argv = (sys.executable, "-I", "-S", closed, shutil.which(argv[0]) or argv[0], *argv[1:])
    if users is None:
        own = () if os.geteuid() == 0 else ("--unshare-user",)
        return (_bwrap(), *own, *view, *_powers(()), "--", *argv)
    return (
        _bwrap(),
        *view,
        *_powers(NEEDED_TO_DROP),
        "--",
        *dropped(users.executor, users.executor_group, users, argv),
    )


def guard_command(box: Box, argv: tuple[str, ...], users: Users) -> tuple[str, ...]:
    """`argv` as the guard's user, in a view with its share of the box, its own key, and no network."""
    view = _view(box, READ_BY_ALL, WRITTEN_BY_GUARD)
    return (_bwrap(), *view, *_powers(NEEDED_TO_DROP), "--", *dropped(users.guard, users.guard_group, users, argv))


def keeper_command(box: Box, argv: tuple[str, ...]) -> tuple[str, ...]:
    """`argv` in a view in which the sandbox's user can reach what it is given; `argv` itself where it can already."""
    opened = _opened(box) if os.geteuid() == 0 else ()
    if not opened:
        return argv
    return (_bwrap(), "--dev-bind", "/", "/", "--cap-add", "ALL", "--die-with-parent", *opened, "--", *argv)


def dropped(uid: int, gid: int, users: Users, argv: tuple[str, ...]) -> tuple[str, ...]:
    """`argv` as another user and for good: no capability, none to get, no new privileges (capabilities(7))."""
    program = shutil.which("setpriv")
    if program is None:
        raise Unusable("no-setpriv", "setpriv is not installed", remedy="apt-get install util-linux")
    who = ("--reuid", str(uid), "--regid", str(gid), "--groups", str(users.shared))
    powers = ("--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs")
    return (program, *who, *powers, "--", *argv)


def dropped_environment(given: Mapping[str, str]) -> dict[str, str]:
    """What of root's environment another user's process gets: no home, no credentials."""
    kept = {name: given[name] for name in given if name in KEPT_VARIABLES or name.startswith(KEPT_PREFIX)}
    return {**kept, "HOME": "/nonexistent"}


def closed_above(path: Path) -> Path | None:
    """The first directory above `path` that other users cannot pass through."""
    for parent in reversed(path.resolve().parents):
        if not stat.S_IMODE(parent.stat().st_mode) & stat.S_IXOTH:
            return parent
    return None


def found_separation(box: Box, peers: Mapping[str, tuple[int, int]]) -> Separation:
    """What really keeps the processes apart, from the (pid, uid) of those that answer as guard, keeper and desk.

    `users`: three different users, and only the keeper is root. `namespaces`: the executor's own view of the
    box, looked at through /proc, shows nothing where keys, log, pointers and the other processes' files are.
    """
    uids = {name: uid for name, (_, uid) in peers.items()}
    if len(set(uids.values())) == len(uids) and 0 not in (uids["guard"], uids["desk"]):
        return "users"
    seen = Path(f"/proc/{peers['desk'][0]}/root") / box.root.relative_to("/")
    try:
        if not (seen / box.identity.name).exists():
            return "none"
        shown = [any((seen / name).iterdir()) for name in HIDDEN_FROM_EXECUTOR if (seen / name).exists()]
    except OSError:
        return "none"
    return "none" if any(shown) else "namespaces"


def _view(box: Box, reads: Iterable[str], writes: Iterable[str]) -> list[str]:
    """The system, the installation and a share of the box; all else is not there."""
    binds = [("--ro-bind-try", Path(place)) for place in (*_SYSTEM, *(f"/etc/{name}" for name in _SETTINGS))]
    binds += [("--ro-bind", path) for path in _installation()]
    binds += [("--ro-bind", box.root / name) for name in reads]
    binds += [("--bind", box.root / name) for name in writes]
    view = ["--unshare-net", "--unshare-pid", "--unshare-ipc", "--dev", "/dev", "--proc", "/proc"]
    for place in ("/tmp", "/var/tmp"):  # noqa: S108 - the view's own
        view += [*_way([Path(place)]), "--perms", "1777", "--tmpfs", place]
    view += _way(path for _, path in binds)
    return view + [word for how, path in binds for word in (how, str(path), str(path))]


def _way(paths: Iterable[Path]) -> list[str]:
    """What leads to `paths`, passable for all: bubblewrap by itself makes it for its own user only."""
    parents = sorted({parent for path in paths for parent in path.parents if parent != Path("/")})
    return [word for path in parents for word in ("--perms", "0755", "--dir", str(path))]


def _installation() -> list[Path]:
    """What this Python and its packages are read from; plug-ins may lie anywhere on its path."""
    named = (sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable)), *sys.path)
    paths = [Path(name) for name in named if os.path.isabs(name) and name != "/" and os.path.exists(name)]
    return _outermost([*paths, Path(__file__).resolve().parents[2]])


def _opened(box: Box) -> list[str]:
    """What makes the box and the installation reachable for other users, where a directory above them is closed."""
    needed = [box.root, Path(sys.prefix), Path(sys.base_prefix), Path(__file__).resolve().parents[2]]
    closed = sorted({wall for path in needed if (wall := closed_above(path)) is not None})
    view = []
    for wall in _outermost(closed):
        view += ["--tmpfs", str(wall)]
        for path in _outermost([p.resolve() for p in needed]):
            if path.is_relative_to(wall):
                view += [*_way([path]), "--bind", str(path), str(path)]
    return view


def _powers(kept: Iterable[str]) -> list[str]:
    """No power of root's, which could take the view apart, but `kept`; and an end with whoever started it."""
    return [
        "--cap-drop",
        "ALL",
        *(w for name in kept for w in ("--cap-add", name)),
        "--die-with-parent",
        "--new-session",
    ]


def _outermost(paths: Iterable[Path]) -> list[Path]:
    kept: list[Path] = []
    for path in sorted(set(paths)):
        if not any(path.is_relative_to(other) for other in kept):
            kept.append(path)
    return kept


def _bwrap() -> str:
    found = shutil.which("bwrap")
    if found is None:
        raise Unusable("no-bubblewrap", "bubblewrap is not installed", remedy="apt-get install bubblewrap")
    return found
