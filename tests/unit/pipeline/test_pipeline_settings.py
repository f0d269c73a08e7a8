"""What a person set for a subject is kept, shown on the card, and given to the runs of its tests."""

from __future__ import annotations

from pathlib import Path

from greenroom.domain.vocabulary import Kind, Subject
from greenroom.pipeline.changes import Settings
from greenroom.pipeline.tables import open_database

SUBJECT = Subject(kind=Kind.WORKSPACE, address="/r#main")


def test_a_setting_is_kept_replaced_and_taken_away(tmp_path: Path) -> None:
    """The last value counts; an empty one forgets; other subjects have their own."""
    engine = open_database(tmp_path / "box.db")
    settings = Settings(engine)
    assert settings.get(SUBJECT, "test-command") == ""
    settings.put(SUBJECT, "test-command", "python -m pytest")
    settings.put(SUBJECT, "test-command", "python -m unittest")
    assert Settings(engine).get(SUBJECT, "test-command") == "python -m unittest"
    assert settings.get(Subject(kind=Kind.WORKSPACE, address="/other"), "test-command") == ""
    settings.put(SUBJECT, "test-command", "")
    assert settings.get(SUBJECT, "test-command") == ""
    engine.dispose()
