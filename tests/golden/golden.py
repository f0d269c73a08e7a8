"""Boxes as earlier releases left them, laid out so that the present code can open them."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenroom.config import Box

HERE = Path(__file__).parent
NAMES = sorted(path.parent.name for path in HERE.glob("*/box.tar.xz"))


@dataclass(frozen=True, slots=True)
class Golden:
    """One history: what its own release said of it, and the place of its files."""

    name: str

    @property
    def entries(self) -> Sequence[bytes]:
        """The entries of its log, byte for byte as they were signed."""
        return (HERE / self.name / "log.jsonl").read_bytes().splitlines()

    @property
    def said(self) -> Mapping[str, Any]:
        """What `list --all` and `status` of its release answered, as JSON."""
        found: Mapping[str, Any] = json.loads((HERE / self.name / "said.json").read_bytes())
        return found

    def rows(self, state: str) -> Sequence[Mapping[str, Any]]:
        """The changes that its release listed in `state`."""
        return [row for row in self.said["list"]["changes"] if row["state"] == state]

    def lay_out(self, root: Path) -> Box:
        """The box below `root`, with the directories that a start makes again."""
        box = Box(root)
        with tarfile.open(HERE / self.name / "box.tar.xz") as tar:
            # As an attribute, which Python before 3.11.4 passes over: it has no such argument.
            tar.extraction_filter = lambda member, _: member
            tar.extractall(root)
        for path in box.directories():
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return box
