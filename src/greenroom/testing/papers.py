"""A real guard with fakes around it, and a pen that writes what keeper, owner and executor would hand in."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from greenroom.audit.attest import KeyAttestor
from greenroom.domain import card as cards
from greenroom.domain import documents, outcomes
from greenroom.domain.card import Card
from greenroom.domain.change import Change
from greenroom.domain.constitution import Constitution, DayCaps, PlanRules, SandboxRules, TestRules
from greenroom.domain.debate import ROUNDS, Round, Transcript, read_transcript
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.errors import Bug
from greenroom.domain.events import Event
from greenroom.domain.outcomes import DiffClass, FileDiff, Run, ScanResult, TestOutcome, TestRun
from greenroom.domain.plan import Arg, ArgRule, Caps, Plan, Step, ToolManifest
from greenroom.domain.ports import Attestor, Dossier, Epochs, Facts, Review, Score
from greenroom.domain.proof import Consent, Evidence, Import, Predicate, Receipt, Role, RunOutput, Seal, Usage
from greenroom.domain.proposal import Proposal, origin_of
from greenroom.domain.trees import File, manifest_of
from greenroom.domain.verdict import Held, Instant, Passed, Refused, Verdict
from greenroom.domain.vocabulary import (
    Agree,
    ChangeId,
    ConsentLevel,
    Kind,
    Mode,
    Stage,
    Subject,
    Tier,
    Trust,
    Undo,
)
from greenroom.guard import papers as owners
from greenroom.guard.papers import ConstitutionOrder, Lift, ModeOrder, Paper, sign
from greenroom.guard.room import Rules
from greenroom.guard.service import GuardService
from greenroom.policy.judge import judge
from greenroom.release.trees import StoreTrees
from greenroom.testing.clock import ManualClock, ManualMachine
from greenroom.testing.keeper import golden_of
from greenroom.testing.log import MemoryLog, attestors
from greenroom.testing.policy import FakePolicy
from greenroom.testing.release import MemoryRelease
from greenroom.testing.store import MemoryStore

CHECKS = ("reseal", "classify", "scan", "loosened", "tests", "own-tests")
LAYERS = {"seccomp": True, "network-namespace": True}
SUBJECT = Subject(kind=Kind.WORKSPACE, address="/home/ada/project")
SECOND = 1_000_000_000
_CAPS = Caps(
    cpu_s=60,
    cpu_millicores=1000,
    wall_s=60,
    memory_bytes=1 << 30,
    disk_bytes=1 << 30,
    processes=64,
    output_bytes=1 << 20,
)


_COMMAND = ArgRule(
    type="argv", allow="[^\\n\\-][^\\n]*", deny="", min_trust=Trust.PERSON, max_bytes=4096, required=False
)
_VARIABLES = ArgRule(
    type="text", allow="[A-Z]+( [A-Z]+)*", deny="", min_trust=Trust.UNTRUSTED, max_bytes=80, required=False
)
_REPRODUCE = ArgRule(
    type="text", allow="[a-z]+(:[A-Z0-9]+)?", deny="", min_trust=Trust.UNTRUSTED, max_bytes=80, required=False
)
_ARGS: Mapping[str, Mapping[str, ArgRule]] = {
    "run_tests_t1": {"argv": _COMMAND, "environment": _VARIABLES},
    "classify_diff_t0": {"reproduce": _REPRODUCE},
}


def tool(name: str, tier: Tier = Tier.COMPUTE) -> ToolManifest:
    """A manifest of a tool that exists by name only."""
    return ToolManifest(
        name=name,
        body=digest_of("blob", name.encode()),
        tier=tier,
        args=_ARGS.get(name, {}),
        caps=_CAPS,
        roots=(),
        network=False,
        egress=(),
        per_minute=100,
        cooldown_s=0,
        isolation=(),
        executes=False,
        undo=Undo.EXACT,
    )


TOOLS = {
    name: digest_of("tool", documents.encode(tool(name)))
    for name in ("apply_patch_t1", "classify_diff_t0", "scan_diff_t0", "compare_tests_t0", "run_tests_t1")
}
MANIFESTS = {TOOLS[name]: tool(name) for name in TOOLS}


def constitution(**caps: int) -> Constitution:
    """A constitution that allows everything within day caps."""
    limits = {"changes": 10, "lines": 1000, "risk": 500, "spend_micro": 100} | caps
    return Constitution(
        schema=1,
        never=(),
        unrevertible_tools=(),
        protected_paths=(),
        allowed_paths=("**",),
        caps=DayCaps(**limits),
        plan=PlanRules(max_steps=8, max_parallel=1, snapshot_from_tier=2, tripcode_from_tier=3),
        sandbox=SandboxRules(required_layers=(), allow_without_cgroup=True, min_disk_free_bytes=0),
        tests=TestRules(min_share=50, probe_seconds=1),
        postconditions=dict.fromkeys(Kind, ("live-tests",)),
        consent_seconds=3600,
        warrant_seconds=600,
    )


def _by_evidence(
    change: Change, stage: Stage, plan: Plan | None, facts: Facts, evidence: Sequence[Evidence] = ()
) -> Verdict:
    del change, stage, plan, facts
    return outcomes.verdict_on(evidence)


class Killed(BaseException):
    """The process is gone at this point."""


class PaperHouse:
    """Everything around one guard."""

    def __init__(
        self,
        directory: Path,
        *,
        adopted: bool = True,
        store: Any = None,
        release: Callable[[Any], Any] | None = None,
        log: Callable[[KeyAttestor], Any] | None = None,
        keyed: Callable[[KeyAttestor], tuple[Any, Attestor, Epochs]] | None = None,
        tools: Mapping[str, Digest] = TOOLS,
    ) -> None:
        """Fakes everywhere but where a driver is given; `adopted` starts with a constitution and a live tree.

        `keyed` makes log, attestor and epochs of a guard whose key changes.
        """
        self.directory = directory
        self.log_writable = True
        self.tools = tools
        self.clock = ManualClock()
        self.machine = ManualMachine(self.clock)
        self.store = store or MemoryStore()
        self.trees = StoreTrees(self.store)
        self.release: Any = release(self.store) if release else MemoryRelease(self.store, self.trees)
        signers = attestors()
        self.owner, self.keeper, self.signer = signers["owner"], signers["keeper"], signers["guard"]
        self.log: Any = log(self.signer) if log else MemoryLog()
        self.attestor: Attestor = self.signer
        self.epochs: Epochs | None = None
        if keyed:
            self.log, self.attestor, self.epochs = keyed(self.signer)
        self.stranger: Mapping[Role, KeyAttestor] = attestors()
        self.policies: dict[Digest, Rules] = {}
        self.first = self.policy()
        self.crash_at: str | None = None
        self.points: list[str] = []
        self.guard = self.start()
        if adopted:
            self.order(ConstitutionOrder, policy=self.first, previous=None)
            self.base = self.tree({"a.py": b"x = 1\n", "README": b"teh words\n"})
            self.guard.adopt(self.imported(self.base))

    def rules(self, digest: Digest) -> Rules:
        """The rules of a policy digest."""
        return self.policies[digest]

    def names(self) -> list[str]:
        """The names of the log's entries, in order."""
        return [documents.decode(Event, entry).name for entry in self.log.read(0, self.log.size())]

    def spent_on(self, change: ChangeId) -> Digest | None:
        """The warrant of the last promotion of `change`, by the log."""
        events = [documents.decode(Event, entry) for entry in self.log.read(0, self.log.size())]
        spent = [e.digests["warrant"] for e in events if e.name == "live.promoted" and e.change == change]
        return spent[-1] if spent else None

    def start(self, **more: Any) -> GuardService:
        """A guard process on the same files and log."""
        return GuardService(
            store=self.store,
            release=self.release,
            log=self.log,
            attestor=self.attestor,
            clock=self.clock,
            rules=self.rules,
            database=self.directory / "guard.db",
            stop_file=self.directory / "stop",
            disk_free=lambda: 1 << 40,
            checkpoint=lambda: "checkpoint",
            belongs=lambda document: document.source == document.subject.address,
            log_writable=lambda: self.log_writable,
            uptime=self.machine,
            crash_point=self._crash_point,
            epochs=self.epochs,
            **more,
        )

    def restart(self) -> GuardService:
        """Kill the guard and start another."""
        self.guard.close()
        self.crash_at = None
        self.guard = self.start()
        return self.guard

    def _crash_point(self, name: str) -> None:
        self.points.append(name)
        if name == self.crash_at:
            raise Killed(name)

    def policy(self, name: bytes = b"first", rules: Constitution | None = None, **fake: Any) -> Digest:
        """A policy that can be put in force, by its digest."""
        digest = digest_of("policy", name)
        given: dict[str, Any] = {"manifests": MANIFESTS, "required": CHECKS, "level": ConsentLevel.OPT_IN} | fake
        policy = FakePolicy(digest=digest, **given)
        self.policies[digest] = Rules(policy=policy, constitution=rules or constitution())
        return digest

    def use(self, rules: Constitution | None = None, **fake: Any) -> None:
        """Put another policy in force, as the owner would."""
        digest = self.policy(secrets.token_bytes(8), rules, **fake)
        self.order(ConstitutionOrder, policy=digest, previous=self.guard.policy())

    def use_real_evidence(self) -> None:
        """From now on the policy refuses or holds at approve and promote as the evidence says."""
        for rules in self.policies.values():
            rules.policy.may = _by_evidence  # type: ignore[method-assign]

    def order(self, kind: Callable[..., Paper], **members: Any) -> Any:
        """Sign an order as the owner and hand it in."""
        return self.hand_in(self.paper(kind, **members))

    def paper(self, kind: Callable[..., Paper], **members: Any) -> Paper:
        """An order with the usual actor, expiry and nonce."""
        usual: dict[str, Any] = {"actor": "ada", "expires": Instant(self.clock.now() + 600 * SECOND)}
        if kind is not Lift:
            usual["nonce"] = secrets.token_hex(16)
        return kind(**(usual | members))

    def hand_in(self, paper: Paper, owner: Attestor | None = None) -> Any:
        """Sign `paper` and give it to the guard."""
        envelope = sign(owner or self.owner, paper)
        calls = {
            ConstitutionOrder: "set_constitution",
            ModeOrder: "set_mode",
            owners.FloorOrder: "set_floor",
            owners.LookOrder: "looked",
            owners.OptInOrder: "opt_in",
            owners.OptOutOrder: "opt_out",
            owners.CommandOrder: "allow_command",
            Lift: "lift",
            Consent: "consent",
        }
        return getattr(self.guard, calls[type(paper)])(envelope)

    # What the keeper writes.

    def tree(self, files: Mapping[str, bytes]) -> Digest:
        """A stored tree of regular files."""
        entries = [
            File(path=path.encode(), executable=False, size=len(data), blob=self.store.put("blob", data))
            for path, data in files.items()
        ]
        return self.store.put("tree", manifest_of(entries).encode())

    def imported(self, tree: Digest, *, by: Attestor | None = None, **members: Any) -> Digest:
        """A signed import of `tree`."""
        usual: dict[str, Any] = {
            "subject": SUBJECT,
            "source": SUBJECT.address,
            "branch": "main",
            "commit": digest_of("text", tree.encode()).partition(":")[2][:40],
            "commit_bytes": self.store.put("blob", b"commit"),
            "tree": tree,
            "trust": int(Trust.PERSON),
            "at": self.clock.now(),
        }
        document = Import(**(usual | members))
        return self.envelope(by or self.keeper, Predicate.IMPORT, document.tree, document)

    def envelope(self, by: Attestor, predicate: Predicate, about: Digest, document: Any) -> Digest:
        """A stored envelope."""
        return self.store.put("statement", by.sign(predicate, about, documents.encode(document)))

    def receipt(
        self,
        check: str,
        role: str,
        mounted: Mapping[str, Digest],
        result: Any,
        *,
        by: Attestor | None = None,
        request: Mapping[str, Any] | None = None,
        artifacts: Mapping[str, Digest] | None = None,
        **members: Any,
    ) -> Digest:
        """A signed receipt of a run that never was, with its output and request stored."""
        plain: dict[str, Any] = {"args": {}, "dry_run": False, "overlay": None, "inputs": {}}
        found = None if result is None else self.store.put("output", documents.encode(result))
        nothing = self.store.put("text", b"")
        output = RunOutput(result=found, stdout=nothing, stderr=nothing, truncated=False, artifacts=artifacts or {})
        usual: dict[str, Any] = {
            "run": secrets.token_hex(16),
            "check": check,
            "role": role,
            "mounted": mounted,
            "golden": members.get("golden") or golden_of(self.store, self.base),
            "tool": self.tools["run_tests_t1"],
            "args": self.store.put("text", documents.encode(plain | dict(request or {}))),
            "layers": LAYERS,
            "exit": 0,
            "ended_by": "exit",
            "output": self.store.put("output", documents.encode(output)),
            "usage": Usage(wall_ms=1, cpu_ms=1),
            "began": self.clock.now(),
            "ended": self.clock.now(),
        }
        receipt = Receipt(**(usual | members))
        return self.envelope(by or self.keeper, Predicate.RECEIPT, receipt.output, receipt)


