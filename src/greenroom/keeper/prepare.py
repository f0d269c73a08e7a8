"""Prepare: a subject's own dependencies, in two steps, before tests and never during them.

1. *discover*: `find_requirements_t0` reads the tree between walls; hostile text is parsed there.
2. *fetch*: a broker with a network gets wheels for the list of requirements, its sole input, and gives a lock.
3. *install*: `install_wheels_t1` unpacks the wheels between walls, without a network.

The installed tree and the lock join the golden, so that a run names exactly what it stood on. What the project
itself needs must be had, else the answer is Held. What only its tests need is left out where it cannot be had, and
the golden's notes say so, for the card. An entry of a wheel that no tree may hold, a `.git`, is left out likewise.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from greenroom.clearing import removed
from greenroom.domain import documents
from greenroom.domain.digest import Digest, hex_of, parse_digest
from greenroom.domain.errors import Unusable
from greenroom.domain.failures import FETCH, Failure
from greenroom.domain.verdict import Held, Refused
from greenroom.keeper.golden import Golden
from greenroom.keeper.runs import Job, Ran, Runner

FIND, INSTALL = "find_requirements_t0", "install_wheels_t1"
RUNNER = frozenset({"pytest", "pluggy", "iniconfig"})
"""What runs the tests is the toolchain's own, whatever a project asks for."""
MAX_TRIES = 40
_WHEELS = "wheels-"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
T = TypeVar("T")
_PASSING = frozenset({"index-unreachable", "fetch-timeout", "stopped"})

