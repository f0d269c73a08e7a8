from __future__ import annotations

import dataclasses
import errno
import os

import pytest
from keeper_house import BODY, CAPS, House, Sight, ended, rule, step

from greenroom.domain.digest import Digest
from greenroom.domain.errors import NotFound, Tampered, Unreachable, Unusable
from greenroom.domain.ports import CheckRun
from greenroom.domain.proof import Predicate, Receipt, Seal
from greenroom.domain.verdict import Refused
from greenroom.domain.vocabulary import Tier
from greenroom.testing.keeper import files_of

pytestmark = pytest.mark.slow


def write(name: str, data: bytes) -> object:
    """A tool that writes a file into the draft when it is not a rehearsal."""

    def tool(sight: Sight) -> None:
        if not sight.request["dry_run"]:
            (sight.path("/mnt/work") / name).write_bytes(data)
        sight.result({"applied": not sight.request["dry_run"]})

    return tool


def test_a_plan_becomes_a_signed_seal_of_the_changed_tree(house: House) -> None:
    """Green is base with the step applied, and the seal names plan, base and golden."""
    house.walls.tool = write("a.txt", b"new")
    plan = house.plan(house.tree({"a.txt": b"old", "b.txt": b"stays"}), step(house.tool()))
    seal = house.opened(Seal, house.keeper.build(plan), Predicate.SEAL)
    assert files_of(house.store, seal.green) == {b"a.txt": b"new", b"b.txt": b"stays"}
    assert (seal.plan, seal.golden) == (plan, house.keeper.golden())


def test_each_step_is_rehearsed_on_a_draft_that_it_cannot_write_and_then_applied(house: House) -> None:
    """The first run of a step has the tree read-only and dry_run set; the second may write."""
    seen = []

    def tool(sight: Sight) -> None:
        seen.append((sight.request["dry_run"], sight.writable("/mnt/work"), sight.writable("/out")))
        sight.result({})

    house.walls.tool = tool
    assert isinstance(house.keeper.build(house.plan(house.tree({"a": b"1"}), step(house.tool()))), str)
    assert seen == [(True, False, True), (False, True, True)]


