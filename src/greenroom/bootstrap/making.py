"""Makes a box: directories, keys, launcher, the signed policy. Every step may be run again."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from greenroom.bootstrap import parts
from greenroom.bootstrap.identity import identity_of
from greenroom.bootstrap.ownership import settle_box
from greenroom.config import Box
from greenroom.domain import documents
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unreachable, Unusable
from greenroom.domain.verdict import Instant, Passed
from greenroom.policy.constitution import default_text

if TYPE_CHECKING:
    from greenroom.guard.client import GuardClient
    from greenroom.guard.service import GuardService
    from greenroom.keeper.separation import Users

SCHEMA = 1
ORDER_SECONDS = 600
GUARD_START_S = 30.0
MAKING = ".making"
"""Stands in a directory while a box is made in it."""
ROLES = ("owner", "guard", "keeper")


def make_box(box: Box, passphrase: Callable[[], bytes | None], *, ssh_agent: bool) -> Mapping[str, Any]:
    """Make what is missing of `box`: what is there stays. The passphrase is asked when an owner key is made."""
    from greenroom.bootstrap import owner
    from greenroom.sandbox.build import build_launcher

    if box.only_log:
        box.require()
    agent_key = owner.agent_key_offered() if ssh_agent and not (box.public / "owner.pub").exists() else None
    _require_ours(box.require_short())
    _directories(box)
    if agent_key is not None:
        owner.take_agent_key(box, agent_key)
    secret = _keys(box, passphrase)
    build_launcher(box.keeper / "launcher")
    if not box.identity.is_file():
        identity = {"schema": SCHEMA, "id": secrets.token_hex(8), "created": str(time.time_ns())}
        _write(box.identity, documents.encode(identity))
    (box.root / MAKING).unlink(missing_ok=True)
    users = settle_box(box)
    made = _sign_policy(box, users, secret or passphrase)
    return {
        "made": made,
        "box": identity_of(box),
        "path": str(box.root),
        "owner_key": owner.protection(box),
        "separation": "namespaces" if users is None else "users",
    }


def save_policy(box: Box, constitution: bytes) -> Digest:
    """The policy bundle of `constitution` and this installation's tools, in the store."""
    from greenroom.policy.bundle import save_policy as save
    from greenroom.policy.manifests import builtin_manifests
    from greenroom.release.store import FileStore

    store = FileStore(box.store)
    bodies = {name: store.put("blob", body) for name, body in parts.tool_bodies().items()}
    return save(store, constitution, builtin_manifests(bodies))


def _require_ours(box: Box) -> None:
    """Mark the directory as ours while a box is made in it; one that was cut is gone on with.

    Raises Unusable `not-an-empty-place` where somebody's files stand in the way, or where they would be committed.
    """
    mark = box.root / MAKING
    if box.identity.is_file() or mark.exists():
        return
    names = {path.name for path in box.directories() if path.parent == box.root}
    taken = [name for name in sorted(names) if any((box.root / name).glob("*"))]
    if taken or (box.root / ".git").exists():
        what = ", ".join(taken) if taken else "a git repository, to which the keys would be added"
        remedy = "name a directory of its own: greenroom init DIR"
        raise Unusable("not-an-empty-place", f"the directory has {what}", where=str(box.root), remedy=remedy)
    box.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark.touch(mode=0o600)


def _directories(box: Box) -> None:
    for path in box.directories():
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        mine = path.stat().st_uid == os.geteuid()
        if not mine and (os.geteuid() != 0 or path == box.root):
            raise Unusable("not-your-box", "the directory belongs to another user", where=str(path))
    if os.geteuid() == 0:
        for path in (box.root, box.keeper):
            path.chmod(0o711)


def _keys(box: Box, passphrase: Callable[[], bytes | None]) -> Callable[[], bytes | None] | None:
    """Make missing keys; gives back the passphrase of an owner key that was made, so that it is asked once."""
    from greenroom.audit import keys

    answer = None
    for role in ROLES:
        private, public = box.keys / f"{role}.key", box.public / f"{role}.pub"
        if public.exists():
            continue
        secret = passphrase() if role == "owner" else None
        key = keys.generate()
        # A key without its public half was cut short in the making: nothing was signed with it.
        private.unlink(missing_ok=True)
        keys.save_private(private, key, secret.decode() if secret else None)
        keys.save_public(public, key.public)
        if role == "owner":
            answer = partial(_same, secret)
    return answer


