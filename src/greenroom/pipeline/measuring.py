"""Reads the papers of changes for the metrics: who agreed in their debates, and how their runs ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from greenroom.domain import documents
from greenroom.domain.change import Change
from greenroom.domain.debate import read_transcript
from greenroom.domain.digest import Digest
from greenroom.domain.errors import GreenroomError
from greenroom.domain.metrics import Papers, Run
from greenroom.domain.plan import ToolManifest
from greenroom.domain.ports import Attestor, Store
from greenroom.pipeline.runs import uses_of


def read_papers(changes: Iterable[Change], store: Store, opener: Attestor) -> Papers:
    """What the papers of `changes` tell; a change whose papers cannot be read counts as `unread`."""
    debates: list[bool] = []
    runs: list[Run] = []
    unread = 0
    tools: dict[Digest, ToolManifest] = {}
    for change in changes:
        try:
            transcript = read_transcript(store, change.debate)
            made = list(_runs(change, store, opener, tools))
        except GreenroomError:
            unread += 1
            continue
        runs += made
        if transcript is not None:
            debates.append(len(transcript.rounds) == 1 and transcript.ruling != "ERROR")
    return Papers(agreed=tuple(debates), runs=tuple(runs), unread=unread)


def _runs(change: Change, store: Store, opener: Attestor, tools: dict[Digest, ToolManifest]) -> Iterator[Run]:
    for digest, ended_well in uses_of(change, store, opener):
        if digest not in tools:
            tools[digest] = documents.decode(ToolManifest, store.get(digest))
        yield Run(tool=tools[digest].name, tier=tools[digest].tier, ended_well=ended_well)
