"""Events name the client address, and count what outside calls can repeat at will."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.add_column(sa.Column("client_ip", sa.String(length=45), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("times", sa.Integer(), nullable=False, server_default="1"))
        batch_op.add_column(sa.Column("last_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("tally_key", sa.String(length=64), nullable=True))
        batch_op.create_index(batch_op.f("ix_events_client_ip"), ["client_ip"], unique=False)
        batch_op.create_index(batch_op.f("ix_events_tally_key"), ["tally_key"], unique=True)
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.alter_column("client_ip", server_default=None)
        batch_op.alter_column("times", server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_events_tally_key"))
        batch_op.drop_index(batch_op.f("ix_events_client_ip"))
        batch_op.drop_column("tally_key")
        batch_op.drop_column("last_at")
        batch_op.drop_column("times")
        batch_op.drop_column("client_ip")
