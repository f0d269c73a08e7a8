"""What a person said of findings, and the branches that changes were delivered as."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "decisions",
        sa.Column("subject", sa.String, primary_key=True),
        sa.Column("finding", sa.String, primary_key=True),
        sa.Column("change", sa.String, nullable=False, index=True),
        sa.Column("said", sa.String, nullable=False),
        sa.Column("until", sa.Integer, nullable=True),
    )
    op.create_table(
        "branches",
        sa.Column("change", sa.String, primary_key=True),
        sa.Column("subject", sa.String, nullable=False, index=True),
        sa.Column("branch", sa.String, nullable=False),
        sa.Column("onto", sa.String, nullable=False),
        sa.Column("made", sa.String, nullable=False),
        sa.Column("at", sa.Integer, nullable=False),
        sa.Column("fate", sa.String, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("branches")
    op.drop_table("decisions")
