"""The processes of a box: each builds its part, serves its socket, and leaves with whoever started it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from greenroom.bootstrap import lastwords, parts
from greenroom.bootstrap.upkeep import Upkeep
from greenroom.config import Box, idle_seconds
from greenroom.domain.errors import Unusable
from greenroom.domain.refusals import remedy_of
from greenroom.keeper import separation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from greenroom.guard.client import GuardClient
    from greenroom.wire.rpc import Handler, Server

PATIENCE_S = 20.0
LEAVE_S = 5.0


def process(role: str, box: Box, lifeline: int, root: int | None = None) -> int:
    """One process of the box; returns when it is idle or told to leave. What ends it otherwise are its last words."""
    try:
        return _process(role, box, lifeline, root)
    except Exception as error:
        lastwords.say(lifeline, error)
        if not isinstance(error, Unusable):
            raise
        print(f"{role}: {error}; {remedy_of(error)}", file=sys.stderr, flush=True)
        return int(error.exit_code)


def _process(role: str, box: Box, lifeline: int, root: int | None) -> int:
    os.umask(0o077)
    users = separation.users_of(box)
    _enter_view(role, box, users)
    if root is not None:
        os.set_inheritable(root, False)
    threading.Thread(target=_leave_with, args=(lifeline,), daemon=True).start()

    from greenroom.guard.client import GuardClient
    from greenroom.wire.rpc import Client

    guard = GuardClient(Client(str(box.socket("guard")), patience_s=PATIENCE_S).call)
    if role == "guard":
        return _serve_guard(box, users, lifeline)
    if role == "keeper":
        return _serve_keeper(box, users, guard, lifeline, root)
    return _serve_executor(box, users, guard, lifeline)


def _enter_view(role: str, box: Box, users: separation.Users | None) -> None:
    """Become oneself again in one's view, and as one's user; comes back when this is so already."""
    if os.geteuid() != 0:
        return
    argv = (sys.executable, "-m", "greenroom.bootstrap", *sys.argv[1:])
    if role == "keeper":
        view = separation.keeper_command(box, argv)
        if view != argv:
            root = os.open("/", os.O_PATH | os.O_DIRECTORY)
            os.set_inheritable(root, True)
            os.execv(view[0], (*view, str(root)))  # noqa: S606 - words, no shell
    if role == "guard" and users is not None:
        view = separation.guard_command(box, argv, users)
        os.execve(view[0], view, separation.dropped_environment(os.environ))  # noqa: S606 - words, no shell


def _server(
    box: Box,
    users: separation.Users | None,
    process: Literal["guard", "keeper", "desk"],
    handlers: Mapping[str, Handler],
    beside: frozenset[str] = frozenset(),
) -> Server:
    from greenroom.wire.rpc import Server

    path = box.socket(process)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    uids, mode = separation.callers(users, process), separation.socket_mode(users, process)
    return Server(str(path), handlers, uids=uids, mode=mode, beside=beside)


def _serve_guard(box: Box, users: separation.Users | None, lifeline: int) -> int:
    from greenroom.guard.server import KEEPERS, handlers

    # Where there are users the keeper alone is root; else it has the executor's id, and another namespace.
    keepers, beside = (None, KEEPERS) if users is None else (frozenset({0}), frozenset[str]())
    with (
        parts.open_guard(box) as guard,
        _server(box, users, "guard", handlers(guard, keepers), beside) as server,
    ):
        say_up(lifeline)
        server.serve_forever(poll_interval=0.2)
    return 0


def _serve_keeper(box: Box, users: separation.Users | None, guard: GuardClient, lifeline: int, root: int | None) -> int:
    from greenroom.keeper.server import Callers, handlers

    keeper = parts.make_keeper(box, guard, root)
    persons, called_by = separation.callers(users, "desk"), separation.callers(users, "keeper")
    callers = Callers(persons=persons, executors=called_by if users is None else called_by - persons)
    # Without users, the executor has the person's id, and is told from a person by its namespace alone.
    beside = frozenset({"present"} if users is None else ())
    upkeep = Upkeep(box, users, lambda: server.shutdown())
    answers = {**handlers(keeper, callers), "executor": lambda *_: upkeep.told()}
    with _server(box, users, "keeper", answers, beside) as server:
        say_up(lifeline)
        threading.Thread(target=upkeep.run, daemon=True).start()
        server.serve_forever(poll_interval=0.2)
    keeper.close()
    return 0


def _serve_executor(box: Box, users: separation.Users | None, guard: GuardClient, lifeline: int) -> int:
    from greenroom.keeper.server import RemoteKeeper
    from greenroom.pipeline.desk import handlers
    from greenroom.pipeline.lineage import settle_parents
    from greenroom.pipeline.reconcile import reconcile
    from greenroom.wire.rpc import Client

    keeper = RemoteKeeper(Client(str(box.socket("keeper")), patience_s=PATIENCE_S).call)
    house = parts.make_house(box, guard, keeper)
    reconcile(house)
    settle_parents(house)
    with _server(box, users, "desk", handlers(house)) as server:
        say_up(lifeline)
        threading.Thread(target=_leave_when_idle, args=(server,), daemon=True).start()
        server.serve_forever(poll_interval=0.2)
    closing = threading.Thread(target=house.runs.close, daemon=True)
    closing.start()
    closing.join(LEAVE_S)
    # A run that hangs would keep the interpreter waiting for its thread; the next launch picks the run up.
    os._exit(0)


def _leave_when_idle(server: Server) -> None:
    idle = idle_seconds(os.environ.get("GREENROOM_IDLE_SECONDS", ""))
    while server.idle_s < idle:
        time.sleep(min(idle, 1.0))
    server.shutdown()


def say_up(lifeline: int) -> None:
    """Tell whoever started this process that it answers. One that died, or takes no word, is none of ours."""
    with contextlib.suppress(OSError):
        os.write(lifeline, b"u")


def _leave_with(lifeline: int) -> None:
    """End at once when the other end of the lifeline is gone."""
    # Where rescue ended before it read the word of `say_up`, the end reads as a reset (unix(7)).
    with contextlib.suppress(ConnectionResetError):
        while os.read(lifeline, 1):
            pass
    os._exit(1)
