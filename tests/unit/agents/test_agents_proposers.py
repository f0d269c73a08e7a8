"""The built-in proposers: one run between walls, read defensively."""

from __future__ import annotations

from typing import Any

import pytest
from agents_cases import GOLDEN, SUBJECT, TOOL, ScanningKeeper, finding, generated

from greenroom.agents.proposers.codegen import CodegenProposer, suggest
from greenroom.agents.proposers.codespell import CodespellProposer
from greenroom.agents.proposers.modernise import ModerniseProposer
from greenroom.agents.proposers.ruff import RuffProposer
from greenroom.agents.proposers.unused import UnusedProposer
from greenroom.domain import documents
from greenroom.domain.errors import Tampered, Unusable
from greenroom.domain.proposal import Proposal
from greenroom.domain.verdict import Refused

REPORT = {"rule": "json", "path": "a.json", "line": 1, "column": 2, "message": "odd"}
NOTE = {"rule": "program-missing", "where": "shfmt", "remedy": "install it"}


def proposals(keeper: ScanningKeeper, kind: type[CodegenProposer] = RuffProposer) -> list[Proposal]:
    proposer = kind(keeper=keeper, store=keeper.store, attestor=keeper.attestor, golden=GOLDEN, tool=TOOL)  # type: ignore[arg-type]
    return [documents.decode(Proposal, item) for item in proposer.propose(SUBJECT, keeper.live)]


@pytest.mark.parametrize(
    ("kind", "version"),
    [
        (RuffProposer, "0.15.1"),
        (CodespellProposer, "2.4.1"),
        (ModerniseProposer, "0.15.1"),
        (UnusedProposer, "0.15.1"),
    ],
)
def test_a_scan_becomes_proposals(kind: type[CodegenProposer], version: str) -> None:
    """Each finding of the tool is one proposal, with its patch in the store and tests that go with its files."""
    keeper = ScanningKeeper(generated(finding(), finding(rule="ruff:W291", files=["docs/a.md"])))
    first, second = proposals(keeper, kind)
    assert (first.proposer, first.proposer_version) == (kind.generator, version)
    assert (first.rule, first.summary, first.confidence) == ("ruff:F401", "Remove unused imports", 90)
    assert keeper.store.has(first.patch)
    assert first.suggested_tests == ("tests/test_app.py",)
    assert (second.rule, second.suggested_tests) == ("ruff:W291", ())


def test_the_scan_is_one_run_on_the_live_tree() -> None:
    """The keeper is asked for codegen_t0 on a copy of Blue, with the generator's name and nothing else."""
    keeper = ScanningKeeper(generated())
    assert proposals(keeper, CodespellProposer) == []
    (run,) = keeper.asked
    assert (run.check, run.tool, run.golden, dict(run.trees)) == ("codegen", TOOL, GOLDEN, {"base": keeper.live})
    assert run.args == {"generator": "codespell"}


@pytest.mark.parametrize(
    "result",
    [
        b"",
        b"[]",
        b'{"proposals": 1}',
        generated(finding(confidence=101)),
        generated(finding(confidence="90")),
        generated(finding(files=[])),
        generated(finding(rule="")),
        generated(finding(title="x" * 5000)),
        generated(finding(patch="../other")),
        generated(finding(extra=1)),
        generated(*[finding()] * 65),
        generated() | {"tools": {"ruff": 1}},
        generated() | {"reports": [{"rule": "json"}]},
        generated() | {"reports": [REPORT] * 201},
        generated() | {"reports": [REPORT | {"line": "1"}]},
        generated() | {"reports": [REPORT | {"message": "x" * 200_001}]},
        generated() | {"reports": [REPORT | {"path": "x" * 1001}] * 200},
        generated() | {"notes": [NOTE] * 21},
        generated() | {"notes": [NOTE | {"extra": ""}]},
        generated() | {"counts": {"scanned": "many"}},
        generated() | {"counts": {"ignored": {str(i): 1 for i in range(101)}}},
        generated() | {"counts": []},
    ],
)
def test_a_malformed_result_is_refused(result: Any) -> None:
    """Whatever hostile code makes of the result, it is unusable and nothing is proposed."""
    with pytest.raises(Unusable):
        proposals(ScanningKeeper(result))


def test_a_scan_tells_what_it_saw_besides() -> None:
    """Counts, reports and notes of the last scan are there once it ended; nothing of an earlier one stays."""
    counts = {
        "scanned": 4,
        "ignored": {"vendored": 2},
        "findings": 3,
        "proposed": 1,
        "reported": 1,
        "dropped": {"x": 1},
    }
    keeper = ScanningKeeper(generated(finding()) | {"counts": counts, "reports": [REPORT], "notes": [NOTE]})
    proposer = RuffProposer(keeper=keeper, store=keeper.store, attestor=keeper.attestor, golden=GOLDEN, tool=TOOL)  # type: ignore[arg-type]
    assert proposer.scan is None
    assert len(list(proposer.propose(SUBJECT, keeper.live))) == 1
    assert proposer.scan is not None
    assert documents.to_plain(proposer.scan) == {"counts": counts, "reports": [REPORT], "notes": [NOTE]}
    keeper.ended_by = "wall"
    with pytest.raises(Unusable):
        list(proposer.propose(SUBJECT, keeper.live))
    assert proposer.scan is None


def test_a_refused_scan_names_the_rule_and_the_remedy() -> None:
    """The keeper's refusal reaches the person as it is."""
    keeper = ScanningKeeper(generated())
    keeper.refused = Refused(rule="layer-missing", where="seccomp", remedy="see doctor")
    with pytest.raises(Unusable) as caught:
        proposals(keeper)
    assert (caught.value.reference, caught.value.where, caught.value.remedy) == (
        "layer-missing",
        "seccomp",
        "see doctor",
    )


def test_a_scan_that_was_cut_short_proposes_nothing() -> None:
    """A run that did not end by itself has no result that counts."""
    keeper = ScanningKeeper(generated(finding()))
    keeper.ended_by = "wall"
    keeper.stderr = b"Traceback\nOSError: no\x1b[31m room\n"
    with pytest.raises(Unusable, match=r"proposer-failed: .* by wall, exit 0: OSError: no\x1b\[31m room"):
        proposals(keeper)


def test_a_forged_receipt_is_tampering() -> None:
    """A receipt under another key is not read."""
    keeper, other = ScanningKeeper(generated(finding())), ScanningKeeper(generated())
    proposer = RuffProposer(keeper=keeper, store=keeper.store, attestor=other.attestor, golden=GOLDEN, tool=TOOL)  # type: ignore[arg-type]
    with pytest.raises(Tampered):
        list(proposer.propose(SUBJECT, keeper.live))


def test_tests_are_suggested_by_their_names() -> None:
    """test_NAME.py and NAME_test.py go with NAME.py; a changed test goes with itself; at most ten."""
    tests = ["tests/test_app.py", "lib/core_test.py", "tests/test_far.py"]
    assert suggest(["src/app.py", "lib/_core.py", "lib/core.py"], tests) == ("lib/core_test.py", "tests/test_app.py")
    assert suggest(["tests/test_far.py"], tests) == ("tests/test_far.py",)
    assert len(suggest(["a.py"], [f"t{i}/test_a.py" for i in range(20)])) == 10
