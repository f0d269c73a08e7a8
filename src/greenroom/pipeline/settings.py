"""Settings of a subject: the repository's `greenroom.toml`, read from base between walls, merged below the box's own.

What the person set (command line, box file) comes from the door; what the repository wishes may only narrow it. A test
command that only the repository names runs when the owner signed for it, which the guard remembers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from greenroom.domain import documents
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unusable
from greenroom.domain.ports import CheckRun, Proposer
from greenroom.domain.proof import Import, Predicate, Receipt, RunOutput
from greenroom.domain.proposal import MAX_PROPOSAL_BYTES, Proposal
from greenroom.domain.scan import Scan
from greenroom.domain.settings import REPOSITORY_FILE, Merged, Read, Value, Values, checked, merge, value_of
from greenroom.domain.terms import Terms
from greenroom.domain.trees import MAX_MANIFEST_BYTES, File, parse_manifest
from greenroom.domain.verdict import Held, Refused
from greenroom.domain.vocabulary import Subject
from greenroom.pipeline.changes import Settings
from greenroom.pipeline.holds import NOT_ALLOWED, OUTSIDE
from greenroom.pipeline.house import House
from greenroom.pipeline.plain import verdict_plain

TOOL = "read_settings_t0"
TEST_COMMAND = "test-command"
HOLDING = "settings"
"""The setting that keeps what holds for a subject since it was last looked at."""
SETTLED = "settled"
"""The setting that keeps of which base, and of which of the box's own settings, that is."""
OWN = "own-settings"
"""The setting that keeps what the box's own file said when a door last sent it."""
MAX_RESULT_BYTES = 1024 * 1024


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What later stages need of a subject's settings."""

    command: str
    terms: Terms | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Which base and which own settings hold; `wished` is what the base's `file` says, named by blob and reader."""

    tree: Digest
    file: str
    own: Mapping[str, Any]
    wished: Mapping[str, Any]


def settle(house: House, subject: Subject, tree: Digest, own: Values, only: Sequence[str]) -> Merged | Refused | Held:
    """What holds for `subject` at `tree`; kept for the stages that follow.

    `own` is what the box's file says, `only` the proposers that the command line names. Held
    `test-command-not-allowed` where the owner has not signed for the repository's command. Raises Unusable for a file
    that cannot be understood, with its line.
    """
    house.settings.put(subject, OWN, documents.encode(own).decode())
    wished = _wished(house, subject, tree)
    if isinstance(wished, Refused):
        return wished
    merged = _merged(house, subject, wished[0], own, only)
    if not allowed(house, subject, merged):
        return not_allowed(merged)
    kept = documents.encode(Holding(command=merged.command, terms=merged.terms(house.caps())))
    house.settings.put(subject, HOLDING, kept.decode())
    settled = Settled(tree=tree, file=wished[1], own=own, wished=wished[0])
    house.settings.put(subject, SETTLED, documents.encode(settled).decode())
    return merged


def look(house: House, subject: Subject, ticket: str, *, branch: str, own: Values) -> dict[str, Any]:
    """What would hold for the repository presented for `ticket`, and where each value is from. Nothing is adopted."""
    envelope = house.keeper.bring(subject, ticket, branch or None)
    if isinstance(envelope, Refused):
        return {"subject": str(subject), "verdict": verdict_plain(envelope)}
    body = house.attestor.open(house.store.get(envelope), Predicate.IMPORT, "keeper").body
    merged = merged_at(house, subject, documents.decode(Import, body).tree, own, ())
    if not isinstance(merged, Merged):
        return {"subject": str(subject), "verdict": verdict_plain(merged)}
    return {
        "subject": str(subject),
        "verdict": {"is": "passed"},
        "values": dict(merged.values),
        "sources": {**merged.sources, **_kept_source(house, subject, merged)},
        "notes": [str(note) for note in merged.notes],
        "allowed": allowed(house, subject, merged),
    }


def merged_at(
    house: House, subject: Subject, tree: Digest, own: Values, only: Sequence[str]
) -> Merged | Refused | Held:
    """The box's own settings, complete with defaults, narrowed by the file of `tree`."""
    wished = _wished(house, subject, tree)
    return wished if isinstance(wished, Refused) else _merged(house, subject, wished[0], own, only)


def _merged(house: House, subject: Subject, wished: Values, own: Values, only: Sequence[str]) -> Merged:
    kept = house.settings.get(subject, TEST_COMMAND)
    usual = tuple(sorted(set(house.proposers()) - house.optional))
    caps = house.caps()
    most: dict[str, Value] = {"caps.changes": caps.changes, "caps.lines": caps.lines, "caps.risk": caps.risk}
    mine = {**own, **merge(most, {name: own[name] for name in most if name in own}).values}
    mine["proposers"] = tuple(proposers_of(own, only)) or usual
    if kept:
        mine[TEST_COMMAND] = kept
    return merge(mine, wished)


def allowed(house: House, subject: Subject, merged: Merged) -> bool:
    """Whether the test command is the person's own, or one that the owner signed for."""
    asked = merged.sources.get(TEST_COMMAND) == "repository"
    return not asked or house.guard.command_allowed(subject, merged.command)


def not_allowed(merged: Merged) -> Held:
    """The hold of a repository whose own test command the owner has not signed for."""
    remedy = (
        f"{REPOSITORY_FILE} sets it: greenroom config approve REPO shows it and asks; "
        "--test-command sets one of your own instead"
    )
    return Held(rule=NOT_ALLOWED, where=merged.command, remedy=remedy)


