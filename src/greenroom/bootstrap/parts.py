"""Makes the parts of a box: guard, keeper, and the executor's house."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import greenroom
from greenroom.bootstrap.apart import belongs
from greenroom.config import Box
from greenroom.domain.errors import Tampered

if TYPE_CHECKING:
    from greenroom.audit.attest import KeyAttestor
    from greenroom.audit.epochs import KeyRing
    from greenroom.audit.keeperkeys import KeeperAttestor
    from greenroom.audit.keepers import ChainFile, KeeperRing
    from greenroom.audit.log import TileLog
    from greenroom.audit.turn import EpochKeys
    from greenroom.domain.digest import Digest
    from greenroom.domain.events import Event
    from greenroom.domain.ports import Attestor, Evaluator, Keeper, Planner, Proposer, Store
    from greenroom.domain.proof import Role
    from greenroom.domain.verdict import Held
    from greenroom.domain.vocabulary import Stage
    from greenroom.evaluation.verify import Known
    from greenroom.guard.client import GuardClient
    from greenroom.guard.service import GuardService
    from greenroom.keeper.runs import Runner
    from greenroom.keeper.service import KeeperService, Prepare
    from greenroom.pipeline.card import CardMaker
    from greenroom.pipeline.changes import Board, DatabaseChanges, Settings
    from greenroom.pipeline.decisions import Decisions
    from greenroom.pipeline.flow import StageRoom
    from greenroom.pipeline.house import House
    from greenroom.policy.decide import CedarPolicy

SANDBOX_USER = "greenroom-sandbox"
ORIGIN = "greenroom/{}"
RESTORE = "restore a backup of the box: `greenroom restore FILE` into another directory; the log stays as it is"
"""What helps where the guard's own records are lost."""
_READ_AT_ONCE = 256


class SystemClock:
    """The Clock port over the system's clock."""

    def now(self) -> Any:
        """UTC nanoseconds."""
        return time.time_ns()


def opener_of(box: Box, keepers: Callable[[str], bytes | None] | None = None) -> KeyAttestor:
    """Opens what any role of the box signed, and signs nothing.

    A key that came into being meanwhile is looked up in its chain, where this process may read it; the keeper's with
    `keepers` instead, where that is given.
    """
    from greenroom.audit.attest import KeyAttestor

    chains = ChainOnDisk(box, "guard"), ChainOnDisk(box, "keeper")
    return KeyAttestor("owner", None, public_keys(box), certified=chains[0].find, keepers=keepers or chains[1].find)


def public_keys(box: Box) -> dict[Role, tuple[bytes, ...]]:
    """The public keys that `init` made, by role; the guard's is the anchor of its chain."""
    from greenroom.audit import keys

    return {
        "owner": (keys.load_public(box.public / "owner.pub"),),
        "guard": (keys.load_public(box.public / "guard.pub"),),
        "keeper": (keys.load_public(box.public / "keeper.pub"),),
    }


class ChainOnDisk:
    """The keys of guard or keeper as their chain has them, read again when one is asked for that is not there."""

    def __init__(self, box: Box, role: Literal["guard", "keeper"]) -> None:
        from greenroom.audit import epochs, keepers

        self._box = box
        self._role = role
        self._path = box.log / (epochs.CHAIN if role == "guard" else keepers.CHAIN)
        self._ring: KeyRing | KeeperRing | None = None
        self._size = -1

    def find(self, identity: str) -> bytes | None:
        """The public key with this id, wherever the chain certifies one."""
        found = None if self._ring is None else self._ring.find(identity)
        if found is None:
            self._read()
            found = None if self._ring is None else self._ring.find(identity)
        return None if found is None else found[1]

    def _read(self) -> None:
        from greenroom.audit import epochs, keepers

        try:
            size = self._path.lstat().st_size
        except OSError:
            return
        if size != self._size:
            walk = epochs.walk if self._role == "guard" else keepers.walk
            self._ring, self._size = walk(self._path, public_keys(self._box)[self._role]).ring, size


