"""The migrations create exactly the tables of the models on every database, and can be downgraded."""

import os
import subprocess
import sys

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlmodel import SQLModel

from tests.support.installation import ROOT
from videovault import db, models, search_index
from videovault.errors import ConfigurationError

pytestmark = [pytest.mark.usefixtures("empty_database"), pytest.mark.thorough]
TABLES = {
    "test_orders",
    "chosen_settings",
    "users",
    "sessions",
    "videos",
    "webhook_ids",
    "upload_parts",
    "events",
    "deliveries",
    "generation_counts",
    "idempotency_keys",
    "outbox",
    "api_tokens",
    "invitations",
    "avatars",
    "installation_facts",
    "key_canaries",
    "workers",
    "health_checks",
    "store_capabilities",
    "counters",
}


@pytest.fixture
def alembic_config() -> Config:
    return Config(str(db.ALEMBIC_INI))


def stored_revision() -> str | None:
    with db.engine().connect() as connection:
        return db.current_revision(connection)


def tables() -> set[str]:
    """Without those of SQLite's search index, of which each version makes its own."""
    found = set(inspect(db.engine()).get_table_names()) - {"alembic_version"}
    return {name for name in found if not search_index.is_of_sqlite(name)}


def test_empty_database_gets_all_tables() -> None:
    assert tables() == set()
    db.migrate()
    assert tables() == TABLES == set(SQLModel.metadata.tables)


def test_a_second_migration_changes_nothing_and_an_older_one_is_continued(alembic_config: Config) -> None:
    db.migrate()
    newest, before = db.known_revisions()[:2]
    db.migrate()
    assert stored_revision() == newest
    command.downgrade(alembic_config, before)
    assert db.schema_behind() == before
    db.migrate()
    assert (stored_revision(), tables()) == (newest, TABLES)


def test_tables_of_a_later_version_are_refused_and_unnamed_ones_migrated() -> None:
    db.migrate()
    assert db.schema_behind() is None
    set_revision("UPDATE alembic_version SET version_num = 'later'")
    for use in (db.schema_behind, db.migrate):
        with pytest.raises(ConfigurationError, match="the schema later of a later version of VideoVault"):
            use()
    set_revision("DELETE FROM alembic_version")
    assert db.schema_behind() == "none"


def set_revision(statement: str) -> None:
    with db.engine().begin() as connection:
        connection.execute(text(statement))


def test_revisions_are_those_of_alembic(alembic_config: Config) -> None:
    scripts = ScriptDirectory.from_config(alembic_config)
    assert db.known_revisions() == [script.revision for script in scripts.walk_revisions()]


def test_migrated_tables_match_the_models(alembic_config: Config) -> None:
    db.migrate()
    command.check(alembic_config)  # raises when a migration is missing


@pytest.mark.process
def test_the_alembic_command_knows_the_models() -> None:
    db.migrate()
    check = [sys.executable, "-m", "alembic", "-c", str(db.ALEMBIC_INI), "check"]
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(check, env=here, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_missing_migration_would_be_noticed(alembic_config: Config) -> None:
    """A control: otherwise the previous test proves nothing."""
    db.migrate()
    with db.engine().begin() as connection:
        connection.exec_driver_sql("ALTER TABLE videos DROP COLUMN license")
    with pytest.raises(Exception, match="license"):
        command.check(alembic_config)


def test_every_migration_can_be_downgraded(alembic_config: Config) -> None:
    db.migrate()
    command.downgrade(alembic_config, "base")
    assert tables() == set()
    db.migrate()
    assert tables() == TABLES


def test_a_database_with_videos_gets_counters_and_usable_indexes(alembic_config: Config) -> None:
    db.migrate()
    with db.transaction() as session:
        session.add(models.User(id="u", email="a@example.com", password_hash="-"))
        session.flush()
        ready = models.Status.READY
        session.add(models.Video(id="v", owner_id="u", title="Bread", sealed_key="", status=ready, size=7))
    command.downgrade(alembic_config, "0022")
    db.migrate()
    with db.reading() as session:
        counted = session.get_one(models.Counter, "u")
        assert (counted.ready, counted.ready_bytes) == (1, 7)
        if db.is_postgres():
            invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
            assert session.connection().scalar(text(invalid)) == 0


def test_rows_survive_a_repeated_migration() -> None:
    db.migrate()
    with db.transaction() as session:
        session.add(models.User(email="a@example.com", password_hash="-"))
    db.migrate()
    with db.reading() as session:
        assert session.get_one(models.User, _only_id()).email == "a@example.com"


def _only_id() -> str:
    with db.engine().connect() as connection:
        return str(connection.exec_driver_sql("SELECT id FROM users").scalar_one())
