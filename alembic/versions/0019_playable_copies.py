"""What a stored video is made of, whether browsers play it, and the copy that they play."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def _columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("video_codec", sa.String(length=32), nullable=True),
        sa.Column("audio_codec", sa.String(length=32), nullable=True),
        sa.Column("video_profile", sa.String(length=60), nullable=True),
        sa.Column("video_level", sa.Integer(), nullable=True),
        sa.Column("pixel_format", sa.String(length=32), nullable=True),
        sa.Column("bit_depth", sa.Integer(), nullable=True),
        sa.Column("rotation", sa.Integer(), nullable=True),
        sa.Column("frame_rate", sa.Float(), nullable=True),
        sa.Column("is_complete", sa.Boolean(), nullable=True),
        sa.Column("playback", sa.String(length=20), nullable=True),
        sa.Column("copy_state", sa.String(length=20), nullable=True),
        sa.Column("copy_claim", sa.String(length=32), nullable=True),
        sa.Column("copy_tries", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("copy_key", sa.Text(), nullable=True),
        sa.Column("copy_format", sa.String(length=10), nullable=True),
        sa.Column("copy_size", sa.BigInteger(), nullable=True),
        sa.Column("copy_etag", sa.String(), nullable=True),
        sa.Column("copy_error", sa.Text(), nullable=True),
    ]


def upgrade() -> None:
    with op.batch_alter_table("videos", schema=None) as batch_op:
        for column in _columns():
            batch_op.add_column(column)
        batch_op.create_index("ix_videos_copy_state", ["copy_state"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("videos", schema=None) as batch_op:
        batch_op.drop_index("ix_videos_copy_state")
        for column in reversed(_columns()):
            batch_op.drop_column(column.name)
