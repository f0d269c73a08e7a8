"""What the built-in proposers share: one run of `codegen_t0` between walls, read defensively.

The tool's result was made from hostile code, so every member is checked here, and the plan stage checks the
proposals again.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from greenroom.domain import documents
from greenroom.domain.digest import Digest
from greenroom.domain.errors import TooLarge, Unusable
from greenroom.domain.ports import Attestor, CheckRun, Keeper, Store
from greenroom.domain.proof import Predicate, Receipt, RunOutput
from greenroom.domain.proposal import Proposal
from greenroom.domain.scan import Counts, Note, Report, Scan
from greenroom.domain.trees import MAX_MANIFEST_BYTES, parse_manifest
from greenroom.domain.verdict import Refused
from greenroom.domain.vocabulary import Subject

MAX_RESULT_BYTES = 8 * 1024 * 1024
MAX_PROPOSALS = 64
MAX_FILES = 5_000
MAX_TEXT = 4_000
MAX_SUGGESTED = 10
MAX_REPORTS = 200
MAX_NOTES = 20
MAX_RULES = 100
MAX_TOLD = 200_000
MAX_LAST_WORDS = 300
"""Characters of all that a scan tells besides its proposals; several scans share one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One entry of the tool's `proposals`; `patch` names an artifact of the run."""

    rule: str
    title: str
    rationale: str
    expected: str
    confidence: int
    files: tuple[str, ...]
    count: int
    patch: str
    fingerprint: str
    reproduce: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """The result document of `codegen_t0`."""

    proposals: tuple[Found, ...]
    tools: Mapping[str, str]
    scan: Scan


