"""What a path is, by its name: the reviewers judge a change by the places that it touches."""

from __future__ import annotations

import posixpath
import re
from typing import Literal

Place = Literal["docs", "tests", "build", "package-root", "code", "other"]

_DOCS = (".md", ".rst", ".txt", ".adoc")
_BUILD_NAMES = frozenset(
    {"pyproject.toml", "setup.py", "setup.cfg", "tox.ini", "noxfile.py", "makefile", "dockerfile", "conftest.py"}
)
_BUILD_FOLDERS = (".github/", ".gitlab/", ".circleci/", "ci/", ".ci/")
_WORDS = (
    "auth|authn|authz|oauth2?|authentication|authorization|login|passwords?|passwd|secrets?|crypto|cryptography|"
    "security|permissions?|tokens?|credentials?"
)
_SENSITIVE = re.compile(rf"(?:^|[/_.-])(?:{_WORDS})(?:[/_.-]|$)")


def place_of(path: str) -> Place:
    """The place that `path` belongs to; the most consequential that fits."""
    lower = path.lower()
    name = posixpath.basename(lower)
    if name in _BUILD_NAMES or lower.startswith(_BUILD_FOLDERS) or name.startswith("requirements"):
        return "build"
    folders = lower.split("/")[:-1]
    if name.startswith("test_") or name.endswith("_test.py") or any(f in ("test", "tests", "testing") for f in folders):
        return "tests"
    if name == "__init__.py":
        return "package-root"
    if name.endswith((".py", ".pyi")):
        return "code"
    return "docs" if name.endswith(_DOCS) else "other"


def sensitive(path: str) -> bool:
    """True when the name of `path` speaks of authentication, secrets or permissions."""
    return _SENSITIVE.search(path.lower()) is not None
