"""Answers of generators that were not understood, addresses that are named early, and settings chosen on a page."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("videos", sa.Column("expected_url", sa.Text(), nullable=True))
    op.add_column("videos", sa.Column("unread_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "chosen_settings",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.Column("chosen_by", sa.String(length=32), nullable=False),
        sa.Column("chosen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def downgrade() -> None:
    op.drop_table("chosen_settings")
    op.drop_column("videos", "unread_at")
    op.drop_column("videos", "expected_url")
