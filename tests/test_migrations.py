"""The tables' versions, there and back, on each database."""

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

from tests.fixtures.installation import Configure
from videovault import db


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_every_version_can_be_left_and_reached_again(
    database: str, configure: Configure, request: pytest.FixtureRequest
) -> None:
    if database == "postgresql":
        configure(DATABASE_URL=request.getfixturevalue("postgres_url"))
    scripts = Config(str(db.ALEMBIC_INI))
    db.migrate()
    command.downgrade(scripts, "0001")
    command.downgrade(scripts, "base")
    db.migrate()
    with db.engine().connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), SQLModel.metadata) == []
    db.engine().dispose()
