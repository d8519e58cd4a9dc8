"""Turns between users, reserved storage, and parts of failed videos that are kept for a while."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.add_column(sa.Column("served_at", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("videos", schema=None) as batch_op:
        batch_op.add_column(sa.Column("queued_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("upload_kept_until", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("reserved_bytes", sa.BigInteger(), nullable=False, server_default="0"))
        batch_op.create_index("ix_videos_status_queued", ["status", "queued_at"], unique=False)
    with op.batch_alter_table("videos", schema=None) as batch_op:
        batch_op.alter_column("reserved_bytes", server_default=None)
    op.execute("UPDATE videos SET queued_at = updated_at WHERE status IN ('generating', 'queued', 'storing')")
    # From now on a heartbeat outside storing means that a worker may still hold on to the video.
    op.execute("UPDATE videos SET heartbeat_at = NULL WHERE status <> 'storing'")


def downgrade() -> None:
    with op.batch_alter_table("videos", schema=None) as batch_op:
        batch_op.drop_index("ix_videos_status_queued")
        batch_op.drop_column("reserved_bytes")
        batch_op.drop_column("upload_kept_until")
        batch_op.drop_column("queued_at")
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.drop_column("served_at")
