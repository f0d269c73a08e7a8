"""Columns and indexes, so that a box with many changes answers without reading every document."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

COLUMNS = ("held", "ended", "tried", "plan", "base", "parent")
MEMBERS = {"held": "$.hold.rule", "ended": "$.ended", "plan": "$.plan", "base": "$.base", "parent": "$.parent"}
INDEXES = {
    "ix_changes_line": ("subject", "created", "id"),
    "ix_changes_created": ("created", "id"),
    "ix_changes_open": ("open", "created", "id"),
    "ix_changes_state": ("state", "created", "id"),
    "ix_changes_held": ("held", "open", "created", "id"),
    "ix_changes_tally": ("open", "state", "held", "tried", "ended", "id"),
    "ix_changes_base": ("base", "state"),
    "ix_changes_plan": ("plan",),
    "ix_changes_parent": ("parent",),
}


def upgrade() -> None:
    """Add the columns, fill them from the documents, and make the indexes."""
    for name in COLUMNS:
        kind, default = (sa.Boolean, "0") if name == "tried" else (sa.String, "")
        op.add_column("changes", sa.Column(name, kind, nullable=False, server_default=default))
    text = "CAST(document AS TEXT)"
    filled = [f"{name} = coalesce(json_extract({text}, '{path}'), '')" for name, path in MEMBERS.items()]
    tried = f"tried = coalesce(json_array_length({text}, '$.evidence'), 0) > 0"
    op.execute(sa.text(f"UPDATE changes SET {', '.join(filled)}, {tried}"))  # noqa: S608
    for name, columns in INDEXES.items():
        op.create_index(name, "changes", list(columns))
    op.create_index("ix_board_rule", "board", ["rule", "change"])


def downgrade() -> None:
    """Drop the indexes and the columns."""
    op.drop_index("ix_board_rule", "board")
    for name in INDEXES:
        op.drop_index(name, "changes")
    for name in COLUMNS:
        op.drop_column("changes", name)
