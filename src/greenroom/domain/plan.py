"""A plan: ordered typed tool calls; and the manifest that says what a tool may be given and may touch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from greenroom.domain.digest import Digest
from greenroom.domain.terms import Terms
from greenroom.domain.vocabulary import Subject, Tier, Trust, Undo

ArgType = Literal["text", "path", "int", "digest", "argv"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arg:
    """One argument with the trust of the words it came from; labelled by the plan stage, never by a planner."""

    value: str | int
    trust: Trust


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgRule:
    """What an argument may be: `allow` must match the whole value, `deny` must match no part of it."""

    type: ArgType
    allow: str
    deny: str
    min_trust: Trust
    max_bytes: int
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Upper bounds of one run. Seconds, thousandths of a CPU, bytes, counts, millionths of a currency unit."""

    cpu_s: int
    cpu_millicores: int
    wall_s: int
    memory_bytes: int
    disk_bytes: int
    processes: int
    output_bytes: int
    spend_micro: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolManifest:
    """A tool's signed policy. `body` is the digest of the program, which runs in a sandbox only.

    `roots` are the mount names the tool may write (`work`, `out`, `system`); `out`, where its result goes, may always
    be written, named or not. `egress` are the host:port pairs it may reach (none here); `isolation` the layers without
    which it is refused; `undo` how its effect is taken back: NONE is refused but for the tools that the constitution
    names, between EXACT and COMPENSATED nothing here makes a difference yet.
    """

    name: str
    body: Digest
    tier: Tier
    args: Mapping[str, ArgRule]
    caps: Caps
    roots: tuple[str, ...]
    network: bool
    egress: tuple[str, ...]
    per_minute: int
    cooldown_s: int
    isolation: tuple[str, ...]
    executes: bool
    undo: Undo
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One tool call of a plan. `tool` is the digest of the manifest; `after` names earlier steps."""

    id: str
    tool: Digest
    args: Mapping[str, Arg]
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Typed steps that turn `base` into Green. `blobs` are the digests of the content that the steps name.

    `terms`: who the commit is by and what else it says, and caps below the constitution's; None for the box's own.
    """

    subject: Subject
    intent: str
    base: Digest
    golden: Digest
    steps: tuple[Step, ...]
    blobs: tuple[Digest, ...]
    terms: Terms | None = None
