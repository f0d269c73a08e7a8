"""The ports: what the flow needs from the rooms around it. Each has a fake.

`tests/contract` holds one suite for each that more than one thing stands behind; it runs on the real one and the fake.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from greenroom.domain.change import Change
from greenroom.domain.digest import Digest
from greenroom.domain.events import Event
from greenroom.domain.plan import Caps, Plan, ToolManifest
from greenroom.domain.proof import Attestation, EndedBy, Epoch, Evidence, Risk, Role, Usage
from greenroom.domain.standing import OptIn, Window
from greenroom.domain.trees import Manifest
from greenroom.domain.verdict import Held, Instant, Refused, Verdict
from greenroom.domain.vocabulary import Agree, ChangeId, ConsentLevel, Mode, Stage, State, Subject

if TYPE_CHECKING:
    from greenroom.domain.debate import Transcript


class Clock(Protocol):
    """Time, from outside."""

    def now(self) -> Instant: ...


class Store(Protocol):
    """Bytes by digest. `put` is idempotent and durable when it returns; `get` rehashes what it reads."""

    def put(self, prefix: str, data: bytes) -> Digest: ...
    def get(self, digest: Digest, limit: int = 64 * 1024 * 1024) -> bytes: ...  # NotFound, Tampered, TooLarge
    def has(self, digest: Digest) -> bool: ...
    def erase(self, digest: Digest) -> None: ...


class Attestor(Protocol):
    """Signs and opens DSSE envelopes with in-toto statements (in-toto attestation framework v1).

    `open` verifies against the box's public keys and raises Tampered when no known key of `role` signed. `ready` sees
    to it that the key can sign, and raises what `sign` would: for work that is worth nothing unsigned.
    """

    def ready(self) -> None: ...
    def sign(self, predicate: str, about: Digest, body: bytes) -> bytes: ...
    def open(self, envelope: bytes, predicate: str, role: Role) -> Attestation: ...


class Log(Protocol):
    """The append-only log. The same key gives the same index; durable when it returns."""

    def append(self, event: Event) -> int: ...
    def size(self) -> int: ...
    def read(self, start: int, count: int) -> Sequence[bytes]: ...


class Epochs(Protocol):
    """The guard's signing keys, one an epoch. `turn` makes the next, certified by the present one, which is gone then.

    Statements and heads of the log change keys together. Raises Unusable where the next key cannot be made durable.
    """

    def present(self) -> Epoch: ...
    def turn(self, at: Instant) -> Epoch: ...


class KeeperChain(Protocol):
    """The chain of the keeper's public keys, written by the guard alone.

    `certify` takes in what the present key signed for the next one, durably, and the same again without effect; raises
    Tampered for anything else. `epoch_of` tells the epoch of the key with an id, None for a key that is none of these.
    """

    def present(self) -> Epoch: ...
    def certify(self, envelope: bytes) -> Epoch: ...
    def epoch_of(self, identity: str) -> int | None: ...
    def find(self, identity: str) -> bytes | None: ...


class Witness(Protocol):
    """What the guard does for the keeper's key: it says which one is the present one, and sees each paper when it is
    made. `shown` is False where that key is too old: the keeper turns to the next, certifies it, and signs again."""

    def keeper_epoch(self) -> Epoch: ...
    def certify_keeper(self, envelope: bytes) -> Epoch: ...
    def shown(self, paper: Digest, epoch: int) -> bool: ...


class Changes(Protocol):
    """Changes by id. `save` raises Unusable `version-conflict` unless the stored version is `change.version`;
    what is stored then has version + 1, and is returned. `list` gives those that all of its words are true of, oldest
    first; `held` is the rule of a hold, empty for what is not held; `children` those that follow another change.
    `newest` gives those of a subject, latest first; `subjects` each that has a change, in the order they came."""

    def get(self, change: ChangeId) -> Change: ...
    def save(self, change: Change) -> Change: ...
    def list(
        self,
        *,
        subject: Subject | None = None,
        open_only: bool = False,
        states: Collection[State] = (),
        held: str | None = None,
        base: Digest | None = None,
        plan: Digest | None = None,
        parent: ChangeId | None = None,
        children: bool = False,
    ) -> Sequence[Change]: ...
    def newest(self, subject: Subject) -> Iterable[Change]: ...
    def subjects(self) -> Sequence[Subject]: ...


class Trees(Protocol):
    """Trees of the store as directories, and back.

    `materialise` writes the tree below `into` (which must not exist); `seal` walks a directory that hostile
    code may have written, follows no link, and puts manifest and blobs into the store. Raises Unusable for what
    no tree may hold.
    """

    def manifest(self, tree: Digest) -> Manifest: ...
    def materialise(self, tree: Digest, into: str, *, uid: int | None = None) -> None: ...
    def seal(self, directory: str) -> Digest: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoRecord:
    """What takes a swap back: saved before the act. `bundle` names the files of the earlier tree, for a person."""

    subject: Subject
    live: Digest
    commit: str
    bundle: Digest
    at: Instant


class Release(Protocol):
    """Who is live. `swap` is atomic, durable and idempotent: True also when `to` is live already for this swap."""

    def live(self, subject: Subject) -> Digest | None: ...
    def begin(self, subject: Subject, tree: Digest, origin: Mapping[str, str], parent_bytes: bytes) -> Digest: ...
    def save(self, subject: Subject, at: Instant) -> UndoRecord: ...
    def stage(self, subject: Subject, tree: Digest, message: str, at: Instant, author: str = "") -> str: ...
    def swap(self, subject: Subject, expect: Digest, to: Digest, staged: str) -> bool: ...
    def rehash(self, subject: Subject) -> Digest: ...
    def position(self, subject: Subject) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A host path inside the cell; read-only unless `writable`."""

    source: str
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One command between walls: no network, read-only root, private /tmp and /proc."""

    argv: tuple[str, ...]
    mounts: tuple[Mount, ...]
    caps: Caps
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    stdin: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a cell ended. `exit` is the exit code, or 128 + the signal."""

    exit: int
    ended_by: EndedBy
    stdout: bytes
    stderr: bytes
    truncated: bool
    layers: Mapping[str, bool]
    usage: Usage


