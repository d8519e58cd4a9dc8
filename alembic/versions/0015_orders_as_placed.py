"""Rows keep what was ordered and delivered, instead of working it out again from the fields of later versions."""

import hashlib
import json

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

# As version 0014 made the digests in callback tokens that are still under way; not to be changed with the models.
SCRIPT = ("hook", "body", "conclusion", "company_name", "social_handles", "license", "avatar")
MOST_AT_ONCE = 500

videos = sa.table(
    "videos",
    *(
        sa.column(name, sa.String)
        for name in ("id", "status", "source_url", "order_digest", "delivered_url", *SCRIPT)
    ),
    sa.column("requested_at", sa.DateTime(timezone=True)),
)


def upgrade() -> None:
    with op.batch_alter_table("videos", schema=None) as batch_op:
        batch_op.add_column(sa.Column("order_digest", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("generator_note", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("delivered_url", sa.Text(), nullable=True))
    is_ordered = sa.or_(videos.c.requested_at.is_not(None), videos.c.status == "generating")
    last: str | None = ""
    while last is not None:
        last = _keep_digests(is_ordered, last)
    op.execute(sa.update(videos).where(is_ordered).values(delivered_url=videos.c.source_url))


def downgrade() -> None:
    with op.batch_alter_table("videos", schema=None) as batch_op:
        batch_op.drop_column("delivered_url")
        batch_op.drop_column("generator_note")
        batch_op.drop_column("order_digest")


def _keep_digests(is_ordered: sa.ColumnElement[bool], after: str) -> str | None:
    """Those of the next videos by id; gives back the last id, or None at the end."""
    columns = [videos.c.id, *(videos.c[name] for name in SCRIPT)]
    some = (
        sa.select(*columns).where(is_ordered, videos.c.id > after).order_by(videos.c.id).limit(MOST_AT_ONCE)
    )
    rows = op.get_bind().execute(some).mappings().all()
    for row in rows:
        script = json.dumps({name: row[name] for name in SCRIPT}, sort_keys=True)
        digest = hashlib.sha256(script.encode()).hexdigest()[:32]
        op.execute(sa.update(videos).where(videos.c.id == row["id"]).values(order_digest=digest))
    return str(rows[-1]["id"]) if rows else None
