"""The kinds of values that settings take, each refusing what would only fail later."""

import base64
import re
from collections.abc import Callable
from email.utils import parseaddr
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from videovault.config.smtp import SmtpServer

Network = IPv4Network | IPv6Network

LEAST_GUESSES_LOG10 = 18.0
LONGEST_ESTIMATED = 72  # zxcvbn's time grows with the square of the length
# What examples and templates say in the place of a secret. One of 43 random characters holds such a word once in 10^7.
PLACEHOLDERS = re.compile(r"change[-_ ]?(me|it|this|in)|secret|passw|example|default", re.IGNORECASE)
MAKE_KEY = "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
MAKE_WEBHOOK_KEY = "python -c 'import base64, secrets; print(\"whsec_\" + base64.b64encode(secrets.token_bytes(32)).decode())'"


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if value and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise ValueError("must be an address that starts with http:// or https://")
    return value.rstrip("/")


def _known_scheme(*schemes: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value and urlsplit(value).scheme not in schemes:
            raise ValueError("must begin with " + " or ".join(f"{scheme}://" for scheme in schemes))
        return value

    return check


def _proxy_url(value: SecretStr) -> SecretStr:
    parts = urlsplit(value.get_secret_value())
    if value.get_secret_value() and (parts.scheme != "http" or not parts.hostname):
        raise ValueError("must be like http://user:password@host:port")
    return value


def is_guessable(secret: str) -> bool:
    """Whether trying words, patterns and short texts finds it; the estimate is zxcvbn's, and a cautious one."""
    if PLACEHOLDERS.search(secret):
        return True
    from zxcvbn import zxcvbn  # 10 MB that only settings with a secret need

    estimated: float = zxcvbn(secret[:LONGEST_ESTIMATED])["guesses_log10"]
    return estimated < LEAST_GUESSES_LOG10


def _sealing_key(value: SecretStr) -> SecretStr:
    if value.get_secret_value() and is_guessable(value.get_secret_value()):
        raise ValueError(
            f"is easy to guess. Make a good one: {MAKE_KEY}. If videos were stored with the present one, set that as "
            "SECRET_KEY_OLD beside the new one, run `python -m videovault reseal`, and remove it again"
        )
    return value


def _webhook_secret(value: SecretStr) -> SecretStr:
    secret = value.get_secret_value().removeprefix("whsec_")
    try:
        decoded = base64.b64decode(secret, validate=True).decode("latin-1")
    except ValueError as error:
        raise ValueError("must be base64, with or without whsec_ before it") from error
    if secret and (is_guessable(secret) or is_guessable(decoded)):
        raise ValueError(f"is easy to guess. Make a good one, and set it on both sides: {MAKE_WEBHOOK_KEY}")
    return value


def _smtp_url(value: SecretStr) -> SecretStr:
    if value.get_secret_value():
        SmtpServer.parse(value.get_secret_value())
    return value


def _mail_address(value: str) -> str:
    name, at, domain = parseaddr(value)[1].rpartition("@")
    if value and not (name and at and domain and value.isprintable()):
        raise ValueError("must be like videos@example.com or VideoVault <videos@example.com>")
    return value


def parsed_networks(value: str) -> tuple[Network, ...]:
    """Addresses and networks such as ``10.0.0.0/8``, comma-separated; ``*`` is all there are, ``none`` no one."""
    if value == "none":
        return ()
    entries = [entry.strip() for entry in value.replace("*", "0.0.0.0/0,::/0").split(",")]
    return tuple(ip_network(entry) for entry in entries if entry)


def _networks(value: str) -> str:
    try:
        parsed_networks(value)
    except ValueError as error:
        raise ValueError("must be IP addresses or networks such as 10.0.0.0/8, or none") from error
    return value


DatabaseUrl = Annotated[str, AfterValidator(_known_scheme("sqlite", "postgresql+psycopg"))]
QueueUrl = Annotated[str, AfterValidator(_known_scheme("sqlite", "postgresql", "redis", "rediss"))]
RedisUrl = Annotated[str, AfterValidator(_known_scheme("redis", "rediss"))]
ProxyUrl = Annotated[SecretStr, AfterValidator(_proxy_url)]
SealingKey = Annotated[SecretStr, AfterValidator(_sealing_key)]
WebhookSecret = Annotated[SecretStr, AfterValidator(_webhook_secret)]
SmtpUrl = Annotated[SecretStr, AfterValidator(_smtp_url)]
MailAddress = Annotated[str, AfterValidator(_mail_address)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Networks = Annotated[str, AfterValidator(_networks)]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
