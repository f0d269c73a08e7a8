"""What the tests of the agents share: a keeper that answers a scan from a script, and dossiers."""

from __future__ import annotations

import json
from typing import Any

from greenroom.audit.attest import KeyAttestor
from greenroom.audit.keys import generate
from greenroom.domain import documents
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.ports import CheckRun
from greenroom.domain.proof import EndedBy, Predicate, Receipt, RunOutput, Usage
from greenroom.domain.trees import File, manifest_of
from greenroom.domain.verdict import Instant, Refused
from greenroom.domain.vocabulary import Kind, Subject
from greenroom.testing.store import MemoryStore

SUBJECT = Subject(kind=Kind.WORKSPACE, address="/r#main")
GOLDEN, TOOL = digest_of("golden", b"golden"), digest_of("tool", b"codegen")
PATCH = b"diff --git a/src/app.py b/src/app.py\n--- a/src/app.py\n+++ b/src/app.py\n@@ -1,2 +1 @@\n-import os\n x = 1\n"


class ScanningKeeper:
    """Answers `codegen` runs with one result document and its artifacts, in receipts that it signs."""

    def __init__(self, result: Any, artifacts: dict[str, bytes] | None = None) -> None:
        self.store = MemoryStore()
        key = generate()
        self.attestor = KeyAttestor("keeper", key, {"keeper": (key.public,)})
        self.result = result
        self.artifacts = {"p.patch": PATCH} if artifacts is None else artifacts
        self.ended_by: EndedBy = "exit"
        self.stderr = b""
        self.refused: Refused | None = None
        self.asked: list[CheckRun] = []
        paths = (b"src/app.py", b"tests/test_app.py", b"tests/test_other.py", b"docs/\xff.md")
        blob = self.store.put("blob", b"x = 1\n")
        files = manifest_of(File(path=path, executable=False, size=6, blob=blob) for path in paths)
        self.live = self.store.put("tree", files.encode())

    def check(self, run: CheckRun) -> Digest | Refused:
        self.asked.append(run)
        if self.refused is not None:
            return self.refused
        put, empty = self.store.put, self.store.put("text", b"")
        data = self.result if isinstance(self.result, bytes) else json.dumps(self.result).encode()
        output = RunOutput(
            result=put("output", data),
            stdout=empty,
            stderr=put("text", self.stderr),
            truncated=False,
            artifacts={name: put("blob", patch) for name, patch in self.artifacts.items()},
        )
        receipt = Receipt(
            run="r1",
            check=run.check,
            role=run.role,
            mounted=dict(run.trees),
            golden=run.golden,
            tool=run.tool,
            args=empty,
            layers={},
            exit=0,
            ended_by=self.ended_by,
            output=put("output", documents.encode(output)),
            usage=Usage(wall_ms=1, cpu_ms=1),
            began=Instant(1),
            ended=Instant(2),
        )
        signed = self.attestor.sign(Predicate.RECEIPT, receipt.output, documents.encode(receipt))
        return put("statement", signed)


def finding(**members: Any) -> dict[str, Any]:
    """One entry of the tool's proposals, as codegen_t0 writes it."""
    return {
        "rule": "ruff:F401",
        "title": "Remove unused imports",
        "rationale": "they are not used",
        "expected": "nothing changes",
        "confidence": 90,
        "files": ["src/app.py"],
        "count": 1,
        "patch": "p.patch",
        "fingerprint": "ab" * 32,
        "reproduce": "ruff:F401",
    } | members


def generated(*findings: dict[str, Any]) -> dict[str, Any]:
    """The tool's result document."""
    return {"proposals": list(findings), "scanned": 4, "ignored": {}, "tools": {"ruff": "0.15.1", "codespell": "2.4.1"}}


def dossier(store: MemoryStore, data: bytes = PATCH, **members: Any) -> Digest:
    """A stored dossier, as the debate stage writes it."""
    plain = {
        "plan": digest_of("plan", b"plan"),
        "patch": store.put("blob", data),
        "files": ["src/app.py"],
        "lines": 1,
        "rule": "ruff:F401",
        "subject": {"kind": "workspace", "address": "/r"},
        "history": {},
    } | members
    return store.put("dossier", documents.encode(plain))
