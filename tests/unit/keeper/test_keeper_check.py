from __future__ import annotations

import dataclasses
import json
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
from keeper_house import House, Sight, ended, rule

from greenroom.domain.digest import Digest
from greenroom.domain.errors import Tampered
from greenroom.domain.plan import ArgRule
from greenroom.domain.ports import CheckRun
from greenroom.domain.proof import Predicate, Receipt, RunOutput
from greenroom.domain.verdict import Refused
from greenroom.domain.vocabulary import Trust
from greenroom.keeper import overlay, runs


def ask(house: House, tool: Digest, **more: Any) -> CheckRun:
    """A run on one tree."""
    values: dict[str, Any] = {
        "check": "tests",
        "role": "base",
        "tool": tool,
        "args": {},
        "trees": {"work": house.tree({"a.py": b"x = 1\n"})},
        "golden": house.keeper.golden(),
    }
    return CheckRun(**values | more)


RAN: dict[str, Any] = {"framework": "pytest", "python": "3", "outcomes": {}, "sentinel": "failed"}
"""What a suite without a test told."""


def over(house: House, tool: Digest, base: Digest, green: Digest) -> CheckRun:
    """A run on `green` with the tests of `base` laid over, after the run on base that it names."""
    first = house.keeper.check(ask(house, tool, trees={"work": base}))
    assert not isinstance(first, Refused)
    both = {"work": green, "base": base}
    return ask(house, tool, role="base-on-green", trees=both, overlay=("base", "work"), suite=first)


def output_of(house: House, receipt: Receipt) -> RunOutput:
    """The stored output of a run."""
    plain = json.loads(house.store.get(receipt.output))
    return RunOutput(**{f.name: plain[f.name] for f in dataclasses.fields(RunOutput)})


def test_the_golden_that_a_receipt_names_records_what_the_run_had_in_its_environment(house: House) -> None:
    """Seeds and times are recorded where the receipt is signed over them, and the cell has just those."""
    receipt = house.opened(Receipt, house.keeper.check(ask(house, house.tool())), Predicate.RECEIPT)
    recorded = json.loads(house.store.get(receipt.golden))["environment"]
    (cell,) = house.walls.cells
    assert dict(cell.env) == recorded
    assert (recorded["PYTHONHASHSEED"], recorded["SOURCE_DATE_EPOCH"]) == ("0", "315532800")


def test_a_run_on_a_golden_that_records_another_environment_has_that_one(house: House) -> None:
    """What is recorded is what runs; a golden that records none has the usual one."""
    goldens = house.keeper.goldens
    usual = goldens.open(house.keeper.golden())
    for recorded in ({"PYTHONHASHSEED": "7"}, {}):
        golden = goldens.register(dataclasses.replace(usual, environment=recorded))
        assert not isinstance(house.keeper.check(ask(house, house.tool(), golden=golden)), Refused)
        assert dict(house.walls.cells[-1].env) == (recorded or dict(usual.environment))


def test_a_run_has_the_variables_that_its_argument_names_and_its_owner_allows(house: House) -> None:
    """Only where code is executed, only the allowed ones, and none in the place of what the golden records."""
    has = {"TOKEN": "t", "PYTHONHASHSEED": "9"}
    house.keeper.runner._variables = lambda names: {name: has[name] for name in names if name in has}
    names = ArgRule(type="text", allow="[A-Z ]+", deny="", min_trust=Trust.UNTRUSTED, max_bytes=80)
    usual = dict(house.keeper.goldens.open(house.keeper.golden()).environment)
    for executes, more in ((True, {"TOKEN": "t"}), (False, {})):
        tool = house.tool(args={"environment": names}, executes=executes)
        asked = ask(house, tool, args={"environment": "TOKEN PYTHONHASHSEED OTHER"})
        assert not isinstance(house.keeper.check(asked), Refused)
        assert dict(house.walls.cells[-1].env) == usual | more


