"""E-mails and webhook notifications arrive as written, and a refusal says whether a retry can help."""

import json
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from standardwebhooks import Webhook

from tests.support.app import free_port
from tests.support.certificates import Certificates, certificates
from tests.support.mail_server import PASSWORD, USER, MailServer, mail_server
from tests.support.receiver import SECRET, Receiver, receiver
from videovault.config.validation import SmtpServer
from videovault.errors import MailError, WebhookError
from videovault.gateways.notifications import Email, Mailer, NotifyWebhook

AT = datetime(2026, 1, 26, 10, 15, tzinfo=UTC)
LOGIN = f"{USER}:{quote(PASSWORD, safe='')}@"


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


@pytest.fixture
def trusted(tmp_path: Path) -> Certificates:
    return certificates(tmp_path, "localhost")


def email(subject: str = "“Bread” is ready", text: str = "“Bread” is ready.\n") -> Email:
    return Email("msg_1", AT, "anna@example.com", subject, text)


def mailer(url: str, tls: ssl.SSLContext | None = None, timeout: float = 5) -> Mailer:
    sender = "Vidéo Vault <videos@brot.example>"
    return Mailer(SmtpServer.parse(url), sender=sender, tls=tls or default_tls(), timeout=timeout)


@cache
def default_tls() -> ssl.SSLContext:
    """Loading the system's authorities takes tens of milliseconds."""
    return ssl.create_default_context()


def refusal(url: str, tls: ssl.SSLContext | None = None, timeout: float = 5) -> MailError:
    with pytest.raises(MailError) as caught:
        mailer(url, tls, timeout).send(email())
    return caught.value


def url_of(server: MailServer, *, login: str = "", query: str = "", scheme: str = "smtp") -> str:
    return f"{scheme}://{login}localhost:{server.port}{query}"


def test_an_email_arrives_as_written(server: MailServer) -> None:
    mailer(url_of(server)).send(
        email(text="“Bread” is ready.\n\nhttps://videos.example/gallery?video=video_1\n")
    )
    [taken] = server.letters
    assert (taken.sender, taken.recipients) == ("videos@brot.example", ["anna@example.com"])
    message = taken.message
    assert dict(message.items()) == {
        "From": "Vidéo Vault <videos@brot.example>",
        "To": "anna@example.com",
        "Subject": "“Bread” is ready",
        "Date": "Mon, 26 Jan 2026 10:15:00 +0000",
        "Message-ID": "<msg_1@brot.example>",
        "Auto-Submitted": "auto-generated",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": "quoted-printable",
        "MIME-Version": "1.0",
    }
    assert (
        message.get_content() == "“Bread” is ready.\r\n\r\nhttps://videos.example/gallery?video=video_1\r\n"
    )


@pytest.mark.parametrize(
    "title",
    [
        "Bread\r\nBcc: everybody@example.com\r\n\r\nBuy this",
        "Bread\n\n.\nMAIL FROM:<x@example.com>",
        "Bread\x00\x85\u2028Bcc: everybody@example.com",
        "Bread \ud800",
    ],
)
def test_a_title_cannot_inject_headers(server: MailServer, title: str) -> None:
    mailer(url_of(server)).send(email(subject=f"“{title}” is ready", text=f"{title}\n"))
    [taken] = server.letters
    assert taken.recipients == ["anna@example.com"]
    assert len(taken.message.items()) == 9
    assert str(taken.message["Subject"]).startswith("“Bread ")
    assert str(taken.message["Subject"]).endswith("” is ready")


@pytest.mark.parametrize(
    "title",
    [
        "Größe über alles, naïve Bäcker und ein 🍞 " * 3,
        "“x” 🍞 🍞 a “x” “x” 🍞 日本語の長い題 the quick brown fox",
        "日本語の長い題" * 15,
        "plain words only, but a lot of them, so that the line has to be folded somewhere",
        "x" * 120,
    ],
)
def test_long_subjects_keep_every_space(server: MailServer, title: str) -> None:
    mailer(url_of(server)).send(email(subject=f"“{title.strip()}” is ready"))
    [taken] = server.letters
    assert taken.message["Subject"] == f"“{title.strip()}” is ready"
    assert max(len(line) for line in taken.raw.split(b"\r\n")) <= 78


def test_starttls_is_used_if_offered(trusted: Certificates) -> None:
    with mail_server(tls=trusted.server) as server:
        mailer(url_of(server), trusted.client).send(email())
    assert server.letters[0].was_encrypted


def test_tls_can_be_used_from_the_start(trusted: Certificates) -> None:
    with mail_server(tls=trusted.server, at_once=True) as server:
        mailer(url_of(server, scheme="smtps"), trusted.client).send(email())
    assert len(server.letters) == 1


