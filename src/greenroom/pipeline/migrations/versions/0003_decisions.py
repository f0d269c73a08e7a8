"""What a person said of findings: no, or not before a time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "decisions",
        sa.Column("subject", sa.String, primary_key=True),
        sa.Column("finding", sa.String, primary_key=True),
        sa.Column("change", sa.String, nullable=False, index=True),
        sa.Column("said", sa.String, nullable=False),
        sa.Column("until", sa.Integer, nullable=True),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("decisions")
