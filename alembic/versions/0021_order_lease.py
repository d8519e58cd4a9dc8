"""The lease of the worker that calls a generator, and the attempt whose response was lost."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("videos", sa.Column("call_heartbeat_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("videos", sa.Column("unanswered_attempt", sa.Integer(), nullable=True))
    in_use = sa.text("call_heartbeat_at IS NOT NULL")
    op.create_index(
        "ix_videos_call_heartbeat",
        "videos",
        ["call_heartbeat_at"],
        postgresql_where=in_use,
        sqlite_where=in_use,
    )


def downgrade() -> None:
    op.drop_index("ix_videos_call_heartbeat", table_name="videos")
    op.drop_column("videos", "unanswered_attempt")
    op.drop_column("videos", "call_heartbeat_at")
