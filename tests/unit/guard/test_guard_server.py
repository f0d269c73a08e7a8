"""The door: every call with missing, surplus, mistyped and huge arguments."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenroom.domain.errors import GreenroomError, Unusable
from greenroom.guard.client import GuardClient
from greenroom.guard.server import handlers
from greenroom.testing.papers import SUBJECT, PaperHouse, papers

FULL = os.environ.get("GREENROOM_SUITE") == "full"
NAMES = (
    "append",
    "allow_command",
    "command_allowed",
    "status",
    "stop_id",
    "policy",
    "live",
    "position",
    "health",
    "standing",
    "adopt",
    "adopted",
    "consent",
    "carry",
    "withdraw",
    "warrant",
    "promote",
    "mark_good",
    "revert",
    "reserve",
    "settle",
    "lift",
    "set_mode",
    "set_constitution",
    "set_floor",
    "floors",
    "looked",
    "unseen",
    "opt_in",
    "opt_out",
    "cancel_window",
    "keeper_epoch",
    "keeper_key",
    "certify_keeper",
    "shown",
)
WITHOUT_ARGUMENTS = ("status", "stop_id", "policy", "floors", "unseen", "keeper_epoch")
MEMBERS = (
    "event",
    "subject",
    "imported",
    "envelope",
    "given",
    "dossier",
    "warrant",
    "change",
    "receipts",
    "caps",
    "actor",
    "paper",
    "epoch",
    "identity",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just("statement:" + "0" * 64),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS) | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


def _call(house: PaperHouse, name: str, arguments: Any) -> Any:
    return handlers(house.guard)[name](arguments, (), lambda _: None, 0)


def test_guard_server_answers_every_call(house: PaperHouse) -> None:
    """The calls are those of the port, and the owner's orders."""
    assert set(handlers(house.guard)) == {*NAMES, "stop"}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WITHOUT_ARGUMENTS])
def test_guard_server_wants_its_arguments(house: PaperHouse, name: str) -> None:
    """A call without its arguments is refused as such."""
    with pytest.raises(Unusable, match=r"bad-call"):
        _call(house, name, {})


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("status", {"more": 1}),
        ("stop", {"actor": "x" * 300}),
        ("stop", {"actor": 1}),
        ("promote", {"warrant": "statement:" + "z" * 64}),
        ("consent", {"envelope": "zz"}),
        ("consent", {"envelope": "00" * 200_000}),
        ("live", {"subject": {"kind": "planet", "address": "x"}}),
        ("mark_good", {"change": "c", "receipts": "statement"}),
        ("warrant", {"dossier": {}}),
    ],
)
def test_guard_server_refuses_mistyped_arguments(house: PaperHouse, name: str, arguments: dict[str, Any]) -> None:
    """A mistyped or oversized argument never reaches a procedure."""
    with pytest.raises(Unusable):
        _call(house, name, arguments)
    assert not house.guard.status().stopped


def test_guard_server_takes_no_descriptors(house: PaperHouse) -> None:
    """No call takes a file descriptor."""
    with pytest.raises(Unusable, match="bad-call"):
        handlers(house.guard)["status"]({}, (0,), lambda _: None, 0)


@settings(max_examples=1000 if FULL else 60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(NAMES), arguments=st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=4))
def test_guard_server_survives_any_message(house: PaperHouse, name: str, arguments: dict[str, Any]) -> None:
    """Whatever is sent, the answer is a plain value or an error of ours, and live stays."""
    try:
        answer = _call(house, name, arguments)
    except GreenroomError as error:
        answer = error.reference
    assert answer is None or isinstance(answer, str | int | dict)
    assert house.guard.live(SUBJECT) == house.base


def test_guard_client_speaks_all_calls(house: PaperHouse) -> None:
    """The client gives back what the service says, orders included."""
    client = GuardClient(lambda name, arguments: _call(house, name, arguments))
    assert client.status() == house.guard.status()
    assert client.policy() == house.first
    assert client.stop_id() is None
    made = papers(house)
    assert client.warrant(made.dossier()) == house.guard.warrant(made.dossier())
    orders = (
        client.set_mode,
        client.set_constitution,
        client.opt_in,
        client.opt_out,
        client.allow_command,
        client.lift,
    )
    for hand_in in orders:
        refused = hand_in(b"{}")
        assert type(refused).__name__ == "Refused"
