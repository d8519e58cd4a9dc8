"""Alembic reads the same settings and tables as the application."""

import warnings
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlmodel.sql.sqltypes import AutoString

from videovault import search_index
from videovault.clock import UtcDateTime
from videovault.db import engine_for_long_statements
from videovault.models import User


def render_item(kind: str, item: Any, _autogen: AutogenContext) -> str | Literal[False]:
    """Write our own types into migrations as what they are in the database, so that they stand alone."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, AutoString):
        return f"sa.String(length={item.length})" if item.length else "sa.String()"
    return False


# They exist in migrations only: no database reflects an index of an expression as it was declared.
EXPRESSION_INDEXES = {
    "ix_videos_owner_source",
    "ix_videos_owner_status_title",
    "ix_videos_owner_status_size",
    "ix_videos_owner_status_duration",
    "ix_videos_status_title",
    "ix_videos_status_size",
    "ix_users_seen",
    "ix_counters_used",
}


SEARCH_INDEXES = "ix_videos_search_"


def include_object(_object: Any, name: str | None, kind: str, *_others: Any) -> bool:
    if kind == "table" and name and search_index.is_of_sqlite(name):
        return False
    return not (kind == "index" and name and (name in EXPRESSION_INDEXES or name.startswith(SEARCH_INDEXES)))


with engine_for_long_statements() as engine, engine.connect() as connection:
    warnings.filterwarnings("ignore", message="Skipped unsupported reflection of expression-based index")
    context.configure(
        connection=connection,
        target_metadata=User.metadata,
        render_as_batch=True,  # SQLite changes a table by copying it
        compare_type=True,
        render_item=render_item,
        include_object=include_object,
    )
    with context.begin_transaction():
        context.run_migrations()