class Walls(Protocol):
    """A sandbox driver. `layers` tells, by trying, which wall this machine can give. `run` leaves no process
    behind, however it ends; `cancelled` is asked at least every 200 ms."""

    def layers(self) -> Mapping[str, bool]: ...
    def run(self, cell: Cell, cancelled: Callable[[], bool]) -> Outcome | Refused: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRun:
    """One run that a check asks the keeper for.

    `trees` are mounted as throwaway copies at /mnt/<name>; `overlay` names a (from, onto) pair of mounts: the
    tests, conftest files and test configuration of the first replace, read-only, those of the second. `suite` is the
    receipt of the run of the first's tests, which tells where tests are that no name tells of. All members together
    determine the run: it is made once, and asked for again it is the same receipt. `occasion` makes it a run of its own
    for one promotion.
    """

    check: str
    role: str
    tool: Digest
    args: Mapping[str, str | int]
    trees: Mapping[str, Digest]
    golden: Digest
    overlay: tuple[str, str] | None = None
    occasion: Digest | None = None
    suite: Digest | None = None


class Keeper(Protocol):
    """The process that runs things. What it returns are digests of envelopes that it signed, in the store.

    `present` is the person's to call: it gives the ticket for a directory of theirs, without which `bring` reads none.
    """

    def golden(self) -> Digest: ...
    def present(self, path: str, branch: str, directory: int) -> str: ...
    def bring(self, subject: Subject, ticket: str, branch: str | None) -> Digest | Refused: ...
    def prepare(self, tree: Digest) -> Digest | Held: ...
    def build(self, plan: Digest) -> Digest | Refused: ...
    def check(self, run: CheckRun) -> Digest | Refused: ...
    def layers(self) -> Mapping[str, bool]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What a subject has used today, against the caps."""

    changes: int = 0
    lines: int = 0
    risk: int = 0
    spend_micro: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a decision may know about the world; gathered by whoever asks.

    `policy` is the bundle that the guard has in force. `health` is what is not well with box and subject, empty when
    it is green. `snapshots` are the steps before which Green was kept; `violations` the places where a run of the
    change was ended by a wall. `watched` asks whether what was watched may be marked good; `probe_green_s` is for how
    many seconds its probes were green without a break.
    """

    now: Instant
    stopped: bool
    mode: Mode
    live: Digest | None
    layers: Mapping[str, bool]
    disk_free_bytes: int
    policy: Digest | None
    health: tuple[Held, ...]
    totals: Totals = field(default_factory=Totals)
    tripcode: bool = False
    snapshots: frozenset[str] = frozenset()
    violations: tuple[str, ...] = ()
    watched: bool = False
    probe_green_s: int = 0


