"""Shell scripts: layout by shfmt as changes, warnings by shellcheck as reports."""

from __future__ import annotations

from greenroom.agents.proposers.codegen import CodegenProposer


class ShellProposer(CodegenProposer):
    """Proposes what `codegen_t0` generates with shfmt, one script a change; names the programs that are missing."""

    generator = "shell"
    program = "shfmt"
    reads = (".bash", ".sh")