def test_a_build_waits_for_a_key_that_can_sign(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard's trouble is no refusal of the plan: nothing runs, and it can be asked for again."""

    def unready() -> None:
        raise Unusable("log-unwritable", "the disk is full")

    plan = house.plan(house.tree({"a": b"1"}), step(house.tool()))
    with monkeypatch.context() as patch:
        patch.setattr(house.attestor, "ready", unready)
        with pytest.raises(Unreachable, match="log-unwritable"):
            house.keeper.build(plan)
    assert house.walls.cells == []
    assert isinstance(house.keeper.build(plan), str)


def test_receipts_of_a_step_name_the_tree_before_it(house: House) -> None:
    """The snapshot before each step is a sealed tree that the step's receipts name."""
    house.walls.tool = write("a", b"2")
    base = house.tree({"a": b"1"})
    tool = house.tool(tier=Tier.SYSTEM)
    seal = house.opened(
        Seal, house.keeper.build(house.plan(base, step(tool), step(tool, "two", after=("one",)))), Predicate.SEAL
    )
    receipts = [house.opened(Receipt, digest, Predicate.RECEIPT) for digest in seal.steps]
    assert [r.role for r in receipts] == ["one/rehearsal", "one/application", "two/rehearsal", "two/application"]
    assert [r.mounted["work"] for r in receipts] == [base, base, seal.green, seal.green]
    assert seal.snapshots == {"one": base, "two": seal.green}
    assert files_of(house.store, seal.snapshots["two"]) == {b"a": b"2"}


def test_two_builds_of_a_plan_are_two_builds_with_one_green(house: House) -> None:
    """Building again gives another seal with another build name and the same tree."""
    house.walls.tool = write("a", b"2")
    plan = house.plan(house.tree({"a": b"1"}), step(house.tool()))
    first = house.opened(Seal, house.keeper.build(plan), Predicate.SEAL)
    second = house.opened(Seal, house.keeper.build(plan), Predicate.SEAL)
    assert first.green == second.green
    assert first.build != second.build


@pytest.mark.parametrize(
    ("ended_by", "code", "expected"),
    [
        ("exit", 3, "tool-crash"),
        ("signal", 139, "tool-crash"),
        ("wall", 137, "stuck"),
        ("memory", 137, "memory-exceeded"),
        ("output", 137, "output-exceeded"),
        ("disk", 137, "disk-full"),
        ("processes", 1, "processes-exceeded"),
    ],
)
def test_a_step_that_does_not_end_well_aborts_the_build(house: House, ended_by: str, code: int, expected: str) -> None:
    """Each way to end badly has its rule, and the step stands in `where`."""
    house.walls.tool = lambda sight: ended(code, ended_by, b"it broke\x1b[31m")
    refused = house.keeper.build(house.plan(house.tree({"a": b"1"}), step(house.tool())))
    assert isinstance(refused, Refused)
    assert refused.rule == expected
    assert refused.where.startswith("step one, rehearsal: ")
    assert refused.remedy
    assert "\x1b" not in refused.where
    (broke,) = (house.opened(Receipt, digest, Predicate.RECEIPT) for digest in refused.receipts)
    assert (broke.role, broke.ended_by, broke.exit) == ("one/rehearsal", ended_by, code)


def test_what_a_tool_refuses_is_the_build_s_refusal(house: House) -> None:
    """The tool's own rule, place and remedy reach the person."""
    house.walls.tool = lambda sight: sight.result(
        {"refused": {"rule": "patch-does-not-apply", "where": "a.txt:3", "remedy": "propose it again"}}
    )
    refused = house.keeper.build(house.plan(house.tree({"a": b"1"}), step(house.tool())))
    assert isinstance(refused, Refused)
    assert len(refused.receipts) == 1
    assert refused == Refused(
        rule="patch-does-not-apply",
        where="step one, rehearsal: a.txt:3",
        remedy="propose it again",
        receipts=refused.receipts,
    )


def test_a_failed_application_leaves_nothing_behind(house: House) -> None:
    """A tool of tier 2 that breaks halfway is refused; base stays, and no draft is left."""

    def tool(sight: Sight) -> object:
        if not sight.request["dry_run"]:
            (sight.path("/mnt/work") / "a").write_bytes(b"half")
            return ended(1)
        return sight.result({})

    house.walls.tool = tool
    base = house.tree({"a": b"1"})
    refused = house.keeper.build(house.plan(base, step(house.tool(tier=Tier.SYSTEM))))
    assert isinstance(refused, Refused)
    assert refused.rule == "tool-crash"
    ran = [house.opened(Receipt, digest, Predicate.RECEIPT) for digest in refused.receipts]
    assert [(each.role, each.exit) for each in ran] == [("one/rehearsal", 0), ("one/application", 1)]
    assert files_of(house.store, base) == {b"a": b"1"}
    assert list((house.directory / "keeper" / "runs").iterdir()) == []


@pytest.mark.parametrize("kind", ["link", "hard-link", "fifo", "name"])
def test_what_no_tree_may_hold_is_refused_at_the_seal(house: House, kind: str) -> None:
    """A tool that leaves a link out of the tree, a hard link, a pipe or a name that forges screens builds nothing."""

    def tool(sight: Sight) -> None:
        work = sight.path("/mnt/work")
        if not sight.request["dry_run"]:
            if kind == "link":
                os.symlink("/etc/passwd", work / "l")
            elif kind == "hard-link":
                os.link(work / "a", work / "b")
            elif kind == "fifo":
                os.mkfifo(work / "p")
            else:
                (work / "a\x1b[2J").write_bytes(b"")
        sight.result({})

    house.walls.tool = tool
    refused = house.keeper.build(house.plan(house.tree({"a": b"1"}), step(house.tool())))
    assert isinstance(refused, Refused)
    assert refused.rule in ("link-leaves-tree", "hard-link", "not-a-file", "name-control-characters")


def test_tier_three_a_network_spending_and_missing_layers_are_refused_before_anything_runs(house: House) -> None:
    """No cell starts for a tool that may not run here."""
    base = house.tree({"a": b"1"})
    rules = []
    costs = {"caps": dataclasses.replace(CAPS, spend_micro=1)}
    for more in ({"tier": Tier.DANGEROUS}, {"network": True}, {"egress": ("x:443",)}, costs, {"isolation": ("vm",)}):
        refused = house.keeper.build(house.plan(base, step(house.tool(**more))))
        assert isinstance(refused, Refused)
        rules.append(refused.rule)
    network = "network-not-allowed"
    assert rules == ["tier-three", network, network, "spend-not-reserved", "layer-missing"]
    assert house.walls.cells == []


def test_a_layer_that_was_not_enforced_in_the_run_is_refused(house: House) -> None:
    """A run is only worth its receipt with the layers that its tool needs."""
    house.walls.tool = lambda sight: sight.result({}) or ended(layers={"pid-namespace": True})
    refused = house.keeper.build(house.plan(house.tree({"a": b"1"}), step(house.tool())))
    assert isinstance(refused, Refused)
    assert refused.rule == "layer-missing"
    assert "network-namespace" in refused.where


def test_an_unknown_tool_a_foreign_golden_and_a_bad_plan_are_refused(house: House) -> None:
    """Only tools of the policy, on goldens of this keeper, in plans that hold together."""
    base = house.tree({"a": b"1"})
    tool = house.tool(args={"patch": rule("digest", required=False)})
    foreign = house.store.put("golden", b"{}")
    stray = house.store.put("blob", b"patch")
    cases = {
        "tool-unknown": house.plan(base, step(Digest("tool:" + "0" * 64))),
        "bad-plan": house.plan(base),
        "bad-argument": house.plan(base, step(tool, other="x")),
    }
    for expected, plan in cases.items():
        refused = house.keeper.build(plan)
        assert isinstance(refused, Refused)
        assert refused.rule == expected
    for plan in (
        house.plan(base, step(tool), step(tool)),
        house.plan(base, step(tool, after=("later",))),
        house.plan(base, step(tool, patch=stray)),
    ):
        refused = house.keeper.build(plan)
        assert isinstance(refused, Refused)
        assert refused.rule == "bad-plan"
    run = CheckRun(check="scan", role="diff", tool=tool, args={}, trees={"base": base}, golden=foreign)
    refused = house.keeper.check(run)
    assert isinstance(refused, Refused)
    assert refused.rule == "golden-unknown"


def test_a_plan_that_is_not_stored_or_not_a_plan_is_unusable(house: House) -> None:
    """The caller named something wrong: that is an error, not a refusal."""
    with pytest.raises(NotFound):
        house.keeper.build(Digest("plan:" + "0" * 64))
    with pytest.raises(Unusable, match="plan"):
        house.keeper.build(house.tree({"a": b""}))


def test_a_body_that_is_not_the_manifest_s_is_tampering(house: House) -> None:
    """A tool's body is what the signed manifest names, or nothing runs."""
    tool = house.tool()
    house.manifests[tool] = (house.manifests[tool][0], b"# another body\n")
    with pytest.raises(Tampered):
        house.keeper.build(house.plan(house.tree({"a": b"1"}), step(tool)))
    assert house.walls.cells == []


def test_arguments_of_type_digest_are_files_for_the_tool(house: House) -> None:
    """The bytes stand at /in under the argument's name, and the body and its helpers at /tools."""
    patch = house.store.put("blob", b"--- the patch")
    seen = {}

    def tool(sight: Sight) -> None:
        seen["patch"] = (sight.path("/in") / "patch").read_bytes()
        seen["tools"] = {p.name: p.read_bytes() for p in sight.path("/tools").iterdir() if p.is_file()}
        seen["args"] = sight.request["args"]
        sight.result({})

    house.walls.tool = tool
    digest = house.tool(args={"patch": rule("digest")})
    assert isinstance(
        house.keeper.build(house.plan(house.tree({"a": b"1"}), step(digest, patch=patch), blobs=(patch,))), str
    )
    assert seen["patch"] == b"--- the patch"
    assert seen["tools"] == {"toy_t1.py": BODY, "_body.py": b"# shared\n"}
    assert seen["args"] == {"patch": patch}


def test_a_full_disk_is_a_refusal(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the keeper itself cannot write, the person is told so, and nothing is left."""
    plan = house.plan(house.tree({"a": b"1"}), step(house.tool()))

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/box")

    monkeypatch.setattr(house.trees, "materialise", full)
    refused = house.keeper.build(plan)
    assert refused == Refused(rule="disk-full", where="/box", remedy="free space")
    assert list((house.directory / "keeper" / "runs").iterdir()) == []
