"""A box with two findings, so that one change stands on another: the base of one moves, and both are taken back.

`one` is the change that is promoted first, `other` the one whose base that moves; `self.change` is what a journey
is about.
"""

from __future__ import annotations

from collections.abc import Mapping

from crash_box import BEFORE, CrashBox, Stage

RECIEVE = {"README.md": "# Small\n\nThe words that you recieve.\n"}
SEPERATE = {"GUIDE.md": "# Guide\n\nThe words that you seperate.\n"}
BOTH_FOUND = BEFORE | RECIEVE | SEPERATE
ONE_MENDED = BOTH_FOUND | {"README.md": "# Small\n\nThe words that you receive.\n"}
OTHER_MENDED = BOTH_FOUND | {"GUIDE.md": "# Guide\n\nThe words that you separate.\n"}
BOTH_MENDED = ONE_MENDED | OTHER_MENDED | {"README.md": ONE_MENDED["README.md"]}
"""The live files with both findings, with one mended, with the other, and with both."""
DATABASE = ("box.db", "box.db-wal", "box.db-shm")


class PairBox(CrashBox):
    """The box, the repository and the copies; see CrashBox."""

    waits = (*CrashBox.waits, "base-moved")

    def make(self) -> Mapping[str, Stage]:
        """Two places to begin from: an approved change whose base moved; two changes live, one on the other."""
        self.index.mkdir()
        self.begin_with({})
        self.commit(RECIEVE | SEPERATE, "Write the readme and the guide")
        self.must("improve", str(self.repository), "--only", "codespell")
        ids = {self.must("show", row["id"]).data["proposal"]["files"][0]: row["id"] for row in self.rows()}
        self.one, self.other = ids["README.md"], ids["GUIDE.md"]
        self.must("approve", self.other, "--yes", "--no-promote")
        self.must("approve", self.one, "--yes")
        self.change = self.other
        stages = {"moved": self._keep("moved")}
        self.must("promote", self.other)
        self.change = self.one
        stages["stacked"] = self._keep("stacked")
        return stages
