"""Once: a check is run one time for what determines it; whoever asks again gets the same signed receipt.

So nobody can run a flaky check until it passes and hand in the run that did, and all changes of one base share the
runs of base. What ended without a result may be tried again, MAX_BAD times in all, and each receipt says which
attempt it is. An attempt is on record before it runs: killing the keeper, or a stop, gives no draw for free, but
such unfinished attempts have a bound of their own, MAX_UNFINISHED, so that an accident does not use up a change.
How an attempt ended is on record, with a copy of an answer's papers, before anybody can read them in the store: who
spoils the store gets the same papers again.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace

from greenroom.domain import documents
from greenroom.domain.digest import Digest, prefix_of
from greenroom.domain.errors import NotFound, Tampered
from greenroom.domain.ports import CheckRun
from greenroom.domain.proof import Predicate, Receipt, RunOutput
from greenroom.domain.verdict import Refused
from greenroom.keeper import suites
from greenroom.keeper.attempts import KEPT_NS, Attempts, Tally
from greenroom.keeper.runs import Job, Papers, Runner, said_no
from greenroom.keeper.stop import POLL_S, Gate

MAX_BAD = 3
"""How many attempts of one run may end without a result, or lose it."""
MAX_UNFINISHED = 10
"""How many attempts of one run may be cut: by a stop, or by the end of the keeper or the machine."""
MAX_COPY_BYTES = 32 * 1024 * 1024
"""How many bytes of one answer's papers are copied at most, before compression. Where all are more, what the tool
printed is left out; where the rest is more, nothing is copied."""
_DAY_NS = 86_400_000_000_000


def key_of(run: CheckRun) -> str:
    """SHA-256, in hex, of all that determines `run`. An empty text is as good as no argument, no suite as no member."""
    plain = documents.to_plain(run)
    if plain["suite"] is None:
        del plain["suite"]
    plain["args"] = {name: value for name, value in plain["args"].items() if value != ""}
    return hashlib.sha256(documents.encode(plain)).hexdigest()


def exhausted(run: CheckRun, tally: Tally) -> Refused | None:
    """Refused `runs-exhausted` or `runs-full` where no further attempt of `run` is allowed."""
    if tally.full:
        remedy = (
            f"find out who asks for so many; they are forgotten after {KEPT_NS // _DAY_NS} days, or at once: "
            "`greenroom down`, then delete keeper/attempts.db* in the box as the keeper's user (SECURITY.md)"
        )
        return Refused(rule="runs-full", where="the keeper's record of runs", remedy=remedy)
    if tally.bad < MAX_BAD and tally.unfinished < MAX_UNFINISHED:
        return None
    how = f"{tally.bad} attempts ended without a result and {tally.unfinished} were cut"
    return Refused(
        rule="runs-exhausted",
        where=f"{run.check}/{run.role}: {how}"[:300],
        remedy="see how they ended with `greenroom show ID --runs`; mend the repository, set its test command or raise "
        f"the tool's limits in the policy, then propose again; forgotten after {KEPT_NS // _DAY_NS} days",
    )


class Once:
    """Makes check runs with `runner`, each once, by the record of `attempts`."""

    def __init__(self, runner: Runner, attempts: Attempts) -> None:
        self._runner = runner
        self._attempts = attempts
        self._locks = Locks(runner.gate)

    def check(self, run: CheckRun) -> Digest | Refused:
        """The signed receipt of `run`: the one on record, else of an attempt that is made here.

        Refused when nothing ran, when a stop ended it, when the tool itself said no, `bad-suite` or `runs-exhausted`.
        Who asks for a run that is being made waits for it.
        """
        if (refused := self._runner.gate.refusal()) is not None:
            return refused
        if (refused := suites.unfit(run, self._told(run))) is not None:
            return refused
        key = key_of(run)
        with self._locks.of(key) as waited:
            if waited is not None:
                return waited
            tally = self._attempts.tally(key, self._runner.clock.now())
            if tally.concluded is not None:
                found = self._answer(key, tally.concluded)
                if found is not None:
                    return found
                self._attempts.lose(key)
                tally = replace(tally, concluded=None, bad=tally.bad + 1)
            return exhausted(run, tally) or self._make(run, key)

    def _told(self, run: CheckRun) -> Digest | None:
        """The answer on record of the run on base that tells where the tests of `run` are."""
        telling = suites.telling(run)
        if telling is None:
            return None
        return self._attempts.tally(key_of(telling), self._runner.clock.now()).concluded

    def _make(self, run: CheckRun, key: str) -> Digest | Refused:
        ran = self._runner.run(
            Job(
                check=run.check,
                role=run.role,
                tool=run.tool,
                golden=run.golden,
                args=run.args,
                trees=run.trees,
                overlay=run.overlay,
                occasion=run.occasion,
                suite=run.suite,
            ),
            record=_Record(self._runner, self._attempts, key),
        )
        if isinstance(ran, Refused):
            return ran
        if ran.refused is not None and ran.receipt.ended_by == "exit" and ran.receipt.exit == 0:
            return ran.refused
        return ran.envelope

    def _answer(self, key: str, envelope: Digest) -> Digest | Refused | None:
        """The answer that is on record, put back into the store from the keeper's copy where it is not there.

        None when neither has all that the receipt names. Raises NotFound or Tampered when the store loses what is put
        back.
        """
        try:
            return self._read(envelope)
        except (NotFound, Tampered):
            copies = self._attempts.papers(key)
            if not copies:
                return None
        self._put_back(copies)
        return self._read(envelope)

    def _read(self, envelope: Digest) -> Digest | Refused:
        store = self._runner.store
        signed = self._runner.attestor.open(store.get(envelope), Predicate.RECEIPT, "keeper")
        receipt = documents.decode(Receipt, signed.body)
        output = documents.decode(RunOutput, store.get(receipt.output))
        for digest in (receipt.args, *output.artifacts.values()):
            store.get(digest)
        result = None if output.result is None else store.get(output.result)
        return said_no(result) or envelope

    def _put_back(self, copies: Mapping[Digest, bytes]) -> None:
        store = self._runner.store
        for digest, data in copies.items():
            try:
                store.get(digest)
            except Tampered:
                store.erase(digest)
                store.put(prefix_of(digest), data)
            except NotFound:
                store.put(prefix_of(digest), data)


class _Record:
    """One attempt of one run, on record before it runs."""

    def __init__(self, runner: Runner, attempts: Attempts, key: str) -> None:
        self._runner = runner
        self._attempts = attempts
        self._key = key
        self._number = 0

    def begin(self) -> int:
        """The attempt is about to run; its number."""
        self._number = self._attempts.begin(self._key, self._runner.clock.now())
        return self._number

    def withdraw(self) -> None:
        """Nothing ran."""
        self._attempts.withdraw(self._key, self._number)

    def fail(self) -> None:
        """The attempt ended; where no receipt of it was made it counts as one that ended badly."""
        self._attempts.fail(self._key, self._number)

    def end(self, papers: Papers, *, concluded: bool) -> None:
        """The attempt ended, with this receipt."""
        self._attempts.end(self._key, self._number, papers.envelope, _copies(papers) if concluded else None)


def _copies(papers: Papers) -> Mapping[Digest, bytes]:
    """What the keeper copies of an answer."""
    for chosen in ({**papers.needed, **papers.said}, papers.needed):
        if sum(map(len, chosen.values())) <= MAX_COPY_BYTES:
            return chosen
    return {}


class Locks:
    """One lock a key, there as long as somebody holds it or waits for it. A stop wakes who waits."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._guard = threading.Lock()
        self._locks: dict[str, tuple[threading.Lock, int]] = {}

    @contextlib.contextmanager
    def of(self, key: str) -> Iterator[Refused | None]:
        """Hold the lock of `key`; the gate's refusal instead when it shuts while waiting."""
        lock = self._join(key)
        try:
            while not lock.acquire(timeout=POLL_S):
                if (refused := self._gate.refusal()) is not None:
                    yield refused
                    return
            try:
                yield None
            finally:
                lock.release()
        finally:
            self._leave(key)

    def _join(self, key: str) -> threading.Lock:
        with self._guard:
            lock, users = self._locks.get(key, (threading.Lock(), 0))
            self._locks[key] = (lock, users + 1)
            return lock

    def _leave(self, key: str) -> None:
        with self._guard:
            lock, users = self._locks[key]
            if users == 1:
                del self._locks[key]
            else:
                self._locks[key] = (lock, users - 1)