Fetch = Callable[[Sequence[str], Path], bytes | Held]
"""Wheels for PEP 508 requirements into an empty directory; the lock's canonical bytes, or why not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One requirement as found: `needed` by the project itself, or by its tests only."""

    text: str
    source: str
    needed: bool

    @property
    def name(self) -> str:
        """The distribution's normalised name (PEP 503)."""
        return _name(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """The result document of `find_requirements_t0`."""

    project: Mapping[str, Any] | None
    python: str
    requirements: tuple[Requirement, ...]
    sources: Mapping[str, int]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """The result document of `install_wheels_t1`: `left_out` names entries that no tree may hold, some of them."""

    wheels: tuple[str, ...]
    project: str
    left_out: tuple[str, ...] = ()
    left_out_more: int = 0

    def notes(self) -> Iterator[str]:
        """What to tell of the entries that were left out."""
        yield from (f"without {path} of a dependency: a tree may not hold a .git"[:300] for path in self.left_out)
        if self.left_out_more > 0:
            yield f"without {self.left_out_more} more such entries of dependencies"


@dataclass(slots=True)
class _Fetched:
    lock: bytes | None = None
    directory: Path | None = None
    notes: list[str] = field(default_factory=list)
    lasting: bool = True
    barred: list[str] = field(default_factory=list)


class _NotNow(Exception):
    """The way is barred: what to hold with."""

    def __init__(self, held: Held) -> None:
        super().__init__(held.rule)
        self.held = held


class Preparer:
    """Makes goldens with dependencies; remembers them by (what is required, golden), for all trees that ask for it.

    What a killed keeper left half fetched is removed at the start, and what it half remembered is made again.

    `runner` is the keeper's; `tools` gives manifest digests by tool name; `directory` is the preparer's own, for
    wheels on their way and for what is remembered. `place` says where the box's own file has wheels come from: what
    was made from elsewhere is made again.
    """

    def __init__(
        self,
        *,
        runner: Runner,
        fetch: Fetch,
        tools: Callable[[], Mapping[str, Digest]],
        directory: Path,
        place: Callable[[], str] = str,
    ) -> None:
        self._runner = runner
        self._goldens = runner.goldens
        self._store = runner.store
        self._fetch = fetch
        self._tools = tools
        self._directory = directory
        self._crash_point = runner.crash_point
        self._place = place
        for path in (directory, directory / "known"):
            path.mkdir(mode=0o755, parents=True, exist_ok=True)
        for left in (*directory.glob(f"{_WHEELS}*"), *directory.glob("*.part")):
            removed(left)

    def prepare(self, tree: Digest) -> Digest | Held:
        """The golden to build and try changes of `tree` on, and of no other; its document names `tree`.

        Held: the fetch's rule when something that the project needs cannot be had (`where` names it), the run's
        rule when a sandbox refused or a tool broke.
        """
        golden = self._goldens.current()
        try:
            found = self._discover(tree, golden)
            self._crash_point("prepare.found")
            key = _key(found, golden, self._place())
            known = self._remembered(key)
            return self._goldens.of_tree(known if known is not None else self._make(found, golden, key), tree)
        except _NotNow as barred:
            return barred.held

    def _discover(self, tree: Digest, golden: Digest) -> Discovered:
        ran = self._run(Job(check="prepare", role="find", tool=self._tool(FIND), golden=golden, trees={"base": tree}))
        return _read(Discovered, FIND, ran)

    def _make(self, found: Discovered, golden: Digest, key: str) -> Digest:
        wanted = [r for r in found.requirements if r.needed or r.name not in RUNNER]
        if not wanted and found.project is None:
            return golden
        wheels = Path(tempfile.mkdtemp(prefix=_WHEELS, dir=self._directory))
        try:
            fetched = self._had(wanted, wheels)
            self._crash_point("prepare.fetched")
            made = self._install(found, fetched, golden)
        finally:
            removed(wheels)
        self._crash_point("prepare.registered")
        if fetched.lasting:
            self._remember(key, made)
            self._crash_point("prepare.remembered")
        return made

    def _install(self, found: Discovered, fetched: _Fetched, golden: Digest) -> Digest:
        inputs = {"project.json": self._store.put("blob", documents.encode(found.project))}
        if fetched.directory is not None:
            for path in sorted(fetched.directory.iterdir()):
                if _name(path.name.partition("-")[0]) not in RUNNER:
                    inputs[path.name] = self._store.put("blob", path.read_bytes())
        job = Job(
            check="prepare",
            role="install",
            tool=self._tool(INSTALL),
            golden=golden,
            inputs=inputs,
            sealed="site",
        )
        ran = self._run(job)
        installed = _read(Installed, INSTALL, ran)
        self._crash_point("prepare.installed")
        base: Golden = self._goldens.open(golden)
        return self._goldens.register(
            dataclasses.replace(
                base,
                deps=ran.sealed,
                lock=self._store.put("lock", fetched.lock) if fetched.lock is not None else None,
                notes=(*base.notes, *found.notes, *_other_runner(found, base), *fetched.notes, *installed.notes()),
                indexes=_indexes(fetched.lock),
            )
        )

    def _had(self, wanted: Sequence[Requirement], wheels: Path) -> _Fetched:
        """What `_choose` gives. What could not be had is one entry of the log, by the first rule that barred it."""
        fetched = _Fetched()
        try:
            self._choose(wanted, wheels, fetched)
        finally:
            rule = fetched.barred[0] if fetched.barred else ""
            if rule and "stopped" not in fetched.barred:
                self._runner.failed(Failure(during="prepare", tool=FETCH, tier=None, rule=rule))
        return fetched

    def _choose(self, wanted: Sequence[Requirement], wheels: Path, fetched: _Fetched) -> None:
        """The most that can be had: everything, else everything but what fails, else what the project needs."""
        needed = [r for r in wanted if r.needed]
        optional = [r for r in wanted if not r.needed]
        for _ in range(MAX_TRIES):
            held = self._try(needed + optional, wheels, fetched)
            if held is None:
                return
            if held.rule in _PASSING:
                fetched.lasting = False
                break
            culprits = [r for r in optional if r.name == _name(held.where)]
            if not culprits:
                break
            optional = [r for r in optional if r not in culprits]
            fetched.notes += [_note(r, held) for r in culprits]
        held = self._try(needed, wheels, fetched)
        if held is not None:
            raise _NotNow(held)
        if optional and fetched.lasting:
            self._add_one_by_one(needed, optional, wheels, fetched)
        elif optional:
            fetched.notes.append(_without(optional, "the package index cannot be reached"))

    def _add_one_by_one(
        self, needed: Sequence[Requirement], optional: Sequence[Requirement], wheels: Path, fetched: _Fetched
    ) -> None:
        """Each optional requirement that can be had together with what is there already."""
        kept = list(needed)
        for requirement in optional[:MAX_TRIES]:
            held = self._try([*kept, requirement], wheels, fetched)
            if held is None:
                kept.append(requirement)
            else:
                fetched.notes.append(_note(requirement, held))
        if len(optional) > MAX_TRIES:
            fetched.notes.append(_without(optional[MAX_TRIES:], "too many to be tried one by one"))

    def _try(self, requirements: Sequence[Requirement], wheels: Path, fetched: _Fetched) -> Held | None:
        """Fetch `requirements`; `fetched` holds what came, and stays as it is where it fails."""
        if not requirements:
            return None
        into = Path(tempfile.mkdtemp(dir=wheels))
        answer = self._fetch([r.text for r in requirements], into)
        if isinstance(answer, Held):
            fetched.barred.append(answer.rule)
            removed(into)
            return answer
        if fetched.directory is not None:
            removed(fetched.directory)
        fetched.lock, fetched.directory = answer, into
        return None

    def _run(self, job: Job) -> Ran:
        ran = self._runner.run(job)
        if isinstance(ran, Refused):
            raise _NotNow(_held(ran.rule, ran.where, ran.remedy))
        if ran.refused is not None:
            raise _NotNow(_held(ran.refused.rule, ran.refused.where, ran.refused.remedy))
        return ran

    def _tool(self, name: str) -> Digest:
        tool = self._tools().get(name)
        if tool is None:
            raise Unusable("unknown-tool", f"the signed policy has no tool {name!r}")
        return tool

    def _remembered(self, key: str) -> Digest | None:
        """The golden made before for `key`; None where there is none, or where it is not whole any more."""
        try:
            golden = parse_digest((self._directory / "known" / key).read_text("ascii").strip())
            made = self._goldens.open(golden)
        except (OSError, ValueError, Unusable):
            return None
        return golden if made.deps is None or self._store.has(made.deps) else None

    def _remember(self, key: str, golden: Digest) -> None:
        part = self._directory / f"{key}.part"
        with part.open("w", encoding="ascii") as file:
            file.write(golden)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._directory / "known" / key)


