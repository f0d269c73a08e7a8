"""`separation: users`: each process of a box that root made has its own user, and gets no further than that."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from e2e_box import House, commit, git, open_house

from greenroom.domain.errors import Unreachable, Unusable
from greenroom.keeper import separation
from greenroom.keeper.separation import Users
from greenroom.wire.rpc import Client

USERS = separation.system_users() if os.geteuid() == 0 else None
pytestmark = [
    pytest.mark.slow,
    pytest.mark.sandbox,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root has users for its processes"),
    pytest.mark.skipif(os.geteuid() == 0 and USERS is None, reason="the system users are missing (make setup)"),
]
SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "tidywords"
NO_USERS = "import greenroom.bootstrap.ownership as o; o.system_users = lambda: None"
READ = """
import json, os, sys
def read(path):
    try:
        return bool(os.listdir(path) if os.path.isdir(path) else open(path, 'rb').read(1))
    except (PermissionError, FileNotFoundError):
        return False
print(json.dumps({path: read(path) for path in sys.argv[1:]}))
"""
CALL = """
import sys
from greenroom.domain.errors import GreenroomError
from greenroom.wire.rpc import Client
try:
    Client(sys.argv[1]).call(sys.argv[2])
    print('answered')
except GreenroomError as error:
    print(error.reference)
"""


@pytest.fixture(scope="module")
def users() -> Users:
    """The system users of this machine."""
    assert USERS is not None
    return USERS


@pytest.fixture
def opened() -> Iterator[House]:
    """A box of root's, below a directory that others cannot pass."""
    home = Path(tempfile.mkdtemp(prefix="greenroom-users-"))
    house = open_house(home)
    yield house
    house.run("down")
    shutil.rmtree(home, ignore_errors=True)


def sample(house: House) -> Path:
    place = house.home / "tidywords"
    shutil.copytree(SAMPLE, place)
    git(place, "init", "-q", "-b", "main")
    commit(place, "first")
    return place


def says(house: House) -> Mapping[str, str]:
    facts: Mapping[str, str] = house.json("doctor").data["facts"]
    return facts


def reads(command: tuple[str, ...]) -> dict[str, bool]:
    ended = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")
    found: dict[str, bool] = json.loads(ended.stdout)
    return found


def bare(house: House, uid: int, gid: int, users: Users, *argv: str) -> tuple[str, ...]:
    """A command as another user that sees the whole machine, also what lies below closed directories."""
    command = separation.keeper_command(house.box, separation.dropped(uid, gid, users, argv))
    assert "--dev-bind" in command
    return command


def calls(house: House, uid: int, gid: int, users: Users, process: str) -> str:
    """What a process of another user gets when it calls a process of the box, wherever it can look."""
    argv = (sys.executable, "-c", CALL, str(house.box.socket(process)), "status")
    command = bare(house, uid, gid, users, *argv)
    if uid not in (users.guard, users.executor):
        at = command.index("--groups")
        command = (*command[:at], "--clear-groups", *command[at + 2 :])
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout.strip()


def peers(house: House) -> dict[str, tuple[int, int]]:
    return {name: Client(str(house.box.socket(name)), patience_s=10.0).peer() for name in ("guard", "keeper", "desk")}


def test_a_change_goes_all_the_way_and_back_between_three_users(opened: House, users: Users) -> None:
    """Improve, approve, revert, stop, lift and log check; meanwhile three users, of whom only the keeper's is root."""
    place = sample(opened)
    before = git(place, "rev-parse", "HEAD^{tree}")
    found = opened.ok("improve", str(place), "--only", "codespell")
    change = found["changes"][0]
    assert change["verdict"]["rule"] == "needs-approval"
    opened.ok("approve", change["id"], "--yes")
    assert git(place, "rev-parse", "HEAD^{tree}") != before
    opened.ok("revert", change["id"])
    assert git(place, "rev-parse", "HEAD^{tree}") == before
    assert opened.json("stop").code == 0
    assert opened.guard.status().stopped is True
    opened.ok("lift")
    assert opened.guard.status().stopped is False
    opened.log_is_whole()
    assert says(opened)["separation"] == "users"
    assert {name: uid for name, (_, uid) in peers(opened).items()} == {
        "guard": users.guard,
        "keeper": 0,
        "desk": users.executor,
    }


