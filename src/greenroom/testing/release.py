"""A Release in memory: the toy kind that proves that the flow has no branch on kinds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from greenroom.domain.digest import Digest
from greenroom.domain.errors import NotFound, Tampered
from greenroom.domain.ports import Store, Trees, UndoRecord
from greenroom.domain.trees import File
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """One tree that was staged on a parent."""

    subject: Subject
    tree: Digest
    parent: str


class MemoryRelease:
    """The Release port in dictionaries; trees and files are those of `store` and `trees`."""

    def __init__(self, store: Store, trees: Trees) -> None:
        self._store = store
        self._trees = trees
        self._staged: dict[str, Staged] = {}
        self._live: dict[Subject, str] = {}

    def live(self, subject: Subject) -> Digest | None:
        """The live tree, or None before `begin`."""
        at = self._live.get(subject)
        return None if at is None else self._staged[at].tree

    def begin(self, subject: Subject, tree: Digest, origin: Mapping[str, str], parent_bytes: bytes) -> Digest:
        """Make the imported `tree` live."""
        if self.live(subject) != tree:
            self._check(tree)
            said = f"{sorted(origin.items())}{parent_bytes.hex()}"
            self._live[subject] = self._keep(Staged(subject=subject, tree=tree, parent=""), said)
        return tree

    def save(self, subject: Subject, at: Instant) -> UndoRecord:
        """An undo record; its `bundle` is the manifest of the live tree."""
        commit = self.position(subject)
        tree = self._staged[commit].tree
        bundle = self._store.put("undo", self._trees.manifest(tree).encode())
        return UndoRecord(subject=subject, live=tree, commit=commit, bundle=bundle, at=at)

    def stage(self, subject: Subject, tree: Digest, message: str, at: Instant, author: str = "") -> str:
        """Keep `tree` on top of the live one."""
        self._check(tree)
        return self._keep(Staged(subject=subject, tree=tree, parent=self.position(subject)), f"{message}{at}{author}")

    def swap(self, subject: Subject, expect: Digest, to: Digest, staged: str) -> bool:
        """Compare and swap."""
        position = self.position(subject)
        candidate = self._staged.get(staged)
        if candidate is None or candidate.tree != to or candidate.subject != subject:
            return False
        if position == staged:
            return True
        if self._staged[position].tree != expect or candidate.parent != position:
            return False
        self._live[subject] = staged
        return True

    def rehash(self, subject: Subject) -> Digest:
        """The live tree's digest, after every file was read and rehashed; Tampered `live-broken`."""
        tree = self._staged[self.position(subject)].tree
        try:
            self._check(tree)
        except NotFound as error:
            raise Tampered("live-broken", error.message, where=error.where) from None
        return tree

    def position(self, subject: Subject) -> str:
        """The name of what is live; NotFound `no-subject`."""
        if subject not in self._live:
            raise NotFound("no-subject", "nothing was imported for this subject", where=str(subject))
        return self._live[subject]

    def _keep(self, staged: Staged, words: str) -> str:
        name = hashlib.sha256(f"{staged}{words}".encode("utf-8", "replace")).hexdigest()[:40]
        self._staged[name] = staged
        return name

    def _check(self, tree: Digest) -> None:
        for entry in self._trees.manifest(tree).entries:
            if isinstance(entry, File):
                self._store.get(entry.blob)
