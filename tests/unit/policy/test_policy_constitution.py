from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain.constitution import Constitution
from greenroom.domain.errors import TooLarge, Unusable
from greenroom.policy.constitution import MAX_CONSTITUTION_BYTES, default_text, parse
from greenroom.policy.vocabulary import NEVER

DEFAULT = default_text()


def changed(old: bytes, replacement: bytes) -> bytes:
    assert DEFAULT.count(old) == 1
    return DEFAULT.replace(old, replacement)


def test_the_default_names_everything_that_never_happens() -> None:
    """A fresh box forbids every breach, allows no tool without an undo, and protects Greenroom itself."""
    found = parse(DEFAULT)
    assert found.never == NEVER
    assert found.unrevertible_tools == ()
    assert "src/greenroom" in found.protected_paths
    assert found.caps.spend_micro == 0


@pytest.mark.parametrize(
    ("old", "replacement", "where"),
    [
        (b"schema: 1", b"schema: 2", "$.schema"),
        (b"  - force-push ", b"  - force-pushing ", "$.never"),
        (b"  - force-push ", b"  - history-rewrite ", "$.never"),
        (b"    - seccomp", b"    - seccompp", "$.sandbox.required_layers"),
        (b"caps:", b"cap:", "$"),
        (b"  max_steps: 32", b"  max_steps: 0", "$.plan.max_steps"),
        (b"  max_steps: 32", b"  max_steps: many", "$.plan.max_steps"),
        (b"  max_steps: 32", b"  max_steps: true", "$.plan.max_steps"),
        (b"  max_steps: 32", b"  max_steps: 3.5", "$.plan.max_steps"),
        (b"  tripcode_from_tier: 3", b"  tripcode_from_tier: 4", "$.plan.tripcode_from_tier"),
        (b"  min_share: 50", b"  min_share: 101", "$.tests.min_share"),
        (b"  lines: 5000", b"  lines: -1", "$.caps.lines"),
        (b"warrant_seconds: 600", b"warrant_seconds: 600\nextra: 1", "$"),
        (b'  - "**"', b'  - "!a"', "$.allowed_paths"),
        (b"schema: 1", b"schema: 1\nschema: 1", "$"),
        (b"schema: 1", b"schema: &a 1", "$"),
        (b"schema: 1", b"schema: !!int 1", "$"),
        (b"schema: 1", b"1: 1", "$"),
        (b"schema: 1", b"schema: 1\n---\nschema: 1", "$"),
        (b"schema: 1", b"schema: [[[[[[[[[[1]]]]]]]]]]", "$"),
        (b"unrevertible_tools: []", b"unrevertible_tools: erase", "$.unrevertible_tools"),
        (b"  workspace: [live-tests]\n", b"", "$.postconditions"),
        (b"  workspace: [live-tests]", b"  workspace: []", "$.postconditions"),
        (b"  workspace: [live-tests]", b"  workspace: [prayer]", "$.postconditions.workspace"),
        (b"  workspace: [live-tests]", b"  workshop: [live-tests]", "$.postconditions"),
        (b"  workspace: [live-tests]", b"  workspace: [probe, probe]", "$.postconditions.workspace"),
    ],
)
def test_anything_amiss_is_an_error_with_its_place(old: bytes, replacement: bytes, where: str) -> None:
    """A mistyped word, a number out of bounds or YAML that hides something is never read past."""
    with pytest.raises(Unusable) as raised:
        parse(changed(old, replacement))
    assert raised.value.reference == "bad-constitution"
    assert raised.value.where == where
    assert raised.value.remedy


def test_a_box_without_walls_is_no_box() -> None:
    """At least one layer is required."""
    plain = yaml.safe_load(DEFAULT)
    plain["sandbox"]["required_layers"] = []
    with pytest.raises(Unusable, match="without walls"):
        parse(yaml.safe_dump(plain).encode())


@pytest.mark.parametrize("text", [b"", b"null", b"[]", b"\xff\xfe", b"a: b: c", b"!!python/object:os.system {}", b"["])
def test_what_is_no_constitution_is_unusable(text: bytes) -> None:
    """Other bytes are refused without being acted on."""
    with pytest.raises(Unusable):
        parse(text)


def test_size_is_bounded_before_anything_is_read() -> None:
    """A file of another order of size is not parsed."""
    with pytest.raises(TooLarge):
        parse(b"#" * (MAX_CONSTITUTION_BYTES + 1))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_constitution_or_unusable(data: bytes) -> None:
    """No input makes the parser fail in another way."""
    try:
        found = parse(data)
    except Unusable:
        return
    assert isinstance(found, Constitution)


@given(st.integers(0, len(DEFAULT) - 1), st.binary(min_size=1, max_size=3))
def test_a_damaged_default_is_read_or_unusable(at: int, inserted: bytes) -> None:
    """Damage anywhere gives a constitution that still means something, or a clear error."""
    try:
        found = parse(DEFAULT[:at] + inserted + DEFAULT[at + 1 :])
    except Unusable:
        return
    assert found.sandbox.required_layers
