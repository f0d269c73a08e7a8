"""Changes, their line on the board, and deliveries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "changes",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("subject", sa.String, nullable=False, index=True),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("open", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created", sa.Integer, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "board",
        sa.Column("change", sa.String, primary_key=True),
        sa.Column("summary", sa.String, nullable=False),
        sa.Column("rule", sa.String, nullable=False),
        sa.Column("fingerprint", sa.String, nullable=False, index=True),
    )
    op.create_table(
        "deliveries",
        sa.Column("subject", sa.String, primary_key=True),
        sa.Column("change", sa.String, nullable=False),
        sa.Column("repository", sa.String, nullable=False),
        sa.Column("branch", sa.String, nullable=False),
        sa.Column("delivered", sa.String, nullable=False),
        sa.Column("wanted", sa.String, nullable=False),
        sa.Column("pending", sa.String, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    for name in ("deliveries", "board", "changes"):
        op.drop_table(name)
