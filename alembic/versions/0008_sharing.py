"""Share links that end: by hand, by a date or by how often they were opened."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("videos", schema=None) as batch_op:
        batch_op.add_column(sa.Column("share_closed_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("share_expires_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("share_most_views", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("share_views", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("videos", schema=None) as batch_op:
        batch_op.alter_column("share_views", server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("videos", schema=None) as batch_op:
        batch_op.drop_column("share_views")
        batch_op.drop_column("share_most_views")
        batch_op.drop_column("share_expires_at")
        batch_op.drop_column("share_closed_at")
