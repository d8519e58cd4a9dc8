"""Settings have working defaults, and invalid ones are refused with a clear message."""

import base64
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import env_example
from tests.support.installation import Configure
from tests.support.keys import ONE_KEY
from videovault.config import Settings, settings, validation
from videovault.config.validation import SmtpServer
from videovault.errors import ConfigurationError


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    settings.cache_clear()
    return tmp_path


def refusal() -> str:
    with pytest.raises(ConfigurationError) as caught:
        settings()
    return caught.value.public_message


def test_defaults_are_embedded() -> None:
    chosen = settings()
    assert chosen.uses_embedded_s3
    assert chosen.uses_embedded_studio
    assert chosen.database_dsn == "sqlite:///var/videovault.db"
    assert chosen.base_url == "http://localhost:3000"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "abc"),
        ("PORT", "70000"),
        ("WORKERS", "-1"),
        ("PUBLIC_URL", "example.com"),
        ("VIDEO_WEBHOOK_URL", "ftp://example.com/hook"),
        ("MAX_VIDEO_BYTES", "0"),
        ("SIGNUP", "perhaps"),
        ("LOG_LEVEL", "loud"),
        ("WEBHOOK_TIMEOUT_SECONDS", "0"),
        ("WEBHOOK_SECRET", "not base64, surely"),
        ("DATABASE_URL", "mysql://localhost/db"),
        ("DATABASE_URL", "postgresql+psycopg://vv:s3cr#et@db/q"),
        ("QUEUE_URL", "amqp://localhost"),
        ("QUEUE_URL", "postgresql://vv:s3cr?et@db:5432/q"),
        ("REDIS_URL", "redis://:s3cr/et@redis:6379/0"),
        ("NOTIFY_WEBHOOK_URL", "hooks.example.com"),
        ("SMTP_URL", "mail.example.com:587"),
        ("MAIL_FROM", "VideoVault"),
        ("MAIL_FROM", "videos@example.com\nBcc: everybody@example.com"),
        ("MAIL_NOTICES", "some"),
    ],
)
def test_invalid_value_is_refused_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert f"  {name}: " in refusal()


def test_incomplete_aws_keys_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    assert "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY belong together" in refusal()


def test_mail_without_sender_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_URL", "smtp://localhost")
    assert "SMTP_URL needs MAIL_FROM" in refusal()


def test_refused_mail_server_does_not_show_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_URL", "smtp://post:very-secret@mail.example.com/?starttls=perhaps")
    assert "starttls=offered|required|never" in refusal()
    assert "very-secret" not in refusal()


def test_error_message_never_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    monkeypatch.setenv("PORT", "abc")
    assert "very-secret" not in refusal()


def test_variables_are_read_from_a_dot_env_file(empty_folder: Path) -> None:
    (empty_folder / ".env").write_text(
        "AWS_REGION=eu-west-1\nAWS_S3_BUCKET_NAME=films\n"
        "AWS_ACCESS_KEY_ID=key\nAWS_SECRET_ACCESS_KEY=secret\nSOMEBODY_ELSES=1\n"
    )
    chosen = settings()
    assert (chosen.aws_region, chosen.aws_s3_bucket_name) == ("eu-west-1", "films")
    assert not chosen.uses_embedded_s3


def test_empty_webhook_means_none_and_other_empty_values_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SCRIPT_WEBHOOK_URL", "")
    monkeypatch.setenv("VIDEO_WEBHOOK_URL", "")
    monkeypatch.setenv("PORT", "")
    chosen = settings()
    assert (chosen.script_webhook, chosen.video_webhook, chosen.port) == ("", "", 3000)
    assert not chosen.uses_embedded_studio


@pytest.mark.parametrize(
    "easy",
    [
        "changeme",
        "changeme" * 6,
        "a" * 64,
        "0123456789abcdef" * 4,
        "qwertyuiopasdfghjklzxcvbnm",
        "super-secret-jwt-token-with-at-least-32-characters-long",
        "00000000-0000-0000-0000-000000000000",
    ],
)
def test_guessable_secret_is_refused_with_a_command_for_a_strong_one(
    monkeypatch: pytest.MonkeyPatch, easy: str
) -> None:
    monkeypatch.setenv("SECRET_KEY", easy)
    assert "  SECRET_KEY: is easy to guess. Generate a strong one: python -c" in refusal()
    assert "set that as SECRET_KEY_OLD" in refusal()
    assert easy not in refusal()
    monkeypatch.delenv("SECRET_KEY")
    monkeypatch.setenv("WEBHOOK_SECRET", "whsec_" + base64.b64encode(easy.encode()).decode())
    assert "  WEBHOOK_SECRET: is easy to guess" in refusal()


