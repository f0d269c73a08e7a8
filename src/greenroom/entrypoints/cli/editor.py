"""Text that a person writes: in an editor, from a file, or from standard input."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile

from greenroom.domain.errors import TooLarge, Unusable

MAX_BYTES = 4 * 1024 * 1024


def edited(before: bytes, suffix: str) -> bytes:
    """`before` as it is after VISUAL or EDITOR was closed; raises Unusable `no-editor` or `editor-failed`."""
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "")
    if not command or not sys.stdin.isatty():
        raise Unusable("no-editor", "no editor to open", remedy="set EDITOR at a terminal, or name a file")
    with tempfile.TemporaryDirectory(prefix="greenroom-edit-") as folder:
        path = os.path.join(folder, f"edit{suffix}")
        with open(path, "xb") as file:
            file.write(before)
        try:
            ended = subprocess.run([*command, path], check=False)
        except OSError as error:
            raise Unusable("no-editor", f"the editor cannot be started: {error.strerror}", where=command[0]) from None
        if ended.returncode != 0:
            raise Unusable("editor-failed", f"the editor ended with {ended.returncode}", remedy="nothing was changed")
        return read(path)


def read(file: str) -> bytes:
    """The bytes of a file, or of standard input for `-`; raises TooLarge `text-too-large`."""
    if file == "-":
        data = sys.stdin.buffer.read(MAX_BYTES + 1)
    else:
        with open(file, "rb") as handle:
            data = handle.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise TooLarge("text-too-large", f"at most {MAX_BYTES} bytes are read", where=file, remedy="make it smaller")
    return data
