"""Typos in strings that people read, by codespell; apart from comments and docs, so that it can be left out."""

from __future__ import annotations

from greenroom.agents.proposers.codegen import CodegenProposer


class StringsProposer(CodegenProposer):
    """Proposes what `codegen_t0` generates for messages and help texts; a string is logic, so a person looks."""

    generator = "strings"
    program = "codespell"
    reads = (".py", ".pyi")
