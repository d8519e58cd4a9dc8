"""Calls that proved nothing are kept by address, signed reports apply once, and renders are counted by day."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "generation_counts",
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "day"),
    )
    op.create_table(
        "webhook_ids",
        sa.Column("id_hash", sa.String(length=64), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id_hash"),
    )
    with op.batch_alter_table("webhook_ids", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_webhook_ids_received_at"), ["received_at"], unique=False)

    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.add_column(sa.Column("address", sa.String(length=50), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.drop_column("address")

    with op.batch_alter_table("webhook_ids", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_webhook_ids_received_at"))

    op.drop_table("webhook_ids")
    op.drop_table("generation_counts")