def test_guard_and_executor_have_no_capability_and_no_way_to_one(opened: House) -> None:
    """Every set of capabilities is empty, and no program that they start can change that."""
    assert opened.json("status").code == 0
    for name in ("guard", "desk"):
        pid, _ = peers(opened)[name]
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        assert {int(status[kind], 16) for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
        assert status["NoNewPrivs"] == "1"
        assert os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")


def test_the_executor_reads_neither_keys_nor_log_nor_pointers(opened: House, users: Users) -> None:
    """In its view they are not there; and without the view its user may not read them either."""
    box = opened.box
    opened.json("status")
    closed = [str(path) for path in (box.keys, box.log, box.live, box.guard, box.socket("desk").parent.parent)]
    keys = [str(box.keys / f"{role}.key") for role in ("owner", "guard", "keeper")]
    open_to_it = [str(box.db), str(box.store), str(box.public / "guard.pub")]
    in_view = reads(separation.executor_command(box, (sys.executable, "-c", READ, *closed, *open_to_it)))
    assert in_view == dict.fromkeys(closed, False) | dict.fromkeys(open_to_it, True)
    argv = (sys.executable, "-c", READ, *closed, *keys, *open_to_it)
    assert reads(bare(opened, users.executor, users.executor_group, users, *argv)) == dict.fromkeys(
        [*closed, *keys], False
    ) | dict.fromkeys(open_to_it, True)


def test_the_guard_reads_its_own_key_and_no_other(opened: House, users: Users) -> None:
    """Nor the executor's databases, also when nothing hides them."""
    box = opened.box
    opened.json("status")
    own = [str(box.keys / "guard.key"), str(box.log), str(box.guard), str(box.store)]
    others = [str(box.keys / "owner.key"), str(box.keys / "keeper.key"), str(box.db), str(box.db / "box.db")]
    argv = (sys.executable, "-c", READ, *own, *others)
    wanted = dict.fromkeys(own, True) | dict.fromkeys(others, False)
    assert reads(separation.guard_command(box, argv, users)) == wanted
    assert reads(bare(opened, users.guard, users.guard_group, users, *argv)) == wanted


def test_a_socket_answers_only_who_must_call_it(opened: House, users: Users) -> None:
    """The executor may call guard and keeper; the guard calls nobody, and others do not even get there."""
    opened.json("status")
    stranger = 65534
    assert calls(opened, users.executor, users.executor_group, users, "guard") == "answered"
    assert calls(opened, users.guard, users.guard_group, users, "keeper") in ("not-allowed", "hung-up")
    assert calls(opened, users.guard, users.guard_group, users, "desk") == "no-answer"
    for process in ("guard", "keeper", "desk"):
        assert calls(opened, stranger, stranger, users, process) == "no-answer"
    with pytest.raises((Unusable, Unreachable)) as refused:
        Client(str(opened.box.socket("keeper"))).call("layers")
    assert refused.value.reference in ("not-allowed", "hung-up")
    assert opened.guard.status().stopped is False


def test_a_box_changes_its_form_when_init_runs_again(opened: House) -> None:
    """One user for all, then users, with its changes and its log; a box whose users are gone says what to do."""
    before = opened.ok("init", "--no-input", before=NO_USERS)
    assert before["separation"] == "namespaces"
    assert says(opened)["separation"] == "namespaces"
    opened.take_in(opened.repository("form"))
    listed = opened.ok("list", "--all")
    after = opened.ok("init", "--no-input")
    assert (after["separation"], after["made"]) == ("users", False)
    assert says(opened)["separation"] == "users"
    assert opened.ok("list", "--all") == listed
    opened.log_is_whole()
    opened.run("down")
    os.chown(opened.box.run, 0, 0)
    assert opened.json("status").said["rule"] == "box-half-handed-over"
    assert opened.ok("init", "--no-input")["separation"] == "users"
    opened.log_is_whole()


def test_an_executor_of_root_s_has_no_power_to_take_its_view_apart(opened: House) -> None:
    """Without users of its own it keeps root's id, and none of root's capabilities."""
    argv = (
        "/bin/sh",
        "-c",
        f"ls -A {opened.box.keys}; mount --bind / /tmp && echo bound; grep CapEff /proc/self/status",
    )
    command = separation.executor_as(None, opened.box, argv)
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout
    assert said.split() == ["CapEff:", "0" * 16]


def test_list_follows_no_link_that_the_executor_left(opened: House, users: Users) -> None:
    """SQLite run by root gives the files beside a database to its owner: a link there would give anything."""
    opened.json("status")
    opened.run("down")
    precious = opened.home / "precious"
    precious.write_text("root's")
    log = opened.box.db / "box.db-wal"
    whole = sqlite3.connect(opened.box.db / "box.db")
    whole.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole.close()
    log.unlink(missing_ok=True)
    log.symlink_to(precious)
    os.chown(log, users.executor, users.executor_group, follow_symlinks=False)
    assert opened.json("list").code == 0
    assert (precious.stat().st_uid, precious.read_text()) == (0, "root's")


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


def test_nobody_answers_where_nothing_runs(opened: House) -> None:
    """`down` ends all three, whoever they run as."""
    opened.json("status")
    found = peers(opened)
    opened.run("down")
    for name, (pid, _) in found.items():
        with pytest.raises(Unreachable):
            Client(str(opened.box.socket(name))).ping()
        until = time.monotonic() + 5
        while alive(pid) and time.monotonic() < until:
            threading.Event().wait(0.02)
        assert not alive(pid), name
