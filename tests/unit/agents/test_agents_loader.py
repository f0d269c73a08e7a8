"""Proposers are found by name, as plug-ins, and imported only when asked for."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from greenroom.agents.proposers import loader
from greenroom.agents.proposers.codespell import CodespellProposer
from greenroom.agents.proposers.ruff import RuffProposer
from greenroom.domain.errors import NotFound, Unusable


def entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name=name, value=value, group=loader.GROUP)


def test_the_built_ins_are_plug_ins_too() -> None:
    """Both built-in proposers come through the entry points of the installed package."""
    assert {"codespell", "ruff"} <= set(loader.available())
    assert loader.load("ruff") is RuffProposer
    assert loader.load("codespell") is CodespellProposer


def test_an_unknown_name_lists_the_known_ones() -> None:
    """The remedy says which proposers there are."""
    with pytest.raises(NotFound) as caught:
        loader.load("nobody", [entry("ruff", "a:B")])
    assert (caught.value.reference, caught.value.remedy) == ("no-such-proposer", "one of: ruff")


def test_listing_imports_nothing() -> None:
    """A broken plug-in does no harm until it is asked for, and then says so."""
    broken = [entry("broken", "greenroom.no_such_module:X")]
    assert loader.available(broken) == ("broken",)
    with pytest.raises(Unusable, match="proposer-broken"):
        loader.load("broken", broken)


def test_a_plug_in_must_be_callable() -> None:
    """An entry point that names data is refused."""
    with pytest.raises(Unusable, match="not callable"):
        loader.load("data", [entry("data", "greenroom.agents.proposers.loader:GROUP")])


def test_two_packages_with_one_name_are_ambiguous() -> None:
    """No package can quietly take the place of another; the same target twice is no conflict."""
    same = "greenroom.agents.proposers.ruff:RuffProposer"
    assert loader.load("ruff", [entry("ruff", same), entry("ruff", same)]) is RuffProposer
    with pytest.raises(Unusable, match="proposer-ambiguous"):
        loader.load("ruff", [entry("ruff", same), entry("ruff", "other:X")])


def test_optional_proposers_run_when_asked_for_only() -> None:
    """The second group is found like the first, and is no part of the default."""
    entries = [entry("a", "x:A"), EntryPoint(name="b", value="x:B", group=loader.OPTIONAL)]
    assert (loader.available(entries), loader.by_default(entries)) == (("a", "b"), ("a",))
    assert {"codespell", "ruff", "unused"} <= set(loader.by_default())
    assert "modernise" in set(loader.available()) - set(loader.by_default())
