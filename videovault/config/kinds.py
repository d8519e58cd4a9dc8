"""The kinds of values that settings take, each refusing what would only fail later."""

import base64
from collections.abc import Callable
from email.utils import parseaddr
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from videovault.config.smtp import SmtpServer

Network = IPv4Network | IPv6Network


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


def _webhook_secret(value: SecretStr) -> SecretStr:
    try:
        base64.b64decode(value.get_secret_value().removeprefix("whsec_"), validate=True)
    except ValueError as error:
        raise ValueError("must be base64, with or without whsec_ before it") from error
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
WebhookSecret = Annotated[SecretStr, AfterValidator(_webhook_secret)]
SmtpUrl = Annotated[SecretStr, AfterValidator(_smtp_url)]
MailAddress = Annotated[str, AfterValidator(_mail_address)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Networks = Annotated[str, AfterValidator(_networks)]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