def test_a_body_that_the_owner_did_not_sign_is_never_run(house: House) -> None:
    """`wrong-body`: the manifest names the body by its digest, and another one starts nothing."""
    tool = house.tool()
    manifest, body = house.manifests[tool]
    house.manifests[tool] = (manifest, body + b"import os\n")
    with pytest.raises(Tampered) as caught:
        house.keeper.check(ask(house, tool))
    assert (caught.value.reference, caught.value.where) == ("wrong-body", manifest.body)
    assert "install Greenroom again" in caught.value.remedy
    assert house.walls.cells == []


def test_a_run_ends_in_a_signed_receipt_with_result_and_artifacts(house: House) -> None:
    """The receipt names trees, tool, golden and output; the output names what the tool left."""

    def tool(sight: Sight) -> None:
        sight.result({"found": 3})
        sight.artifact("patch-1.diff", b"diff")

    house.walls.tool = tool
    run = ask(house, house.tool(args={"only": rule(required=False)}), args={"only": "x"})
    receipt = house.opened(Receipt, house.keeper.check(run), Predicate.RECEIPT)
    output = output_of(house, receipt)
    assert (receipt.check, receipt.role, receipt.tool) == ("tests", "base", run.tool)
    assert (receipt.mounted, receipt.golden, receipt.exit) == (run.trees, run.golden, 0)
    assert output.result is not None
    assert json.loads(house.store.get(output.result)) == {"found": 3}
    assert {n: house.store.get(d) for n, d in output.artifacts.items()} == {"patch-1.diff": b"diff"}
    assert house.store.get(output.stdout) == b"said"
    assert json.loads(house.store.get(receipt.args)) == {
        "args": {"only": "x"},
        "dry_run": False,
        "inputs": {},
        "overlay": None,
    }


def test_a_run_that_ended_badly_has_a_receipt_without_a_result(house: House) -> None:
    """However a suite dies, the receipt says how, and no result of its is believed."""

    def tool(sight: Sight) -> object:
        sight.result({"outcomes": "all fine"})
        return ended(137, "wall")

    house.walls.tool = tool
    receipt = house.opened(Receipt, house.keeper.check(ask(house, house.tool())), Predicate.RECEIPT)
    assert (receipt.ended_by, receipt.exit) == ("wall", 137)
    assert output_of(house, receipt).result is None


def test_a_tool_that_says_no_is_a_refusal_not_a_receipt(house: House) -> None:
    """The reason that the tool gives reaches the person."""
    house.walls.tool = lambda sight: sight.result({"refused": {"rule": "r", "where": "w", "remedy": "m"}})
    assert house.keeper.check(ask(house, house.tool())) == Refused(rule="r", where="w", remedy="m")


def _fifo(sight: Sight) -> None:
    os.mkfifo(sight.path("/out") / "result.json")


def _many(sight: Sight) -> None:
    sight.result({})
    for index in range(300):
        sight.artifact(f"n{index}", b"")


def _bad_name(sight: Sight) -> None:
    sight.result({})
    sight.artifact("..patch", b"")


def _link_artifact(sight: Sight) -> None:
    sight.result({})
    sight.artifact("fine", b"")
    (sight.path("/out") / "artifacts" / "l").symlink_to("/etc/passwd")


LEFT: dict[str, Callable[[Sight], Any]] = {
    "nothing": lambda sight: None,
    "link": lambda sight: (sight.path("/out") / "result.json").symlink_to("/etc/passwd"),
    "huge": lambda sight: (sight.path("/out") / "result.json").write_bytes(b" " * 1001),
    "not-json": lambda sight: (sight.path("/out") / "result.json").write_bytes(b"{"),
    "pipe": _fifo,
    "many": _many,
    "bad-name": _bad_name,
    "link-artifact": _link_artifact,
}