def _same(secret: bytes | None) -> bytes | None:
    return secret


def _sign_policy(box: Box, users: Users | None, passphrase: Callable[[], bytes | None]) -> bool:
    """Have the guard put the constitution and this installation's tools in force; False when they are already."""
    from greenroom.bootstrap.owner import open_owner
    from greenroom.guard import papers

    with at_guard(box, users) as guard:
        previous = guard.policy()
        policy = save_policy(box, _constitution(box, previous))
        if previous == policy:
            return False
        order = papers.ConstitutionOrder(
            policy=policy,
            previous=previous,
            actor="owner",
            expires=Instant(time.time_ns() + ORDER_SECONDS * 1_000_000_000),
            nonce=secrets.token_hex(16),
        )
        verdict = guard.set_constitution(papers.sign(open_owner(box, passphrase), order))
    if not isinstance(verdict, Passed):
        raise Unusable(verdict.rule, "the constitution was refused", where=verdict.where, remedy=verdict.remedy)
    return previous is None


def _constitution(box: Box, previous: Digest | None) -> bytes:
    """The text to sign: the one in force, so that `init` never changes it; for a fresh box, its file's.

    Raises Unusable `constitution-edited` when the readable copy says something else than what is in force.
    """
    from greenroom.policy.bundle import PolicyBundle
    from greenroom.release.store import FileStore

    if previous is None:
        if not box.constitution.exists():
            _write(box.constitution, default_text())
        return box.constitution.read_bytes()
    store = FileStore(box.store)
    signed = store.get(documents.decode(PolicyBundle, store.get(previous)).constitution)
    if not box.constitution.exists():
        _write(box.constitution, signed)
    if signed != box.constitution.read_bytes():
        raise Unusable(
            "constitution-edited",
            "CONSTITUTION.yaml is a copy for reading, and it differs from what the owner signed",
            where=str(box.constitution),
            remedy=f"to put it in force: greenroom constitution edit {box.constitution}; else delete the copy",
        )
    return signed


@contextlib.contextmanager
def at_guard(box: Box, users: Users | None) -> Iterator[GuardService | GuardClient]:
    """The box's guard: the one that runs, else one for as long as it takes, as the guard's user where there is one."""
    from greenroom.guard.client import GuardClient
    from greenroom.wire.rpc import Client

    client = Client(str(box.socket("guard")))
    try:
        client.ping()
    except Unreachable:
        if users is None:
            with parts.open_guard(box) as guard:
                yield guard
            return
        with _started_guard(box):
            yield GuardClient(client.call)
        return
    yield GuardClient(client.call)


@contextlib.contextmanager
def _started_guard(box: Box) -> Iterator[None]:
    """A guard in a process of its own, which answers inside and leaves at the end.

    Raises Unreachable `processes-do-not-start` as soon as it died, or after GUARD_START_S.
    """
    ours, theirs = socket.socketpair()
    with ours, open(box.run / "processes.log", "ab") as log:
        with theirs:
            argv = (sys.executable, "-m", "greenroom.bootstrap", "guard", str(box.root), str(theirs.fileno()))
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs.fileno(),),
                cwd="/",
                start_new_session=True,
            )
        try:
            _await_guard(box, child, ours)
            yield
        finally:
            ours.close()
            child.wait()


def _await_guard(box: Box, child: subprocess.Popen[bytes], line: socket.socket) -> None:
    from greenroom.bootstrap.starting import last_of
    from greenroom.bootstrap.unstarted import unstarted
    from greenroom.wire.rpc import Client

    client, ends = Client(str(box.socket("guard"))), time.monotonic() + GUARD_START_S
    while True:
        try:
            return client.ping()
        except Unreachable as error:
            why = error.message
        if child.poll() is not None:
            dead = last_of("guard", child.returncode, line)
            raise unstarted(box, str(dead), dead.said)
        if time.monotonic() >= ends:
            raise unstarted(box, why)
        time.sleep(0.02)


def _write(path: Path, data: bytes) -> None:
    part = path.with_suffix(".part")
    part.write_bytes(data)
    os.replace(part, path)
