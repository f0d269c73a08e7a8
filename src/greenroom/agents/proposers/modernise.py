"""Newer ways of writing, by ruff's UP rules; never newer than the lowest Python that the project supports."""

from __future__ import annotations

from greenroom.agents.proposers.codegen import CodegenProposer


class ModerniseProposer(CodegenProposer):
    """Proposes what `codegen_t0` generates with ruff's UP rules, one rule a change; the code's meaning may change."""

    generator = "modernise"
    program = "ruff"
    reads = (".py", ".pyi")
