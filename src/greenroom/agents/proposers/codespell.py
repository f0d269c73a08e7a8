"""Typos in comments and docs, by codespell; identifiers stay as they are. One file a change."""

from __future__ import annotations

from greenroom.agents.proposers.codegen import CodegenProposer


class CodespellProposer(CodegenProposer):
    """Proposes what `codegen_t0` generates with codespell; only corrections with one answer."""

    generator = "codespell"
    reads = (".adoc", ".markdown", ".md", ".py", ".pyi", ".rst", ".txt")
