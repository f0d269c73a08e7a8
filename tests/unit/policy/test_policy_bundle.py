from __future__ import annotations

import dataclasses

import policy_cases as cases
import pytest

from greenroom.domain import documents
from greenroom.domain.arguments import problems
from greenroom.domain.digest import Digest, digest_of
from greenroom.domain.errors import NotFound, Unusable
from greenroom.domain.vocabulary import LAYERS, Tier, Undo
from greenroom.policy.bundle import PolicyBundle, load_policy, save_policy
from greenroom.policy.constitution import default_text
from greenroom.policy.manifests import BUILTIN, builtin_manifests, manifest_digest
from greenroom.testing.store import MemoryStore


def test_a_saved_policy_is_loaded_as_it_was() -> None:
    """The bundle's digest leads to the same constitution and the same tools; saving twice changes nothing."""
    store = MemoryStore()
    digest = save_policy(store, default_text(), cases.TOOLS)
    assert save_policy(store, default_text(), cases.TOOLS) == digest
    policy = load_policy(store, digest)
    assert policy.digest == digest
    assert policy.constitution == cases.CONSTITUTION
    assert policy.tools == cases.BY_NAME


def test_any_change_of_a_manifest_or_the_constitution_changes_the_digest() -> None:
    """A warrant that names a policy names every word of it."""
    store = MemoryStore()
    digest = save_policy(store, default_text(), cases.TOOLS)
    loose = {**cases.TOOLS, "scan_diff_t0": dataclasses.replace(cases.TOOLS["scan_diff_t0"], per_minute=601)}
    assert save_policy(store, default_text(), loose) != digest
    assert save_policy(store, default_text() + b"# a word more\n", cases.TOOLS) != digest


def test_a_manifest_under_another_name_is_refused() -> None:
    """A tool cannot take another's place."""
    with pytest.raises(Unusable):
        save_policy(MemoryStore(), default_text(), {"scan_diff_t0": cases.TOOLS["apply_patch_t1"]})
    store = MemoryStore()
    patch = store.put("tool", documents.encode(cases.TOOLS["apply_patch_t1"]))
    text = store.put("text", default_text())
    swapped = PolicyBundle(schema=1, constitution=text, tools={"scan_diff_t0": patch})
    with pytest.raises(Unusable):
        load_policy(store, store.put("policy", documents.encode(swapped)))


def test_a_bundle_that_is_not_whole_is_no_policy() -> None:
    """Missing bytes, another schema or another kind of document give no policy at all."""
    store = MemoryStore()
    with pytest.raises(NotFound):
        load_policy(store, digest_of("policy", b"nothing"))
    missing = PolicyBundle(schema=1, constitution=digest_of("text", b"?"), tools={})
    with pytest.raises(NotFound):
        load_policy(store, store.put("policy", documents.encode(missing)))
    later = PolicyBundle(schema=2, constitution=store.put("text", default_text()), tools={})
    with pytest.raises(Unusable):
        load_policy(store, store.put("policy", documents.encode(later)))
    with pytest.raises(Unusable):
        load_policy(store, store.put("policy", b"{}"))


def test_the_built_in_tools_keep_the_rules_of_the_house() -> None:
    """Every tool is without network, its tier stands in its name, its layers are known, and each can be undone."""
    for name, tool in cases.TOOLS.items():
        assert tool.name == name
        assert name.endswith(f"_t{int(tool.tier)}")
        assert not tool.network
        assert not tool.egress
        assert set(tool.isolation) <= set(LAYERS)
        assert tool.isolation
        assert tool.undo is not Undo.NONE
        assert tool.per_minute > 0
        assert tool.caps.wall_s <= 600
        assert tool.tier is not Tier.COMPUTE or tool.roots == ("out",)
        assert documents.decode(type(tool), documents.encode(tool)) == tool


def test_the_body_is_part_of_the_manifests_digest() -> None:
    """A tool with another body is another tool."""
    bodies: dict[str, Digest] = {name: digest_of("blob", name.encode()) for name in BUILTIN}
    other = builtin_manifests({**bodies, "scan_diff_t0": digest_of("blob", b"other")})
    assert manifest_digest(other["scan_diff_t0"]) != cases.BY_NAME["scan_diff_t0"]
    assert manifest_digest(other["codegen_t0"]) == cases.BY_NAME["codegen_t0"]


@pytest.mark.parametrize("change", ["missing", "extra"])
def test_bodies_and_manifests_must_match(change: str) -> None:
    """A tool without a body, or a body without a manifest, is an error."""
    bodies = {name: digest_of("blob", name.encode()) for name in BUILTIN}
    if change == "missing":
        del bodies["codegen_t0"]
    else:
        bodies["unheard_of_t0"] = digest_of("blob", b"?")
    with pytest.raises(Unusable):
        builtin_manifests(bodies)


@pytest.mark.parametrize(
    ("only", "fits"),
    [
        ("tests/test_a.py::test_b[x-1]", True),
        ("tests/test_a.py\ntests/test_b.py\n", True),
        ("-p evil", False),
        ("tests/a.py\n--rootdir=/", False),
        ("../other/test_a.py", False),
    ],
)
def test_a_selection_of_tests_names_tests_and_no_options(only: str, fits: bool) -> None:
    """`only` is a list of test ids or paths; an option among them is refused."""
    step = cases.step("run_tests_t1", only=only)
    assert (not list(problems(step, cases.TOOLS["run_tests_t1"], ()))) is fits
