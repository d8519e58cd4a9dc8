"""Resumable uploads and the proof of what is stored: the upload's source, the object's CRC-32 and ETag."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("videos", schema=None) as batch_op:
        batch_op.add_column(sa.Column("upload_source", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("crc32", sa.String(length=8), nullable=True))
        batch_op.add_column(sa.Column("etag", sa.String(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("videos", schema=None) as batch_op:
        batch_op.drop_column("etag")
        batch_op.drop_column("crc32")
        batch_op.drop_column("upload_source")
