"""What is shown and signed: receipts, evidence, risk, consents, warrants, attestations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from greenroom.domain.digest import Digest
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import ChangeId, ConsentLevel, Mode, Subject

EvidenceVerdict = Literal["pass", "fail", "flaky", "broken-before", "inconclusive"]
Role = Literal["keeper", "guard", "owner"]
EndedBy = Literal["exit", "signal", "wall", "memory", "output", "disk", "processes", "stop"]


class Predicate(StrEnum):
    """The in-toto predicate types that Greenroom signs (`predicateType` of the statement); ADR 39 says what each means.

    A URI is a name here, not an address: nothing is fetched from it.
    """

    RECEIPT = "https://greenroom.example/receipt/v1"
    SEAL = "https://greenroom.example/seal/v1"
    IMPORT = "https://greenroom.example/import/v1"
    CONSENT = "https://greenroom.example/consent/v1"
    CARRY = "https://greenroom.example/carry/v1"
    WARRANT = "https://greenroom.example/warrant/v1"
    UNDO = "https://greenroom.example/undo/v1"
    MODE = "https://greenroom.example/mode/v1"
    CONSTITUTION = "https://greenroom.example/constitution/v1"
    FLOOR = "https://greenroom.example/floor/v1"
    LOOK = "https://greenroom.example/look/v1"
    OPT_IN = "https://greenroom.example/opt-in/v1"
    OPT_OUT = "https://greenroom.example/opt-out/v1"
    LIFT = "https://greenroom.example/lift/v1"
    COMMAND = "https://greenroom.example/test-command/v1"
    EPOCH = "https://greenroom.example/epoch/v1"
    KEEPER_EPOCH = "https://greenroom.example/keeper-epoch/v1"
    SUMMARY = "https://slsa.dev/verification_summary/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """One named, non-negative part of a risk or one finding of a check, with its reason."""

    name: str
    points: int
    why: str
    source: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """0 to 100: the sum of its contributions, capped; and the consent level that follows from the diff."""

    contributions: tuple[Contribution, ...]
    level: ConsentLevel

    @property
    def score(self) -> int:
        """min(100, sum of points)."""
        return min(100, sum(part.points for part in self.contributions))


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one run cost."""

    wall_ms: int
    cpu_ms: int
    memory_peak_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The keeper's record of one sandbox run; signed as Predicate.RECEIPT.

    `check` and `role` say what the run was for (`tests`/`base-on-green`); `mounted` names the trees by
    mount name; `output` is the digest of the stored RunOutput; `layers` says which wall was enforced. `attempt` is 1
    unless earlier attempts at the very run ended without a result or were cut. `occasion` is what the run was made
    for, where a run of another occasion would not do: the spent warrant, for the runs of a watch. `laid` names by mount
    name the trees that lay there when the run began: those of `mounted`, but where an overlay made another tree.
    `unproven`, of a run with an overlay, are the files that differ between the two trees, give or serve the tests that
    were laid over, and were not laid over: for them these tests are no proof. None where that is not known.
    `suite` is the receipt of the run on base that told where these tests are; None in receipts of earlier versions.
    """

    run: str
    check: str
    role: str
    mounted: Mapping[str, Digest]
    golden: Digest
    tool: Digest
    args: Digest
    layers: Mapping[str, bool]
    exit: int
    ended_by: EndedBy
    output: Digest
    usage: Usage
    began: Instant
    ended: Instant
    attempt: int = 1
    occasion: Digest | None = None
    laid: Mapping[str, Digest] = field(default_factory=dict)
    unproven: tuple[str, ...] | None = None
    suite: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """The keeper's record that it ran `plan` on a fresh draft of `base` and sealed `green`; Predicate.SEAL.

    `build` names the draft, so that two seals of one plan are provably two builds. `steps` are the digests
    of the signed receipts of each step, first the rehearsal, then the application. `snapshots` names, by step,
    the tree of Green that was kept whole before the step: what takes the step back.
    """

    build: str
    plan: Digest
    base: Digest
    golden: Digest
    green: Digest
    steps: tuple[Digest, ...]
    at: Instant
    snapshots: Mapping[str, Digest] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutput:
    """What a run left behind, bounded: the tool's result document and its named artifacts."""

    result: Digest | None
    stdout: Digest
    stderr: Digest
    truncated: bool
    artifacts: Mapping[str, Digest] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a check found about a digest; recomputed by the guard from the receipts alone."""

    check: str
    about: Digest
    verdict: EvidenceVerdict
    receipts: tuple[Digest, ...]
    findings: tuple[Contribution, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What the keeper read from a person's repository: a commit, its tree, and the commit's own bytes."""

    subject: Subject
    source: str
    branch: str
    commit: str
    commit_bytes: Digest
    tree: Digest
    trust: int
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """A verified DSSE envelope: who said what about which digest. `signer` is the id of the key (SHA-256, hex)."""

    predicate: str
    about: Digest
    body: bytes
    role: Role
    signer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """A person's yes to exactly this plan, this Green and this card as it was shown; single use.

    `at` is when it was signed: a withdrawal voids what was signed before it. Without it any withdrawal does.
    """

    change: ChangeId
    plan: Digest
    green: Digest
    shown: Digest
    actor: str
    expires: Instant
    nonce: str
    at: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Carry:
    """The guard's word that a person's yes holds for `change` too: the same patch on what is live; Predicate.CARRY.

    `consent` is the yes itself, given to `given_plan`, `given_green` and `given_shown` of the change `given`; `patch`
    what both patches say, wherever they stand (`domain.patches.words`). Risks are scores from 0 to 100. It holds as
    long as the consent does, and is spent with it.
    """

    change: ChangeId
    plan: Digest
    green: Digest
    shown: Digest
    risk: int
    consent: Digest
    given: ChangeId
    given_plan: Digest
    given_green: Digest
    given_shown: Digest
    given_risk: int
    given_level: ConsentLevel
    patch: Digest
    expires: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Warrant:
    """The guard's single-use permission to promote exactly this green over exactly this base.

    `carry` is the statement by which its consent, given to an earlier change, holds for this one.
    Where no person agreed to exactly this, `opt_in` is the owner's standing consent, or `again` the evidence of a
    second verify; `mode` is the one that it was given in.
    """

    change: ChangeId
    subject: Subject
    base: Digest
    green: Digest
    plan: Digest
    policy: Digest
    evidence: tuple[Digest, ...]
    consents: tuple[Digest, ...]
    undo: Digest
    expires: Instant
    nonce: str
    carry: Digest | None = None
    opt_in: Digest | None = None
    again: tuple[Digest, ...] = ()
    mode: Mode = Mode.PROPOSE


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochCertificate:
    """The guard's word, under the key of epoch - 1, that `key` (raw Ed25519) signs after it; Predicate.EPOCH.

    `log` is the log's origin; `size` and `root` (SHA-256) are its head at which the key takes over: it signs heads of
    more entries. Epoch 0 is that of the key which `init` made.
    """

    log: str
    epoch: int
    key: bytes
    size: int
    root: bytes
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperCertificate:
    """The keeper's word, under the key of epoch - 1, that `key` (raw Ed25519) signs after it; Predicate.KEEPER_EPOCH.

    `log` is the origin of the box's log. Epoch 0 is that of the key which `init` made. Which papers count for an epoch
    is the guard's to know: it says nothing of time.
    """

    log: str
    epoch: int
    key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """An epoch of the guard's keys or the keeper's: its number, its public key, and the envelope that certifies it.

    `certificate` is None for epoch 0, which nothing certifies. `since` is None where that is not known: for epoch 0 of
    the guard's, and for the keeper's but from the guard, since their certificates have no time.
    """

    number: int
    key: Digest
    certificate: Digest | None = None
    since: Instant | None = None
