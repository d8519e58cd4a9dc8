"""Which backups an installation takes: of earlier versions, and those whose key it has."""

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

from tests.services.conftest import Row
from tests.services.maintenance.backup.conftest import Elsewhere, Store, restore
from tests.support.installation import Configure
from tests.support.keys import ONE_KEY
from videovault import db
from videovault.config import settings
from videovault.db import transaction
from videovault.errors import ConfigurationError, InvalidInput
from videovault.services.maintenance import backup

pytestmark = pytest.mark.thorough


def test_a_database_of_an_earlier_version_is_migrated(
    store: Store, backup_dir: Path, elsewhere: Elsewhere, row: Row
) -> None:
    video = store("One")
    command.downgrade(Config(str(db.ALEMBIC_INI)), "0009")
    assert backup.save(backup_dir).manifest.database.revision == "0009"
    elsewhere()
    restore(backup_dir)
    assert db.is_migrated()
    assert row(video.id).title == "One"


def test_a_database_of_a_later_version_is_refused(
    store: Store, backup_dir: Path, elsewhere: Elsewhere
) -> None:
    store("One")
    with transaction() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    backup.save(backup_dir)
    elsewhere()
    with pytest.raises(
        ConfigurationError, match="revision 9999, which this version of VideoVault does not know"
    ):
        restore(backup_dir)
    assert not settings().data_dir.exists()


def test_a_key_from_the_settings_is_asked_for(
    configure: Configure, installation: Path, store: Store, backup_dir: Path, elsewhere: Elsewhere
) -> None:
    configure(SECRET_KEY=ONE_KEY)
    store("One")
    assert backup.save(backup_dir).manifest.key.source == "settings"
    assert ONE_KEY not in "".join(path.read_text(errors="replace") for path in backup_dir.glob("*.json"))
    elsewhere(SECRET_KEY="")
    for refused in (lambda: restore(backup_dir), lambda: _raise_named(backup_dir)):
        with pytest.raises(InvalidInput, match="set SECRET_KEY to that of the installation"):
            refused()
    elsewhere("third", SECRET_KEY=ONE_KEY)
    assert not restore(backup_dir).findings.named
    del installation


def test_a_setting_that_would_hide_the_backups_key_is_refused(
    store: Store, backup_dir: Path, elsewhere: Elsewhere, installation: Path
) -> None:
    store("One")
    key = settings().installation.secret_key
    backup.save(backup_dir)
    elsewhere(SECRET_KEY=ONE_KEY)
    with pytest.raises(InvalidInput, match="SECRET_KEY is set here to another key"):
        restore(backup_dir)
    elsewhere("third", SECRET_KEY=ONE_KEY, SECRET_KEY_OLD=key)
    assert not restore(backup_dir).findings.named
    del installation


def _raise_named(folder: Path) -> None:
    named = backup.verify(folder).findings.named
    raise InvalidInput(named[0])