@pytest.mark.parametrize("kind", sorted(LEFT))
def test_output_that_no_tool_may_leave_is_refused(house: House, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links, pipes, sizes, names and counts are bounded; nothing outside /out is ever read."""
    monkeypatch.setattr(runs.results, "MAX_RESULT_BYTES", 1000)

    def tool(sight: Sight) -> None:
        LEFT[kind](sight)

    house.walls.tool = tool
    refused = house.keeper.check(ask(house, house.tool()))
    assert isinstance(refused, Refused)
    assert refused.rule in ("bad-output", "output-too-large", "bad-result")


def test_trees_are_throwaway_copies_writable_only_where_the_manifest_says(house: House) -> None:
    """A tool may spoil its copy; the stored tree is untouched and the next run has a fresh one."""
    seen = []

    def tool(sight: Sight) -> None:
        seen.append(
            ((sight.path("/mnt/work") / "a.py").read_bytes(), sight.writable("/mnt/work"), sight.writable("/mnt/base"))
        )
        (sight.path("/mnt/work") / "a.py").write_bytes(b"spoilt")
        sight.result({})

    house.walls.tool = tool
    tree = house.tree({"a.py": b"x = 1\n"})
    run = ask(house, house.tool(), trees={"work": tree, "base": tree})
    assert isinstance(house.keeper.check(run), str)
    assert isinstance(house.keeper.check(run), str)
    assert seen == [(b"x = 1\n", True, False)] * 2


def test_the_overlay_puts_base_s_tests_over_green_s_read_only(house: House) -> None:
    """Green's code runs base's tests; Green's own tests are gone; test places cannot be written."""
    base = house.tree({"src/m.py": b"1", "tests/test_m.py": b"base", "conftest.py": b"base", "setup.cfg": b"base"})
    green = house.tree({"src/m.py": b"2", "tests/test_m.py": b"green", "tests/conftest.py": b"forge", "tox.ini": b"x"})
    seen: dict[str, Any] = {}

    def tool(sight: Sight) -> None:
        work = sight.path("/mnt/work")
        seen["files"] = {str(p.relative_to(work)): p.read_bytes() for p in work.rglob("*") if p.is_file()}
        seen["mounts"] = {m.target: m.writable for m in sight.cell.mounts if m.target.startswith("/mnt/work")}
        sight.result(RAN)

    house.walls.tool = tool
    run = over(house, house.tool(executes=True), base, green)
    receipt = house.opened(Receipt, house.keeper.check(run), Predicate.RECEIPT)
    assert seen["files"] == {
        "src/m.py": b"2",
        "tests/test_m.py": b"base",
        "conftest.py": b"base",
        "setup.cfg": b"base",
    }
    assert seen["mounts"] == {
        "/mnt/work": True,
        "/mnt/work/conftest.py": False,
        "/mnt/work/setup.cfg": False,
        "/mnt/work/tests": False,
    }
    assert receipt.mounted == {"work": green, "base": base}
    assert json.loads(house.store.get(receipt.args))["overlay"] == ["base", "work"]
    assert receipt.laid == {
        "base": base,
        "work": house.tree(
            {"src/m.py": b"2", "tests/test_m.py": b"base", "conftest.py": b"base", "setup.cfg": b"base"}
        ),
    }


def test_base_and_green_run_under_the_same_conditions(house: House) -> None:
    """Where tests lie is read-only also without an overlay, so that no suite behaves otherwise on Green for it."""
    house.walls.tool = lambda sight: sight.result({})
    tree = house.tree({"tests/test_m.py": b"", "m.py": b""})
    assert isinstance(house.keeper.check(ask(house, house.tool(executes=True), trees={"work": tree})), str)
    assert [m.target for m in house.walls.cells[0].mounts if not m.writable and m.target.startswith("/mnt")] == [
        "/mnt/work/tests"
    ]


def test_tests_in_too_many_places_make_the_whole_copy_read_only(house: House) -> None:
    """A cell takes a bounded number of mounts; protection is never given up for it."""
    house.walls.tool = lambda sight: sight.result({})
    tree = house.tree({f"pkg{index}/test_it.py": b"" for index in range(overlay.MAX_PROTECTED + 1)})
    assert isinstance(house.keeper.check(ask(house, house.tool(executes=True), trees={"work": tree})), str)
    assert [(m.target, m.writable) for m in house.walls.cells[0].mounts if m.target.startswith("/mnt")] == [
        ("/mnt/work", False)
    ]


def test_many_files_of_tests_beyond_names_leave_the_copy_writable(house: House) -> None:
    """A repository with a `tests.py` in each of forty packages runs on Green as on base, but for single files."""
    names = [f"app{number:02}/tests.py" for number in range(40)]
    base, green = (house.tree({**dict.fromkeys(names, b""), "m.py": code}) for code in (b"1", b"2"))
    suite = {"tests": names, "others": [], "places": [], "patterns": []}
    house.walls.tool = lambda sight: sight.result(RAN | {"suite": suite})
    assert isinstance(house.keeper.check(over(house, house.tool(executes=True), base, green)), str)
    on_base, on_green = (
        {m.target: m.writable for m in cell.mounts if m.target.startswith("/mnt/work")} for cell in house.walls.cells
    )
    assert on_base == {"/mnt/work": True}
    assert on_green == {"/mnt/work": True} | {f"/mnt/work/{name}": False for name in names[: overlay.MAX_PROTECTED]}


@pytest.mark.parametrize("overlay", [("base", "work"), ("work", "base"), ("work", "work")])
def test_an_overlay_of_trees_that_are_not_mounted_is_refused(house: House, overlay: tuple[str, str]) -> None:
    """Both names must be mounted, and two."""
    refused = house.keeper.check(ask(house, house.tool(), overlay=overlay))
    assert isinstance(refused, Refused)
    assert refused.rule == "bad-overlay"


@pytest.mark.parametrize("name", ["", "Work", "a/b", "..", "a" * 17, "work1"])
def test_a_mount_name_is_a_short_word(house: House, name: str) -> None:
    """No mount name reaches outside /mnt."""
    refused = house.keeper.check(ask(house, house.tool(), trees={name: house.tree({"a": b""})}))
    assert isinstance(refused, Refused)
    assert refused.rule == "bad-mount-name"


@pytest.mark.parametrize("check", ["build", "import", "prepare"])
def test_nobody_asks_for_runs_that_only_the_keeper_makes(house: House, check: str) -> None:
    """A receipt that says `build` comes from a build."""
    refused = house.keeper.check(ask(house, house.tool(), check=check))
    assert isinstance(refused, Refused)
    assert refused.rule == "check-reserved"


@pytest.mark.parametrize(
    "args", [{"n": "x"}, {"n": True}, {"t": 1}, {"t": "x" * 101}, {"d": "blob:1"}, {"d": 3}, {"other": "x"}]
)
def test_arguments_of_another_name_type_or_size_are_refused(house: House, args: dict[str, Any]) -> None:
    """The manifest's types and bounds hold before anything runs."""
    rules = {"n": rule("int", required=False), "t": rule(required=False), "d": rule("digest", required=False)}
    refused = house.keeper.check(ask(house, house.tool(args=rules), args=args))
    assert isinstance(refused, Refused)
    assert refused.rule == "bad-argument"
    assert house.walls.cells == []


_RULED = {
    "t": ArgRule(type="text", allow="[a-z]+", deny="evil", min_trust=Trust.UNTRUSTED, max_bytes=8, required=False),
    "p": ArgRule(type="path", allow="docs/.+", deny="", min_trust=Trust.UNTRUSTED, max_bytes=40, required=False),
    "n": ArgRule(type="int", allow="1..9", deny="", min_trust=Trust.UNTRUSTED, max_bytes=8, required=False),
    "a": ArgRule(type="argv", allow="[a-z \"']+", deny="", min_trust=Trust.PERSON, max_bytes=40, required=False),
}


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({"t": "fine!"}, "argument-not-allowed"),
        ({"t": "fine\nx"}, "argument-not-allowed"),
        ({"t": "anevil"}, "argument-denied"),
        ({"t": "a" * 9}, "argument-too-long"),
        ({"t": "a\u202eb"}, "argument-control-characters"),
        ({"p": "docs/../a"}, "argument-path"),
        ({"p": "src/a"}, "argument-not-allowed"),
        ({"n": 10}, "argument-out-of-range"),
        ({"a": "an 'open quote"}, "argument-type"),
        ({"a": ""}, "argument-type"),
    ],
)
def test_an_argument_keeps_the_whole_rule_of_its_manifest(house: House, args: dict[str, Any], why: str) -> None:
    """Allowed and denied words, range and shape hold before anything runs; the refusal says which and what helps."""
    refused = house.keeper.check(ask(house, house.tool(args=_RULED), args=args))
    assert isinstance(refused, Refused)
    assert refused.rule == "bad-argument"
    assert why in refused.where
    assert next(iter(args)) in refused.where
    assert refused.remedy
    assert house.walls.cells == []


