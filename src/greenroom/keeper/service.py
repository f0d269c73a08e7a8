"""The keeper: the only process that runs things. It signs what it saw, and decides nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from greenroom.domain.digest import Digest
from greenroom.domain.events import Event
from greenroom.domain.ports import Attestor, CheckRun, Clock, Store, Trees, Walls
from greenroom.domain.verdict import Held, Refused
from greenroom.domain.vocabulary import Subject
from greenroom.keeper.attempts import Attempts
from greenroom.keeper.bring import IMPORT_TOOL, Bringer
from greenroom.keeper.build import Builder
from greenroom.keeper.drafts import Drafts
from greenroom.keeper.golden import Goldens
from greenroom.keeper.once import Once
from greenroom.keeper.presented import Presented
from greenroom.keeper.runs import Manifests, Runner, no_variables, tell_nobody
from greenroom.keeper.stop import Gate, Rates
from greenroom.keeper.toolchain import DISTRIBUTIONS

Prepare = Callable[[Digest], Digest | Held]
"""From a tree to the golden that has the tree's dependencies too."""


def _no_point(point: str) -> None:
    del point


_OWN_CHECKS = frozenset({"build", "import", "prepare"})


class KeeperService:
    """The Keeper port over walls, trees and store.

    `directory` is BOX/keeper. `manifests` gives the manifest and body of a tool of the signed policy; `tools` the
    manifest digests by tool name. `stopped` is asked before and during every run. `sandbox_uid` is the user of the
    sandbox where the keeper is root. `launcher` is the sandbox's compiled launcher and `helpers` the modules beside
    the tools' bodies; both are part of golden, as are `distributions`, which are copied for the cells. `prepare`
    makes the preparer from the keeper's runner. `variables` gives the values of those names that the box's owner allows
    tests to have. `root` is a descriptor of the root directory of the person's file system, where the keeper's own view
    is another; nothing in the directory `apart` is presented. `tell` hands the log what it tells of a run outside the
    runs of changes that gave nothing. `crash_point` is told each place where a crash is tried.
    One keeper at a time uses a directory: a second raises Unreachable `keeper-runs-already`.
    """

    def __init__(
        self,
        *,
        directory: Path,
        walls: Walls,
        trees: Trees,
        store: Store,
        attestor: Attestor,
        clock: Clock,
        manifests: Manifests,
        tools: Callable[[], Mapping[str, Digest]],
        stopped: Callable[[], bool],
        helpers: Mapping[str, bytes],
        launcher: Path | None,
        prepare: Callable[[Runner], Prepare],
        sandbox_uid: int | None = None,
        cells: int | None = None,
        distributions: Sequence[str] = DISTRIBUTIONS,
        crash_point: Callable[[str], None] = _no_point,
        variables: Callable[[Sequence[str]], Mapping[str, str]] = no_variables,
        root: int | None = None,
        apart: Path | None = None,
        tell: Callable[[Event], object] = tell_nobody,
    ) -> None:
        directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        directory.chmod(0o711)
        self._drafts = Drafts(directory / "runs", uid=sandbox_uid)
        self.goldens = Goldens(
            directory / "golden",
            store=store,
            trees=trees,
            launcher=launcher,
            helpers=helpers,
            distributions=distributions,
        )
        self.gate = Gate(stopped, cells=cells or max(1, os.cpu_count() or 1))
        self._attempts = Attempts(directory / "attempts.db")
        self.runner = Runner(
            walls=walls,
            trees=trees,
            store=store,
            attestor=attestor,
            clock=clock,
            manifests=manifests,
            goldens=self.goldens,
            drafts=self._drafts,
            gate=self.gate,
            rates=Rates(self.gate, self._attempts, now=clock.now),
            crash_point=crash_point,
            variables=variables,
            tell=tell,
        )
        self._presented = Presented(os.open("/", os.O_PATH | os.O_CLOEXEC) if root is None else root, apart=apart)
        self._once = Once(self.runner, self._attempts)
        self._tools = tools
        self._prepare = prepare(self.runner)
        self._builder = Builder(self.runner)

    def close(self) -> None:
        """End what runs, start nothing more, and let another keeper use the directory."""
        self.gate.close()
        self._presented.close()
        self._attempts.close()
        self._drafts.close()

    def golden(self) -> Digest:
        """The golden of this installation, without dependencies."""
        return self.goldens.current()

    def layers(self) -> Mapping[str, bool]:
        """Which walls this machine gives."""
        return self.runner.walls.layers()

    def present(self, path: str, branch: str, directory: int) -> str:
        """The ticket for a branch of a directory that a person shows (see `Presented.present`)."""
        return self._presented.present(path, branch, directory)

    def bring(self, subject: Subject, ticket: str, branch: str | None) -> Digest | Refused:
        """The signed Import of the directory that was presented for `ticket` (see `Bringer.bring`)."""
        tool = self._tools().get(IMPORT_TOOL)
        if tool is None:
            return Refused(rule="tool-unknown", where=IMPORT_TOOL, remedy="sign the policy that goes with this version")
        place = self._presented.take(ticket)
        unknown = Refused(rule="not-presented", where=str(subject), remedy="run the command again")
        if place is None:
            return unknown
        with place:
            if place.branch != (branch or ""):
                return unknown
            return Bringer(self.runner, tool=tool).bring(subject, place, branch, self.golden())

    def prepare(self, tree: Digest) -> Digest | Held:
        """The golden for `tree`: this installation's, with the dependencies that the tree asks for."""
        if (refused := self.gate.refusal()) is not None:
            return Held(rule=refused.rule, where=refused.where, remedy=refused.remedy)
        return self._prepare(tree)

    def build(self, plan: Digest) -> Digest | Refused:
        """The signed Seal of a fresh build of `plan` (see `Builder.build`)."""
        return self._builder.build(plan)

    def check(self, run: CheckRun) -> Digest | Refused:
        """The signed Receipt of one run on throwaway copies, however the run ended; made once (see `Once.check`)."""
        if run.check in _OWN_CHECKS:
            return Refused(rule="check-reserved", where=run.check, remedy="only the keeper itself makes such runs")
        return self._once.check(run)
