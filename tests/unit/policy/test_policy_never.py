from __future__ import annotations

import dataclasses
import shlex

import policy_cases as cases
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.domain.plan import Arg
from greenroom.domain.vocabulary import Trust
from greenroom.policy.never import breaches


def broken(tool: str, **values: str) -> set[str]:
    """The rules that one step breaks."""
    given_args = {name: Arg(value=value, trust=Trust.PERSON) for name, value in values.items()}
    plan = cases.plan(dataclasses.replace(cases.step(tool, a="b"), args=given_args))
    return {rule for rule, _ in breaches(plan, cases.MANIFESTS, ())}


def command(*words: str) -> set[str]:
    return broken("run_tests_t1", argv=shlex.join(words))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("auth.enabled", "false"),
        ("AUTH-ENABLED", "False"),
        ("server.require_login", "no"),
        ("tls.verify", "0"),
        ("mfa", "off"),
        ("security.disable_auth", "true"),
        ("skip-tls-verify", "1"),
        ("allow_anonymous", "true"),
        ("ssl_verify", '"none"'),
        ("password", ""),
    ],
)
def test_settings_that_open_a_door_disable_authentication(key: str, value: str) -> None:
    """Switching a check off, or its bypass on, is the same breach."""
    assert broken("config_update_t2", file="system/a.json", key=key, value=value) == {"disable-authentication"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("auth.enabled", "true"),
        ("author.name", "none"),
        ("allow_anonymous", "false"),
        ("disable_auth", "false"),
        ("log.level", "off"),
        ("theme", "dark"),
    ],
)
def test_settings_that_open_nothing_pass(key: str, value: str) -> None:
    """A word that only looks alike, or a check switched on, is no breach."""
    assert broken("config_update_t2", file="system/a.json", key=key, value=value) == set()


@pytest.mark.parametrize(
    "words",
    [
        ("git", "push", "--force"),
        ("git", "push", "-f", "origin", "main"),
        ("git", "push", "-uf", "origin"),
        ("git", "push", "origin", "+main:main"),
        ("git", "push", "--force-with-lease=main"),
        ("git", "push", "--mirror"),
        ("git", "push", "origin", "--delete", "main"),
        ("sh", "-c", "cd x; git push --force"),
    ],
)
def test_pushes_that_overwrite_are_force_pushes(words: tuple[str, ...]) -> None:
    """Every way to overwrite what others have is found."""
    assert "force-push" in command(*words)


@pytest.mark.parametrize(
    "words",
    [
        ("git", "rebase", "main"),
        ("git", "commit", "--amend"),
        ("git", "reset", "--hard", "HEAD~1"),
        ("/usr/bin/git", "filter-branch"),
        ("git", "update-ref", "-d", "refs/heads/main"),
        ("git", "reflog", "expire", "--all"),
    ],
)
def test_commands_that_rewrite_history_are_found(words: tuple[str, ...]) -> None:
    """History goes forward only."""
    assert "history-rewrite" in command(*words)


@pytest.mark.parametrize(
    "words",
    [
        ("sqlite3", "a.db", "DROP TABLE users"),
        ("psql", "-c", "truncate users"),
        ("dropdb", "shop"),
        ("rm", "-rf", "data/shop.sqlite3"),
        ("sh", "-c", "echo 'delete  from users' | sqlite3 a.db"),
    ],
)
def test_commands_that_delete_a_database_are_found(words: tuple[str, ...]) -> None:
    """Without a backup no command deletes a database."""
    assert "database-deletion-without-backup" in command(*words)


def test_a_migration_without_a_backup_breaks_the_rule_and_with_one_does_not() -> None:
    """The tool that needs a backup is a breach without it."""
    script = str(cases.PATCH)
    assert broken("db_migrate_t2", database="system/a.db", script=script) == {"database-deletion-without-backup"}
    assert broken("db_migrate_t2", database="system/a.db", script=script, backup="system/b.db") == set()


@pytest.mark.parametrize("words", [("pytest", "-q"), ("git", "push", "origin", "main"), ("rm", "-rf", "build")])
def test_ordinary_commands_pass(words: tuple[str, ...]) -> None:
    """Everyday work is no breach."""
    assert command(*words) == set()


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_words_get_an_answer(key: str, value: str) -> None:
    """No argument makes the search fail, and it names only rules that a constitution knows."""
    found = broken("config_update_t2", file="system/a.json", key=key, value=value)
    assert found <= {"disable-authentication", "database-deletion-without-backup", "force-push", "history-rewrite"}
