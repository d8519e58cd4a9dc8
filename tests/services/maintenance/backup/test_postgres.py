"""Backup and restore with a real PostgreSQL and its client programs."""

from pathlib import Path

import psycopg
import pytest
from sqlmodel import select

from tests.services.conftest import Row
from tests.services.maintenance.backup.conftest import Elsewhere, contents, restore
from tests.services.maintenance.conftest import put_video
from tests.support.installation import Configure
from tests.support.postgres import _created
from tests.support.videos import insert_video
from videovault import db
from videovault.config import settings
from videovault.db import reading, transaction
from videovault.errors import ConfigurationError, Conflict
from videovault.gateways.storage import Storage
from videovault.models import Status, User, Video
from videovault.services import sharing
from videovault.services.accounts import accounts
from videovault.services.core.access import Caller
from videovault.services.maintenance.backup.save import save_backup, verify_backup

pytestmark = pytest.mark.thorough


@pytest.fixture
def anna(postgres_server: str, migrated_postgres: str, configure: Configure, moto_s3: Storage) -> Caller:
    del moto_s3
    configure(DATABASE_URL=_created(postgres_server, migrated_postgres))
    return accounts.authenticate(accounts.register("anna@example.com", "correct horse").token)


@pytest.fixture
def video(anna: Caller, row: Row) -> Video:
    return put_video(anna.user_id, "Launch", b"film" * 1000, row)


def emails() -> list[str]:
    with reading() as session:
        return sorted(session.exec(select(User.email)))


def test_restore_brings_everything_back_except_jobs_and_running_transfers(
    anna: Caller, video: Video, backup_dir: Path, elsewhere: Elsewhere, postgres_url: str, row: Row
) -> None:
    """Jobs are created again from the rows, and the target keeps its own."""
    shown = sharing.get_secret_key(anna, video.id).secret_key
    running = insert_video(anna, Status.STORING, upload_id="elsewhere")
    for url in (settings().database_url, postgres_url):
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            connection.execute("CREATE TABLE huey_task (id int)")
            connection.execute("INSERT INTO huey_task VALUES (1)")
    manifest = save_backup(backup_dir).manifest
    assert manifest.database.kind == "postgresql"
    assert not verify_backup(backup_dir).findings.named
    vault = elsewhere(DATABASE_URL=postgres_url)
    restored = restore(backup_dir)
    assert (restored.objects.put, restored.findings.named, restored.adjusted.queued) == (3, [], 1)
    assert contents(vault)[str(video.s3_key)][0] == b"film" * 1000
    assert row(video.id).title == "Launch"
    assert (row(running).status, row(running).upload_id) == (Status.QUEUED, None)
    assert sharing.get_secret_key(anna, video.id).secret_key == shown
    accounts.register("new@example.com", "correct horse")  # sequences continue after the last number
    assert emails() == ["anna@example.com", "new@example.com"]
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT count(*) FROM huey_task").fetchone() == (1,)


def test_dump_is_a_consistent_snapshot(
    anna: Caller, video: Video, backup_dir: Path, elsewhere: Elsewhere, postgres_url: str
) -> None:
    del anna, video
    with transaction() as session:
        session.add(User(email="uncommitted@example.com", password_hash="-"))
        session.flush()
        save_backup(backup_dir)
    elsewhere(DATABASE_URL=postgres_url)
    restore(backup_dir)
    assert emails() == ["anna@example.com"]


def test_database_that_is_not_empty_is_refused_or_set_aside(
    video: Video, backup_dir: Path, elsewhere: Elsewhere, migrated_postgres_url: str
) -> None:
    del video
    save_backup(backup_dir)
    elsewhere(DATABASE_URL=migrated_postgres_url, SECRET_KEY_OLD=settings().installation.secret_key)
    accounts.register("other@example.com", "correct horse")
    with pytest.raises(Conflict, match="There is an installation already"):
        restore(backup_dir)
    assert emails() == ["other@example.com"]
    db.engine().dispose()
    (schema,) = [each for each in restore(backup_dir, force=True).aside if "schema" in each]
    assert emails() == ["anna@example.com"]
    with psycopg.connect(migrated_postgres_url.replace("+psycopg", "")) as connection:
        name = schema.split()[2]
        kept = connection.execute(f'SELECT email FROM "{name}".users'.encode()).fetchall()  # noqa: S608 - ours
    assert kept == [("other@example.com",)]


def test_missing_pg_dump_is_reported_before_the_manifest_is_written(
    video: Video, backup_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    del video
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="pg_dump is not installed"):
        save_backup(backup_dir)
    assert not (backup_dir / "manifest.json").exists()


def test_other_kind_of_database_is_refused(video: Video, backup_dir: Path, elsewhere: Elsewhere) -> None:
    del video
    save_backup(backup_dir)
    elsewhere()
    with pytest.raises(ConfigurationError, match="of a PostgreSQL database, and DATABASE_URL names SQLite"):
        restore(backup_dir)
    assert not settings().data_dir.exists()
