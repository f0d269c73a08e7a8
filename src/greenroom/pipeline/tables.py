"""The box database: its tables, and how it is opened and brought up to date (Alembic)."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

METADATA = sa.MetaData()

CHANGES = sa.Table(
    "changes",
    METADATA,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("subject", sa.String, nullable=False, index=True),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("open", sa.Boolean, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("created", sa.Integer, nullable=False),
    sa.Column("document", sa.LargeBinary, nullable=False),
    sa.Column("held", sa.String, nullable=False, server_default=""),
    sa.Column("ended", sa.String, nullable=False, server_default=""),
    sa.Column("tried", sa.Boolean, nullable=False, server_default="0"),
    sa.Column("plan", sa.String, nullable=False, server_default=""),
    sa.Column("base", sa.String, nullable=False, server_default=""),
    sa.Column("parent", sa.String, nullable=False, server_default=""),
    sa.Index("ix_changes_line", "subject", "created", "id"),
    sa.Index("ix_changes_created", "created", "id"),
    sa.Index("ix_changes_open", "open", "created", "id"),
    sa.Index("ix_changes_state", "state", "created", "id"),
    sa.Index("ix_changes_held", "held", "open", "created", "id"),
    sa.Index("ix_changes_tally", "open", "state", "held", "tried", "ended", "id"),
    sa.Index("ix_changes_base", "base", "state"),
    sa.Index("ix_changes_plan", "plan"),
    sa.Index("ix_changes_parent", "parent"),
)
"""What follows the document repeats members of it, so that no question has to read every document."""

BOARD = sa.Table(
    "board",
    METADATA,
    sa.Column("change", sa.String, primary_key=True),
    sa.Column("summary", sa.String, nullable=False),
    sa.Column("rule", sa.String, nullable=False),
    sa.Column("fingerprint", sa.String, nullable=False, index=True),
    sa.Index("ix_board_rule", "rule", "change"),
)

DELIVERIES = sa.Table(
    "deliveries",
    METADATA,
    sa.Column("subject", sa.String, primary_key=True),
    sa.Column("change", sa.String, nullable=False),
    sa.Column("repository", sa.String, nullable=False),
    sa.Column("branch", sa.String, nullable=False),
    sa.Column("delivered", sa.String, nullable=False),
    sa.Column("wanted", sa.String, nullable=False),
    sa.Column("pending", sa.String, nullable=False),
)


SETTINGS = sa.Table(
    "settings",
    METADATA,
    sa.Column("subject", sa.String, primary_key=True),
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("value", sa.String, nullable=False),
)

DECISIONS = sa.Table(
    "decisions",
    METADATA,
    sa.Column("subject", sa.String, primary_key=True),
    sa.Column("finding", sa.String, primary_key=True),
    sa.Column("change", sa.String, nullable=False, index=True),
    sa.Column("said", sa.String, nullable=False),
    sa.Column("until", sa.Integer, nullable=True),
)

BRANCHES = sa.Table(
    "branches",
    METADATA,
    sa.Column("change", sa.String, primary_key=True),
    sa.Column("subject", sa.String, nullable=False, index=True),
    sa.Column("branch", sa.String, nullable=False),
    sa.Column("onto", sa.String, nullable=False),
    sa.Column("made", sa.String, nullable=False),
    sa.Column("at", sa.Integer, nullable=False),
    sa.Column("fate", sa.String, nullable=False),
)


def open_database(path: Path, *, pool: type[sa.Pool] = sa.QueuePool) -> sa.Engine:
    """The SQLite database at `path` in WAL mode, its schema brought up to date; `pool` holds its connections."""
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 30}, poolclass=pool)

    @sa.event.listens_for(engine, "connect")
    def _pragmas(connection: sa.engine.interfaces.DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return engine
