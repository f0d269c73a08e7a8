"""The constitution from YAML: strict, bounded, complete. A mistyped word is an error, never a rule left out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Any

import yaml

from greenroom.domain import documents
from greenroom.domain.constitution import Constitution
from greenroom.domain.errors import TooLarge, Unusable
from greenroom.domain.globs import Globs
from greenroom.domain.vocabulary import LAYERS, Kind
from greenroom.policy.vocabulary import NEVER, POSTCONDITIONS, PROBE

MAX_CONSTITUTION_BYTES = 64 * 1024
MAX_LIST = 256
MAX_NUMBER = 2**53 - 1
_REMEDY = "mend CONSTITUTION.yaml and sign it again with `greenroom constitution edit`"
_DAY = 24 * 60 * 60
_AT_REST = (Kind.WORKSPACE, Kind.CONFIG, Kind.MEMORY)
UPCAST: Mapping[str, Any] = MappingProxyType(
    {"postconditions": {kind.value: ["live-tests"] if kind in _AT_REST else ["live-tests", "probe"] for kind in Kind}}
)
"""Members that came after the first constitutions were signed, as they count where the text does not have them.

Each is what the constitution of the release that brought it says: an upgrade leaves no box without a policy, and
loosens none. `greenroom constitution edit` writes the member out.
"""


@lru_cache(maxsize=4)
def parse(text: bytes) -> Constitution:
    """`text` (YAML 1.1, UTF-8) as a Constitution.

    Raises Unusable `bad-constitution` (with the member in `where`) or TooLarge `constitution-too-large`.
    A text that was signed before a member came counts with `UPCAST`. Anchors, tags, several documents and double
    members are refused.
    """
    if len(text) > MAX_CONSTITUTION_BYTES:
        raise TooLarge("constitution-too-large", f"a constitution has at most {MAX_CONSTITUTION_BYTES} bytes")
    try:
        plain = yaml.load(text.decode("utf-8"), Loader=_StrictLoader)  # noqa: S506 - a SafeLoader, made stricter
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _bad("$", f"not YAML that can be used: {' '.join(str(error).split())[:300]}") from None
    try:
        whole = {**UPCAST, **plain} if isinstance(plain, dict) else plain
        constitution: Constitution = documents.from_plain(Constitution, whole)
    except Unusable as error:
        raise _bad(error.where, error.message) from None
    _check(constitution)
    return constitution


def parse_new(text: bytes) -> Constitution:
    """`parse`, for a text that is to be signed: it may not ask for a probe of what cannot be probed.

    Every promotion of such a kind would fail its watch and be taken back. A text signed earlier stays readable.
    """
    found = parse(text)
    for kind in _AT_REST:
        if PROBE in found.postconditions[kind]:
            where = f"$.postconditions.{kind.value}"
            raise _bad(where, f"a {kind.value} has no probe; `live-tests` is what can be asked of it")
    return found


def default_text() -> bytes:
    """The constitution that `init` offers, commented for people."""
    return resources.files("greenroom.policy").joinpath("CONSTITUTION.yaml").read_bytes()


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML without what a person would not see: aliases, tags, double members, deep nesting."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._deep = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """One node; aliases, tags and deep nesting are errors."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) or getattr(event, "tag", None):
            raise yaml.YAMLError(f"anchors, aliases and tags are not used here (line {event.start_mark.line + 1})")
        if self._deep >= 8:
            raise yaml.YAMLError("the document nests too deep")
        self._deep += 1
        node = super().compose_node(parent, index)
        self._deep -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """A mapping whose members are distinct words."""
        names = [key.value for key, _ in node.value]
        if any(
            not isinstance(name, str) or key.tag != _STRING for name, (key, _) in zip(names, node.value, strict=True)
        ):
            raise yaml.YAMLError(f"member names are words (line {node.start_mark.line + 1})")
        if len(set(names)) != len(names):
            raise yaml.YAMLError(f"a member stands twice (line {node.start_mark.line + 1})")
        return dict(super().construct_mapping(node, deep))


_STRING = "tag:yaml.org,2002:str"


def _check(found: Constitution) -> None:
    """Raise unless every number, word and glob makes sense."""
    if found.schema != 1:
        raise _bad("$.schema", f"this release reads schema 1, not {found.schema}")
    _words("$.never", found.never, NEVER)
    _words("$.sandbox.required_layers", found.sandbox.required_layers, LAYERS)
    _words("$.unrevertible_tools", found.unrevertible_tools, None)
    for where, globs in (("$.protected_paths", found.protected_paths), ("$.allowed_paths", found.allowed_paths)):
        _words(where, globs, None)
        try:
            Globs(globs)
        except Unusable as error:
            raise _bad(where, f"{error.message}: {error.where}") from None
    missing = [kind.value for kind in Kind if not found.postconditions.get(kind)]
    if missing:
        raise _bad("$.postconditions", f"each kind has at least one; none here for {', '.join(missing)}")
    for kind, words in found.postconditions.items():
        _words(f"$.postconditions.{kind.value}", words, POSTCONDITIONS)
    if not found.sandbox.required_layers:
        raise _bad("$.sandbox.required_layers", "a box without walls is not a box: name at least one layer")
    for where, number, least, most in _bounds(found):
        if not least <= number <= most:
            raise _bad(where, f"a number from {least} to {most} is expected, not {number}")


def _bounds(found: Constitution) -> tuple[tuple[str, int, int, int], ...]:
    return (
        ("$.caps.changes", found.caps.changes, 0, MAX_NUMBER),
        ("$.caps.lines", found.caps.lines, 0, MAX_NUMBER),
        ("$.caps.risk", found.caps.risk, 0, MAX_NUMBER),
        ("$.caps.spend_micro", found.caps.spend_micro, 0, MAX_NUMBER),
        ("$.plan.max_steps", found.plan.max_steps, 1, 1024),
        ("$.plan.max_parallel", found.plan.max_parallel, 1, 1024),
        ("$.plan.snapshot_from_tier", found.plan.snapshot_from_tier, 0, 2),
        ("$.plan.tripcode_from_tier", found.plan.tripcode_from_tier, 1, 3),
        ("$.sandbox.min_disk_free_bytes", found.sandbox.min_disk_free_bytes, 0, MAX_NUMBER),
        ("$.tests.min_share", found.tests.min_share, 0, 100),
        ("$.tests.probe_seconds", found.tests.probe_seconds, 0, 60 * 60),
        ("$.consent_seconds", found.consent_seconds, 60, 30 * _DAY),
        ("$.warrant_seconds", found.warrant_seconds, 10, _DAY),
        ("$.apply_window_seconds", found.apply_window_seconds, 10, 30 * _DAY),
    )


def _words(where: str, words: tuple[str, ...], known: tuple[str, ...] | None) -> None:
    if len(words) > MAX_LIST or len(set(words)) != len(words):
        raise _bad(where, f"at most {MAX_LIST} words, each once")
    for word in words:
        if known is not None and word not in known:
            raise _bad(where, f"unknown word {word[:80]!r}; known are {', '.join(known)}")


def _bad(where: str, message: str) -> Unusable:
    return Unusable("bad-constitution", message, where=where, remedy=_REMEDY)