def test_an_argument_that_fits_its_rule_runs(house: House) -> None:
    """The same rules let good values through."""
    args = {"t": "fine", "p": "docs/a.md", "n": 9, "a": "run 'all of it'"}
    assert isinstance(house.keeper.check(ask(house, house.tool(args=_RULED), args=args)), str)


def test_a_missing_argument_is_refused(house: House) -> None:
    """What a tool needs is given, or it does not run."""
    refused = house.keeper.check(ask(house, house.tool(args={"t": rule()})))
    assert isinstance(refused, Refused)
    assert refused.rule == "bad-argument"


def test_nothing_starts_while_stopped(house: House) -> None:
    """Every call that runs something is refused `stopped`, and no cell starts."""
    plan = house.plan(
        house.tree({"a": b""}),
    )
    run = ask(house, house.tool())
    house.stop[0] = True
    answers = [house.keeper.check(run), house.keeper.build(plan), house.keeper.prepare(run.trees["work"])]
    assert [answer.rule for answer in answers if not isinstance(answer, str)] == ["stopped"] * 3
    assert house.walls.cells == []


def test_a_stop_reaches_what_runs_and_leaves_no_receipt(house: House) -> None:
    """The cell is told to end as soon as the stop is set; its run is refused, not recorded."""
    running = threading.Event()

    def tool(sight: Sight) -> object:
        running.set()
        waited = threading.Event()
        for _ in range(200):
            if sight.cancelled():
                return ended(137, "stop")
            waited.wait(0.01)
        return ended(0)

    house.walls.tool = tool
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(house.keeper.check(ask(house, house.tool()))))
    thread.start()
    assert running.wait(5)
    house.stop[0] = True
    thread.join(5)
    assert isinstance(answers[0], Refused)
    assert answers[0].rule == "stopped"


