"""Reads the `greenroom.toml` of the tree at `base` as data.

Result: {"entries": [{"key": dotted name, "line": from 1, "value": JSON}], "fault": why there are none, "line": where}.
A tree without that file has no entries and no fault.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greenroom.tools import _body, _settings
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _body
    import _settings


def run(request: _body.Request) -> Mapping[str, Any]:
    """What the file says."""
    path = request.mount("base") / _settings.FILE
    if not os.path.lexists(path):
        return _settings.read(b"")
    data = _body.read_if_there(path, _settings.MAX_BYTES)
    if data is None:
        why = f"it is no plain file of at most {_settings.MAX_BYTES} bytes"
        return {"entries": [], "fault": why, "line": 0}
    return _settings.read(data)


if __name__ == "__main__":
    _body.main(run)