class CodegenProposer:
    """The Proposer port over one generator of `codegen_t0`; `tool` is the digest of that tool's manifest.

    `program` names the tool whose version proposals carry, where that is not the generator's name. `reads` are the
    suffixes of the files that it looks at. `scan` is what the last scan saw besides its proposals, None before the
    first.
    """

    generator = ""
    program = ""
    reads: tuple[str, ...] = ()

    def __init__(self, *, keeper: Keeper, store: Store, attestor: Attestor, golden: Digest, tool: Digest) -> None:
        self._keeper = keeper
        self._store = store
        self._attestor = attestor
        self._golden = golden
        self._tool = tool
        self.scan: Scan | None = None

    @property
    def name(self) -> str:
        """The plug-in's name, which is the generator's."""
        return self.generator

    def propose(self, subject: Subject, live: Digest) -> Iterable[bytes]:
        """Proposal documents, in the tool's order.

        Raises Unusable: the keeper's rule when it refused the run, `proposer-failed` when the run did not end by
        itself, `bad-result` when its result is malformed; Tampered when the receipt is not the keeper's.
        """
        del subject
        self.scan = None
        output = self._output(live)
        generated = self._generated(output)
        self.scan = generated.scan
        version = generated.tools.get(self.program or self.generator, "unknown")[:80]
        tests = _test_paths(self._store, live)
        return self._documents(generated, output, version, tests)

    def _documents(
        self, generated: Generated, output: RunOutput, version: str, tests: tuple[str, ...]
    ) -> Iterator[bytes]:
        for found in generated.proposals:
            patch = output.artifacts.get(found.patch)
            if patch is None:
                raise self._bad(f"no artifact {found.patch[:80]!r}")
            yield documents.encode(self._proposal(found, patch, version, tests))

    def _proposal(self, found: Found, patch: Digest, version: str, tests: tuple[str, ...]) -> Proposal:
        texts = (found.rule, found.title, found.rationale, found.expected, found.fingerprint, found.reproduce)
        if any(len(text) > MAX_TEXT for text in texts) or len(found.files) > MAX_FILES:
            raise self._bad("a member is longer than its bound")
        if not found.rule or not found.files or not 0 <= found.confidence <= 100:
            raise self._bad("a proposal has a rule, files and a confidence from 0 to 100")
        return Proposal(
            proposer=self.name,
            proposer_version=version,
            rule=found.rule,
            summary=found.title,
            rationale=found.rationale,
            expected=found.expected,
            confidence=found.confidence,
            patch=patch,
            files=found.files,
            fingerprint=found.fingerprint,
            reproduce=found.reproduce,
            suggested_tests=suggest(found.files, tests),
        )

    def _output(self, live: Digest) -> RunOutput:
        answer = self._keeper.check(
            CheckRun(
                check="codegen",
                role=self.name,
                tool=self._tool,
                args={"generator": self.generator},
                trees={"base": live},
                golden=self._golden,
            )
        )
        if isinstance(answer, Refused):
            raise Unusable(answer.rule, "the keeper refused to scan", where=answer.where, remedy=answer.remedy)
        signed = self._attestor.open(self._store.get(answer), Predicate.RECEIPT, "keeper")
        receipt = documents.decode(Receipt, signed.body)
        output = documents.decode(RunOutput, self._store.get(receipt.output))
        if receipt.ended_by != "exit" or receipt.exit != 0 or output.result is None:
            raise Unusable(
                "proposer-failed",
                f"the scan by {self.name} ended by {receipt.ended_by}, exit {receipt.exit}{self._last_words(output)}",
                where=f"run {receipt.run}",
                remedy="nothing was proposed and nothing changed; try again, or scan with another proposer (--only)",
            )
        return output

    def _last_words(self, output: RunOutput) -> str:
        """The last line that the tool wrote to stderr, after a colon; empty where it wrote none."""
        lines = self._store.get(output.stderr).decode("utf-8", "replace").strip().splitlines()
        return f": {' '.join(lines[-1].split())[:MAX_LAST_WORDS]}" if lines else ""

    def _generated(self, output: RunOutput) -> Generated:
        if output.result is None:
            raise self._bad("there is no result")
        try:
            plain = documents.load_json(self._store.get(output.result, MAX_RESULT_BYTES), limit=MAX_RESULT_BYTES)
        except TooLarge:
            raise self._bad("the result is too large") from None
        if not isinstance(plain, dict) or not isinstance(plain.get("proposals"), list):
            raise self._bad("a list of proposals is expected")
        if len(plain["proposals"]) > MAX_PROPOSALS:
            raise self._bad(f"more than {MAX_PROPOSALS} proposals")
        return Generated(
            proposals=tuple(
                documents.from_plain(Found, item, f"$.proposals[{i}]") for i, item in enumerate(plain["proposals"])
            ),
            tools=documents.from_plain(Mapping[str, str], plain.get("tools", {}), "$.tools"),
            scan=self._scan(plain),
        )

    def _scan(self, plain: Mapping[str, Any]) -> Scan:
        scan = Scan(
            counts=documents.from_plain(Counts, plain.get("counts", {}), "$.counts"),
            reports=documents.from_plain(tuple[Report, ...], plain.get("reports", []), "$.reports"),
            notes=documents.from_plain(tuple[Note, ...], plain.get("notes", []), "$.notes"),
        )
        rules = [*scan.counts.ignored, *scan.counts.dropped]
        if len(scan.reports) > MAX_REPORTS or len(scan.notes) > MAX_NOTES or len(rules) > MAX_RULES:
            raise self._bad("more reports, notes or counts than their bounds")
        texts = [*rules, *(t for r in scan.reports for t in (r.rule, r.path, r.message))]
        texts += [t for note in scan.notes for t in (note.rule, note.where, note.remedy)]
        if sum(map(len, texts)) > MAX_TOLD:
            raise self._bad("reports, notes and counts are longer than their bound")
        return scan

    def _bad(self, message: str) -> Unusable:
        return Unusable("bad-result", f"the result of the {self.name} scan cannot be used: {message}")


def suggest(files: Iterable[str], tests: Iterable[str]) -> tuple[str, ...]:
    """At most 10 tests that go with `files` by name (`test_NAME.py`, `NAME_test.py`), and those among `files`."""
    known = tuple(tests)
    wanted = set(files) & set(known)
    stems = {posixpath.basename(file).removesuffix(".py") for file in files if file.endswith(".py")}
    named = {f"test_{stem.lstrip('_')}.py" for stem in stems} | {f"{stem}_test.py" for stem in stems}
    wanted |= {test for test in known if posixpath.basename(test) in named}
    return tuple(sorted(wanted))[:MAX_SUGGESTED]


def _test_paths(store: Store, tree: Digest) -> tuple[str, ...]:
    """The paths of the tree that are named like tests; names that are not UTF-8 are left out."""
    found = []
    for entry in parse_manifest(store.get(tree, MAX_MANIFEST_BYTES)).entries:
        base = posixpath.basename(entry.path)
        if base.endswith(b".py") and (base.startswith(b"test_") or base.endswith(b"_test.py")):
            try:
                found.append(entry.path.decode("utf-8"))
            except UnicodeDecodeError:
                continue
    return tuple(found)
