"""What a decision costs, as a ratio to bare cedarpy on the same requests with the same parsed handles.

Run: ``python benchmarks/decision.py [--count N] [--json]``. Four places are measured, each in turns with bare cedarpy
in one run, so that the ratio does not depend on what else the machine does:

* ``gate``: the policy alone, on a ready change, at its lightest and its heaviest stage.
* ``guard``: what the policy answers for one ``GuardService.warrant``: the weight of the risk, the question of stage
  approve and that of stage promote, by the signed bundle, with evidence that the guard recomputed. Bare: the two
  requests. Once by themselves, once timed in the warrant, with bare cedarpy at the same place of every second warrant.
* ``warrant``: the whole call around it: papers, signatures, live pointer, ledger, undo, the signed warrant and the log.
* ``socket``: a guard in a process of its own, called over its unix socket: the policy's answers, `status`, `warrant`.

The aim is a ratio of at most 3 for the gate and in the guard; the other rows have no aim, they say what is around it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cedarpy

from greenroom.audit import keys
from greenroom.audit.log import TileLog
from greenroom.audit.note import NoteSigner
from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.plan import Arg, Plan, Step
from greenroom.domain.ports import Facts
from greenroom.domain.proof import Contribution, Evidence
from greenroom.domain.verdict import Instant, Passed
from greenroom.domain.vocabulary import LAYERS, ChangeId, Kind, Mode, Origin, Stage, State, Subject, Trust
from greenroom.guard.papers import ConstitutionOrder
from greenroom.guard.room import Rules
from greenroom.guard.server import handlers
from greenroom.policy import constitution as constitutions
from greenroom.policy import decide, question
from greenroom.policy.bundle import load_policy, save_policy
from greenroom.policy.manifests import BUILTIN, builtin_manifests, manifest_digest
from greenroom.policy.vocabulary import CHECKS
from greenroom.release.refs import RefRelease
from greenroom.release.store import FileStore
from greenroom.release.trees import StoreTrees
from greenroom.testing import papers as pen
from greenroom.wire.rpc import Client, Server

AIM = 3.0
BUNDLE = digest_of("policy", b"benchmark")
Row = dict[str, float | str | None]
TOOLS = builtin_manifests({name: digest_of("blob", name.encode()) for name in BUILTIN})


def main() -> int:
    """Measure, print, and exit with 1 when an aim is missed."""
    parser = argparse.ArgumentParser(description="decision / bare cedarpy")
    parser.add_argument(
        "--count", type=int, default=2000, help="decisions of the gate; a tenth of it of each other row"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args()
    rows = measure(options.count)
    print(json.dumps({"aim": AIM, "rows": rows}, indent=2) if options.json else table(rows))
    return 1 if missed(rows) else 0


def table(rows: Sequence[Row]) -> str:
    """The rows for a person."""
    lines = [f"{'where':<9} {'what':<28} {'bare cedarpy us':>15} {'us':>9} {'ratio':>7} {'aim':>4}"]
    for row in rows:
        aim = "" if row["aim"] is None else f"{row['aim']:g}"
        numbers = f"{row['bare_us']:>15.1f} {row['us']:>9.1f} {row['ratio']:>7.2f}"
        lines.append(f"{row['where']:<9} {row['what']:<28} {numbers} {aim:>4}")
    return "\n".join(lines)


def missed(rows: Sequence[Row]) -> list[Row]:
    """The rows whose ratio is over their aim."""
    return [row for row in rows if row["aim"] is not None and float(row["ratio"] or 0) > float(row["aim"])]


def measure(count: int) -> list[Row]:
    """Microseconds (medians) and their ratio to bare cedarpy, for each place."""
    rows = []
    for stage in (Stage.DEBATE, Stage.PROMOTE):
        bare, decision = _calls(stage)
        rows.append(_row("gate", f"may at {stage.value}", bare, decision, count, aim=AIM))
    each = max(1, count // 10)
    return [*rows, *_in_the_guard(each), *_over_the_socket(each)]


def _row(
    where: str, what: str, bare: Callable[[], object], call: Callable[[], object], count: int, *, aim: float | None
) -> Row:
    """`call` and `bare` in turns, one of each, so that both find the same caches and the same machine."""
    times = [(_time(call), _time(bare)) for _ in range(count)]
    return _result(where, what, [each for each, _ in times], [each for _, each in times], aim)


def _result(where: str, what: str, times: Sequence[float], bare: Sequence[float], aim: float | None) -> Row:
    us, bare_us = statistics.median(times), statistics.median(bare)
    return {"where": where, "what": what, "bare_us": bare_us, "us": us, "ratio": us / bare_us, "aim": aim}


def _time(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1e6


class Watched:
    """A policy that keeps the time of its answers and the questions that it was asked.

    With `instead` set, that is called and timed where the policy is first asked, and the policy's time is not kept.
    """

    def __init__(self, policy: decide.CedarPolicy) -> None:
        self.policy = policy
        self.us = 0.0
        self.questions: list[tuple[Any, ...]] = []
        self.weighed: tuple[Any, ...] = ()
        self.instead: Callable[[], object] | None = None

    def weigh(self, *question: Any) -> Any:
        """The policy's weight, which the guard asks for first."""
        self.questions, self.weighed = [], question
        self.us = 0.0 if self.instead is None else _time(self.instead)
        return self._kept(lambda: self.policy.weigh(*question))

    def may(self, *question: Any) -> Any:
        """The policy's answer."""
        self.questions.append(question)
        return self._kept(lambda: self.policy.may(*question))

    def _kept(self, ask: Callable[[], Any]) -> Any:
        answers: list[Any] = []
        us = _time(lambda: answers.append(ask()))
        self.us += us if self.instead is None else 0.0
        return answers[0]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.policy, name)


