"""Alembic reads the same settings and tables as the application."""

from alembic import context
from sqlmodel import SQLModel

from videovault import models  # noqa: F401 - fills the metadata
from videovault.db import engine

with engine().connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_as_batch=True,  # SQLite changes a table by copying it
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()
