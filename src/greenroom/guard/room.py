"""What every procedure of the guard works with: the ports, its ledger, its stop, its journal, its locks."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from greenroom.domain.constitution import Constitution
from greenroom.domain.digest import Digest
from greenroom.domain.errors import NotFound, Tampered
from greenroom.domain.ports import Attestor, Policy, Release, Store
from greenroom.domain.proof import Import
from greenroom.domain.vocabulary import Mode, Subject
from greenroom.guard.journal import Journal, SteadyClock
from greenroom.guard.ledger import Ledger
from greenroom.guard.stop import StopSwitch
from greenroom.guard.uptime import Uptime

MODES = (Mode.PROPOSE, Mode.SUPERVISED, Mode.AUTONOMOUS)
"""From the lowest to the highest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The policy in force and the constitution that it was made from."""

    policy: Policy
    constitution: Constitution


class RulesInForce:
    """The rules that the owner's last constitution order names; read and checked by digest once."""

    def __init__(self, load: Callable[[Digest], Rules], ledger: Ledger) -> None:
        self._load = load
        self._ledger = ledger
        self._lock = threading.Lock()
        self._held: tuple[Digest, Rules] | None = None

    @property
    def digest(self) -> Digest | None:
        """The policy bundle in force; None before the first order."""
        value = self._ledger.setting("policy")
        return None if value is None else Digest(value)

    def read(self, policy: Digest) -> Rules:
        """The rules of a bundle; raises Tampered `policy-differs` when they are not what the digest names."""
        rules = self._load(policy)
        if rules.policy.digest != policy:
            raise Tampered("policy-differs", "the policy that was loaded is not the one that was signed", where=policy)
        return rules

    def current(self) -> Rules:
        """The rules in force; raises NotFound `no-constitution` when the owner has signed none."""
        digest = self.digest
        if digest is None:
            raise NotFound("no-constitution", "the owner has signed no constitution", remedy="greenroom init")
        with self._lock:
            if self._held is None or self._held[0] != digest:
                self._held = (digest, self.read(digest))
            return self._held[1]


class Locks:
    """One lock per subject."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)

    def of(self, subject: Subject) -> threading.RLock:
        """The lock of `subject`."""
        with self._lock:
            return self._locks[str(subject)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The guard's desk. `belongs` says whether an import was read at the place that its subject names.

    `log_writable` says whether the log can take an entry. `crash_point` is told the name of each place where a crash
    would be worst. `uptime` tells how long the machine is on. `ordering` lets one order of the owner through at a time.
    """

    store: Store
    release: Release
    attestor: Attestor
    clock: SteadyClock
    journal: Journal
    ledger: Ledger
    stop: StopSwitch
    rules: RulesInForce
    disk_free: Callable[[], int]
    crash_point: Callable[[str], None]
    belongs: Callable[[Import], bool]
    log_writable: Callable[[], bool]
    uptime: Callable[[], Uptime]
    locks: Locks = field(default_factory=Locks)
    ordering: threading.RLock = field(default_factory=threading.RLock)

    @property
    def mode(self) -> Mode:
        """The mode that the owner set; `propose` until then."""
        return Mode(self.ledger.setting("mode") or Mode.PROPOSE.value)

    def lowest(self, asked: Mode) -> Mode:
        """The mode of one change: what it asks for, never above what the owner set."""
        return min(asked, self.mode, key=MODES.index)