class House(pen.PaperHouse):
    """A guard over real rooms: log and store on disk, pointers in git, the policy that ships, a change to decide."""

    def __init__(self, directory: Path) -> None:
        pen.LAYERS.update(dict.fromkeys(LAYERS, True))
        store = FileStore(directory / "store")
        signer = NoteSigner("greenroom.example/box", keys.generate())
        self.watched: Watched | None = None
        super().__init__(
            directory,
            adopted=False,
            store=store,
            release=lambda held: RefRelease(directory / "live", held, StoreTrees(held)),
            log=lambda _: TileLog(directory / "log", signer),
            tools={name: manifest_digest(manifest) for name, manifest in TOOLS.items()},
        )
        text = resources.files("greenroom.policy").joinpath("CONSTITUTION.yaml").read_bytes()
        self.order(ConstitutionOrder, policy=save_policy(store, text, TOOLS), previous=None)
        self.base = self.tree({"a.py": b"x = 1\n", "README": b"teh words\n"})
        self.guard.adopt(self.imported(self.base, commit="", branch="", trust=int(Trust.UNTRUSTED)))
        made = pen.papers(self, trust=Trust.UNTRUSTED)
        made.approve()
        self.dossier = made.dossier()
        self.warrant()

    def rules(self, digest: Digest) -> Rules:
        """The policy of the signed bundle, watched."""
        policy = load_policy(self.store, digest)
        self.watched = self.watched or Watched(policy)
        return Rules(policy=self.watched, constitution=policy.constitution)

    def close(self) -> None:
        """Close what is open on disk."""
        self.guard.close()
        self.log.close()

    def watch(self) -> Watched:
        """The watched policy, which is there since the constitution is in force."""
        if self.watched is None:
            raise SystemExit("the guard has loaded no policy")
        return self.watched

    def warrant(self) -> None:
        """One whole call; the change is not promoted, so that the next call does the same again."""
        answer = self.guard.warrant(self.dossier)
        if not isinstance(answer, str):
            raise SystemExit(f"no warrant for the benchmark's change: {answer}")

    def answers(self) -> None:
        """What the policy answers in one warrant, by itself: the last call's questions again."""
        watched = self.watch()
        watched.policy.weigh(*watched.weighed)
        for asked in watched.questions:
            if watched.policy.may(*asked) != Passed():
                raise SystemExit("the policy changed its mind")

    def bare(self) -> Callable[[], object]:
        """Bare cedarpy on the requests of one warrant."""
        watched = self.watch()
        found = watched.policy.constitution
        law = question.law(watched.policy.digest, found, {manifest_digest(tool): tool for tool in TOOLS.values()})
        requests = [decide.request(asked[0], asked[1], question.ask(law, *asked)) for asked in watched.questions]
        policies = cedarpy.PolicySet.from_str(decide.cedar_text())
        entities = cedarpy.Entities.from_json_str(json.dumps(decide.entities(found)))
        if len(requests) != 2 or not all(cedarpy.is_authorized(each, policies, entities).allowed for each in requests):
            raise SystemExit("bare cedarpy does not agree with the guard")
        return lambda: [cedarpy.is_authorized(each, policies, entities) for each in requests]


