"""E-mail through the server that the settings name, one short plain text at a time."""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr
from functools import lru_cache

from videovault.config import settings
from videovault.config.validation import SmtpServer
from videovault.errors import ConfigurationError, MailError

TIMEOUT_SECONDS = 15.0  # for each step of about ten


@dataclass(frozen=True)
class Email:
    """``message_id`` is the same at every try, so that mailboxes know a letter again that was sent twice."""

    message_id: str
    at: datetime
    to: str
    subject: str
    text: str


class Mailer:
    """Hands letters to one server; ``tls`` says whose certificates are trusted."""

    def __init__(
        self, server: SmtpServer, *, sender: str, tls: ssl.SSLContext, timeout: float = TIMEOUT_SECONDS
    ) -> None:
        self._server = server
        self._sender = sender
        self._address = parseaddr(sender)[1]
        self._tls = tls
        self._timeout = timeout

    def send(self, letter: Email) -> None:
        """Returns once the server has taken the letter.

        Raises MailError, ``retryable`` unless the server refused this very letter for good.
        """
        message = self._written(letter)
        with _setting_up():
            smtp = self._connected()
        try:
            with _setting_up():
                self._introduce(smtp)
            with _handing_over():
                smtp.send_message(message, from_addr=self._address, to_addrs=[letter.to])
            with suppress(smtplib.SMTPException):  # the letter is taken; a rude farewell changes nothing
                smtp.quit()
        finally:
            smtp.close()

    def check_login(self) -> None:
        """Sign in and say goodbye, sending nothing. Raises MailError."""
        with _setting_up():
            smtp = self._connected()
            try:
                self._introduce(smtp)
                smtp.noop()
            finally:
                smtp.close()

    def _written(self, letter: Email) -> EmailMessage:
        message = EmailMessage(policy=_POLICY)
        message["From"] = self._sender
        message["To"] = letter.to
        message["Subject"] = " ".join(_printable(letter.subject).split())
        message["Date"] = format_datetime(letter.at)
        message["Message-ID"] = f"<{letter.message_id}@{self._address.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: out-of-office notes stay away
        message.set_content(_printable(letter.text, keep="\n"), cte="quoted-printable")
        return message

    def _connected(self) -> smtplib.SMTP:
        where = (self._server.host, self._server.port)
        if self._server.tls == "at once":
            return smtplib.SMTP_SSL(*where, timeout=self._timeout, context=self._tls)
        return smtplib.SMTP(*where, timeout=self._timeout)

    def _introduce(self, smtp: smtplib.SMTP) -> None:
        smtp.ehlo_or_helo_if_needed()
        if self._server.tls in ("offered", "required") and smtp.has_extn("starttls"):
            smtp.starttls(context=self._tls)
        elif self._server.tls == "required":
            raise MailError("The mail server offers no STARTTLS: see SMTP_URL.", retryable=True)
        if self._server.user:
            smtp.login(self._server.user, self._server.password)


@lru_cache(maxsize=1)
def connected() -> Mailer:
    """The mail server that the settings name. Raises ConfigurationError where there is none."""
    server = settings().smtp
    if server is None:
        raise ConfigurationError("No mail server is set up: set SMTP_URL.")
    return Mailer(server, sender=settings().mail_from, tls=ssl.create_default_context())


class _Policy(EmailPolicy):
    def fold_binary(self, name: str, value: str) -> bytes:
        """Python's folding of long non-ASCII subjects loses spaces between words; its older Header does not."""
        if name != "Subject":
            return super().fold_binary(name, value)
        folded = Header(str(value), "utf-8", header_name=name).encode(linesep=self.linesep)
        return f"{name}: {folded}{self.linesep}".encode("ascii")


_POLICY = _Policy(linesep="\r\n")


@contextmanager
def _setting_up() -> Iterator[None]:
    """What goes wrong here lies with the server or the settings: the letter is good and can wait."""
    try:
        yield
    except (smtplib.SMTPException, OSError) as error:
        raise MailError(f"The mail server cannot be used: {_said(error)}", retryable=True) from error


@contextmanager
def _handing_over() -> Iterator[None]:
    try:
        yield
    except (smtplib.SMTPException, OSError) as error:
        final = 500 <= _code(error) < 600 or isinstance(error, smtplib.SMTPNotSupportedError)
        raise MailError(f"The mail server did not take it: {_said(error)}", retryable=not final) from error


def _code(error: Exception) -> int:
    """The server's three digits, 0 where it said none."""
    return int(_answer(error)[0])


def _said(error: Exception) -> str:
    code, text = _answer(error)
    said = text.decode(errors="replace") if isinstance(text, bytes) else text
    return _printable(f"{code} {said}" if code else said)


def _answer(error: Exception) -> tuple[int, bytes | str]:
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
    """Nothing in it can end a header or be shown as something else."""
    return "".join(char if char.isprintable() or char in keep else " " for char in text)