def own_of(plain: Any) -> Values:
    """The box's own settings as a door sends them, checked again; Unusable as in `domain.settings.checked`."""
    if plain is None:
        return {}
    if not isinstance(plain, Mapping) or len(plain) > 64:
        raise Unusable("bad-call", "`settings` is an object of the documented keys")
    return {str(key): value_of(str(key), value, "settings") for key, value in plain.items()}


def remember_own(house: House, own: Values) -> None:
    """Keep what a door says of the box's own settings, for every subject: a change may go on without a door."""
    said = documents.encode(own).decode()
    for subject in house.changes.subjects():
        if house.settings.get(subject, OWN) != said:
            house.settings.put(subject, OWN, said)


def known_own(settings: Settings, subject: Subject) -> Values | None:
    """The box's own settings as a door last sent them; None where none has."""
    kept = settings.get(subject, OWN)
    return own_of(documents.load_json(kept.encode())) if kept else None


def settled_at(settings: Settings, subject: Subject) -> Settled | None:
    """What the settings that hold for `subject` were read from; None where nobody has looked."""
    kept = settings.get(subject, SETTLED)
    return documents.decode(Settled, kept.encode()) if kept else None


def command_of(settings: Settings, subject: Subject) -> str:
    """The test command that holds for `subject`; empty for the detected one."""
    kept = _holding(settings, subject)
    return settings.get(subject, TEST_COMMAND) if kept is None else kept.command


def terms_of(settings: Settings, subject: Subject) -> Terms | None:
    """The terms that go into the subject's plans."""
    kept = _holding(settings, subject)
    return None if kept is None else kept.terms


def proposers_of(own: Values, only: Sequence[str]) -> Sequence[str]:
    """The proposers that the person names, on the command line or else in the box's file; empty for the usual ones."""
    named = own.get("proposers", ())
    return only or (named if isinstance(named, tuple) else ())


class Within:
    """A proposer whose proposals are dropped where they change a path that the settings leave out."""

    def __init__(self, proposer: Proposer, merged: Merged) -> None:
        self._proposer = proposer
        self._merged = merged
        self._dropped = 0

    @property
    def name(self) -> str:
        """The proposer's own name."""
        return self._proposer.name

    @property
    def scan(self) -> Scan | None:
        """What the last scan saw, with what was dropped here."""
        found = getattr(self._proposer, "scan", None)
        if not isinstance(found, Scan) or not self._dropped:
            return found if isinstance(found, Scan) else None
        dropped = {**found.counts.dropped, OUTSIDE: self._dropped}
        proposed = max(0, found.counts.proposed - self._dropped)
        return dataclasses.replace(found, counts=dataclasses.replace(found.counts, proposed=proposed, dropped=dropped))

    def propose(self, subject: Subject, live: Digest) -> Iterable[bytes]:
        """The proposals that stay within the settings, as they came; a malformed one is for the caller to refuse."""
        self._dropped = 0
        kept = []
        for body in self._proposer.propose(subject, live):
            if self._merged.permits(_files(body)):
                self._dropped += 1
            else:
                kept.append(body)
        return kept


def _files(body: bytes) -> tuple[str, ...]:
    try:
        return documents.decode(Proposal, body, limit=MAX_PROPOSAL_BYTES).files
    except Unusable:
        return ()


def _wished(house: House, subject: Subject, tree: Digest) -> tuple[Values, str] | Refused:
    """What the tree's own file says, and the file's name; nothing where there is none. Only the sandbox reads it, and
    the same file not twice.
    """
    entries = parse_manifest(house.store.get(tree, MAX_MANIFEST_BYTES)).by_path()
    entry = entries.get(REPOSITORY_FILE.encode())
    if entry is None:
        return {}, ""
    tool = house.tools().get(TOOL)
    if tool is None:
        return Refused(rule="tool-unknown", where=TOOL, remedy="greenroom init, which signs this installation's tools")
    name = f"{entry.blob} {tool}" if isinstance(entry, File) else ""
    known = settled_at(house.settings, subject)
    if known is not None and name and known.file == name:
        return {key: value_of(key, value, REPOSITORY_FILE) for key, value in known.wished.items()}, name
    run = CheckRun(
        check="settings", role="repository", tool=tool, args={}, trees={"base": tree}, golden=house.keeper.golden()
    )
    answer = house.keeper.check(run)
    if isinstance(answer, Refused):
        return answer
    receipt = documents.decode(Receipt, house.attestor.open(house.store.get(answer), Predicate.RECEIPT, "keeper").body)
    output = documents.decode(RunOutput, house.store.get(receipt.output))
    if receipt.ended_by != "exit" or receipt.exit != 0 or output.result is None:
        where = f"{TOOL} ended by {receipt.ended_by}, exit {receipt.exit}"
        return Refused(rule="settings-unread", where=where, remedy=f"make {REPOSITORY_FILE} smaller, then try again")
    read = documents.decode(Read, house.store.get(output.result, MAX_RESULT_BYTES), limit=MAX_RESULT_BYTES)
    return checked(read, REPOSITORY_FILE, repository=True), name


def _kept_source(house: House, subject: Subject, merged: Merged) -> dict[str, str]:
    kept = house.settings.get(subject, TEST_COMMAND)
    return {TEST_COMMAND: "command line"} if kept and merged.command == kept else {}


def _holding(settings: Settings, subject: Subject) -> Holding | None:
    kept = settings.get(subject, HOLDING)
    return documents.decode(Holding, kept.encode()) if kept else None
