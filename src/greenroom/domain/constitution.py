"""The constitution as a type: what no change may do, whoever agrees. The policy room reads it from YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from greenroom.domain.vocabulary import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCaps:
    """Upper bounds per subject and UTC day."""

    changes: int
    lines: int
    risk: int
    spend_micro: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRules:
    """Bounds of one plan; tiers from which a snapshot or a tripcode is needed."""

    max_steps: int
    max_parallel: int
    snapshot_from_tier: int
    tripcode_from_tier: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxRules:
    """Layers without which nothing runs; what is allowed where no cgroup is delegated."""

    required_layers: tuple[str, ...]
    allow_without_cgroup: bool
    min_disk_free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TestRules:
    """`min_share`: percent of base's tests that must pass in the sandbox for tests to count as evidence.

    `probe_seconds`: for how many seconds probes of the live state must be green without a break.
    """

    __test__ = False
    min_share: int
    probe_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Constitution:
    """The signed rules of a box. Paths are globs in the manner of gitignore, matched on whole paths.

    `postconditions` says for each kind of subject what must hold on the live state before it is marked good.
    `apply_window_seconds`: for how long a change that an opt-in lets through can still be cancelled.
    """

    schema: int
    never: tuple[str, ...]
    unrevertible_tools: tuple[str, ...]
    protected_paths: tuple[str, ...]
    allowed_paths: tuple[str, ...]
    caps: DayCaps
    plan: PlanRules
    sandbox: SandboxRules
    tests: TestRules
    postconditions: Mapping[Kind, tuple[str, ...]]
    consent_seconds: int
    warrant_seconds: int
    apply_window_seconds: int = 3600
