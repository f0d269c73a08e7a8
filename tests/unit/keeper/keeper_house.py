"""A keeper around scripted walls: the tool's part is played by a Python function in the test."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from greenroom.domain import documents
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.errors import Tampered
from greenroom.domain.events import Event
from greenroom.domain.plan import Arg, ArgRule, Caps, Plan, Step, ToolManifest
from greenroom.domain.ports import Cell, Outcome
from greenroom.domain.proof import Attestation, Receipt, Role, RunOutput, Usage
from greenroom.domain.verdict import Refused
from greenroom.domain.vocabulary import Kind, Subject, Tier, Trust, Undo
from greenroom.keeper.service import KeeperService
from greenroom.release.trees import StoreTrees
from greenroom.testing.clock import ManualClock
from greenroom.testing.keeper import LAYERS, tree_of
from greenroom.testing.store import MemoryStore

CAPS = Caps(
    cpu_s=10,
    cpu_millicores=1000,
    wall_s=20,
    memory_bytes=1 << 30,
    disk_bytes=1 << 26,
    processes=32,
    output_bytes=1 << 20,
)
SUBJECT = Subject(kind=Kind.WORKSPACE, address="/somewhere/project")
BODY = b"# the body of a tool\n"


class PlainAttestor:
    """Envelopes without a key, for tests that are not about signatures."""

    def ready(self) -> None:
        """Always."""

    def sign(self, predicate: str, about: Digest, body: bytes) -> bytes:
        """The statement as JSON."""
        return documents.encode({"predicate": str(predicate), "about": about, "body": body.decode()})

    def open(self, envelope: bytes, predicate: str, role: Role) -> Attestation:
        """The statement again."""
        plain = documents.load_json(envelope)
        if plain["predicate"] != str(predicate):
            raise Tampered("wrong-predicate", "another kind of statement")
        return Attestation(
            predicate=plain["predicate"], about=Digest(plain["about"]), body=plain["body"].encode(), role=role
        )


@dataclass
class Sight:
    """What a tool sees: its request and the host directories behind its mounts."""

    cell: Cell
    cancelled: Callable[[], bool]
    request: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.request = json.loads(self.cell.stdin)

    def path(self, target: str) -> Path:
        """The host path of a mount."""
        return Path(next(m.source for m in self.cell.mounts if m.target == target))

    def writable(self, target: str) -> bool:
        """Whether a mount may be written."""
        return next(m.writable for m in self.cell.mounts if m.target == target)

    def result(self, document: Any) -> None:
        """Leave a result document."""
        (self.path("/out") / "result.json").write_text(json.dumps(document))

    def artifact(self, name: str, data: bytes) -> None:
        """Leave an artifact."""
        (self.path("/out") / "artifacts").mkdir(exist_ok=True)
        (self.path("/out") / "artifacts" / name).write_bytes(data)


Tool = Callable[[Sight], "Outcome | Refused | None"]


def ended(exit_code: int = 0, ended_by: Any = "exit", stderr: bytes = b"", layers: Any = LAYERS) -> Outcome:
    """An outcome."""
    return Outcome(
        exit=exit_code,
        ended_by=ended_by,
        stdout=b"said",
        stderr=stderr,
        truncated=False,
        layers=layers,
        usage=Usage(wall_ms=5, cpu_ms=5),
    )


class ScriptedWalls:
    """The Walls port; `tool` plays what runs."""

    def __init__(self) -> None:
        self.tool: Tool = lambda sight: sight.result({})
        self.cells: list[Cell] = []
        self.given = dict(LAYERS)

    def layers(self) -> Mapping[str, bool]:
        """What `given` says."""
        return self.given

    def run(self, cell: Cell, cancelled: Callable[[], bool]) -> Outcome | Refused:
        """Plays the tool on the host."""
        self.cells.append(cell)
        return self.tool(Sight(cell, cancelled)) or ended()


@dataclass
class House:
    """A keeper and all that stands around it."""

    keeper: KeeperService
    store: MemoryStore
    trees: StoreTrees
    attestor: PlainAttestor
    walls: ScriptedWalls
    directory: Path
    manifests: dict[Digest, tuple[ToolManifest, bytes]]
    names: dict[str, Digest]
    stop: list[bool]
    told: list[Event] = field(default_factory=list)

    def tool(self, name: str = "toy_t1", body: bytes = BODY, **more: Any) -> Digest:
        """Register a tool; the digest of its manifest."""
        manifest = manifest_for(name, body, **more)
        digest = digest_of("tool", documents.encode(manifest))
        self.manifests[digest] = (manifest, body)
        self.names[name] = digest
        return digest

    def tree(self, files: Mapping[str, bytes]) -> Digest:
        """Store a tree."""
        return tree_of(self.store, {name.encode(): data for name, data in files.items()})

    def plan(self, base: Digest, *steps: Step, blobs: tuple[Digest, ...] = ()) -> Digest:
        """Store a plan."""
        plan = Plan(
            subject=SUBJECT, intent="try", base=base, golden=self.keeper.golden(), steps=tuple(steps), blobs=blobs
        )
        return self.store.put("plan", documents.encode(plan))

    def opened(self, kind: Any, envelope: Any, predicate: str) -> Any:
        """The document inside a stored envelope."""
        assert isinstance(envelope, str), envelope
        signed = self.attestor.open(self.store.get(Digest(envelope)), predicate, "keeper")
        return documents.decode(kind, signed.body)

    def opened_output(self, receipt: Receipt) -> RunOutput:
        """The stored output of a run."""
        return documents.decode(RunOutput, self.store.get(receipt.output))


def manifest_for(name: str, body: bytes, **more: Any) -> ToolManifest:
    """A manifest with harmless values."""
    values: dict[str, Any] = {
        "name": name,
        "body": digest_of("blob", body),
        "tier": Tier.WORKSPACE,
        "args": {},
        "caps": CAPS,
        "roots": ("work", "out"),
        "network": False,
        "egress": (),
        "per_minute": 1000,
        "cooldown_s": 0,
        "isolation": ("pid-namespace", "network-namespace"),
        "executes": False,
        "undo": Undo.EXACT,
    }
    return ToolManifest(**values | more)


def rule(kind: Any = "text", *, required: bool = True, max_bytes: int = 100) -> ArgRule:
    """An argument rule that allows every value of its type, and numbers from 1 to 9."""
    allow = "1..9" if kind == "int" else ".*"
    return ArgRule(type=kind, allow=allow, deny="", min_trust=Trust.UNTRUSTED, max_bytes=max_bytes, required=required)


def step(tool: Digest, name: str = "one", after: tuple[str, ...] = (), **args: str | int) -> Step:
    """A step of a plan."""
    labelled = {n: Arg(value=v, trust=Trust.BOX) for n, v in args.items()}
    return Step(id=name, tool=tool, args=labelled, after=after)


def make_house(directory: Path) -> House:
    """A keeper in `directory` with a toolchain of one small distribution."""
    store = MemoryStore()
    trees, attestor, walls, stop = StoreTrees(store), PlainAttestor(), ScriptedWalls(), [False]
    manifests: dict[Digest, tuple[ToolManifest, bytes]] = {}
    names: dict[str, Digest] = {}
    told: list[Event] = []
    keeper = KeeperService(
        directory=directory / "keeper",
        walls=walls,
        trees=trees,
        store=store,
        attestor=attestor,
        clock=ManualClock(),
        manifests=manifests.get,
        tools=lambda: names,
        stopped=lambda: stop[0],
        helpers={"_body.py": b"# shared\n"},
        launcher=None,
        prepare=lambda runner: lambda tree: runner.goldens.current(),
        distributions=("iniconfig",),
        tell=told.append,
    )
    return House(keeper, store, trees, attestor, walls, directory, manifests, names, stop, told)
