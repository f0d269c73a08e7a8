"""A whole house in memory: real verbs, flow, stages, policy and guard over fakes of what needs a machine.

`MemoryHouse` plays every part: the person with a repository, the keeper with results that a test chooses, and the
owner with a key. `points.at` kills the executor at that port call; `restart` starts another one over the same
databases.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from greenroom.agents.reviewers.estimate import EstimateReviewer
from greenroom.agents.reviewers.rules import RulesReviewer
from greenroom.domain.change import Change
from greenroom.domain.digest import Digest, digest_of, parse_digest
from greenroom.domain.errors import Bug
from greenroom.domain.plan import ToolManifest
from greenroom.domain.ports import Facts, Store
from greenroom.domain.proof import Consent
from greenroom.domain.settings import Values
from greenroom.domain.verdict import Held, Instant, Passed, Verdict
from greenroom.domain.vocabulary import ChangeId, Kind, Mode, Stage, Subject, address_of, subject_of
from greenroom.evaluation.verify import KeeperEvaluator, Known
from greenroom.guard.papers import (
    CommandOrder,
    ConstitutionOrder,
    FloorOrder,
    Lift,
    LookOrder,
    ModeOrder,
    OptInOrder,
    OptOutOrder,
    Paper,
    sign,
)
from greenroom.guard.room import Rules
from greenroom.guard.service import GuardService
from greenroom.pipeline import history, improving, restack, standing, tables, undoing, verbs
from greenroom.pipeline.branches import Branches
from greenroom.pipeline.card import CardMaker
from greenroom.pipeline.changes import Board, DatabaseChanges, Deliveries, Settings
from greenroom.pipeline.decisions import Decisions
from greenroom.pipeline.facts import gather
from greenroom.pipeline.flow import Flow, StageRoom
from greenroom.pipeline.house import House
from greenroom.pipeline.queue import Limits
from greenroom.pipeline.settings import command_of, terms_of
from greenroom.pipeline.stages import approve, debate, plan, promote, simulate, verify, watch
from greenroom.pipeline.standing import StandingConsent, cancelled_before
from greenroom.policy.bundle import load_policy, save_policy
from greenroom.policy.decide import CedarPolicy
from greenroom.policy.judge import judge
from greenroom.policy.manifests import BUILTIN, builtin_manifests
from greenroom.release.trees import StoreTrees
from greenroom.testing.clock import SECOND, ManualClock, ManualMachine
from greenroom.testing.keeper import files_of
from greenroom.testing.log import MemoryLog, attestors
from greenroom.testing.parts import (
    CrashPoints,
    Finding,
    FindingProposer,
    HouseKeeper,
    PlainRuns,
    PositionRelease,
    Repository,
    Workshop,
)
from greenroom.testing.store import MemoryStore

PATH, BRANCH = "/home/ada/project", "main"
SUBJECT = Subject(kind=Kind.WORKSPACE, address=address_of(PATH, BRANCH))
OWNER = "person:ada"
FILES: Mapping[str, bytes] = {"README.md": b"# Project\n\nteh words\n", "a.py": b"x = 1\n"}


@cache
def _policy(constitution: bytes) -> CedarPolicy:
    store = MemoryStore()
    return load_policy(store, save_policy(store, constitution, _manifests()))


@cache
def _manifests(release: str = "", changed: frozenset[str] = frozenset()) -> Mapping[str, ToolManifest]:
    """The built-in tools over bodies that exist by name only.

    Those of another `release` have other bodies, or, where it `changed` only some, those tools.
    """
    bodies = {name: name + (release if name in changed or not changed else "") for name in BUILTIN}
    return builtin_manifests({name: digest_of("blob", body.encode()) for name, body in bodies.items()})


def shipped_constitution() -> bytes:
    """The constitution's text that ships."""
    return resources.files("greenroom.policy").joinpath("CONSTITUTION.yaml").read_bytes()