@dataclasses.dataclass
class Papers:
    """One change's papers, each of which a test may bend before `dossier` is handed in."""

    house: PaperHouse
    base: Digest
    green: Digest
    change: ChangeId
    patch: Digest
    plan: Plan
    plan_digest: Digest
    seals: tuple[Digest, ...] = ()
    receipts: dict[str, Digest] = dataclasses.field(default_factory=dict)
    consents: tuple[Digest, ...] = ()
    card: Digest | None = None

    def dossier(self, **members: Any) -> Dossier:
        """The papers by digest."""
        usual: dict[str, Any] = {
            "change": self.change,
            "subject": self.plan.subject,
            "mode": Mode.PROPOSE,
            "plan": self.plan_digest,
            "base": self.base,
            "green": self.green,
            "receipts": tuple(self.receipts.values()),
            "seals": self.seals,
            "consents": self.consents,
            "card": self.card,
        }
        return Dossier(**(usual | members))

    def consent(self, **members: Any) -> Consent:
        """A person's yes to the card as it was last shown."""
        usual: dict[str, Any] = {
            "change": self.change,
            "plan": self.plan_digest,
            "green": self.green,
            "shown": self.card,
            "actor": "ada",
            "expires": Instant(self.house.clock.now() + 600 * SECOND),
            "nonce": secrets.token_hex(16),
            "at": self.house.clock.now(),
        }
        return Consent(**(usual | members))

    def approve(self, **members: Any) -> Digest:
        """Show the card and take the person's yes."""
        self.card = self.house.store.put("card", documents.encode(self.make_card()))
        given = self.house.hand_in(self.consent(**members))
        if isinstance(given, Refused):
            raise Bug("not-approved", f"{given.rule}: {given.where}")
        self.consents = (*self.consents, Digest(given))
        return Digest(given)

    def make_card(self, **members: Any) -> Card:
        """The card that says what the papers prove."""
        house = self.house
        policy = house.rules(house.guard.status().policy).policy
        evidence = self.evidence(policy.checks(self.plan))
        debate = self.debate()
        risk = policy.weigh(self.plan, evidence, read_transcript(house.store, debate))
        proposal = self.proposal()
        trust = min((arg.trust for step in self.plan.steps for arg in step.args.values()), default=Trust.UNTRUSTED)
        given = cards.Papers(
            change=self.change,
            plan_digest=self.plan_digest,
            plan=self.plan,
            green=self.green,
            proposal_digest=house.store.put("text", documents.encode(proposal)),
            proposal=proposal,
            golden=documents.load_json(house.store.get(self.plan.golden)),
            evidence=evidence,
            runs=self.opened(self.receipts),
            risk=risk,
            agree=Agree.PERSON,
            origin=origin_of(proposal.proposer, min(Trust.BOX, trust)),
            debate=debate,
            test_command=None,
        )
        return dataclasses.replace(cards.card_of(given), **members)

    def proposal(self) -> Proposal:
        """What was proposed."""
        return Proposal(
            proposer="codespell",
            proposer_version="1",
            rule="codespell",
            summary=self.plan.intent,
            rationale="why",
            expected="what",
            confidence=80,
            patch=self.patch,
            files=("README",),
            fingerprint="README:teh",
            reproduce="codespell",
            suggested_tests=("tests/test_words.py",),
        )

    def debate(self, *points: int, **bent: Any) -> Digest:
        """A stored debate of two reviewers who give every axis so many points, 100 where nothing is said."""
        store = self.house.store
        dossier = {"plan": self.plan_digest, "patch": self.patch}
        usual: dict[str, Any] = {"dossier": store.put("dossier", documents.encode(dossier))}
        rounds: list[Round] = []
        for number, given in enumerate([points[at : at + 2] for at in range(0, len(points), 2)] or [(100, 100)], 1):
            reviews = tuple(
                _review(name, number, each) for name, each in zip(("rules", "estimate"), given, strict=True)
            )
            ruling, _, why = judge(reviews, number, ROUNDS)
            rounds.append(Round(round=number, reviews=reviews, ruling=ruling, why=why))
        said = {"rounds": tuple(rounds), "ruling": rounds[-1].ruling, "why": rounds[-1].why}
        return store.put("text", documents.encode(Transcript(**(usual | said | bent))))

    def opened(self, receipts: Mapping[str, Digest]) -> list[Run]:
        """The runs behind some receipts."""
        store, keeper = self.house.store, self.house.attestor
        found = []
        for digest in receipts.values():
            receipt = documents.decode(Receipt, keeper.open(store.get(digest), Predicate.RECEIPT, "keeper").body)
            output = documents.decode(RunOutput, store.get(receipt.output))
            kind = outcomes.RESULTS[receipt.check]
            result = None if output.result is None else documents.decode(kind, store.get(output.result))
            found.append(Run(digest=digest, receipt=receipt, result=result))
        return found

    def evidence(self, checks: tuple[str, ...]) -> tuple[Any, ...]:
        """What the papers prove."""
        store, keeper = self.house.store, self.house.attestor
        opened = self.opened(self.receipts)
        seals = [
            (d, documents.decode(Seal, keeper.open(store.get(d), Predicate.SEAL, "keeper").body)) for d in self.seals
        ]
        return tuple(
            outcomes.conclude_reseal(self.green, self.plan_digest, seals)
            if check == "reseal"
            else outcomes.conclude(check, self.green, outcomes.runs_of(check, self.green, opened))
            for check in checks
        )

    def seal(self, *, by: Attestor | None = None, steps: tuple[Digest, ...] | None = None, **members: Any) -> Digest:
        """A signed seal of one more build."""
        house = self.house
        made = tuple(self.step_run(role) for role in ("rehearsal", "application"))
        usual: dict[str, Any] = {
            "build": secrets.token_hex(8),
            "plan": self.plan_digest,
            "base": self.base,
            "golden": self.plan.golden,
            "green": self.green,
            "steps": made if steps is None else steps,
            "at": house.clock.now(),
            "snapshots": {"apply": self.base},
        }
        document = Seal(**(usual | members))
        return house.envelope(by or house.keeper, Predicate.SEAL, document.green, document)

    def step_run(self, role: str, **members: Any) -> Digest:
        """A run of the plan's one step."""
        (step,) = self.plan.steps
        usual: dict[str, Any] = {
            "tool": step.tool,
            "request": {
                "args": {name: arg.value for name, arg in step.args.items()},
                "dry_run": role == "rehearsal",
            },
            "result": {"applied": role == "application"},
            "mounted": {"work": self.base},
            "golden": self.plan.golden,
        }
        given = usual | members
        return self.house.receipt("build", f"{step.id}/{role}", given.pop("mounted"), given.pop("result"), **given)

    def diff_run(self, check: str, tool_name: str, result: Any, **members: Any) -> Digest:
        """A run of a tool that looks at both trees."""
        mounted = {"base": self.base, "green": self.green}
        return self.house.receipt(
            check,
            "diff",
            mounted,
            result,
            **({"tool": self.house.tools[tool_name], "golden": self.plan.golden} | members),
        )

    def test_run(self, role: str, outcome: TestOutcome = "passed", check: str = "tests", **members: Any) -> Digest:
        """A run of one test with that outcome."""
        result = TestRun(framework="pytest", python="3.11", outcomes={"t::a": outcome}, sentinel="failed")
        over = role.startswith("base-on-green")
        mounted = {"work": self.green, "base": self.base} if over else {"work": self.base}
        if role.startswith("own"):
            mounted = {"work": self.green}
        request = {"overlay": ["base", "work"] if over else None}
        usual: dict[str, Any] = {
            "mounted": mounted,
            "request": request,
            "result": result,
            "golden": self.plan.golden,
            "unproven": () if over else None,
        }
        given = usual | members
        return self.house.receipt(check, role, given.pop("mounted"), given.pop("result"), **given)

    def live_runs(self, outcome: TestOutcome = "passed", **members: Any) -> tuple[Digest, ...]:
        """What the watch of the last promotion runs."""
        given = {"check": "live-tests", "occasion": self.house.spent_on(self.change)} | members
        return (self.test_run("base", **given), self.test_run("base-on-green", outcome, **given))


