"""Kinds whose files are flipped: one small pointer file for each subject, replaced by rename."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from greenroom.domain.digest import Digest, parse_digest
from greenroom.domain.documents import decode, encode
from greenroom.domain.errors import NotFound, Tampered, Unusable
from greenroom.domain.ports import Store, Trees, UndoRecord
from greenroom.domain.trees import File
from greenroom.domain.verdict import Instant
from greenroom.domain.vocabulary import Subject
from greenroom.release.store import disk_full, sync_directory
from greenroom.release.trees import file_bytes

MAX_POINTER_BYTES = 4096
MAX_GENERATION_BYTES = 64 * 1024
MAX_MESSAGE_CHARACTERS = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One tree in a subject's line of generations; stored as an `entry`, its digest is the position."""

    subject: Subject
    tree: Digest
    parent: Digest | None
    message: str
    at: Instant
    origin: Mapping[str, str] = field(default_factory=dict)
    author: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """What the pointer file says: the live generation and its tree."""

    generation: Digest
    tree: Digest


class PointerRelease:
    """The Release port with pointer files; generations, trees and files stay in the store.

    Errors: NotFound `no-subject`, Tampered `live-broken`, Unusable `disk-full`.
    """

    def __init__(self, directory: Path, store: Store, trees: Trees) -> None:
        self._directory = Path(directory)
        self._store = store
        self._trees = trees
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def live(self, subject: Subject) -> Digest | None:
        """The live tree, or None before `begin`."""
        pointer = self._read(subject)
        return None if pointer is None else pointer.tree

    def begin(self, subject: Subject, tree: Digest, origin: Mapping[str, str], parent_bytes: bytes) -> Digest:
        """Make the imported `tree` live; `parent_bytes` (what it was imported from) is kept by digest."""
        with self._locked(subject):
            now = self._read(subject)
            if now is not None and now.tree == tree:
                return tree
            self._check(tree)
            kept = {**origin, "parent_bytes": self._store.put("blob", parent_bytes)}
            parent = None if now is None else now.generation
            made = Generation(subject=subject, tree=tree, parent=parent, message="import", at=Instant(0), origin=kept)
            self._write(subject, self._store.put("entry", encode(made)), tree)
        return tree

    def save(self, subject: Subject, at: Instant) -> UndoRecord:
        """An undo record; its `bundle` is a copy of the live tree's manifest, which names every file in the store."""
        pointer = self._pointer(subject)
        manifest = self._check(pointer.tree)
        saved = self._store.put("undo", manifest)
        return UndoRecord(subject=subject, live=pointer.tree, commit=pointer.generation, bundle=saved, at=at)

    def stage(self, subject: Subject, tree: Digest, message: str, at: Instant, author: str = "") -> str:
        """A durable generation on top of the live one, not yet live; every file is read and rehashed."""
        with self._locked(subject):
            pointer = self._pointer(subject)
            self._check(tree)
            words = message[:MAX_MESSAGE_CHARACTERS].encode("utf-8", "replace").decode()
            made = Generation(
                subject=subject, tree=tree, parent=pointer.generation, message=words, at=at, author=author
            )
            return self._store.put("entry", encode(made))

    def swap(self, subject: Subject, expect: Digest, to: Digest, staged: str) -> bool:
        """Flip the pointer to `staged` if `expect` is live and `staged` stands on it; durable when True."""
        with self._locked(subject):
            pointer = self._pointer(subject)
            generation = parse_digest(staged)
            candidate = decode(Generation, self._store.get(generation, MAX_GENERATION_BYTES))
            if candidate.tree != to or candidate.subject != subject:
                return False
            if pointer.generation == generation:
                sync_directory(self._directory)
                return True
            if pointer.tree != expect or candidate.parent != pointer.generation:
                return False
            self._write(subject, generation, to)
        return True

    def rehash(self, subject: Subject) -> Digest:
        """The live tree's digest, after every byte was read and hashed; Tampered when one is not what it was."""
        pointer = self._pointer(subject)
        try:
            self._check(pointer.tree)
        except NotFound as error:
            raise Tampered("live-broken", error.message, where=error.where) from None
        return pointer.tree

    def position(self, subject: Subject) -> str:
        """The digest of the live generation; NotFound `no-subject`."""
        return self._pointer(subject).generation

    def _check(self, tree: Digest) -> bytes:
        manifest = self._trees.manifest(tree)
        for entry in manifest.entries:
            if isinstance(entry, File):
                file_bytes(self._store, entry)
        return manifest.encode()

    def _generation(
        self,
        subject: Subject,
        tree: Digest,
        parent: Digest | None,
        message: str,
        at: Instant,
        origin: Mapping[str, str],
    ) -> Digest:
        words = message[:MAX_MESSAGE_CHARACTERS].encode("utf-8", "replace").decode()
        made = Generation(subject=subject, tree=tree, parent=parent, message=words, at=at, origin=origin)
        return self._store.put("entry", encode(made))

    def _pointer(self, subject: Subject) -> Pointer:
        pointer = self._read(subject)
        if pointer is None:
            raise NotFound("no-subject", "nothing was imported for this subject", where=str(subject))
        return pointer

    def _read(self, subject: Subject) -> Pointer | None:
        try:
            with open(self._path(subject), "rb") as file:
                return decode(Pointer, file.read(MAX_POINTER_BYTES))
        except FileNotFoundError:
            return None
        except (OSError, Unusable):
            raise Tampered("live-broken", "the pointer file cannot be read", where=str(subject)) from None

    def _write(self, subject: Subject, generation: Digest, tree: Digest) -> None:
        path = self._path(subject)
        scratch = path.with_name(f".{secrets.token_hex(8)}")
        with disk_full(self._directory):
            try:
                with open(scratch, "wb") as file:
                    file.write(encode(Pointer(generation=generation, tree=tree)))
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(scratch, path)
            finally:
                scratch.unlink(missing_ok=True)
            sync_directory(self._directory)

    def _path(self, subject: Subject) -> Path:
        return self._directory / f"{hashlib.sha256(str(subject).encode()).hexdigest()[:32]}.json"

    @contextmanager
    def _locked(self, subject: Subject) -> Iterator[None]:
        fd = os.open(self._path(subject).with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)