def _require_ledger(box: Box, log: TileLog) -> None:
    """An empty ledger under a log that has entries would forget what was spent and taken back."""
    path = box.guard / "guard.db"
    if log.size() and not path.exists():
        raise Tampered("ledger-lost", "the guard's own records are gone", where=str(path), remedy=RESTORE)
    if log.size() and not has_policy(path) and any(makes_box(event) for event in _entries(log)):
        raise Tampered("ledger-lost", "the guard's own records are empty", where=str(path), remedy=RESTORE)


def has_policy(ledger: Path) -> bool:
    """True where the guard's records say what is in force, or which order is on its way to that."""
    import sqlite3

    with contextlib.closing(sqlite3.connect(ledger)) as connection:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'settings'").fetchone() is None:
            return False
        query = "SELECT 1 FROM settings WHERE name IN ('policy', 'order-pending') AND value <> ''"
        return connection.execute(query).fetchone() is not None


def makes_box(event: Event) -> bool:
    """True for the guard's word that the owner's first constitution is in force."""
    return event.name == "box.created" and event.key.startswith("guard/")


def _entries(log: TileLog) -> Iterator[Event]:
    from greenroom.domain import documents
    from greenroom.domain.events import Event

    at = 0
    while at < log.size():
        read = log.read(at, _READ_AT_ONCE)
        yield from (documents.decode(Event, entry) for entry in read)
        at += len(read)


@contextlib.contextmanager
def open_guard(box: Box) -> Iterator[GuardService]:
    """The guard of a box, in this process; one at a time (Unusable `log-in-use`)."""
    from greenroom.audit.attest import KeyAttestor
    from greenroom.audit.log import TileLog
    from greenroom.audit.turn import EpochAttestor
    from greenroom.domain.vocabulary import Kind
    from greenroom.guard.epochs import epoch_seconds
    from greenroom.guard.room import Rules
    from greenroom.guard.service import GuardService
    from greenroom.policy.bundle import load_policy
    from greenroom.release.kinds import ReleaseByKind
    from greenroom.release.refs import RefRelease
    from greenroom.release.store import FileStore
    from greenroom.release.trees import StoreTrees

    store = FileStore(box.store)

    def rules(digest: Digest) -> Rules:
        policy = load_policy(store, digest)
        return Rules(policy=policy, constitution=policy.constitution)

    workspaces = RefRelease(box.live, store, StoreTrees(store), crash_point=crash_points("guard"))
    with (
        _guard_keys(box) as epochs,
        TileLog(
            box.log, epochs.signer(), kept=box.guard / "checkpoint", ring=epochs.ring, crash_point=crash_points("log")
        ) as log,
    ):
        epochs.serve(log)
        _require_ledger(box, log)
        keepers = _keeper_chain(box)
        opened_by = KeyAttestor("guard", None, public_keys(box), certified=epochs.find, keepers=keepers.find)
        guard = GuardService(
            store=store,
            release=ReleaseByKind({Kind.WORKSPACE: workspaces}),
            log=log,
            attestor=EpochAttestor(epochs, opened_by),
            clock=SystemClock(),
            rules=rules,
            database=box.guard / "guard.db",
            stop_file=box.guard / "stop",
            disk_free=lambda: shutil.disk_usage(box.log).free,
            checkpoint=lambda: log.checkpoint().decode(),
            belongs=partial(belongs, box),
            log_writable=partial(_writable, box.log),
            crash_point=crash_points("guard"),
            epochs=epochs,
            epoch_seconds=epoch_seconds(os.environ.get("GREENROOM_EPOCH_SECONDS", "")),
            keepers=keepers,
            earlier=partial(store.digests, "statement"),
        )
        try:
            yield guard
        finally:
            guard.close()


@contextlib.contextmanager
def _guard_keys(box: Box) -> Iterator[EpochKeys]:
    from greenroom.audit.epochs import CHAIN
    from greenroom.audit.turn import EpochKeys
    from greenroom.bootstrap.identity import identity_of

    keys = EpochKeys(
        origin=ORIGIN.format(identity_of(box)),
        anchor=public_keys(box)["guard"][0],
        first=box.keys / "guard.key",
        directory=box.guard,
        chain=box.log / CHAIN,
        crash_point=crash_points("guard"),
    )
    try:
        yield keys
    finally:
        keys.close()


