"""Generates small changes for the tree at `base`: lint fixes (generator `ruff`) or typos (generator `codespell`).

Arguments: `generator`, and `rule` for one family of it (``F401``). Result: ``{"proposals": [...], "scanned": n,
"ignored": {...}, "tools": {name: version}}``; each proposal names its patch among the artifacts. The tree is only read;
the tools work on copies.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _body, _lint, _typos
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _lint
    import _typos


def run(request: _body.Request) -> Mapping[str, Any]:
    """Generate with the named generator."""
    generator, rule = request.text("generator"), request.text("rule", "")
    if generator == "ruff":
        return _lint.generate(request, rule or None)
    if generator == "codespell":
        return _typos.generate(request)
    raise _body.Refusal("unknown-generator", generator, "name ruff or codespell")


if __name__ == "__main__":
    _body.main(run)
