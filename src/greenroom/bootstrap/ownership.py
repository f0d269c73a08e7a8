"""Who owns what in a box: each process's directories are its user's, what they share is the group's.

Where the system users are not to be had, all of a box belongs to whoever made it, and the executor's view
keeps it from the rest. A box changes from one form to the other when `init` runs again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from greenroom.config import Box
from greenroom.domain.errors import GreenroomError, Unusable
from greenroom.keeper.separation import (
    Users,
    dropped_environment,
    executor_as,
    guard_command,
    system_users,
    users_of,
)

SHARED = 0o2770
"""What is made in such a directory belongs to its group, whoever makes it."""
END_S = 30.0
TRIAL_S = 60.0
TRIAL = """
import sys, greenroom.bootstrap.processes, greenroom.guard.client, greenroom.wire.rpc, cryptography, cedarpy, sqlalchemy
sys.exit(sys.base_prefix != sys.argv[1])
"""
"""Succeeds where this interpreter finds itself and the installation: it may fall back on another where it cannot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Whose a path of the box is; `below`: all below it too; `folders`: the mode of the directories below it."""

    path: Path
    uid: int
    gid: int
    mode: int
    below: bool = False
    folders: int | None = None


def places(box: Box, users: Users | None, me: tuple[int, int]) -> tuple[Place, ...]:
    """Whose each path of `box` is, `run/` last: it is the mark that all before it is done.

    `me` are user and group id of whoever makes the box.
    """
    return _of_one(box, *me) if users is None else _of_users(box, users)


def hand_over(box: Box, users: Users | None) -> None:
    """Give every path of `box` its owner and mode; what belongs to it already is not looked through again."""
    for place in places(box, users, (os.geteuid(), os.getegid())):
        with contextlib.suppress(FileNotFoundError):
            _settle(place)


def users_to_be_had(box: Box) -> Users | None:
    """The system users, when this is root and both can really run this installation on `box`; found by trying."""
    users = system_users() if os.geteuid() == 0 else None
    if users is None:
        return None
    trial = (sys.executable, "-c", TRIAL, sys.base_prefix)
    try:
        commands = (guard_command(box, trial, users), executor_as(users, box, trial))
    except GreenroomError:
        return None
    return users if all(_runs(command) for command in commands) else None


@contextlib.contextmanager
def quiet(box: Box) -> Iterator[None]:
    """No process of the box runs inside, and none starts: rescue's lock is ours."""
    from greenroom.bootstrap.local import LocalServices

    LocalServices(box).down()
    lock = os.open(box.run / "rescue.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + END_S
        while not _taken(lock):
            if time.monotonic() >= deadline:
                raise Unusable(
                    "box-busy", "the box's processes do not end", where=str(box.root), remedy="greenroom down"
                )
            time.sleep(0.05)
        yield
    finally:
        os.close(lock)


def settle_box(box: Box) -> Users | None:
    """Give the box the best form to be had here; the users that its processes run as from then on."""
    users = users_to_be_had(box)
    if users_of(box) == users:
        hand_over(box, users)
        return users
    with quiet(box):
        hand_over(box, users)
    return users


def require_form(box: Box) -> None:
    """Raise Unusable `box-half-handed-over` where root could not run a box: its users are gone, or `init` was cut."""
    if os.geteuid() == 0 and users_of(box) is None and box.db.stat().st_uid != 0:
        raise Unusable(
            "box-half-handed-over",
            "parts of the box belong to users that its processes cannot run as",
            where=str(box.db),
            remedy="greenroom init; to have the system users (again), `make setup` before it",
        )


def _of_one(box: Box, uid: int, gid: int) -> tuple[Place, ...]:
    passable = (box.root, box.keeper) if uid == 0 else ()
    # Shallow first: with `run/` no longer the group's, the box counts as one user's while the rest follows.
    order = (box.run, *(path for path in box.directories() if path != box.run))
    whole = (box.keys, box.log, box.live, box.guard, box.store, box.db)
    return tuple(
        Place(
            path=path,
            uid=uid,
            gid=gid,
            mode=0o711 if path in passable else 0o700,
            below=path in whole,
            folders=0o700 if path == box.store else None,
        )
        for path in order
    )


def _of_users(box: Box, users: Users) -> tuple[Place, ...]:
    def roots(path: Path, mode: int, group: int = 0) -> Place:
        return Place(path=path, uid=0, gid=group, mode=mode)

    def guards(path: Path, mode: int, group: int = users.guard_group, *, below: bool = False) -> Place:
        return Place(path=path, uid=users.guard, gid=group, mode=mode, below=below)

    def executors(path: Path, *, below: bool = False) -> Place:
        return Place(path=path, uid=users.executor, gid=users.executor_group, mode=0o700, below=below)

    return (
        roots(box.root, 0o711),
        roots(box.identity, 0o644),
        roots(box.public, 0o755),
        *(roots(box.public / f"{role}.pub", 0o644) for role in ("owner", "guard", "keeper")),
        roots(box.keys, 0o710, users.guard_group),
        guards(box.keys / "guard.key", 0o600),
        *(guards(path, 0o700, below=True) for path in (box.log, box.live, box.guard)),
        executors(box.db, below=True),
        Place(path=box.store, uid=0, gid=users.shared, mode=SHARED, below=True, folders=SHARED),
        roots(box.keeper, 0o711),
        guards(box.socket("guard").parent, 0o2750, users.shared),
        roots(box.socket("keeper").parent, 0o2750, users.shared),
        executors(box.socket("desk").parent),
        roots(box.run, 0o710, users.shared),
    )


def _settle(place: Place) -> None:
    fd = os.open(place.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(fd)
        moved = (found.st_uid, found.st_gid) != (place.uid, place.gid)
        if moved and place.below:
            _give_below(fd, place)
        if moved:
            os.fchown(fd, place.uid, place.gid)
        if moved or stat.S_IMODE(found.st_mode) != place.mode:
            os.fchmod(fd, place.mode)
    finally:
        os.close(fd)


def _give_below(top: int, place: Place) -> None:
    """Change the owner of all below `top`, deepest first; no link is followed."""
    for _, folders, files, fd in os.fwalk(".", topdown=False, dir_fd=top, follow_symlinks=False):
        for name in (*files, *folders):
            os.chown(name, place.uid, place.gid, dir_fd=fd, follow_symlinks=False)
            if place.folders is not None and stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                os.chmod(name, place.folders, dir_fd=fd)


def _runs(command: tuple[str, ...]) -> bool:
    environment = dropped_environment(os.environ)
    try:
        ended = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            timeout=TRIAL_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ended.returncode == 0


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
