"""The values of settings that no log may show."""

import pytest

from tests.support.installation import Configure
from tests.support.keys import ONE_KEY
from videovault.config import hidden, settings

WEBHOOK = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_keys_and_passwords_are_listed_wherever_they_were_set(configure: Configure) -> None:
    configure(
        SECRET_KEY=ONE_KEY,
        SECRET_KEY_OLD="older-key,oldest-key",
        AWS_ACCESS_KEY_ID="id",
        AWS_SECRET_ACCESS_KEY="aws-secret",
        WEBHOOK_SECRET=WEBHOOK,
        DATABASE_URL="postgresql+psycopg://app:database-password@localhost/videos",
        REDIS_URL="redis://:redis-password@localhost",
        SMTP_URL="smtp://post:mail-password@localhost",
        MAIL_FROM="videos@example.com",
    )
    assert set(hidden.values(settings())) >= {
        ONE_KEY,
        "older-key",
        "oldest-key",
        "aws-secret",
        WEBHOOK,
        "database-password",
        "redis-password",
        "mail-password",
    }


@pytest.mark.usefixtures("installation")
def test_so_are_the_keys_that_the_installation_made_but_none_is_made_for_it() -> None:
    file = settings().data_dir / "installation.json"
    file.unlink(missing_ok=True)
    assert hidden.values(settings()) == []
    assert not file.exists()
    own = settings().installation
    assert set(hidden.values(settings())) == {own.secret_key, own.s3_secret_key, own.studio_key}
