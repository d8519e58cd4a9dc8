"""No secret gets into a log unnoticed: the run itself looks for all that it has made and set."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import log_grep
from tests.support.installation import Configure
from videovault import logs, security
from videovault.config import settings
from videovault.gateways.storage import Storage
from videovault.security import Order, ViewPass
from videovault.services.accounts import accounts, passwords, tokens

PASSWORD = "correct horse"
SET = {  # in none of which is a secret of another test's
    "SECRET_KEY": "what-opens-" + "k7Zr-boxes-Qw93",
    "WEBHOOK_SECRET": "whsec_" + "b25seS10aGlzLXRlc3Qga25vd3MgaXQ=",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-bucket",
    "SMTP_URL": "smtp://me:password-of-the-mail@mail.example:587",
    "DATABASE_URL": "postgresql+psycopg://app:password-of-the-rows@db/videos",
    "QUEUE_URL": "redis://:password-of-the-queue@queue/1",
    "REDIS_URL": "redis://:password-of-the-pages@pages/1",
    "SOURCE_PROXY": "http://me:password%2Fof-the-way@proxy.example:3128",
}


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[Path]:
    log = tmp_path / "planted.log"
    log_grep.watch(log)
    yield log
    log_grep._logs.discard(log)
    log_grep._lines.pop(log, None)


def found(planted: Path, secret: str) -> bool:
    planted.write_text(f"here is {secret}, in a line\n")
    return any(leak.startswith(str(planted)) for leak in log_grep.leaks())


def test_whatever_is_made_here_is_looked_for(planted: Path, moto_s3: Storage) -> None:
    caller = accounts.authenticate(accounts.register("anna@example.com", PASSWORD).token)
    made = [
        accounts.login("anna@example.com", PASSWORD).token,
        tokens.create(caller, "Nightly").token,
        accounts.invite(caller).url,
        passwords.reset_link_for_admin(caller, caller.user_id).url,
        security.callback_token(Order("video_1_a", "")),
        security.issue_view_pass(ViewPass("video_1_a", 0)),
        security.new_secret_key(),
        settings().installation.secret_key,
        settings().installation.s3_secret_key,
        moto_s3.presign("videos/a.mp4", seconds=60),
    ]
    assert [found(planted, secret) for secret in made] == [True] * len(made)
    assert not found(planted, security.token_hash(made[0]))


@pytest.mark.parametrize("name", SET)
def test_whatever_is_secret_among_settings_is_looked_for(planted: Path, name: str) -> None:
    secrets = [secret for secret in log_grep.secrets_in({name: SET[name]}) if secret != SET[name]] or [
        SET[name]
    ]
    assert not found(planted, secrets[-1])
    log_grep.watch(planted, **{name: SET[name]})
    assert found(planted, secrets[-1])
    log_grep._used.difference_update(log_grep.secrets_in({name: SET[name]}))


def test_what_this_process_logs_is_written_as_the_product_writes_it(
    own_log: Path, configure: Configure
) -> None:
    configure(SMTP_URL=SET["SMTP_URL"], MAIL_FROM="videos@brot.example")
    token = security.new_token()
    logs.get("test").warning("seen here", what=f"{token} and password-of-the-mail")
    line = own_log.read_text().splitlines()[-1]
    assert "seen here" in line
    assert token not in line
    assert "password-of-the-mail" not in line
