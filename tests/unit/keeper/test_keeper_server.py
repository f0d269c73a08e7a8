from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from keeper_house import SUBJECT, House, PlainAttestor, step

from greenroom.domain import documents
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unusable
from greenroom.domain.plan import Plan
from greenroom.domain.ports import CheckRun, Keeper
from greenroom.domain.proof import Import, Predicate, Receipt, Seal
from greenroom.domain.verdict import Held, Refused
from greenroom.keeper.server import RemoteKeeper, handlers
from greenroom.testing.clock import ManualClock
from greenroom.testing.keeper import FakeKeeper, files_of
from greenroom.testing.store import MemoryStore


def remote(keeper: Keeper) -> RemoteKeeper:
    """The keeper across a wire of canonical JSON."""
    table = handlers(keeper)

    def call(name: str, arguments: Mapping[str, Any] | None = None, *, descriptors: tuple[int, ...] = ()) -> Any:
        sent = documents.load_json(documents.encode(dict(arguments or {})))
        answer = table[name](sent, descriptors, lambda progress: None, 0)
        return documents.load_json(documents.encode(answer))

    return RemoteKeeper(call)


def test_every_call_means_the_same_across_the_wire(house: House) -> None:
    """Digests, refusals and layers arrive as they were given."""
    far = remote(house.keeper)
    house.walls.tool = lambda sight: sight.result({})
    tree = house.tree({"a": b"1"})
    tool = house.tool()
    run = CheckRun(
        check="scan", role="diff", tool=tool, args={}, trees={"base": tree, "green": tree}, golden=far.golden()
    )
    assert far.golden() == house.keeper.golden()
    assert far.layers() == house.keeper.layers()
    assert isinstance(house.opened(Receipt, far.check(run), Predicate.RECEIPT), Receipt)
    assert isinstance(house.opened(Seal, far.build(house.plan(tree, step(tool))), Predicate.SEAL), Seal)
    assert far.prepare(tree) == house.keeper.golden()
    house.stop[0] = True
    assert isinstance(far.check(run), Refused)
    assert isinstance(far.prepare(tree), Held)
    assert isinstance(far.bring(SUBJECT, "", None), Refused)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("golden", {"x": 1}),
        ("build", {}),
        ("build", {"plan": "../etc"}),
        ("prepare", {"tree": 3}),
        ("bring", {"subject": "x"}),
        ("bring", {"subject": {"kind": "workspace", "address": "/x"}}),
        ("present", {}),
        ("present", {"path": "/x"}),
        ("present", {"path": "/x", "branch": ""}),
        ("check", {"check": "scan"}),
        ("check", {"check": "c" * 129, "role": "r", "tool": "tool:" + "0" * 64, "args": {}, "trees": {}}),
    ],
)
def test_malformed_calls_are_refused_before_the_keeper_sees_them(
    house: House, name: str, arguments: dict[str, Any]
) -> None:
    """A hostile caller gets Unusable, and nothing happens."""
    with pytest.raises(Unusable):
        handlers(house.keeper)[name](arguments, (), lambda progress: None, 0)
    assert house.walls.cells == []


def test_the_fake_signs_builds_and_checks_like_the_real_one() -> None:
    """Same documents, same rules for stop, trees by content."""
    store, attestor, stopped = MemoryStore(), PlainAttestor(), [False]

    def apply(plan: Any, files: Any) -> None:
        files[b"a"] = b"2"

    fake = FakeKeeper(
        store=store,
        attestor=attestor,
        clock=ManualClock(),
        apply=apply,
        results=lambda run: {"check": run.check},
        repositories={SUBJECT.address: ({b"a": b"1", b"b": b"1"}, "main")},
        stopped=lambda: stopped[0],
    )

    def opened(kind: Any, digest: Any, predicate: Predicate) -> Any:
        return documents.decode(kind, attestor.open(store.get(Digest(digest)), predicate, "keeper").body)

    found = opened(Import, fake.bring(SUBJECT, "ticket", None), Predicate.IMPORT)
    plan = Plan(
        subject=SUBJECT,
        intent="x",
        base=found.tree,
        golden=fake.golden(),
        steps=(step(Digest("tool:" + "0" * 64)),),
        blobs=(),
    )
    seal = opened(Seal, fake.build(store.put("plan", documents.encode(plan))), Predicate.SEAL)
    assert files_of(store, seal.green) == {b"a": b"2", b"b": b"1"}
    run = CheckRun(
        check="scan", role="diff", tool=plan.steps[0].tool, args={}, trees={"base": found.tree}, golden=plan.golden
    )
    assert opened(Receipt, fake.check(run), Predicate.RECEIPT).mounted == {"base": found.tree}
    stopped[0] = True
    assert isinstance(fake.check(run), Refused)