def _read(kind: type[T], tool: str, ran: Ran) -> T:
    if ran.result is None:
        raise _NotNow(_held("bad-result", tool, "the tool left no result"))
    try:
        return documents.decode(kind, ran.result)
    except Unusable as error:
        raise _NotNow(_held("bad-result", f"{tool}: {error}", "report it; the tool is ours")) from None


def _indexes(lock: bytes | None) -> Mapping[str, str]:
    """The names that each index gave, by the lock."""
    wheels = documents.load_json(lock).get("wheels", ()) if lock is not None else ()
    names: dict[str, list[str]] = {}
    for wheel in wheels:
        if wheel.get("index"):
            names.setdefault(wheel["index"], []).append(wheel["name"])
    return {index: ", ".join(found) for index, found in sorted(names.items())}


def _key(found: Discovered, golden: Digest, place: str) -> str:
    required = {"project": found.project, "requirements": found.requirements, "golden": hex_of(golden)}
    required |= {"place": place} if place else {}
    return hashlib.sha256(documents.encode(required)).hexdigest()


def _name(text: str) -> str:
    found = _NAME.match(text)
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else ""


def _other_runner(found: Discovered, golden: Golden) -> tuple[str, ...]:
    """What to tell when the project bounds the version of what runs its tests, which is the toolchain's own."""
    versions = {_name(name): version for name, version in golden.packages.items()}
    bounded = [r for r in found.requirements if r.name in RUNNER and any(c in r.text for c in ("<", "==", "~="))]
    return tuple(f"asks for {r.text}; tests run with {r.name} {versions.get(r.name, '')}".strip() for r in bounded)


def _note(requirement: Requirement, held: Held) -> str:
    return f"without {requirement.text} ({requirement.source}): {held.rule} {held.where}".strip()[:300]


def _without(requirements: Sequence[Requirement], why: str) -> str:
    return f"without {', '.join(r.text for r in requirements)}: {why}"[:300]


def _held(rule: str, where: str, remedy: str) -> Held:
    return Held(rule=rule, where=where, remedy=remedy)