class MemoryHouse:
    """One box with one repository. `directory` is where the guard keeps its ledger and stop file.

    `checks` says how each check (`tests`, `own-tests`, `scan`, `loosened`, `live-tests`) comes out from then on;
    what it does not name passes. A run that was made already stays as it came out. `branch` empty makes the
    repository an unpacked release. `at_guard_point` is told each named point of the guard.
    """

    def __init__(
        self,
        directory: Path,
        *,
        files: Mapping[str, bytes] = FILES,
        path: str = PATH,
        branch: str = BRANCH,
        constitution: bytes = b"",
    ) -> None:
        self.directory = directory
        self.log_writable = True
        self.at_guard_point: Callable[[str], None] = _nothing
        self.path, self.branch = path, branch
        self.subject = Subject(kind=Kind.WORKSPACE, address=address_of(path, branch))
        self.clock, self.store, self.log = ManualClock(), MemoryStore(), MemoryLog()
        self.machine = ManualMachine(self.clock)
        self.signers, self.strangers = attestors(), attestors()
        self.release = PositionRelease(self.store, StoreTrees(self.store))
        self.repository = Repository({path.encode(): data for path, data in files.items()}, secrets.token_hex(20))
        self.findings: list[Finding] = [Finding(path="README.md", old=b"teh", new=b"the")]
        self.workshop = Workshop(self.store)
        self.checks = self.workshop.checks
        self.points = CrashPoints()
        self.told: list[Mapping[str, Any]] = []
        self.policies: dict[Digest, CedarPolicy] = {}
        self.engine = _database()
        self.guard = self.start_guard()
        self.constitute(constitution or shipped_constitution())
        self.keeper = HouseKeeper(
            repository=self.repository,
            workshop=self.workshop,
            store=self.store,
            attestor=self.signers["keeper"],
            clock=self.clock,
            stopped=lambda: self.guard.status().stopped,
        )
        self.house = self.start()

    # The processes.

    def start_guard(self) -> GuardService:
        """A guard process over the same ledger, log and pointers."""
        return GuardService(
            store=self.store,
            release=self.release,
            log=self.log,
            attestor=self.signers["guard"],
            clock=self.clock,
            rules=lambda digest: Rules(policy=self.policies[digest], constitution=self.policies[digest].constitution),
            database=self.directory / "guard.db",
            stop_file=self.directory / "stop",
            disk_free=lambda: 1 << 40,
            checkpoint=lambda: "checkpoint",
            belongs=lambda brought: brought.subject.address == address_of(brought.source, brought.branch),
            log_writable=lambda: self.log_writable,
            crash_point=lambda point: self.at_guard_point(point),
            uptime=self.machine,
        )

    def start(self) -> House:
        """An executor over the same databases, with nothing remembered."""
        changes = DatabaseChanges(self.engine, self.clock)
        watched: Any = self.points.wrap("changes", changes, ("save",))
        guard: Any = self.points.wrap(
            "guard",
            self.guard,
            ("append", "warrant", "promote", "mark_good", "revert", "consent", "carry", "adopt", "cancel_window"),
        )
        flow = Flow(
            changes=watched,
            store=self.store,
            guard=guard,
            policy=lambda: self.points.wrap("policy", self.policy, ("may",)),
            stages={
                stage: self.points.wrap(stage.value, room, ("run",))
                for stage, room in self._stages(changes, guard).items()
            },
            facts=self._facts,
            clock=self.clock,
        )
        return House(
            changes=watched,
            board=Board(self.engine),
            deliveries=Deliveries(self.engine),
            settings=Settings(self.engine),
            decisions=Decisions(self.engine),
            branches=Branches(self.engine),
            store=self.store,
            guard=guard,
            keeper=self.keeper,
            attestor=self.signers["owner"],
            clock=self.clock,
            runs=PlainRuns(flow, changes),
            proposers=lambda: {FindingProposer.name: self._proposer},
            prepare=self._prepare,
            tools=lambda: self.policy.tools,
            caps=lambda: self.policy.constitution.caps,
            stale=self._card_maker().stale,
        )

    def restart(self) -> None:
        """Another executor; what the last one remembered is gone."""
        self.points.at = None
        self.house = self.start()

    def restart_guard(self) -> None:
        """Another guard, and another executor that speaks with it."""
        self.guard.close()
        self.guard = self.start_guard()
        self.restart()

    def close(self) -> None:
        """Close the databases."""
        self.guard.close()
        self.engine.dispose()

    # What doors ask for.

    def improve(
        self,
        *,
        mode: Mode | None = None,
        only: tuple[str, ...] = (),
        limits: Limits | None = None,
        noticed: Mapping[str, str] | None = None,
        own: Values | None = None,
    ) -> dict[str, Any]:
        """Take the repository in and carry a change for each finding, within `limits`; `own` are the box's settings."""
        self.clock.advance(1)
        return improving.improve(
            self.house,
            "ticket",
            path=self.path,
            branch=self.branch,
            only=only,
            mode=mode,
            tell=self.tell,
            limits=limits,
            noticed=noticed,
            own=own,
        )

    def proposed(self) -> ChangeId:
        """Improve, where one change is expected; its id."""
        (row,) = self.improve()["changes"]
        return ChangeId(row["id"])

    def consent(self, change: str, *, stranger: bool = False, **bent: Any) -> bytes:
        """The owner's signed yes to what is offered, its members bent as told."""
        offer = verbs.offer(self.house, change)
        said = {name: offer[name] for name in ("change", "plan", "green")}
        expires = Instant(self.clock.now() + 600 * SECOND)
        paper = {"actor": OWNER, "expires": expires, "nonce": secrets.token_hex(16), "at": self.clock.now()}
        usual = {**said, "shown": offer["card"], **paper}
        return sign((self.strangers if stranger else self.signers)["owner"], Consent(**(usual | bent)))

    def approve(self, change: str, *, promote: bool = True, envelope: bytes | None = None) -> dict[str, Any]:
        """Say yes; deliver nothing."""
        self.clock.advance(1)
        paper = self.consent(change) if envelope is None else envelope
        return verbs.approve(self.house, change, paper, promote=promote, tell=self.tell)

    def promote(self, change: str) -> dict[str, Any]:
        """Carry an approved change on."""
        self.clock.advance(1)
        return verbs.promote(self.house, change, tell=self.tell)

    def restack(self, change: str) -> dict[str, Any]:
        """Move a change onto what is live."""
        self.clock.advance(1)
        return restack.restack(self.house, change, tell=self.tell)

    def reject(self, change: str) -> dict[str, Any]:
        """Say no."""
        return verbs.reject(self.house, change, why="no", actor=OWNER)

    def revert(self, change: str) -> dict[str, Any]:
        """Take a change back."""
        self.clock.advance(1)
        return verbs.revert(self.house, change, actor=OWNER)

    def revert_all_after(self, change: str) -> dict[str, Any]:
        """Take a change back, and all that stand on it."""
        self.clock.advance(1)
        return undoing.all_after(self.house, change, actor=OWNER)

    def undo(self, change: str) -> dict[str, Any]:
        """Propose the opposite of a live change."""
        self.clock.advance(1)
        return undoing.as_change(self.house, change, tell=self.tell)

    def resume(self) -> dict[str, Any]:
        """Go on after a crash or a lift."""
        self.clock.advance(1)
        return verbs.resume(self.house, tell=self.tell)

    def cancel_window(self, change: str) -> dict[str, Any]:
        """Keep what waits in its window from being applied."""
        return standing.cancel(self.house, change, actor=OWNER)

    def apply_windows(self) -> list[dict[str, Any]]:
        """Carry on what nobody has to be asked about, as a door would; a dirty branch keeps it all.

        First each change whose window is over, then those whose base moved, the next one when none waits in a window.
        """
        done: dict[str, dict[str, Any]] = {}
        while not self.repository.dirty:
            found = standing.windows(self.house)
            due = found["over"] + ([] if found["waiting"] else found["moved"])
            change = next((str(row["id"]) for row in due if row["id"] not in done), None)
            if change is None:
                break
            done[change] = verbs.resume(self.house, change_id=change, tell=self.tell)["resumed"][0]
        return list(done.values())

    def show(self, change: str) -> dict[str, Any]:
        """All that is known of a change."""
        return verbs.show(self.house, change)

    def tell(self, event: Mapping[str, Any]) -> None:
        """Hear of progress; a moment passes."""
        self.clock.advance(0.001)
        self.told.append(event)

    # What the owner signs, and what anyone may do.

    def stop(self) -> None:
        """Stop everything."""
        self.guard.stop("person:eve")

    def lift(self, *, stranger: bool = False) -> Verdict:
        """Lift the stop in force, with the owner's key."""
        stop = self.guard.stop_id() or digest_of("text", b"no stop")
        paper = Lift(stop=stop, actor=OWNER, expires=Instant(self.clock.now() + 600 * SECOND))
        return self.guard.lift(sign((self.strangers if stranger else self.signers)["owner"], paper))

    def set_mode(self, mode: Mode) -> Verdict:
        """Let the box do more, or less, by itself."""
        return self.guard.set_mode(self._order(ModeOrder, mode=mode))

    def set_floor(self, change: str, *, holds: bool = True) -> Verdict:
        """Let no revert go below `change`, or, where it `holds` no longer, let them again."""
        return self.guard.set_floor(self._order(FloorOrder, change=ChangeId(change), holds=holds))

    def looked(self, subject: str, through: str) -> Verdict:
        """Say that a person looked, up to the promotion with that warrant."""
        return self.guard.looked(self._order(LookOrder, subject=subject_of(subject), through=parse_digest(through)))

    def _order(self, kind: Callable[..., Paper], **members: Any) -> bytes:
        expires = Instant(self.clock.now() + 600 * SECOND)
        return sign(self.signers["owner"], kind(actor=OWNER, expires=expires, nonce=secrets.token_hex(16), **members))

    def opt_in(
        self, rule: str, *, repository: str = "", until: Instant | None = None, envelope: bytes | None = None
    ) -> Verdict:
        """Agree beforehand to level 1 changes of `rule`."""
        return self.guard.opt_in(envelope or self.opt_in_paper(rule, repository=repository, until=until))

    def opt_in_paper(self, rule: str, *, repository: str = "", until: Instant | None = None) -> bytes:
        """The owner's signed opt-in."""
        expires = Instant(self.clock.now() + 600 * SECOND)
        nonce = secrets.token_hex(16)
        paper = OptInOrder(rule=rule, repository=repository, until=until, actor=OWNER, expires=expires, nonce=nonce)
        return sign(self.signers["owner"], paper)

    def opt_out(self, opt_in: Digest) -> Verdict:
        """Take an opt-in back."""
        expires = Instant(self.clock.now() + 600 * SECOND)
        paper = OptOutOrder(opt_in=opt_in, actor=OWNER, expires=expires, nonce=secrets.token_hex(16))
        return self.guard.opt_out(sign(self.signers["owner"], paper))

    def allow_command(self, command: str, *, stranger: bool = False) -> Verdict:
        """Sign for a test command of the repository."""
        paper = CommandOrder(
            subject=self.subject,
            command=command,
            actor=OWNER,
            expires=Instant(self.clock.now() + 600 * SECOND),
            nonce=secrets.token_hex(16),
        )
        return self.guard.allow_command(sign((self.strangers if stranger else self.signers)["owner"], paper))

    def constitute(self, text: bytes, release: str = "", changed: frozenset[str] = frozenset()) -> None:
        """Put a constitution in force, with the tools of a `release`, which `changed` these, or all."""
        bundle = save_policy(self.store, text, _manifests(release, changed))
        self.policies[bundle] = load_policy(self.store, bundle) if release else _policy(text)
        paper = ConstitutionOrder(
            policy=bundle,
            previous=self.guard.policy(),
            actor=OWNER,
            expires=Instant(self.clock.now() + 600 * SECOND),
            nonce=secrets.token_hex(16),
        )
        verdict = self.guard.set_constitution(sign(self.signers["owner"], paper))
        if not isinstance(verdict, Passed):
            raise Bug("no-constitution", f"{verdict.rule}: {verdict.where}")

    # The person's repository.

    def fast_forward(self, delivery: Mapping[str, Any]) -> Verdict:
        """Bring the branch from the commit that it had to what is live, where it is clean and has not moved."""
        found = self.repository
        if found.head == delivery["wanted"]:
            return Passed()
        if found.head != delivery["delivered"]:
            return Held(rule="branch-moved", where=found.head, remedy="greenroom improve")
        if found.dirty or found.in_the_way:
            return Held(rule="worktree-dirty", where=self.path, remedy="commit or stash")
        found.files, found.head = self.live_files(), delivery["wanted"]
        return Passed()

    def commit(self, files: Mapping[str, bytes]) -> None:
        """The person commits files of their own."""
        self.repository.files |= {path.encode(): data for path, data in files.items()}
        self.repository.head = secrets.token_hex(20)

    def deliver(self) -> list[dict[str, Any]]:
        """Deliver all that waits, and report it, as a door would."""
        done = []
        for waiting in verbs.pending(self.house):
            verdict = self.fast_forward(waiting)
            rule = "" if isinstance(verdict, Passed) else verdict.rule
            done.append(verbs.delivered(self.house, waiting["subject"], commit=waiting["wanted"], pending=rule))
        return done

    # What can be looked at.

    @property
    def policy(self) -> CedarPolicy:
        """The policy in force."""
        digest = self.guard.policy()
        if digest is None:
            raise Bug("no-constitution", "the house starts with one")
        return self.policies[digest]

    def live(self) -> Digest | None:
        """The live digest."""
        return self.guard.live(self.subject)

    def live_files(self) -> dict[bytes, bytes]:
        """The live files."""
        live = self.live()
        return {} if live is None else files_of(self.store, live)

    def change(self, change: str) -> Change:
        """A change as stored."""
        return DatabaseChanges(self.engine, self.clock).get(ChangeId(change))

    def changes(self) -> list[Change]:
        """Every change, oldest first."""
        return list(DatabaseChanges(self.engine, self.clock).list())

    def names(self) -> list[str]:
        """The names of the log's entries, in order."""
        return [event.name for event in self.log.events()]

    def _proposer(self, golden: Digest) -> FindingProposer:
        del golden
        return FindingProposer(self.store, self.findings, self.workshop)

    def _prepare(self, tree: Digest) -> tuple[Digest, tuple[str, ...]] | Held:
        golden = self.keeper.prepare(tree)
        return golden if isinstance(golden, Held) else (golden, ())

    def _facts(self, change: Change) -> Facts:
        return gather(
            change,
            guard=self.guard,
            store=self.store,
            opener=self.signers["owner"],
            clock=self.clock,
            layers=self.keeper.layers(),
            disk_free_bytes=1 << 40,
        )

    def _card_maker(self) -> CardMaker:
        return CardMaker(
            store=self.store,
            attestor=self.signers["owner"],
            policy=lambda: self.policy,
            test_command=partial(command_of, Settings(self.engine)),
            min_share=lambda: self.policy.constitution.tests.min_share,
        )

    def _stages(self, changes: DatabaseChanges, guard: Any) -> Mapping[Stage, StageRoom]:
        store: Store = self.store
        opener = self.signers["owner"]

        def known(digest: Digest) -> Known:
            reproduce, seals = history.known(changes, store, digest)
            return Known(reproduce=reproduce, seals=seals)

        command = partial(command_of, Settings(self.engine))
        evaluator = KeeperEvaluator(
            keeper=self.keeper,
            store=store,
            attestor=opener,
            tools=lambda: self.policy.tools,
            min_share=lambda: self.policy.constitution.tests.min_share,
            known=known,
            test_args=lambda subject: {"argv": command(subject)} if command(subject) else {},
        )
        reviewers = (RulesReviewer(store), EstimateReviewer(store))
        card = self._card_maker()
        return {
            Stage.PLAN: plan.PlanStage(
                store=store,
                apply_tool="apply_patch_t1",
                tools=lambda: self.policy.tools,
                terms=partial(terms_of, Settings(self.engine)),
            ),
            Stage.DEBATE: debate.DebateStage(
                store=store,
                reviewers=reviewers,
                judge=judge,
                history=partial(history.counts, Board(self.engine), store),
            ),
            Stage.SIMULATE: simulate.SimulateStage(
                store=store, keeper=self.keeper, attestor=opener, evaluator=evaluator, policy=lambda: self.policy
            ),
            Stage.VERIFY: verify.VerifyStage(
                store=store, evaluator=evaluator, policy=lambda: self.policy, card=card.make
            ),
            Stage.APPROVE: approve.ApproveStage(
                policy=lambda: self.policy,
                standing=StandingConsent(
                    store=store,
                    guard=guard,
                    clock=self.clock,
                    evaluator=evaluator,
                    checks=lambda plan: self.policy.checks(plan),
                    cancelled=partial(cancelled_before, changes, Board(self.engine), Decisions(self.engine), store),
                ),
            ),
            Stage.PROMOTE: promote.PromoteStage(store=store, guard=guard),
            Stage.WATCH: watch.WatchStage(store=store, evaluator=evaluator, guard=guard),
        }


def _nothing(point: str) -> None:
    del point


def _database() -> sa.Engine:
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool, connect_args={"check_same_thread": False})
    tables.METADATA.create_all(engine)
    return engine
