"""The processes of a box: each builds its part, serves its socket, and leaves with whoever started it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from greenroom.bootstrap import parts
from greenroom.config import IDLE_SECONDS, Box

if TYPE_CHECKING:
    from greenroom.guard.client import GuardClient
    from greenroom.wire.rpc import Server

PATIENCE_S = 20.0


def process(role: str, box: Box, lifeline: int) -> int:
    """One process of the box; returns when it is idle or told to leave."""
    from greenroom.guard.client import GuardClient
    from greenroom.wire.rpc import Client

    os.umask(0o077)
    threading.Thread(target=_leave_with, args=(lifeline,), daemon=True).start()
    guard = GuardClient(Client(str(box.run / "guard.sock"), patience_s=PATIENCE_S).call)
    if role == "guard":
        return _serve_guard(box)
    if role == "keeper":
        return _serve_keeper(box, guard)
    return _serve_executor(box, guard)


def _serve_guard(box: Box) -> int:
    from greenroom.guard.server import handlers
    from greenroom.wire.rpc import Server

    with (
        parts.open_guard(box) as guard,
        Server(str(box.run / "guard.sock"), handlers(guard), uids=frozenset({os.geteuid()})) as server,
    ):
        server.serve_forever(poll_interval=0.2)
    return 0


def _serve_keeper(box: Box, guard: GuardClient) -> int:
    from greenroom.keeper.separation import keeper_command
    from greenroom.keeper.server import handlers
    from greenroom.wire.rpc import Server

    argv = (sys.executable, "-m", "greenroom.bootstrap", *sys.argv[1:])
    view = keeper_command(box, argv)
    if view != argv:
        os.execv(view[0], view)  # noqa: S606 - this process becomes itself again, in its view
    keeper = parts.make_keeper(box, guard)
    with Server(str(box.run / "keeper.sock"), handlers(keeper), uids=frozenset({os.geteuid()})) as server:
        threading.Thread(target=_keep_executor, args=(box, server), daemon=True).start()
        server.serve_forever(poll_interval=0.2)
    keeper.close()
    return 0


def _keep_executor(box: Box, server: Server) -> None:
    """Start the executor in its view, again when it dies; leave when it leaves because it is idle."""
    from greenroom.keeper.separation import executor_command

    deaths = 0
    box.desk.mkdir(mode=0o700, exist_ok=True)
    while True:
        read, write = os.pipe()
        argv = (sys.executable, "-m", "greenroom.bootstrap", "executor", str(box.root), str(read))
        child = subprocess.Popen(executor_command(box, argv), stdin=subprocess.DEVNULL, pass_fds=(read,), cwd="/")
        os.close(read)
        code = child.wait()
        os.close(write)
        if code == 0:
            server.shutdown()
            return
        deaths += 1
        time.sleep(min(0.1 * 2 ** min(deaths, 6), 5.0))


def _serve_executor(box: Box, guard: GuardClient) -> int:
    from greenroom.keeper.server import RemoteKeeper
    from greenroom.pipeline.desk import handlers
    from greenroom.pipeline.reconcile import reconcile
    from greenroom.wire.rpc import Client, Server

    house = parts.make_house(box, guard, RemoteKeeper(Client(str(box.run / "keeper.sock"), patience_s=PATIENCE_S).call))
    reconcile(house)
    with Server(str(box.desk / "desk.sock"), handlers(house), uids=frozenset({os.geteuid()})) as server:
        threading.Thread(target=_leave_when_idle, args=(server,), daemon=True).start()
        server.serve_forever(poll_interval=0.2)
    house.runs.close()
    return 0


def _leave_when_idle(server: Server) -> None:
    idle = float(os.environ.get("GREENROOM_IDLE_SECONDS", IDLE_SECONDS))
    while server.idle_s < idle:
        time.sleep(min(idle, 1.0))
    server.shutdown()


def _leave_with(lifeline: int) -> None:
    """End at once when the other end of the lifeline is gone."""
    while os.read(lifeline, 1):
        pass
    os._exit(1)
