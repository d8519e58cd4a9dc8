"""Counters, and an index for each list and each periodic task.

On tables with rows, PostgreSQL builds the indexes while others write. A run that was interrupted continues.
"""

import sqlalchemy as sa
from alembic import op

from videovault import counters
from videovault.postgres import LONG_STATEMENT_SECONDS

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

GENERATING = "status = 'generating'"
STORED_SIZE = "(CASE WHEN status = 'ready' THEN COALESCE(size, 0) ELSE 0 END)"
# Name, table, columns, condition. ``{title}`` is the key by which titles are sorted.
INDEXES = (
    ("ix_videos_owner_status_created", "videos", "owner_id, status, created_at, id", ""),
    ("ix_videos_owner_status_title", "videos", "owner_id, status, {title}, id", ""),
    ("ix_videos_owner_status_size", "videos", f"owner_id, status, {STORED_SIZE}, id", ""),
    ("ix_videos_owner_status_duration", "videos", "owner_id, status, (COALESCE(duration, 0)), id", ""),
    # Only the start of a URL: whole ones can be longer than an entry of an index may be.
    ("ix_videos_owner_source", "videos", "owner_id, (substr(source_url, 1, 200)), created_at", ""),
    (
        "ix_videos_generated_key",
        "videos",
        "owner_id, s3_key",
        "status = 'ready' AND requested_at IS NOT NULL",
    ),
    ("ix_videos_owner_queued", "videos", "owner_id, queued_at, id", "status = 'queued'"),
    ("ix_videos_status_created", "videos", "status, created_at, id", ""),
    ("ix_videos_status_title", "videos", "status, {title}, id", ""),
    ("ix_videos_status_size", "videos", f"status, {STORED_SIZE}, id", ""),
    ("ix_videos_sidecar_due", "videos", "sidecar_due_at", "sidecar_due_at IS NOT NULL"),
    ("ix_videos_deadline", "videos", "status, deadline_at", GENERATING),
    ("ix_videos_next_ask", "videos", "status, next_ask_at", f"{GENERATING} AND requested_at IS NOT NULL"),
    ("ix_videos_unordered", "videos", "status, queued_at, id", f"{GENERATING} AND requested_at IS NULL"),
    ("ix_videos_copy_due", "videos", "copy_state, created_at", "copy_state IN ('due', 'making')"),
    ("ix_videos_kept_upload", "videos", "upload_kept_until", "upload_id IS NOT NULL"),
    ("ix_users_created_id", "users", "created_at, id", ""),
    ("ix_users_seen", "users", "(COALESCE(last_seen_at, created_at)), id", ""),
    ("ix_users_closed", "users", "closed_at", "closed_at IS NOT NULL"),
    ("ix_sessions_expires_at", "sessions", "expires_at", ""),
    ("ix_sessions_last_seen_at", "sessions", "last_seen_at", ""),
    ("ix_events_kind_at", "events", "kind, at, id", ""),
    ("ix_events_actor_at", "events", "actor_id, at, id", ""),
    ("ix_events_client_ip_at", "events", "client_ip, at, id", ""),
    ("ix_events_with_address", "events", "at", "client_ip <> ''"),
    ("ix_deliveries_direction_id", "deliveries", "direction, id", ""),
    (
        "ix_outbox_never_due",
        "outbox",
        "created_at",
        "next_attempt_at IS NULL AND delivered_at IS NULL AND last_error IS NULL",
    ),
    ("ix_generation_counts_day", "generation_counts", "day", ""),
    ("ix_counters_used", "counters", "(ready_bytes + copy_bytes + reserved_bytes), scope", ""),
    ("ix_counters_queued", "counters", "scope", "queued > 0"),
)


def upgrade() -> None:
    connection = op.get_bind()
    if not sa.inspect(connection).has_table(counters.TABLE):
        op.create_table(
            counters.TABLE,
            sa.Column("scope", sa.String(length=32), nullable=False),
            *(
                sa.Column(name, sa.BigInteger() if name.endswith("_bytes") else sa.Integer(), nullable=False)
                for name in counters.COLUMNS
            ),
            sa.PrimaryKeyConstraint("scope"),
        )
    counters.install(connection)
    is_used = connection.scalar(sa.text("SELECT 1 FROM videos LIMIT 1")) is not None
    if connection.dialect.name == "postgresql" and is_used:
        with op.get_context().autocommit_block():  # commits what is above
            # It waits for every older transaction, such as a backup's, and blocks no reader or writer.
            op.execute(f"SET lock_timeout = '{LONG_STATEMENT_SECONDS:.0f}s'")
            _drop_unfinished_indexes()
            _create_indexes("lower(title)", "INDEX CONCURRENTLY")
    elif connection.dialect.name == "postgresql":
        _create_indexes("lower(title)")
    else:
        _create_indexes("title COLLATE NOCASE")


def downgrade() -> None:
    counters.remove(op.get_bind())
    for name, *_ in INDEXES:
        op.execute(f"DROP INDEX IF EXISTS {name}")
    op.drop_table(counters.TABLE)


def _create_indexes(title: str, index: str = "INDEX") -> None:
    for name, table, columns, condition in INDEXES:
        where = f" WHERE {condition}" if condition else ""
        op.execute(f"CREATE {index} IF NOT EXISTS {name} ON {table} ({columns.format(title=title)}){where}")


def _drop_unfinished_indexes() -> None:
    """An interrupted concurrent build leaves an index that is not used."""
    unfinished = sa.text(
        "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE NOT indisvalid"
    )
    names = {name for name, *_ in INDEXES}
    for name in op.get_bind().scalars(unfinished).all():
        if name in names:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