def _keeper_chain(box: Box) -> ChainFile:
    from greenroom.audit.keepers import CHAIN, ChainFile
    from greenroom.bootstrap.identity import identity_of

    origin = ORIGIN.format(identity_of(box))
    return ChainFile(origin=origin, anchor=public_keys(box)["keeper"][0], path=box.log / CHAIN)


def keeper_attestor(box: Box, guard: GuardClient | GuardService) -> KeeperAttestor:
    """Signs as the keeper of a box, with its present key, before the eyes of `guard`."""
    from greenroom.audit.keeperkeys import KeeperAttestor
    from greenroom.bootstrap.identity import identity_of

    return KeeperAttestor(
        origin=ORIGIN.format(identity_of(box)),
        first=box.keys / "keeper.key",
        directory=box.keeper,
        opener=opener_of(box, cache(guard.keeper_key)),
        guard=guard,
        crash_point=crash_points("keeper"),
    )


def _writable(directory: Path) -> bool:
    """This process may write in `directory`, and there is room for a file."""
    try:
        found = os.statvfs(directory)
    except OSError:
        return False
    room = found.f_bavail > 0 and not found.f_flag & os.ST_RDONLY
    return room and os.access(directory, os.W_OK | os.X_OK)


def make_keeper(box: Box, guard: GuardClient, root: int | None = None) -> KeeperService:
    """The keeper of a box, in this process; `root` is a descriptor of the person's root directory."""
    from greenroom.bootstrap import configuration
    from greenroom.keeper.service import KeeperService
    from greenroom.release.store import FileStore
    from greenroom.release.trees import StoreTrees
    from greenroom.sandbox.build import build_launcher
    from greenroom.sandbox.process import ProcessWalls

    store = FileStore(box.store)
    uid, gid = sandbox_user()
    launcher = build_launcher(box.keeper / "launcher")
    policy = policy_in_force(store, guard)

    def manifests(tool: Digest) -> tuple[Any, bytes] | None:
        manifest = policy().manifest(tool)
        return None if manifest is None else (manifest, store.get(manifest.body))

    return KeeperService(
        directory=box.keeper,
        walls=ProcessWalls(launcher, sandbox_uid=uid, sandbox_gid=gid),
        trees=StoreTrees(store),
        store=store,
        attestor=keeper_attestor(box, guard),
        clock=SystemClock(),
        manifests=manifests,
        tools=lambda: policy().tools,
        stopped=partial(_stopped, box.guard / "stop"),
        helpers=tool_helpers(),
        launcher=launcher,
        prepare=partial(_preparer, box, (uid, gid), lambda: policy().tools),
        sandbox_uid=uid,
        crash_point=crash_points("keeper"),
        variables=partial(configuration.variables, box, os.environ),
        root=root,
        apart=box.root,
        tell=guard.append,
    )


def _preparer(
    box: Box, user: tuple[int | None, int | None], tools: Callable[[], Mapping[str, Digest]], runner: Runner
) -> Prepare:
    from greenroom.bootstrap import configuration
    from greenroom.brokers.fetch import Fetcher
    from greenroom.brokers.view import View
    from greenroom.keeper.prepare import Preparer

    golden = runner.goldens.open(runner.goldens.current())
    own = partial(configuration.load, box)
    fetcher = Fetcher(
        python=golden.python,
        environment=os.environ,
        cancelled=runner.gate.shut,
        own=own,
        seclude=View(uid=user[0], gid=user[1]),
    )
    preparer = Preparer(
        runner=runner,
        fetch=fetcher.locked,
        tools=tools,
        directory=box.keeper / "prepare",
        place=lambda: configuration.index_of(own()),
    )
    return preparer.prepare


def _stopped(stop_file: Path) -> bool:
    """A stop is set, or it cannot be known."""
    try:
        os.stat(stop_file)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def policy_in_force(store: Store, guard: GuardClient) -> Callable[[], CedarPolicy]:
    """The policy that the guard names, loaded once a digest."""
    from greenroom.domain.errors import NotFound
    from greenroom.policy.bundle import load_policy

    load = cache(partial(load_policy, store))

    def current() -> CedarPolicy:
        digest = guard.policy()
        if digest is None:
            raise NotFound("no-constitution", "the owner has signed no constitution", remedy="greenroom init")
        return load(digest)

    return current


