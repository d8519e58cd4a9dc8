"""The values of settings that no log may show."""

from urllib.parse import urlsplit

from pydantic import SecretStr

from videovault import installation
from videovault.config import Settings


def values(chosen: Settings) -> list[str]:
    """Keys and passwords, those in addresses and those the installation made for itself too."""
    secrets = [value.get_secret_value() for _, value in chosen if isinstance(value, SecretStr)]
    passwords = [
        urlsplit(url).password for url in (chosen.database_url, chosen.queue_url, chosen.redis_url) if url
    ]
    mail = [chosen.smtp.password] if chosen.smtp else []
    old_keys = chosen.secret_key_old.get_secret_value().split(",")
    return [
        secret
        for secret in (*secrets, *chosen.header_secrets, *passwords, *mail, *_own(chosen), *old_keys)
        if secret
    ]


def _own(chosen: Settings) -> list[str]:
    """Nothing before the first start, which not every command is."""
    if not (chosen.data_dir / installation.FILE_NAME).exists():
        return []
    return [chosen.installation.secret_key, chosen.installation.s3_secret_key, chosen.installation.studio_key]
