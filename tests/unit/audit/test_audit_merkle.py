"""Merkle hashes and proofs, against published vectors and against a plain reading of RFC 6962."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.audit.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

VECTORS = Path(__file__).resolve().parents[4] / "shared" / "data" / "merkle" / "testdata"
LEAVES = [leaf_hash(b"entry %d" % n) for n in range(70)]
needs_vectors = pytest.mark.skipif(not VECTORS.is_dir(), reason="the published Merkle vectors are not here")


def plain_root(leaves: list[bytes]) -> bytes:
    """MTH as section 2.1 of RFC 6962 words it."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(plain_root(leaves[:split]), plain_root(leaves[split:]))


def over(start: int, end: int) -> bytes:
    return plain_root(LEAVES[start:end])


def load(folder: str) -> list[tuple[str, dict[str, object]]]:
    files = sorted((VECTORS / folder).rglob("*.json"))
    return [(str(file.relative_to(VECTORS)), json.loads(file.read_text())) for file in files]


def raw(text: object) -> bytes:
    return base64.b64decode(str(text or ""))


@needs_vectors
def test_published_inclusion_vectors() -> None:
    """Each published inclusion proof is accepted or refused as published."""
    wrong = []
    for name, case in load("inclusion"):
        proof = [raw(step) for step in case["proof"] or []]  # type: ignore[attr-defined]
        index, size = int(str(case["leafIdx"])), int(str(case["treeSize"]))
        holds = verify_inclusion(index, size, raw(case["leafHash"]), proof, raw(case["root"]))
        if holds == case["wantErr"]:
            wrong.append(name)
    assert len(load("inclusion")) > 50
    assert wrong == []


@needs_vectors
def test_published_consistency_vectors() -> None:
    """Each published consistency proof is accepted or refused as published."""
    wrong = []
    for name, case in load("consistency"):
        proof = [raw(step) for step in case["proof"] or []]  # type: ignore[attr-defined]
        old, new = int(str(case["size1"])), int(str(case["size2"]))
        holds = verify_consistency(old, new, proof, raw(case["root1"]), raw(case["root2"]))
        if holds == case["wantErr"]:
            wrong.append(name)
    assert len(load("consistency")) > 50
    assert wrong == []


def test_the_root_is_that_of_the_rfc() -> None:
    """The growing frontier gives the RFC's root at every size."""
    frontier = Frontier()
    for size, leaf in enumerate([*LEAVES, None]):
        assert frontier.root() == plain_root(LEAVES[:size])
        if leaf is not None:
            frontier.append(leaf)
    assert root_of([]) == EMPTY_ROOT


def test_a_copied_frontier_grows_alone() -> None:
    """Appending to a copy leaves the first one as it was."""
    frontier = Frontier.over(LEAVES[:5])
    twin = frontier.copy()
    twin.append(LEAVES[5])
    assert (frontier.root(), twin.root()) == (plain_root(LEAVES[:5]), plain_root(LEAVES[:6]))


@given(data=st.data(), size=st.integers(1, 70))
def test_inclusion_proofs_hold_for_their_entry_only(data: st.DataObject, size: int) -> None:
    """A made proof verifies, and does not for another leaf, index or root."""
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, over)
    root = plain_root(LEAVES[:size])
    assert verify_inclusion(index, size, LEAVES[index], proof, root)
    assert not verify_inclusion(index, size, leaf_hash(b"other"), proof, root)
    assert not verify_inclusion(index, size, LEAVES[index], proof, EMPTY_ROOT)
    assert not verify_inclusion(index, size, LEAVES[index], [*proof, EMPTY_ROOT], root)
    assert size == 1 or not verify_inclusion((index + 1) % size, size, LEAVES[index], proof, root)


@given(data=st.data(), new=st.integers(1, 70))
def test_consistency_proofs_hold_for_their_trees_only(data: st.DataObject, new: int) -> None:
    """A made proof verifies, and does not for other roots or with a step more."""
    old = data.draw(st.integers(1, new))
    proof = consistency_proof(old, new, over)
    roots = plain_root(LEAVES[:old]), plain_root(LEAVES[:new])
    assert verify_consistency(old, new, proof, *roots)
    assert not verify_consistency(old, new, proof, EMPTY_ROOT, roots[1])
    assert not verify_consistency(old, new, proof, roots[0], EMPTY_ROOT)
    assert not verify_consistency(old, new, [*proof, EMPTY_ROOT], *roots)


def test_proofs_out_of_range_are_not_made() -> None:
    """There is no proof for an entry or a tree that does not exist."""
    with pytest.raises(ValueError, match="no entry"):
        inclusion_proof(3, 3, over)
    with pytest.raises(ValueError, match="no consistency proof"):
        consistency_proof(0, 3, over)
