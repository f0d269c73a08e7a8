"""The words of the house as types: kinds, states, modes, tiers, trust and consent levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import NewType

from greenroom.domain.digest import Digest

ChangeId = NewType("ChangeId", str)


class Kind(StrEnum):
    """The kinds of subject; named only in domain, release, bootstrap and policy data."""

    WORKSPACE = "workspace"
    SERVICE = "service"
    JOB = "job"
    CONFIG = "config"
    WORKFLOW = "workflow"
    ENGINE = "engine"
    MEMORY = "memory"
    IMAGE = "image"


class Stage(StrEnum):
    """The stages; a stage's name is its file, port method, log entry and test."""

    PLAN = "plan"
    DEBATE = "debate"
    SIMULATE = "simulate"
    VERIFY = "verify"
    APPROVE = "approve"
    PROMOTE = "promote"
    WATCH = "watch"


class State(StrEnum):
    """Where a change stands; held is an attribute, not a state."""

    PROPOSED = "proposed"
    PLANNED = "planned"
    DEBATED = "debated"
    SIMULATED = "simulated"
    VERIFIED = "verified"
    APPROVED = "approved"
    PROMOTED = "promoted"
    KEPT = "kept"
    ABORTED = "aborted"
    REVERTED = "reverted"


class Move(StrEnum):
    """What may happen to a change in a state."""

    PASS = "pass"  # noqa: S105 - a word, not a password
    REFUSE = "refuse"
    HOLD = "hold"
    ABORT = "abort"
    REVERT = "revert"


class Mode(StrEnum):
    """How much the box may do by itself; `propose` is the default and the lowest."""

    PROPOSE = "propose"
    SUPERVISED = "supervised"
    AUTONOMOUS = "autonomous"


class Agree(StrEnum):
    """Who must agree to a change."""

    NOBODY = "nobody"
    STANDING = "standing"
    TWO_VERIFIES = "two-verifies"
    PERSON = "person"


class Undo(StrEnum):
    """How a tool's effect is taken back; NONE only for a tool that the constitution names."""

    EXACT = "exact"
    COMPENSATED = "compensated"
    NONE = "none"


class Trust(IntEnum):
    """Where words come from: the minimum over their lineage; never raised."""

    UNTRUSTED = 0
    BOX = 1
    PERSON = 2


class Tier(IntEnum):
    """What a tool can touch."""

    COMPUTE = 0
    WORKSPACE = 1
    SYSTEM = 2
    DANGEROUS = 3


class ConsentLevel(IntEnum):
    """How much a person's eye matters: 0 information, 1 low, 2 logic, 3 only a person."""

    INFORM = 0
    OPT_IN = 1
    REVIEW = 2
    PERSON = 3


CONSENT: Mapping[Mode, tuple[Agree, Agree, Agree, Agree]] = MappingProxyType(
    {
        Mode.PROPOSE: (Agree.PERSON, Agree.PERSON, Agree.PERSON, Agree.PERSON),
        Mode.SUPERVISED: (Agree.NOBODY, Agree.STANDING, Agree.PERSON, Agree.PERSON),
        Mode.AUTONOMOUS: (Agree.NOBODY, Agree.STANDING, Agree.TWO_VERIFIES, Agree.PERSON),
    }
)
"""Who must agree, indexed by mode and ConsentLevel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One pointer, one lock, one line of generations."""

    kind: Kind
    address: str

    def __str__(self) -> str:
        return f"{self.kind.value}:{self.address}"


def subject_of(text: str) -> Subject:
    """The subject that `str(subject)` wrote; ValueError for another text."""
    kind, _, address = text.partition(":")
    return Subject(kind=Kind(kind), address=address)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who asked, through which door, with which engine and prompt, and how far the words are trusted.

    `engine` is `name@build`, the build being what tells two installations of one engine apart; None where no engine
    had a part in it. `prompt` is the digest of the stored words that the engine was given, None without an engine.
    """

    actor: str
    door: str
    engine: str | None
    prompt: Digest | None
    trust: Trust


CGROUP_LAYERS = ("cgroup-memory", "cgroup-pids", "cgroup-cpu")
LAYERS = (
    "user-namespace",
    "pid-namespace",
    "network-namespace",
    "seccomp",
    "landlock",
    "no-new-privileges",
    "unprivileged-uid",
    "rlimits",
    "dropped-capabilities",
    "read-only-root",
    "private-tmp",
    "private-proc",
    "no-nested-user-namespaces",
    *CGROUP_LAYERS,
)
"""The layers of a sandbox, as drivers report them and as manifests, receipts and the constitution name them."""


def address_of(path: str, branch: str) -> str:
    """The address of a workspace: its directory, and its branch where it has one."""
    return f"{path}#{branch}" if branch else path