def make_house(box: Box, guard: GuardClient, keeper: Keeper) -> House:
    """The executor's house: databases, flow, runs. Launches DBOS."""
    from greenroom.pipeline import tables
    from greenroom.pipeline.branches import Branches
    from greenroom.pipeline.changes import Board, DatabaseChanges, Deliveries, Settings
    from greenroom.pipeline.decisions import Decisions
    from greenroom.pipeline.durable import DurableRuns
    from greenroom.pipeline.facts import gather
    from greenroom.pipeline.flow import Flow
    from greenroom.pipeline.house import House
    from greenroom.release.store import FileStore

    clock, store = SystemClock(), FileStore(box.store)
    engine = tables.open_database(box.db / "box.db")
    changes, settings = DatabaseChanges(engine, clock), Settings(engine)
    opener = opener_of(box, cache(guard.keeper_key))
    policy = policy_in_force(store, guard)
    layers = cache(keeper.layers)
    flow = Flow(
        changes=changes,
        store=store,
        guard=guard,
        policy=policy,
        stages=_stages(store, changes, Board(engine), Decisions(engine), guard, keeper, opener, policy, settings),
        facts=lambda change: gather(
            change,
            guard=guard,
            store=store,
            opener=opener,
            clock=clock,
            layers=layers(),
            disk_free_bytes=shutil.disk_usage(box.store).free,
        ),
        clock=clock,
        crash_point=crash_points("executor"),
    )
    return House(
        changes=changes,
        board=Board(engine),
        deliveries=Deliveries(engine),
        settings=settings,
        decisions=Decisions(engine),
        branches=Branches(engine),
        store=store,
        guard=guard,
        keeper=keeper,
        attestor=opener,
        clock=clock,
        runs=DurableRuns(box.db / "dbos.db", flow, changes),
        proposers=partial(_proposers, keeper, store, opener, policy),
        prepare=partial(_prepare, keeper, store),
        tools=lambda: policy().tools,
        caps=lambda: policy().constitution.caps,
        crash_point=crash_points("executor"),
        optional=_optional(),
        stale=_card_maker(store, opener, policy, settings).stale,
    )


def _card_maker(store: Store, opener: Attestor, policy: Callable[[], CedarPolicy], settings: Settings) -> CardMaker:
    from greenroom.pipeline.card import CardMaker
    from greenroom.pipeline.settings import command_of

    return CardMaker(
        store=store,
        attestor=opener,
        policy=policy,
        test_command=partial(command_of, settings),
        min_share=lambda: policy().constitution.tests.min_share,
    )


def _stages(
    store: Store,
    changes: DatabaseChanges,
    board: Board,
    decisions: Decisions,
    guard: GuardClient,
    keeper: Keeper,
    opener: Attestor,
    policy: Callable[[], CedarPolicy],
    settings: Settings,
) -> Mapping[Stage, StageRoom]:
    from greenroom.agents.reviewers.estimate import EstimateReviewer
    from greenroom.agents.reviewers.rules import RulesReviewer
    from greenroom.domain.vocabulary import Stage
    from greenroom.evaluation.verify import KeeperEvaluator, Known
    from greenroom.pipeline import history
    from greenroom.pipeline.settings import command_of, terms_of
    from greenroom.pipeline.stages import debate, plan, promote, simulate, verify, watch
    from greenroom.policy.judge import judge

    def known(digest: Digest) -> Known:
        reproduce, seals = history.known(changes, store, digest)
        return Known(reproduce=reproduce, seals=seals)

    command = partial(command_of, settings)
    evaluator = KeeperEvaluator(
        keeper=keeper,
        store=store,
        attestor=opener,
        tools=lambda: policy().tools,
        min_share=lambda: policy().constitution.tests.min_share,
        known=known,
        test_args=lambda subject: {"argv": command(subject)} if command(subject) else {},
        side_by_side=(os.cpu_count() or 1) > 1,
    )
    return {
        Stage.PLAN: plan.PlanStage(
            store=store,
            apply_tool="apply_patch_t1",
            tools=lambda: policy().tools,
            terms=partial(terms_of, settings),
        ),
        Stage.DEBATE: debate.DebateStage(
            store=store,
            reviewers=(RulesReviewer(store), EstimateReviewer(store)),
            judge=judge,
            history=partial(history.counts, board, store),
        ),
        Stage.SIMULATE: simulate.SimulateStage(
            store=store, keeper=keeper, attestor=opener, evaluator=evaluator, policy=policy
        ),
        Stage.VERIFY: verify.VerifyStage(
            store=store,
            evaluator=evaluator,
            policy=policy,
            card=_card_maker(store, opener, policy, settings).make,
        ),
        Stage.APPROVE: _approve(store, changes, board, decisions, guard, evaluator, policy),
        Stage.PROMOTE: promote.PromoteStage(store=store, guard=guard),
        Stage.WATCH: watch.WatchStage(store=store, evaluator=evaluator, guard=guard),
    }