def _in_the_guard(count: int) -> list[Row]:
    """What the policy takes in a warrant, the same answers by themselves, and the whole warrant."""
    with tempfile.TemporaryDirectory() as place:
        house = House(Path(place))
        bare, watched = house.bare(), house.watch()
        whole, policy, instead = [], [], []
        for _ in range(count):
            watched.instead = None
            whole.append(_time(house.warrant))
            policy.append(watched.us)
            watched.instead = bare
            house.warrant()
            instead.append(watched.us)
        alone = _row("guard", "the same answers, alone", bare, house.answers, count, aim=AIM)
        house.close()
    return [
        alone,
        _result("guard", "policy in a warrant", policy, instead, AIM),
        _result("warrant", "whole call", whole, instead, None),
    ]


def _serve(place: str, ready: Connection) -> None:
    """A guard's process: its own handlers, and one that gives the policy's answers and nothing else."""
    house = House(Path(place))
    calls = dict(handlers(house.guard))
    calls["answers"] = lambda *_: house.answers()
    server = Server(str(Path(place) / "guard.sock"), calls, uids=frozenset({os.getuid()}))
    ready.send(documents.to_plain(house.dossier))
    server.serve_forever()


@contextlib.contextmanager
def _guard_process(place: str) -> Iterator[dict[str, Any]]:
    """The dossier that the guard behind `place`/guard.sock can decide; the process ends with the block."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(place, there))
    process.start()
    try:
        if not here.poll(60):
            raise SystemExit("the guard's process did not start")
        yield here.recv()
    finally:
        process.terminate()
        process.join()


def _over_the_socket(count: int) -> list[Row]:
    """Calls to a guard in its own process; a connection for each, as the product's clients make them."""
    with tempfile.TemporaryDirectory() as own, tempfile.TemporaryDirectory() as place, _guard_process(place) as dossier:
        house = House(Path(own))
        bare = house.bare()
        client = Client(str(Path(place) / "guard.sock"))
        calls: dict[str, Callable[[], Any]] = {
            "the same answers, alone": lambda: client.call("answers"),
            "status": lambda: client.call("status"),
            "warrant": lambda: client.call("warrant", {"dossier": dossier}),
        }
        if "is" not in calls["warrant"]():
            raise SystemExit("the guard behind the socket gives no warrant")
        rows = [_row("socket", what, bare, call, count, aim=None) for what, call in calls.items()]
        house.close()
    return rows


def _calls(stage: Stage) -> tuple[Callable[[], object], Callable[[], object]]:
    """Bare cedarpy on a ready request, and the whole decision about the same change."""
    found = constitutions.parse(constitutions.default_text())
    tools = builtin_manifests({name: digest_of("blob", name.encode()) for name in BUILTIN})
    manifests = {manifest_digest(tool): tool for tool in tools.values()}
    policy = decide.CedarPolicy(BUNDLE, found, manifests)
    change, plan, facts, evidence = _case(manifest_digest(tools["apply_patch_t1"]))
    asked = question.ask(question.law(policy.digest, found, manifests), change, stage, plan, facts, evidence)
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
        policy=BUNDLE,
        health=(),
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
