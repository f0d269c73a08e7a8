"""Lint fixes: ruff's safe fixes, one rule family a change, for the lowest Python that the project supports."""

from __future__ import annotations

from greenroom.agents.proposers.codegen import CodegenProposer


class RuffProposer(CodegenProposer):
    """Proposes what `codegen_t0` generates with ruff; the repository's own ignores are read as data."""

    generator = "ruff"
    reads = (".py", ".pyi")
