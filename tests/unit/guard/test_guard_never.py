"""What the constitution forbids for good: the real guard refuses a plan that does it, whoever agreed to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from guard_cases import MANIFESTS, TOOLS, LawfulHouse, one_step, told, warrant

from greenroom.domain import vocabulary
from greenroom.domain.outcomes import Finding, ScanResult
from greenroom.domain.vocabulary import Undo
from greenroom.policy.manifests import manifest_digest
from greenroom.policy.vocabulary import NEVER
from greenroom.testing.papers import LAYERS, SUBJECT, PaperHouse, constitution, papers

ERASE = dataclasses.replace(MANIFESTS[TOOLS["config_update_t2"]], name="erase_t2", undo=Undo.NONE)
ERASING = manifest_digest(ERASE)
SETTING = {"file": "system/app.json", "key": "theme", "value": "dark"}
BREACHES: dict[str, tuple[Any, dict[str, str]]] = {
    "database-deletion-without-backup": (TOOLS["run_tests_t1"], {"only": "rm data/shop.sqlite3\n"}),
    "disable-authentication": (TOOLS["config_update_t2"], SETTING | {"key": "auth.enabled", "value": "false"}),
    "force-push": (TOOLS["run_tests_t1"], {"only": "git push --force origin main\n"}),
    "history-rewrite": (TOOLS["run_tests_t1"], {"only": "git rebase main\n"}),
    "unrevertible": (ERASING, SETTING),
}


class StrictHouse(LawfulHouse):
    """The law knows a tool whose effect cannot be taken back."""

    more: ClassVar = {ERASING: ERASE}


@pytest.fixture
def strict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PaperHouse]:
    for layer in vocabulary.LAYERS:
        monkeypatch.setitem(LAYERS, layer, True)
    made = StrictHouse(tmp_path, tools=TOOLS)
    made.use(dataclasses.replace(constitution(), never=NEVER))
    yield made
    made.guard.close()


@pytest.mark.parametrize("rule", NEVER)
def test_guard_refuses_what_never_happens(strict: PaperHouse, rule: str) -> None:
    """Refused by its rule at the step that does it, though a person agreed; live stays, and the log says so."""
    tool, values = BREACHES[rule]
    made = one_step(strict, tool, **values)
    answer = warrant(strict, made)
    told(answer, rule)
    assert "step 'apply'" in answer.where
    assert strict.guard.live(SUBJECT) == made.base
    assert [e.about for e in strict.log.events() if e.name == "warrant.refused"] == [rule]


@pytest.mark.parametrize("rule", NEVER)
def test_guard_refuses_what_a_scan_found_by_that_name(strict: PaperHouse, rule: str) -> None:
    """What hides in the diff and not in the plan is the same breach, at the line that the scan names."""
    made = papers(strict)
    found = Finding(rule=rule, path="settings.py", line=7, message="as it says", points=5, blocks=False)
    made.receipts["scan"] = made.diff_run("scan", "scan_diff_t0", ScanResult(findings=(found,)))
    answer = warrant(strict, made)
    told(answer, rule)
    assert "settings.py:7" in answer.where


@pytest.mark.parametrize("rule", NEVER)
def test_guard_allows_what_the_owner_took_out(strict: PaperHouse, rule: str) -> None:
    """The same plan passes under a constitution that does not name the rule: the rule alone refused it."""
    strict.use(dataclasses.replace(constitution(), never=tuple(name for name in NEVER if name != rule)))
    tool, values = BREACHES[rule]
    assert isinstance(warrant(strict, one_step(strict, tool, **values)), str)


def test_guard_allows_an_erase_tool_that_the_owner_names(strict: PaperHouse) -> None:
    """Nothing unrevertible but named erase tools: the name is what allows it."""
    named = dataclasses.replace(constitution(), never=NEVER, unrevertible_tools=("erase_t2",))
    strict.use(named)
    assert isinstance(warrant(strict, one_step(strict, ERASING, **SETTING)), str)


def test_guard_refuses_a_migration_without_its_backup(strict: PaperHouse) -> None:
    """The tool that changes a database is given a backup to write first, or it is refused."""
    made = papers(strict)
    values = {"database": "system/shop.db", "script": made.patch}
    bare = warrant(strict, one_step(strict, TOOLS["db_migrate_t2"], **values))
    assert not isinstance(bare, str)
    assert bare.rule in ("argument-missing", "database-deletion-without-backup")
    kept = one_step(strict, TOOLS["db_migrate_t2"], **values, backup="system/shop-before.db")
    assert isinstance(warrant(strict, kept), str)
