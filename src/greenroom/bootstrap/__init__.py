"""Puts the rooms together: the only package that knows every class.

`parts` makes guard, keeper and the executor's house; `processes` runs each of them; `local` is the house as
the command line sees it. Imports are inside functions on purpose: the command answers quickly, and each
process loads only its own rooms.
"""

from __future__ import annotations

import os
import sys

INTERRUPTED = 130
"""The exit code of `domain.errors.Exit`, which is not there before everything is imported."""


def main() -> int:
    """The command `greenroom`."""
    try:
        from greenroom import __version__
        from greenroom.bootstrap.local import LocalServices
        from greenroom.config import box_from
        from greenroom.entrypoints.cli import app

        made = app.build(lambda box: LocalServices(box_from(os.environ, box)), __version__, sys.argv[1:])
        return app.run(made)
    except KeyboardInterrupt:
        # Before the command had begun, or after it was over: what comes in between tells of it itself.
        print("greenroom: interrupted", file=sys.stderr)
        return INTERRUPTED
