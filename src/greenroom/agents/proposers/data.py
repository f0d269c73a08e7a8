"""TOML, JSON and YAML that does not parse: reported, never mended."""

from __future__ import annotations

from greenroom.agents.proposers.codegen import CodegenProposer


class DataProposer(CodegenProposer):
    """Proposes nothing; its scan has a report for each file that its own format's parser refuses."""

    generator = "data"
    reads = (".json", ".toml", ".yaml", ".yml")