@pytest.mark.parametrize("form", [secrets.token_urlsafe, secrets.token_hex])
def test_random_secret_is_accepted(monkeypatch: pytest.MonkeyPatch, form: Callable[[int], str]) -> None:
    for size in (16, 24, 32, 64):
        monkeypatch.setenv("SECRET_KEY", form(size))
        settings.cache_clear()
        assert settings().sealing_keys


def test_suggested_commands_make_strong_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, command in (
        ("SECRET_KEY", validation.MAKE_KEY),
        ("WEBHOOK_SECRET", validation.MAKE_WEBHOOK_KEY),
    ):
        program = command.removeprefix("python -c '").removesuffix("'")
        made = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
        monkeypatch.setenv(name, made.stdout.strip())
        settings.cache_clear()
        assert settings()


def test_no_private_address_is_allowed_by_default() -> None:
    assert settings().allowed_sources == frozenset()


def test_old_secret_keys_come_after_the_sealing_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", ONE_KEY)
    monkeypatch.setenv("SECRET_KEY_OLD", "older, oldest")
    assert settings().sealing_keys == [ONE_KEY, "older", "oldest"]


def test_every_setting_has_a_description() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_env_example_is_up_to_date() -> None:
    assert env_example.FILE.read_text() == env_example.text(), "run scripts/env_example.py"


# Secrets that no log may show.

WEBHOOK = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_secrets_include_all_keys_and_passwords(configure: Configure) -> None:
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
    assert set(settings().secrets) >= {
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
def test_secrets_include_the_key_file_without_creating_it() -> None:
    file = settings().data_dir / "installation.json"
    file.unlink(missing_ok=True)
    assert settings().secrets == []
    assert not file.exists()
    own = settings().installation
    assert set(settings().secrets) == {own.secret_key, own.s3_secret_key, own.studio_key}


# SMTP_URL.


@pytest.mark.parametrize(
    ("url", "host", "port", "tls"),
    [
        ("smtp://mail.example.com", "mail.example.com", 587, "offered"),
        ("smtp://mail.example.com:25?starttls=never", "mail.example.com", 25, "never"),
        ("smtp://mail.example.com/?starttls=required", "mail.example.com", 587, "required"),
        ("smtps://mail.example.com", "mail.example.com", 465, "at once"),
        ("smtp://[::1]:2525", "::1", 2525, "offered"),
    ],
)
def test_smtp_url_defaults(url: str, host: str, port: int, tls: str) -> None:
    server = SmtpServer.parse(url)
    assert (server.host, server.port, server.tls, server.user) == (host, port, tls, "")


def test_smtp_user_and_password_may_be_encoded() -> None:
    server = SmtpServer.parse("smtps://anna%40example.com:p%40ss%2F%23@mail.example.com")
    assert (server.user, server.password) == ("anna@example.com", "p@ss/#")


@pytest.mark.parametrize(
    ("url", "tls"),
    [
        ("smtp://post:secret@mail.example.com", "required"),
        ("smtp://post:secret@mail.example.com?starttls=offered", "required"),
        ("smtp://post:secret@mail.example.com?starttls=never", "never"),
        ("smtp://post:secret@127.0.0.1:1025", "offered"),
    ],
)
def test_smtp_password_is_sent_without_tls_only_on_request(url: str, tls: str) -> None:
    assert SmtpServer.parse(url).tls == tls


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.com",
        "http://mail.example.com",
        "smtp://",
        "smtp://mail.example.com:99999",
        "smtp://post:pa#ss@mail.example.com",
        "smtp://post@mail.example.com",
        "smtp://mail.example.com?starttls=perhaps",
        "smtp://mail.example.com?tls=1",
        "smtps://mail.example.com?starttls=required",
    ],
)
def test_invalid_smtp_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"must|needs|takes") as caught:
        SmtpServer.parse(url)
    assert url not in str(caught.value) or url == "smtp://"
