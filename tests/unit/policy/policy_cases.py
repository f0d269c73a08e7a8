"""A good change in a box with the default constitution, and ways to make it less good."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from greenroom.domain import vocabulary
from greenroom.domain.change import Change
from greenroom.domain.constitution import Constitution
from greenroom.domain.debate import Round, Transcript
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.plan import Arg, Plan, Step, ToolManifest
from greenroom.domain.ports import Facts, Review, Score
from greenroom.domain.proof import Contribution, Evidence
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import ChangeId, Kind, Mode, Origin, State, Subject, Trust
from greenroom.policy import constitution as constitutions
from greenroom.policy.decide import CedarPolicy
from greenroom.policy.judge import judge
from greenroom.policy.manifests import BUILTIN, builtin_manifests, manifest_digest

BASE = digest_of("tree", b"base")
GREEN = digest_of("tree", b"green")
OTHER = digest_of("tree", b"other")
GOLDEN = digest_of("golden", b"golden")
POLICY = digest_of("policy", b"bundle")
PATCH = digest_of("blob", b"patch")
SUBJECT = Subject(kind=Kind.WORKSPACE, address="/home/ada/project")
NOW = Instant(1_800_000_000_000_000_000)
LAYERS = {name: True for name in vocabulary.LAYERS if name not in vocabulary.CGROUP_LAYERS}
CONSTITUTION: Constitution = constitutions.parse(constitutions.default_text())
TOOLS: Mapping[str, ToolManifest] = builtin_manifests({name: digest_of("blob", name.encode()) for name in BUILTIN})
MANIFESTS: Mapping[Digest, ToolManifest] = {manifest_digest(tool): tool for tool in TOOLS.values()}
BY_NAME: Mapping[str, Digest] = {tool.name: digest for digest, tool in MANIFESTS.items()}
CHECKS = ("reseal", "classify", "scan", "loosened", "tests", "own-tests")


def make_policy(constitution: Constitution = CONSTITUTION) -> CedarPolicy:
    return CedarPolicy(POLICY, constitution, MANIFESTS)


def step(tool: str = "apply_patch_t1", name: str = "apply", after: tuple[str, ...] = (), **values: Any) -> Step:
    """A step; values are arguments, by default a patch for `apply_patch_t1`."""
    given = values or ({"patch": PATCH} if tool == "apply_patch_t1" else {})
    args = {key: value if isinstance(value, Arg) else Arg(value=value, trust=Trust.BOX) for key, value in given.items()}
    return Step(id=name, tool=BY_NAME[tool], args=args, after=after)


def plan(*steps: Step, **changed: Any) -> Plan:
    found = Plan(subject=SUBJECT, intent="mend", base=BASE, golden=GOLDEN, steps=steps or (step(),), blobs=(PATCH,))
    return dataclasses.replace(found, **changed)


def change(**changed: Any) -> Change:
    origin = Origin(actor="ruff", door="cli", engine=None, prompt=None, trust=Trust.BOX)
    found = Change(
        id=ChangeId("c-1"),
        subject=SUBJECT,
        origin=origin,
        request=digest_of("text", b"request"),
        mode=Mode.PROPOSE,
        state=State.PROPOSED,
        base=BASE,
        golden=GOLDEN,
        green=GREEN,
        seals=(digest_of("statement", b"seal"),),
    )
    return dataclasses.replace(found, **changed)


def facts(**changed: Any) -> Facts:
    found = Facts(
        now=NOW,
        stopped=False,
        mode=Mode.PROPOSE,
        live=BASE,
        layers=LAYERS,
        disk_free_bytes=2**40,
        policy=POLICY,
        health=(),
    )
    return dataclasses.replace(found, **changed)


def item(check: str, verdict: Any = "pass", **changed: Any) -> Evidence:
    found = Evidence(check=check, about=GREEN, verdict=verdict, receipts=(digest_of("statement", check.encode()),))
    return dataclasses.replace(found, **changed)


def classified(
    *files: tuple[str, str], lines: int = 2, reproduced: str = "", marks: Mapping[str, str] = MappingProxyType({})
) -> Evidence:
    """What `classify` found: (path, class) of each file; `marks` name what makes base or green Greenroom itself."""
    findings = tuple(Contribution(name=kind, points=0, why=path) for path, kind in files)
    facts = {
        "classes": ",".join(sorted({kind for _, kind in files})),
        "files": str(len(files)),
        "lines": str(lines),
        "reproduced-by": reproduced,
    } | {f"greenroom-on-{side}": path for side, path in marks.items()}
    return item("classify", findings=findings, facts=facts)


def evidence(*replaced: Evidence, without: str = "") -> tuple[Evidence, ...]:
    """Good evidence of every check, with some of it replaced."""
    good = {check: item(check) for check in CHECKS}
    good["classify"] = classified(("src/pkg/core.py", "logic"))
    good["tests"] = item("tests", facts={"share": "100", "passed": "12"})
    good |= {found.check: found for found in replaced}
    return tuple(found for check, found in good.items() if check != without)


AXES = ("policy", "tests", "simplicity")


def transcript(*rounds: tuple[int, int], **bent: Any) -> Transcript:
    """A debate of two reviewers who give every axis so many points, ruled by the judge."""
    held = []
    for number, points in enumerate(rounds, 1):
        reviews = tuple(
            Review(
                reviewer=name,
                version="1",
                round=number,
                scores=tuple(Score(axis=axis, points=each, why="so") for axis in AXES),  # type: ignore[arg-type]
            )
            for name, each in zip(("rules", "estimate"), points, strict=True)
        )
        ruling, _, why = judge(reviews, number, 2)
        held.append(Round(round=number, reviews=reviews, ruling=ruling, why=why))
    usual = {
        "dossier": digest_of("dossier", b"d"),
        "rounds": tuple(held),
        "ruling": held[-1].ruling,
        "why": held[-1].why,
    }
    return Transcript(**(usual | bent))
