"""A real mail server on loopback that records accepted e-mails, and refuses on request."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.support.app import free_port

USER, PASSWORD = "post", "p@ss:w/rd?"


@dataclass(frozen=True)
class Taken:
    """An accepted e-mail, and how it was sent."""

    sender: str
    recipients: list[str]
    raw: bytes
    was_encrypted: bool
    was_signed_in: bool

    @property
    def message(self) -> EmailMessage:
        read = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(read, EmailMessage)
        return read


@dataclass
class MailServer:
    """``answers`` are its replies to RCPT, DATA or QUIT instead of accepting the e-mail: ``{"RCPT": "550 No."}``."""

    host: str = "127.0.0.1"
    port: int = field(default_factory=free_port)
    letters: list[Taken] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's names, here and below
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if "RCPT" not in self.answers:
            envelope.rcpt_tos.append(address)
        return self.answers.get("RCPT", "250 OK")

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if "DATA" in self.answers:
            return self.answers["DATA"]
        raw = envelope.original_content or b""
        ways = (session.ssl is not None, bool(session.authenticated))
        self.letters.append(Taken(str(envelope.mail_from), list(envelope.rcpt_tos), raw, *ways))
        return "250 OK"

    async def handle_QUIT(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
        return self.answers.get("QUIT", "221 Bye")


@contextmanager
def mail_server(
    *, tls: ssl.SSLContext | None = None, at_once: bool = False, wants_password: bool = False
) -> Iterator[MailServer]:
    """With ``tls`` it offers STARTTLS, or starts with TLS if ``at_once``."""
    server = MailServer()
    options: dict[str, Any] = {}
    if wants_password:
        options = {"authenticator": _check, "auth_required": True, "auth_require_tls": tls is not None}
    options |= {"ssl_context" if at_once else "tls_context": tls}
    controller = Controller(server, hostname=server.host, port=server.port, **options)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()


def _check(_server: SMTP, _session: Session, _envelope: Envelope, _how: str, given: object) -> AuthResult:
    right = isinstance(given, LoginPassword) and given == LoginPassword(USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=right)
