"""Generates small changes for the tree at `base`, or reports what it cannot mend.

Generators: `ruff`, `modernise` and `unused` (lint fixes, by families of rules), `codespell` (typos in comments and
docs), `strings` (typos in strings that people read), `data` (TOML, JSON and YAML that does not parse) and `shell`
(layout and findings of shell scripts). Arguments: `generator`, and `rule` for one rule of a family (``F401``). The
result has `proposals`, each of which names its patch among the artifacts; `reports`, findings without a patch;
`counts`, what became of files and findings; `notes`, what the scan went without, each with its remedy; `tools`,
versions by name. The tree is only read; the tools work on copies.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _body, _data, _families, _lint, _shell, _strings, _typos
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _data
    import _families
    import _lint
    import _shell
    import _strings
    import _typos

_OTHERS: Mapping[str, Callable[[_body.Request], Mapping[str, Any]]] = {
    "codespell": _typos.generate,
    "strings": _strings.generate,
    "data": _data.generate,
    "shell": _shell.generate,
}


def run(request: _body.Request) -> Mapping[str, Any]:
    """Generate with the named generator."""
    generator, rule = request.text("generator"), request.text("rule", "")
    if generator in _families.FAMILIES:
        return _lint.generate(request, generator, rule or None)
    if generator in _OTHERS:
        return _OTHERS[generator](request)
    raise _body.Refusal("unknown-generator", generator, f"name one of {', '.join((*_families.FAMILIES, *_OTHERS))}")


if __name__ == "__main__":
    _body.main(run)
