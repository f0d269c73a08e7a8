"""Command lines of the processes: what they show, and as whom they run."""

from __future__ import annotations

import grp
import os
import pwd
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from greenroom.config import Box
from greenroom.keeper import closed, separation
from greenroom.keeper.separation import Users

USERS = Users(guard=701, guard_group=801, executor=702, executor_group=802, shared=900)
ARGV = ("/bin/true", "x")


@pytest.fixture
def box(tmp_path: Path) -> Box:
    made = Box(tmp_path / "box")
    for directory in made.directories():
        directory.mkdir(parents=True)
    return made


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The ids by name that the machine is said to have."""
    ids = {separation.GUARD_USER: 701, separation.EXECUTOR_USER: 702, separation.GROUP: 900}
    monkeypatch.setattr(pwd, "getpwnam", lambda name: SimpleNamespace(pw_uid=ids[name], pw_gid=ids[name] + 100))
    monkeypatch.setattr(grp, "getgrnam", lambda name: SimpleNamespace(gr_gid=ids[name]))
    return ids


def pairs(command: tuple[str, ...]) -> set[tuple[str, str]]:
    return set(pairwise(command))


def test_the_users_are_had_when_all_are_there(machine: dict[str, int]) -> None:
    """Ids and groups as the machine names them."""
    assert separation.system_users() == USERS


@pytest.mark.parametrize("missing", [separation.GUARD_USER, separation.EXECUTOR_USER, separation.GROUP])
def test_there_are_no_users_when_one_is_missing(machine: dict[str, int], missing: str) -> None:
    """Half a separation is none."""
    del machine[missing]
    assert separation.system_users() is None


@pytest.mark.parametrize(("name", "uid"), [(separation.GUARD_USER, 0), (separation.EXECUTOR_USER, 701)])
def test_users_that_are_root_or_the_same_separate_nothing(machine: dict[str, int], name: str, uid: int) -> None:
    """Whoever set the machine up so."""
    machine[name] = uid
    assert separation.system_users() is None


def test_a_box_that_was_not_handed_over_has_no_users(machine: dict[str, int], box: Box) -> None:
    """The mark is the shared group of a `run/` that is root's."""
    assert separation.users_of(box) is None


def test_only_who_must_may_call() -> None:
    """The executor guard and keeper, the person all three; with one user for all, that one."""
    assert separation.callers(USERS, "guard") == {0, 702}
    assert separation.callers(USERS, "keeper") == {0, 702}
    assert separation.callers(USERS, "desk") == {0}
    assert separation.callers(None, "keeper") == {os.geteuid()}


def test_a_socket_is_open_to_the_group_only_where_the_executor_calls() -> None:
    """The desk is root's to call, and root needs no mode."""
    assert [separation.socket_mode(USERS, name) for name in ("guard", "keeper", "desk")] == [0o660, 0o660, 0o600]
    assert separation.socket_mode(None, "guard") == 0o600


def test_what_is_dropped_is_dropped_for_good(box: Box) -> None:
    """User, groups, every set of capabilities; then the command, unchanged."""
    command = separation.dropped(701, 801, USERS, ARGV)
    assert {("--reuid", "701"), ("--regid", "801"), ("--groups", "900")} <= pairs(command)
    assert {"--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs"} <= set(command)
    assert command[-3:] == ("--", *ARGV)


def test_another_user_gets_no_credentials_from_root_s_environment() -> None:
    """Only what is named comes along, and a home that does not exist."""
    given = {"PATH": "/bin", "GREENROOM_HOME": "/b", "AWS_SECRET": "s", "SSH_AUTH_SOCK": "/x", "HOME": "/root"}
    assert separation.dropped_environment(given) == {"PATH": "/bin", "GREENROOM_HOME": "/b", "HOME": "/nonexistent"}


def shown(command: tuple[str, ...], box: Box) -> dict[str, str]:
    """What of the box a view has, and how."""
    binds = [(word, command[at + 1]) for at, word in enumerate(command) if word.endswith("bind")]
    return {str(Path(p).relative_to(box.root)): how for how, p in binds if Path(p).is_relative_to(box.root)}


def test_the_guard_starts_with_its_share_of_the_box_and_no_network(box: Box) -> None:
    """As its user, and root's powers are gone but for the three that the change of user needs."""
    command = separation.guard_command(box, ARGV, USERS)
    assert shown(command, box) == {
        **dict.fromkeys(("box.json", "public", "run"), "--ro-bind"),
        **dict.fromkeys(("guard", "keys/guard.key", "live", "log", "run/guard", "store"), "--bind"),
    }
    assert "--unshare-net" in command
    assert ("--cap-drop", "ALL") in pairs(command)
    assert {word for before, word in pairs(command) if before == "--cap-add"} == set(separation.NEEDED_TO_DROP)
    assert ("--reuid", "701") in pairs(command)


def test_the_executor_s_view_has_its_share_and_no_more(box: Box) -> None:
    """With its user and without one; and in both root's powers are gone."""
    for users in (USERS, None):
        command = separation.executor_as(users, box, ARGV)
        assert shown(command, box) == {
            **dict.fromkeys(("box.json", "public", "run"), "--ro-bind"),
            **dict.fromkeys(("db", "run/desk", "store"), "--bind"),
        }
        assert ("--cap-drop", "ALL") in pairs(command)
        assert (("--reuid", "702") in pairs(command)) is (users is not None)
        assert ("--cap-add" in command) is (users is not None)
        assert command[-3 - len(ARGV) : -len(ARGV)] == ("-I", "-S", closed.__file__)


def test_what_leads_to_a_share_is_passable_for_its_user(box: Box) -> None:
    """Whatever the directories above the box are outside: each is made in the view, for all."""
    command = separation.guard_command(box, ARGV, USERS)
    made = {path for how, path in pairs(command) if how == "--dir"}
    assert {str(parent) for parent in (box.root / "log").parents} - {"/"} <= made
    assert all(command[at - 2 : at] == ("--perms", "0755") for at, word in enumerate(command) if word == "--dir")


def test_three_users_are_found_as_users(box: Box) -> None:
    """By what the kernel says of who answers."""
    peers = {"guard": (1, 701), "keeper": (1, 0), "desk": (1, 702)}
    assert separation.found_separation(box, peers) == "users"


def test_one_user_without_a_view_is_found_as_none(box: Box) -> None:
    """This process sees the keys, so as an executor it would be apart from nothing."""
    box.identity.touch()
    (box.keys / "owner.key").touch()
    me = (os.getpid(), os.geteuid())
    assert separation.found_separation(box, dict.fromkeys(("guard", "keeper", "desk"), me)) == "none"


def test_one_user_with_an_empty_view_is_found_as_namespaces(box: Box) -> None:
    """Nothing stands where keys, log and pointers would be."""
    box.identity.touch()
    me = (os.getpid(), os.geteuid())
    assert separation.found_separation(box, dict.fromkeys(("guard", "keeper", "desk"), me)) == "namespaces"


def test_an_executor_that_runs_as_root_beside_other_users_is_not_apart(box: Box) -> None:
    """Different ids are not enough when the powerful one is the wrong one."""
    box.identity.touch()
    (box.keys / "owner.key").touch()
    peers = {"guard": (1, 701), "keeper": (1, 702), "desk": (os.getpid(), 0)}
    assert separation.found_separation(box, peers) == "none"