@pytest.mark.parametrize("at_once", [False, True])
def test_an_untrusted_certificate_gets_no_email(trusted: Certificates, at_once: bool) -> None:
    with mail_server(tls=trusted.server, at_once=at_once) as server:
        error = refusal(url_of(server, scheme="smtps" if at_once else "smtp"))
    assert error.retryable
    assert "certificate" in error.public_message
    assert server.letters == []


def test_starttls_can_be_required(server: MailServer) -> None:
    error = refusal(url_of(server, query="?starttls=required"))
    assert error.retryable
    assert "STARTTLS" in error.public_message


def test_starttls_can_be_disabled(trusted: Certificates) -> None:
    with mail_server(tls=trusted.server) as server:
        mailer(url_of(server, query="?starttls=never")).send(email())
    assert not server.letters[0].was_encrypted


def test_user_and_password_are_sent(trusted: Certificates) -> None:
    with mail_server(tls=trusted.server, wants_password=True) as server:
        mailer(url_of(server, login=LOGIN, query="?starttls=required"), trusted.client).send(email())
    assert (server.letters[0].was_encrypted, server.letters[0].was_signed_in) == (True, True)


def test_a_wrong_password_is_retryable(trusted: Certificates) -> None:
    with mail_server(tls=trusted.server, wants_password=True) as server:
        error = refusal(url_of(server, login="post:wrong@"), trusted.client)
    assert error.retryable
    assert "535" in error.public_message
    assert "wrong" not in error.public_message


@pytest.mark.parametrize("step", ["RCPT", "DATA"])
@pytest.mark.parametrize(("answer", "may_wait"), [("550 No such user", False), ("451 Try later", True)])
def test_permanent_and_temporary_refusals_differ(
    server: MailServer, step: str, answer: str, may_wait: bool
) -> None:
    server.answers[step] = answer
    error = refusal(url_of(server))
    assert error.retryable == may_wait
    assert answer in error.public_message


def test_an_accepted_email_is_not_retried_if_quit_fails(server: MailServer) -> None:
    server.answers["QUIT"] = "421 Get lost"
    mailer(url_of(server)).send(email())
    assert len(server.letters) == 1


def test_a_silent_mail_server_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert refusal(f"smtp://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2).retryable


def test_an_unreachable_mail_server_is_retryable() -> None:
    assert refusal(f"smtp://127.0.0.1:{free_port()}").retryable


NOTIFICATION = {"type": "video.ready", "timestamp": "2026-01-26T10:15:00.000Z", "data": {"title": "Größe"}}


@pytest.fixture
def endpoint() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


def deliver(url: str, *, secret: str = "", timeout: float = 5) -> None:
    with httpx.Client(timeout=timeout) as client:
        NotifyWebhook(client, url=url, secret=secret).deliver("msg_1", NOTIFICATION)


def webhook_refusal(url: str, timeout: float = 5) -> WebhookError:
    with pytest.raises(WebhookError) as caught:
        deliver(url, timeout=timeout)
    return caught.value


def test_a_notification_is_signed_by_standard_webhooks(endpoint: Receiver) -> None:
    deliver(endpoint.url, secret=SECRET)
    [delivery] = endpoint.deliveries
    assert Webhook(SECRET).verify(delivery.body, delivery.headers) == NOTIFICATION
    assert delivery.headers["webhook-id"] == "msg_1"
    assert delivery.headers["content-type"] == "application/json"


def test_without_a_secret_a_notification_has_id_and_time(endpoint: Receiver) -> None:
    deliver(endpoint.url)
    [delivery] = endpoint.deliveries
    assert json.loads(delivery.body) == NOTIFICATION
    assert delivery.headers["webhook-id"] == "msg_1"
    assert delivery.headers["webhook-timestamp"].isdigit()
    assert "webhook-signature" not in delivery.headers


@pytest.mark.parametrize("status", [200, 202, 204])
def test_any_2xx_is_success(endpoint: Receiver, status: int) -> None:
    endpoint.status = status
    deliver(endpoint.url)


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422])
def test_a_refused_notification_is_not_retryable(endpoint: Receiver, status: int) -> None:
    endpoint.status = status
    error = webhook_refusal(endpoint.url)
    assert not error.retryable
    assert str(status) in error.public_message


@pytest.mark.parametrize("status", [301, 307, 408, 409, 425, 429, 500, 503])
def test_a_busy_receiver_is_retryable(endpoint: Receiver, status: int) -> None:
    endpoint.status = status
    assert webhook_refusal(endpoint.url).retryable
    assert len(endpoint.deliveries) == 1  # nor is a redirect followed


def test_a_silent_receiver_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert webhook_refusal(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2).retryable


def test_an_unreachable_receiver_is_retryable() -> None:
    assert webhook_refusal(f"http://127.0.0.1:{free_port()}").retryable
