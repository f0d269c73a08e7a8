"""Code that does nothing: placeholders, last returns, empty blocks. Unused imports are the proposer `ruff`'s."""

from __future__ import annotations

from greenroom.agents.proposers.codegen import CodegenProposer


class UnusedProposer(CodegenProposer):
    """Proposes what `codegen_t0` generates with ruff's rules about code without effect, one rule a change."""

    generator = "unused"
    program = "ruff"
    reads = (".py", ".pyi")
