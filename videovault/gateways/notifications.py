"""Notifies people by e-mail (SMTP_URL) and programs by a signed webhook (NOTIFY_WEBHOOK_URL)."""

import json
import smtplib
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr
from functools import lru_cache
from typing import Any

import httpx
from standardwebhooks import Webhook

from videovault.config import settings
from videovault.config.validation import SmtpServer
from videovault.errors import ConfigurationError, MailError, WebhookError
from videovault.gateways import socket_stream
from videovault.gateways.webhooks import signature_headers

SMTP_TIMEOUT_SECONDS = 15.0  # for each step of about ten
WEBHOOK_TIMEOUT = httpx.Timeout(15.0, connect=10.0)
# About the receiver or the moment; every other 4xx is about the message, and permanent.
RETRYABLE_STATUSES = {408, 409, 425, 429}


@dataclass(frozen=True)
class Email:
    """``message_id`` is the same in every attempt, so that mailboxes can detect duplicates."""

    message_id: str
    at: datetime
    to: str
    subject: str
    text: str


class Mailer:
    """Sends e-mails through one server; ``tls`` holds the trusted certificates."""

    def __init__(
        self, server: SmtpServer, *, sender: str, tls: ssl.SSLContext, timeout: float = SMTP_TIMEOUT_SECONDS
    ) -> None:
        self._server = server
        self._sender = sender
        self._address = parseaddr(sender)[1]
        self._tls = tls
        self._timeout = timeout

    def send(self, email: Email) -> None:
        """Returns once the server has accepted the e-mail.

        Raises MailError, ``retryable`` unless the server refused this e-mail permanently.
        """
        message = self._to_message(email)
        with _retryable_errors():
            smtp = self._connect()
        try:
            with _retryable_errors():
                self._sign_in(smtp)
            with _delivery_errors():
                smtp.send_message(message, from_addr=self._address, to_addrs=[email.to])
            with suppress(smtplib.SMTPException):  # the e-mail is accepted; a failing QUIT changes nothing
                smtp.quit()
        finally:
            smtp.close()

    def check_login(self) -> None:
        """Connect and sign in without sending anything. Raises MailError."""
        with _retryable_errors():
            smtp = self._connect()
            try:
                self._sign_in(smtp)
                smtp.noop()
            finally:
                smtp.close()

    def _to_message(self, email: Email) -> EmailMessage:
        message = EmailMessage(policy=_EMAIL_POLICY)
        message["From"] = self._sender
        message["To"] = email.to
        message["Subject"] = " ".join(_printable(email.subject).split())
        message["Date"] = format_datetime(email.at)
        message["Message-ID"] = f"<{email.message_id}@{self._address.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: suppresses out-of-office replies
        message.set_content(_printable(email.text, keep="\n"), cte="quoted-printable")
        return message

    def _connect(self) -> smtplib.SMTP:
        server = (self._server.host, self._server.port)
        if self._server.tls == "at once":
            return smtplib.SMTP_SSL(*server, timeout=self._timeout, context=self._tls)
        return smtplib.SMTP(*server, timeout=self._timeout)

    def _sign_in(self, smtp: smtplib.SMTP) -> None:
        smtp.ehlo_or_helo_if_needed()
        if self._server.tls in ("offered", "required") and smtp.has_extn("starttls"):
            smtp.starttls(context=self._tls)
        elif self._server.tls == "required":
            raise MailError("The mail server offers no STARTTLS: see SMTP_URL.", retryable=True)
        if self._server.user:
            smtp.login(self._server.user, self._server.password)


class NotifyWebhook:
    """Posts messages to one URL with the given client."""

    def __init__(self, client: httpx.Client, *, url: str, secret: str = "") -> None:
        self._client = client
        self._url = url
        self._signer = Webhook(secret) if secret else None

    def deliver(self, message_id: str, message: Mapping[str, Any]) -> None:
        """Post the message once; ``message_id`` is its webhook-id, by which receivers detect duplicates.

        Raises WebhookError, ``retryable`` unless the receiver refused the message permanently.
        """
        body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", **signature_headers(message_id, body, self._signer)}
        try:
            # The body of the response is not read, so it cannot be too long either.
            with self._client.stream("POST", self._url, content=body, headers=headers) as response:
                status = response.status_code
        except httpx.HTTPError as error:
            raise WebhookError(
                "NOTIFY_WEBHOOK_URL cannot be reached or gives no answer.", retryable=True
            ) from error
        if not 200 <= status < 300:
            final = 400 <= status < 500 and status not in RETRYABLE_STATUSES
            raise WebhookError(f"NOTIFY_WEBHOOK_URL answered {status}.", retryable=not final)


@lru_cache(maxsize=1)
def connected_mailer() -> Mailer:
    """The mail server of the settings. Raises ConfigurationError if there is none."""
    server = settings().smtp
    if server is None:
        raise ConfigurationError("No mail server is set up: set SMTP_URL.")
    return Mailer(server, sender=settings().mail_from, tls=ssl.create_default_context())


@lru_cache(maxsize=1)
def connected_webhook() -> NotifyWebhook:
    """The webhook of the settings."""
    config = settings()
    return NotifyWebhook(
        httpx.Client(timeout=WEBHOOK_TIMEOUT, verify=socket_stream.ssl_context()),
        url=config.notify_webhook_url,
        secret=config.webhook_secret.get_secret_value(),
    )


class _EmailPolicy(EmailPolicy):
    def fold_binary(self, name: str, value: str) -> bytes:
        """Python's folding of long non-ASCII subjects loses spaces between words; its older Header does not."""
        if name != "Subject":
            return super().fold_binary(name, value)
        folded = Header(str(value), "utf-8", header_name=name).encode(linesep=self.linesep)
        return f"{name}: {folded}{self.linesep}".encode("ascii")


_EMAIL_POLICY = _EmailPolicy(linesep="\r\n")


@contextmanager
def _retryable_errors() -> Iterator[None]:
    """Errors here are about the server or the settings, so the e-mail can be retried."""
    try:
        yield
    except (smtplib.SMTPException, OSError) as error:
        raise MailError(f"The mail server cannot be used: {_reason(error)}", retryable=True) from error


@contextmanager
def _delivery_errors() -> Iterator[None]:
    try:
        yield
    except (smtplib.SMTPException, OSError) as error:
        final = 500 <= _reply(error)[0] < 600 or isinstance(error, smtplib.SMTPNotSupportedError)
        raise MailError(f"The mail server did not take it: {_reason(error)}", retryable=not final) from error


def _reason(error: Exception) -> str:
    code, text = _reply(error)
    reason = text.decode(errors="replace") if isinstance(text, bytes) else text
    return _printable(f"{code} {reason}" if code else reason)


def _reply(error: Exception) -> tuple[int, bytes | str]:
    """The server's reply code, 0 without one, and its text."""
    match error:
        case smtplib.SMTPRecipientsRefused(recipients=refused):
            answer: tuple[int, bytes] = next(iter(refused.values()))
            return answer
        case smtplib.SMTPResponseException(smtp_code=code, smtp_error=text):
            return code, text
        case OSError(strerror=str(reason)):
            return 0, reason
        case _:
            return 0, str(error) or type(error).__name__


def _printable(text: str, keep: str = "") -> str:
    """Replaces characters that could end a header or be shown as something else."""
    return "".join(char if char.isprintable() or char in keep else " " for char in text)