class Policy(Protocol):
    """May it happen? Pure: the executor asks for advice, the guard for authority."""

    @property
    def digest(self) -> Digest: ...
    def may(
        self, change: Change, stage: Stage, plan: Plan | None, facts: Facts, evidence: Sequence[Evidence] = ()
    ) -> Verdict: ...
    def checks(self, plan: Plan) -> tuple[str, ...]: ...
    def weigh(self, plan: Plan, evidence: Sequence[Evidence], debate: Transcript | None = None) -> Risk: ...
    def agree(self, mode: Mode, level: ConsentLevel) -> Agree: ...
    def manifest(self, tool: Digest) -> ToolManifest | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """What the guard needs to decide: the change's documents by digest. It trusts none of them unread.

    `carry` is the guard's own statement that one of `consents`, given to an earlier change, holds for this one.
    `again` are the receipts of a second verify, each made for the occasion `green`.
    """

    change: ChangeId
    subject: Subject
    mode: Mode
    plan: Digest
    base: Digest
    green: Digest
    receipts: tuple[Digest, ...]
    seals: tuple[Digest, ...]
    consents: tuple[Digest, ...]
    card: Digest | None = None
    carry: Digest | None = None
    again: tuple[Digest, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One of the steps that live stands on: a promoted change, or, with `change` None, an import."""

    change: ChangeId | None
    green: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardStatus:
    """What the guard says about itself: also the opt-ins that count, and the windows that are open on live."""

    stopped: bool
    stopped_by: str | None
    mode: Mode
    policy: Digest
    log_size: int
    checkpoint: str
    live: Mapping[str, Digest]
    epoch: int = 0
    key_since: Instant | None = None
    opt_ins: tuple[OptIn, ...] = ()
    windows: tuple[Window, ...] = ()


class Guard(Protocol):
    """The only holder of signer, pointers, budget and stop."""

    def append(self, event: Event) -> int: ...
    def status(self) -> GuardStatus: ...
    def live(self, subject: Subject) -> Digest | None: ...
    def position(self, subject: Subject) -> str: ...
    def health(self, subject: Subject) -> tuple[Held, ...]: ...
    def standing(self, subject: Subject) -> tuple[Standing, ...]: ...
    def adopt(self, imported: Digest) -> Digest | Refused: ...
    def consent(self, envelope: bytes) -> Digest | Refused: ...
    def carry(self, given: Dossier, dossier: Dossier) -> Digest | Refused | Held: ...
    def cancel_window(self, change: ChangeId, actor: str) -> Verdict: ...
    def withdraw(self, change: ChangeId, actor: str) -> Verdict: ...
    def warrant(self, dossier: Dossier) -> Digest | Refused | Held: ...
    def promote(self, warrant: Digest) -> Verdict: ...
    def mark_good(self, change: ChangeId, receipts: tuple[Digest, ...]) -> Verdict: ...
    def revert(self, subject: Subject, change: ChangeId, actor: str) -> Verdict: ...
    def reserve(self, change: ChangeId, subject: Subject, caps: Caps) -> str | Held: ...
    def settle(self, reservation: str, used: Caps) -> None: ...
    def stop(self, actor: str) -> None: ...
    def lift(self, envelope: bytes) -> Verdict: ...
    def allow_command(self, envelope: bytes) -> Verdict: ...
    def command_allowed(self, subject: Subject, command: str) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One axis of a review, 0 to 100, with the reason."""

    axis: Literal["policy", "tests", "simplicity"]
    points: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One reviewer's scores in one round; reviewers return its canonical bytes."""

    reviewer: str
    version: str
    round: int
    scores: tuple[Score, ...]


class Proposer(Protocol):
    """Finds something worth changing. `name` is the plug-in's name; each item is a proposal document."""

    @property
    def name(self) -> str: ...
    def propose(self, subject: Subject, live: Digest) -> Iterable[bytes]: ...


class Reviewer(Protocol):
    """Scores a dossier in a round; bytes of a Review, or Held."""

    @property
    def name(self) -> str: ...
    def debate(self, dossier: Digest, round: int) -> bytes | Held: ...


class Planner(Protocol):
    """Says what a person's words may mean: bytes of a `Reading`, which `domain.requests` checks, labels and judges."""

    @property
    def name(self) -> str: ...
    def plan(self, request: bytes) -> bytes: ...


class Evaluator(Protocol):
    """Runs one check through the keeper and concludes from its receipts; `begin` has runs begin that are due later.

    Without a Green, those that base alone determines.
    """

    def begin(self, checks: Sequence[str], plan: Plan, base: Digest, green: Digest | None, golden: Digest) -> None: ...
    def verify(
        self,
        check: str,
        plan: Plan,
        base: Digest,
        green: Digest,
        golden: Digest,
        occasion: Digest | None = None,
        found: Sequence[Evidence] = (),
    ) -> Evidence: ...


class Durable(Protocol):
    """Starts a run that carries a change until it is terminal or held. A hold ends the run."""

    def start(self, change: ChangeId, version: int) -> None: ...
    def unfinished(self) -> Iterable[ChangeId]: ...