def test_a_keeper_that_closes_starts_nothing_more(house: House) -> None:
    """After `close` the answer is a refusal that says to ask again."""
    house.keeper.close()
    refused = house.keeper.check(
        CheckRun(
            check="scan",
            role="diff",
            tool=house.tool(),
            args={},
            trees={},
            golden=Digest("golden:" + "0" * 64),
        )
    )
    assert isinstance(refused, Refused)
    assert refused.rule == "keeper-closing"


SPECS = {"tests": ["specs/spec_m.py"], "others": ["plugin.py"], "places": [], "patterns": ["spec_*.py"]}


def told(house: House, suite: object, **more: Any) -> tuple[CheckRun, Receipt | Refused]:
    """A run with an overlay whose suite is a run on base that told this, bent by `more`; and what came of it."""
    base = house.tree({"specs/spec_m.py": b"base", "plugin.py": b"base", "m.py": b"base"})
    green = house.tree({"specs/spec_m.py": b"green", "plugin.py": b"green", "m.py": b"green"})
    plain = {"framework": "pytest", "python": "3", "outcomes": {}, "sentinel": "failed", "suite": suite}
    house.walls.tool = lambda sight: sight.result(plain)
    tool = more.pop("tool", None) or house.tool(executes=True)
    first = ask(house, tool, **({"trees": {"work": base}} | more))
    envelope = house.keeper.check(first)
    assert not isinstance(envelope, Refused)
    both = {"work": green, "base": base}
    run = ask(house, tool, role="base-on-green", trees=both, overlay=("base", "work"), suite=envelope)
    answer = house.keeper.check(run)
    return run, answer if isinstance(answer, Refused) else house.opened(Receipt, answer, Predicate.RECEIPT)


