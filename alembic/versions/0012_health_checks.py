"""A row that health checks write, since a database that can be read may still be unable to take a write."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    table = op.create_table(
        "health_checks",
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.bulk_insert(table, [{"name": "readyz"}])


def downgrade() -> None:
    op.drop_table("health_checks")
