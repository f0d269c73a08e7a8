"""Durable runs: DBOS carries a change through its stages and picks it up after a crash.

A run is started for a change at a version and ends when the change is terminal or held. Steps are
at-least-once; the flow makes them idempotent. No step raises: what went wrong is in its answer, so that
nothing but JSON is ever stored. The application version is a constant that changes only with the order
of the stages; a release number here would strand every unfinished change at an upgrade.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from dbos import DBOS, DBOSConfig, SetWorkflowID

from greenroom.domain.change import Change
from greenroom.domain.errors import Bug, GreenroomError, Unreachable
from greenroom.domain.ports import Changes
from greenroom.domain.vocabulary import ChangeId
from greenroom.pipeline.flow import Flow, Watcher

STAGE_ORDER = "plan-debate-simulate-verify-approve-promote-watch"
LEAVES_S, LOOK_S = 5.0, 0.05
"""How long an executor waits for one that was killed to be gone, and how often it looks, in seconds."""
_ENDED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")


class JsonSerializer:
    """Plain JSON instead of DBOS's default, pickle, which runs code when it is read."""

    def serialize(self, data: Any) -> str:
        """JSON text; what is not JSON is our bug."""
        return json.dumps(data, separators=(",", ":"))

    def deserialize(self, serialized_data: str) -> Any:
        """The value back."""
        return json.loads(serialized_data)

    def name(self) -> str:
        """The name DBOS stores beside each value."""
        return "greenroom_json"


class DurableRuns:
    """The Durable port over DBOS and SQLite. One process a database: only the executor makes one.

    Raises Unreachable `database-in-use` where another process carries runs with it.
    """

    def __init__(self, database: Path, flow: Flow, changes: Changes) -> None:
        self._flow = flow
        self._changes = changes
        self._watchers: dict[str, Watcher] = {}
        self._errors: dict[str, GreenroomError] = {}
        self._lock = threading.Lock()
        self._turns: dict[str, threading.Lock] = {}
        self._hold: int | None = _alone(database)
        _write_ahead(database)
        config: DBOSConfig = {
            "name": "greenroom",
            "system_database_url": f"sqlite:///{database}",
            "application_version": STAGE_ORDER,
            "executor_id": "executor",
            "run_admin_server": False,
            "enable_otlp": False,
            "log_level": "CRITICAL",
            "serializer": JsonSerializer(),  # type: ignore[typeddict-item]
        }
        logging.getLogger("dbos").setLevel(logging.CRITICAL)
        DBOS(config=config)
        self._workflow = self._register()
        DBOS.launch()

    def start(self, change: ChangeId, version: int) -> None:
        """Start the run of `change` at `version` unless one is under way."""
        self._start(change, version)

    def carry(self, change: ChangeId, watcher: Watcher | None = None) -> Change:
        """Start a run and wait for its end; raises what made it stop early, if anything did."""
        version = self._changes.get(change).version
        if watcher is not None:
            self._watchers[change] = watcher
        try:
            self._start(change, version).get_result()
        finally:
            self._watchers.pop(change, None)
        error = self._errors.pop(change, None)
        if error is not None:
            raise error
        return self._changes.get(change)

    def unfinished(self) -> Iterable[ChangeId]:
        """Changes that are neither terminal nor held: a crash or a stop cut their run."""
        return [change.id for change in self._changes.list(open_only=True, held="")]

    def close(self) -> None:
        """Let go of the database; running steps are picked up at the next launch."""
        DBOS.destroy(workflow_completion_timeout_sec=0)
        if self._hold is not None:
            os.close(self._hold)
            self._hold = None

    def _start(self, change: ChangeId, version: int) -> Any:
        with self._lock:
            attempt = 0
            while True:
                name = f"{change}/{version}/{attempt}"
                status = DBOS.get_workflow_status(name)
                if status is None or status.status not in _ENDED:
                    break
                attempt += 1
            with SetWorkflowID(name):
                return DBOS.start_workflow(self._workflow, change)

    def _register(self) -> Callable[[str], dict[str, Any]]:
        """DBOS takes plain functions only: these close over the runs."""

        @DBOS.step(name="stage")
        def stage(change: str) -> dict[str, Any]:
            return self._one_stage(change)

        @DBOS.workflow(name="carry")
        def carry(change: str) -> dict[str, Any]:
            answer: dict[str, Any] = {"again": True}
            while answer["again"]:
                answer = stage(change)
            return answer

        return carry

    def _one_stage(self, change_id: str) -> dict[str, Any]:
        """One stage at a time of a change: a run that DBOS picked up may meet one that a person asked for."""
        with self._lock:
            turn = self._turns.setdefault(change_id, threading.Lock())
        with turn:
            return self._step(change_id)

    def _step(self, change_id: str) -> dict[str, Any]:
        # What stopped an earlier run, perhaps one that nobody waited for, is no word on this one.
        self._errors.pop(change_id, None)
        try:
            before = self._changes.get(ChangeId(change_id))
            if self._flow.rests(before):
                return {"again": False, "state": before.state.value}
            after = self._flow.step(before, self._watchers.get(change_id))
            return {"again": not self._flow.rests(after), "state": after.state.value}
        except GreenroomError as error:
            self._errors[change_id] = error
            return {"again": False, "error": error.reference}
        except Exception as error:
            self._errors[change_id] = Bug("bug", f"{type(error).__name__}: {error}")
            return {"again": False, "error": "bug"}


def _alone(database: Path) -> int:
    """A descriptor that keeps every other executor from this database until it is closed, or its process ends."""
    path = database.with_name(f"{database.name}.lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    ends = time.monotonic() + LEAVES_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() < ends:
                time.sleep(LOOK_S)
                continue
            os.close(descriptor)
            message, remedy = "another executor carries runs with this database", "greenroom down, then try again"
            raise Unreachable("database-in-use", message, where=str(database), remedy=remedy) from None


def _write_ahead(database: Path) -> None:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
