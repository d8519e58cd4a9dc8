"""The mail server as one address: smtp://user:password@host:587, or smtps:// for TLS from the first byte."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

STARTTLS = ("offered", "required", "never")
PORTS = {"smtp": 587, "smtps": 465}
OWN_MACHINE = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True)
class SmtpServer:
    """Where mail is handed in, and how the way there is kept private."""

    host: str
    port: int
    user: str
    password: str
    tls: Literal["at once", "offered", "required", "never"]

    @classmethod
    def parse(cls, url: str) -> "SmtpServer":
        """Raises ValueError with what is wrong, never with the address itself, which holds a password."""
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname:
            raise ValueError("must be like smtp://user:password@host:587 or smtps://user:password@host:465")
        if bool(parts.username) != bool(parts.password):
            raise ValueError("needs user and password, or neither")
        try:
            port = parts.port or PORTS[parts.scheme]
        except ValueError as error:
            raise ValueError(
                "must have a port between 1 and 65535, and %-encode / # ? in a password"
            ) from error
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(
            parts.hostname, port, user, password, _tls(parts.scheme, parts.query, parts.hostname, user)
        )


def _tls(scheme: str, query: str, host: str, user: str) -> Literal["at once", "offered", "required", "never"]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    wanted = options.pop("starttls", "")
    if options or wanted not in ("", *STARTTLS) or (wanted and scheme == "smtps"):
        raise ValueError(f"takes one option only, and smtps:// none: ?starttls={'|'.join(STARTTLS)}")
    if scheme == "smtps":
        return "at once"
    # A password must not go out in the clear because somebody on the way has struck the offer of STARTTLS.
    if wanted != "never" and user and host not in OWN_MACHINE:
        return "required"
    match wanted:
        case "required" | "never":
            return wanted
        case _:
            return "offered"