def _approve(
    store: Store,
    changes: DatabaseChanges,
    board: Board,
    decisions: Decisions,
    guard: GuardClient,
    evaluator: Evaluator,
    policy: Callable[[], CedarPolicy],
) -> StageRoom:
    from greenroom.pipeline.stages.approve import ApproveStage
    from greenroom.pipeline.standing import StandingConsent, cancelled_before

    standing = StandingConsent(
        store=store,
        guard=guard,
        clock=SystemClock(),
        evaluator=evaluator,
        checks=lambda plan: policy().checks(plan),
        cancelled=partial(cancelled_before, changes, board, decisions, store),
    )
    return ApproveStage(policy=policy, standing=standing)


def _proposers(
    keeper: Keeper, store: Store, opener: Attestor, policy: Callable[[], CedarPolicy]
) -> Mapping[str, Callable[[Digest], Proposer]]:
    from greenroom.agents.proposers import loader

    tool = policy().tools["codegen_t0"]

    def maker(name: str) -> Callable[[Digest], Proposer]:
        return lambda golden: loader.load(name)(keeper=keeper, store=store, attestor=opener, golden=golden, tool=tool)

    return {name: maker(name) for name in loader.available()}


def planner() -> Planner:
    """What reads a person's words: the built-in templates."""
    from greenroom.agents.planners.template import TemplatePlanner

    return TemplatePlanner()


def _optional() -> frozenset[str]:
    from greenroom.agents.proposers import loader

    return frozenset(loader.available()) - frozenset(loader.by_default())


def _prepare(keeper: Keeper, store: Store, tree: Digest) -> tuple[Digest, tuple[str, ...]] | Held:
    """The golden for a tree, and what to tell a person about it; Held when the tree's needs cannot be had."""
    from greenroom.domain import documents
    from greenroom.domain.verdict import Held

    golden = keeper.prepare(tree)
    if isinstance(golden, Held):
        return golden
    return golden, tuple(documents.load_json(store.get(golden)).get("notes", ()))


def sandbox_user() -> tuple[int | None, int | None]:
    """The unprivileged user of the sandbox where this process is root; None where it is not."""
    if os.geteuid() != 0:
        return None, None
    for name in (SANDBOX_USER, "nobody"):
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return found.pw_uid, found.pw_gid
    return 65534, 65534


def tool_bodies() -> dict[str, bytes]:
    """The bodies of the tools by tool name."""
    return {path.stem: path.read_bytes() for path in _tool_files() if not path.stem.startswith("_")}


def tool_helpers() -> dict[str, bytes]:
    """The modules beside the bodies by file name."""
    return {p.name: p.read_bytes() for p in _tool_files() if p.stem.startswith("_") and p.stem != "__init__"}


def _tool_files() -> list[Path]:
    return sorted((Path(greenroom.__file__).parent / "tools").glob("*.py"))


def crash_points(role: str) -> Callable[[str], None]:
    """Kills this process where GREENROOM_CRASH_AT, `role:point[#N]@marker`, says: the Nth time it passes the point.

    The marker file is taken first, so that this happens once. For the crash suite only: it does nothing unless the
    variable is set, and it can only end the process.
    """
    named, _, marker = os.environ.get("GREENROOM_CRASH_AT", "").partition("@")
    wanted, _, number = named.partition("#")
    passes = count(1)

    def at(point: str) -> None:
        if marker and wanted == f"{role}:{point}" and next(passes) == int(number or 1):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(marker)
                os.kill(os.getpid(), signal.SIGKILL)

    return at