def test_the_overlay_lays_over_what_base_s_run_told_and_the_receipt_names_the_rest(house: House) -> None:
    """The files that base's tests come from are base's; what they rest on besides, and changed, is signed."""
    _, receipt = told(house, SPECS)
    assert isinstance(receipt, Receipt)
    laid = house.tree({"specs/spec_m.py": b"base", "plugin.py": b"green", "m.py": b"green"})
    assert receipt.laid["work"] == laid
    assert receipt.unproven == ("plugin.py",)
    protected = [m.target for m in house.walls.cells[-1].mounts if not m.writable and "/work/" in m.target]
    assert protected == ["/mnt/work/specs/spec_m.py"]


def test_what_no_run_told_is_not_known(house: House) -> None:
    """After a run on base that tells nothing the receipt names that run, and does not claim that all is well."""
    run, receipt = told(house, None)
    assert isinstance(receipt, Receipt)
    assert receipt.unproven is None
    assert receipt.suite == run.suite is not None


@pytest.mark.parametrize("check", ["tests", "live-tests"])
def test_a_run_on_green_without_its_suite_is_refused_before_the_record_is_asked(house: House, check: str) -> None:
    """With the suite and without it the run would be two in the record, and somebody could choose between the draws.

    Nor does a suite make another run of one that lays nothing over.
    """
    run, receipt = told(house, SPECS)
    assert isinstance(receipt, Receipt)
    cells = len(house.walls.cells)
    bent = [
        dataclasses.replace(run, check=check, suite=None),
        dataclasses.replace(run, role="base", trees={"work": run.trees["base"]}, overlay=None),
    ]
    for other in bent:
        refused = house.keeper.check(other)
        assert isinstance(refused, Refused)
        assert refused.rule == "bad-suite"
    assert len(house.walls.cells) == cells


def test_a_suite_is_only_the_answer_on_record(house: House) -> None:
    """The receipt of an attempt on base that ended badly tells nothing, and would make one more draw of the run."""
    base, green = house.tree({"m.py": b"1"}), house.tree({"m.py": b"2"})
    tool = house.tool(executes=True)
    house.walls.tool = lambda sight: ended(137, "wall")
    run = over(house, tool, base, green)
    assert house.keeper.check(run).rule == "bad-suite"
    house.walls.tool = lambda sight: sight.result(RAN)
    mended = over(house, tool, base, green)
    assert mended.suite != run.suite
    assert isinstance(house.keeper.check(mended), str)
    assert house.keeper.check(run).rule == "bad-suite"


@pytest.mark.parametrize("bent", ["check", "role", "occasion", "trees", "args"])
def test_a_suite_of_another_run_is_refused(house: House, bent: str) -> None:
    """Nobody chooses which run tells where the tests are."""
    text = ArgRule(type="text", allow="x", deny="", min_trust=Trust.UNTRUSTED, max_bytes=8, required=False)
    tool = house.tool(executes=True, args={"only": text})
    other: dict[str, Any] = {
        "check": "live-tests",
        "role": "own",
        "occasion": house.tree({}),
        "trees": {"work": house.tree({})},
        "args": {"only": "x"},
    }
    _, answer = told(house, SPECS, **({"tool": tool} | {bent: other[bent]}))
    assert isinstance(answer, Refused)
    assert answer.rule == "bad-suite"
