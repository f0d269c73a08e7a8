"""What a decision of the gate costs, against bare cedarpy on the same request with the same parsed handles.

Run: ``python benchmarks/decision.py [--count N] [--json]``. Both are measured in turns in one process, so that the
ratio does not depend on what else the machine does. The aim is a ratio of at most 3.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

import cedarpy

from greenroom.domain.change import Change
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.plan import Arg, Plan, Step
from greenroom.domain.ports import Facts
from greenroom.domain.proof import Contribution, Evidence
from greenroom.domain.verdict import Instant, Passed
from greenroom.domain.vocabulary import ChangeId, Kind, Mode, Origin, Stage, State, Subject, Trust
from greenroom.policy import constitution as constitutions
from greenroom.policy import decide, question
from greenroom.policy.manifests import BUILTIN, builtin_manifests, manifest_digest
from greenroom.policy.vocabulary import CHECKS, LAYERS

AIM = 3.0
ROUNDS = 20


def main() -> int:
    """Measure, print, and exit with 1 when the aim is missed."""
    parser = argparse.ArgumentParser(description="decision of the gate / bare cedarpy")
    parser.add_argument("--count", type=int, default=2000, help="decisions of each sort")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    rows = measure(options.count)
    if options.json:
        print(json.dumps({"aim": AIM, "rows": rows}, indent=2))
    else:
        print(f"{'stage':<10} {'bare cedarpy us':>16} {'decision us':>12} {'ratio':>6}   (aim {AIM:g})")
        for row in rows:
            print(f"{row['stage']:<10} {row['bare_us']:>16.1f} {row['decision_us']:>12.1f} {row['ratio']:>6.2f}")
    return 0 if all(float(row["ratio"]) <= AIM for row in rows) else 1


def measure(count: int) -> list[dict[str, float | str]]:
    """Microseconds (medians of rounds) and their ratio, for the lightest and the heaviest stage."""
    rows: list[dict[str, float | str]] = []
    for stage in (Stage.DEBATE, Stage.PROMOTE):
        bare, decision = _calls(stage)
        times: dict[str, list[float]] = {"bare": [], "decision": []}
        for _ in range(ROUNDS):
            times["bare"].append(_time(bare, max(1, count // ROUNDS)))
            times["decision"].append(_time(decision, max(1, count // ROUNDS)))
        bare_us, decision_us = statistics.median(times["bare"]), statistics.median(times["decision"])
        rows.append(
            {"stage": stage.value, "bare_us": bare_us, "decision_us": decision_us, "ratio": decision_us / bare_us}
        )
    return rows


def _time(call: Callable[[], object], count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - began) / count * 1e6


def _calls(stage: Stage) -> tuple[Callable[[], object], Callable[[], object]]:
    """Bare cedarpy on a ready request, and the whole decision about the same change."""
    found = constitutions.parse(constitutions.default_text())
    tools = builtin_manifests({name: digest_of("blob", name.encode()) for name in BUILTIN})
    manifests = {manifest_digest(tool): tool for tool in tools.values()}
    policy = decide.CedarPolicy(digest_of("policy", b"benchmark"), found, manifests)
    change, plan, facts, evidence = _case(manifest_digest(tools["apply_patch_t1"]))
    asked = question.ask(question.law(found, manifests), change, stage, plan, facts, evidence)
    request = decide.request(change, stage, asked)
    policies = cedarpy.PolicySet.from_str(decide.cedar_text())
    entities = cedarpy.Entities.from_json_str(json.dumps(decide.entities(found)))
    if policy.may(change, stage, plan, facts, evidence) != Passed():
        raise SystemExit("the benchmark's change does not pass the gate")
    return (
        lambda: cedarpy.is_authorized(request, policies, entities),
        lambda: policy.may(change, stage, plan, facts, evidence),
    )


def _case(tool: Digest) -> tuple[Change, Plan, Facts, tuple[Evidence, ...]]:
    """A change of five files with evidence of every check."""
    base, green = digest_of("tree", b"base"), digest_of("tree", b"green")
    golden, patch = digest_of("golden", b"golden"), digest_of("blob", b"patch")
    subject = Subject(kind=Kind.WORKSPACE, address="/home/ada/project")
    change = Change(
        id=ChangeId("benchmark"),
        subject=subject,
        origin=Origin(actor="ruff", door="cli", engine=None, prompt=None, trust=Trust.BOX),
        request=digest_of("text", b"request"),
        mode=Mode.PROPOSE,
        state=State.VERIFIED,
        base=base,
        golden=golden,
        green=green,
        seals=(digest_of("statement", b"seal"),),
    )
    step = Step(id="apply", tool=tool, args={"patch": Arg(value=patch, trust=Trust.BOX)})
    plan = Plan(subject=subject, intent="mend", base=base, golden=golden, steps=(step,), blobs=(patch,))
    facts = Facts(
        now=Instant(time.time_ns()),
        stopped=False,
        mode=Mode.PROPOSE,
        live=base,
        layers=dict.fromkeys(LAYERS, True),
        disk_free_bytes=2**40,
    )
    files = tuple(Contribution(name="lint", points=0, why=f"src/package/module_{n}.py") for n in range(5))
    evidence = tuple(
        Evidence(
            check=check,
            about=green,
            verdict="pass",
            receipts=(digest_of("statement", check.encode()),),
            findings=files if check == "classify" else (),
            facts={"lines": "9", "reproduced-by": "ruff:F401"} if check == "classify" else {"share": "100"},
        )
        for check in CHECKS[subject.kind]
    )
    return change, plan, facts, evidence


if __name__ == "__main__":
    sys.exit(main())