def papers(
    house: PaperHouse,
    base: Digest | None = None,
    *,
    name: str = "change-1",
    text: bytes = b"the words\n",
    trust: Trust = Trust.BOX,
) -> Papers:
    """All that a good change needs but the consent."""
    start = base or house.base
    green = house.tree({"a.py": b"x = 1\n", "README": text})
    patch = house.store.put("blob", b"patch of " + text)
    plan = Plan(
        subject=SUBJECT,
        intent="Mend a typo",
        base=start,
        golden=golden_of(house.store, start),
        steps=(Step(id="apply", tool=house.tools["apply_patch_t1"], args={"patch": Arg(value=patch, trust=trust)}),),
        blobs=(patch,),
    )
    made = Papers(house, start, green, ChangeId(name), patch, plan, house.store.put("plan", documents.encode(plan)))
    made.seals = (made.seal(), made.seal())
    diff = DiffClass(files=(FileDiff(path="README", line_class="docs", added=1, removed=1, why="prose"),))
    made.receipts = {
        "classify": made.diff_run("classify", "classify_diff_t0", diff),
        "scan": made.diff_run("scan", "scan_diff_t0", ScanResult(findings=())),
        "loosened": made.diff_run("loosened", "compare_tests_t0", ScanResult(findings=())),
        "base": made.test_run("base"),
        "green": made.test_run("base-on-green"),
        "own": made.test_run("own", check="own-tests"),
    }
    return made


def _review(name: str, number: int, points: int) -> Review:
    axes = ("policy", "tests", "simplicity")
    scores = tuple(Score(axis=axis, points=points, why="so") for axis in axes)  # type: ignore[arg-type]
    return Review(reviewer=name, version="1", round=number, scores=scores)


def promoted(house: PaperHouse, base: Digest | None = None, **how: Any) -> tuple[Papers, Digest]:
    """A change that went live, still watched; its papers and its warrant."""
    made = papers(house, base, **how)
    made.approve()
    warrant = house.guard.warrant(made.dossier())
    if isinstance(warrant, Refused | Held):
        raise Bug("no-warrant", f"{warrant.rule}: {warrant.where}")
    verdict = house.guard.promote(warrant)
    if not isinstance(verdict, Passed):
        raise Bug("not-promoted", f"{verdict.rule}: {verdict.where}")
    return made, warrant
