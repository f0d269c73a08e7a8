"""Improve: take a repository in, show what is worth changing, carry the cheapest of it as far as it goes.

What is found is a proposal before anything is tried, and stays one until a run carries it: see `queue.py`. A finding
that is known is not proposed again; one whose change was held for a passing reason is tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from greenroom.domain import documents
from greenroom.domain.digest import Digest
from greenroom.domain.errors import Unusable
from greenroom.domain.ports import Proposer
from greenroom.domain.proof import Import
from greenroom.domain.settings import Merged, Values, value_of
from greenroom.domain.trees import MAX_MANIFEST_BYTES, parse_manifest
from greenroom.domain.verdict import Passed
from greenroom.domain.vocabulary import Kind, Mode, Subject, address_of
from greenroom.pipeline.branching import settle_branches
from greenroom.pipeline.bringing import bring
from greenroom.pipeline.carrying import cut_short
from greenroom.pipeline.deciding import wake
from greenroom.pipeline.house import House, Tell
from greenroom.pipeline.languages import suffixes_of, unread
from greenroom.pipeline.narrowing import end_left_out
from greenroom.pipeline.plain import verdict_plain
from greenroom.pipeline.proposing import Scene, propose
from greenroom.pipeline.queue import Limits, carry_within
from greenroom.pipeline.settings import TEST_COMMAND, Within, proposers_of, settle

MODES = tuple(Mode)
Choice = Mapping[str, Callable[[Digest], Proposer]]
MAX_ANSWER_BYTES = 768 * 1024
"""Leaves room in a frame, which is bounded."""
NO_GIT = (
    "there is no git here: taken in as an unpacked source release, and nothing is delivered to it; "
    "`greenroom diff ID --patch` gives a change, `git init` and a commit make it a repository"
)


def improve(
    house: House,
    ticket: str,
    *,
    path: str,
    branch: str,
    only: Sequence[str],
    mode: Mode | None,
    tell: Tell,
    test_command: str | None = None,
    limits: Limits | None = None,
    noticed: Mapping[str, str] | None = None,
    own: Values | None = None,
) -> dict[str, Any]:
    """Import the repository presented for `ticket`, find what is worth changing, carry within `limits`.

    `path` and `branch` name the subject; the keeper checks the directory itself. Every change that is carried ends
    refused, or held for a person; every other waits as `queued`. When whoever asked hangs up (`tell.gone`), the change
    under way is finished and no other begun. `test_command` is kept for the subject, empty forgets it; it is shown on
    each card and binds each consent. `noticed` is what became of branches that changes were delivered as
    (`branching.FATES`), by change. `own` are the box's own settings, which the repository's `greenroom.toml` narrows;
    Unusable where it is malformed, and for a `test_command` that is neither pytest nor unittest.
    """
    chosen = _chosen(house, proposers_of(own or {}, only))
    began = house.clock.now()
    subject = workspace(path, branch)
    if test_command is not None:
        if test_command:
            value_of(TEST_COMMAND, test_command, "--test-command")
        house.settings.put(subject, TEST_COMMAND, test_command)
    tell({"event": "import", "subject": str(subject)})
    brought = bring(house, subject, ticket, path=path, branch=branch)
    if not isinstance(brought, Import):
        return _answer(subject, None) | {"verdict": verdict_plain(brought)}
    settled = settle_branches(house, subject, noticed or {})
    tell({"event": "imported", "tree": brought.tree, "commit": brought.commit})
    answer = {**_answer(subject, brought.tree), "branches": settled}
    merged = settle(house, subject, brought.tree, own or {}, only)
    if not isinstance(merged, Merged):
        return {**answer, "verdict": verdict_plain(merged)}
    answer["ended"].extend(end_left_out(house, subject, brought.tree))
    wake(house, subject, tell)
    chosen = _within(chosen, merged)
    answer["notes"].extend(map(str, merged.notes))
    lowered, notes = _mode(house, mode)
    answer["notes"].extend(notes)
    answer["mode"] = lowered.value
    if not brought.branch:
        answer["notes"].append(NO_GIT)
    scene = Scene(subject=subject, brought=brought, golden=house.keeper.golden(), mode=lowered)
    found = propose(house, chosen, scene, answer, tell)
    answer["unread"].extend(_unread(house, chosen, scene))
    stopped_by = carry_within(house, found, limits or Limits(), began, answer, tell)
    return fitted({**answer, "verdict": verdict_plain(stopped_by or cut_short(house) or Passed())})


def workspace(path: str, branch: str) -> Subject:
    """The subject that a repository's path and branch name."""
    return Subject(kind=Kind.WORKSPACE, address=address_of(path, branch))


def _within(chosen: Choice, merged: Merged) -> Choice:
    """The chosen proposers that the settings leave, each kept to the paths that they leave."""

    def kept(make: Callable[[Digest], Proposer]) -> Callable[[Digest], Proposer]:
        return lambda golden: Within(make(golden), merged)

    return {name: kept(make) for name, make in chosen.items() if name in merged.list("proposers")}


def fitted(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer, without the scans' reports where it would be too long for one; they were told as they were found."""
    if len(documents.encode(answer)) <= MAX_ANSWER_BYTES:
        return answer
    note = "the findings without a patch are too many for one answer: `--only PROPOSER` shows those of one"
    scans = [{**scan, "reports": []} for scan in answer["scans"]]
    return {**answer, "scans": scans, "notes": [*answer["notes"], note]}


def _answer(subject: Subject, live: Digest | None) -> dict[str, Any]:
    """What improve tells, before there is anything to tell."""
    lists = ("changes", "known", "left", "failed", "ended", "scans", "unread", "notes", "branches", "withheld")
    return {"subject": str(subject), "live": live, "spent_s": 0.0, "left_because": "", **{name: [] for name in lists}}


def _mode(house: House, asked: Mode | None) -> tuple[Mode, Sequence[str]]:
    """The mode for the changes, and what to tell when it is not the one that was asked for."""
    of_box = house.guard.status().mode
    lowered = of_box if asked is None else min(asked, of_box, key=MODES.index)
    if asked in (None, lowered):
        return lowered, ()
    return lowered, (f"the box is in mode {of_box.value}; --mode may only lower it",)


def _unread(house: House, chosen: Iterable[str], scene: Scene) -> list[dict[str, Any]]:
    """The languages that none of the chosen proposers says it reads."""
    reading = {}
    for name, make in house.proposers().items():
        try:
            reading[name] = suffixes_of(make(scene.golden))
        except Unusable:
            continue
    tree = parse_manifest(house.store.get(scene.brought.tree, MAX_MANIFEST_BYTES))
    return unread(tree, reading, chosen, house.store.get)


def _chosen(house: House, only: Sequence[str]) -> Mapping[str, Callable[[Digest], Proposer]]:
    proposers = house.proposers()
    unknown = sorted(set(only) - set(proposers))
    if unknown:
        raise Unusable(
            "unknown-proposer", f"no proposer {unknown[0]!r}", remedy=f"one of: {', '.join(sorted(proposers))}"
        )
    wanted = set(only) or set(proposers) - house.optional
    return {name: make for name, make in proposers.items() if name in wanted}
