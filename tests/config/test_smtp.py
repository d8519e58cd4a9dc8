"""A mail server's address in one setting, and when a password may go over the wire."""

import pytest

from videovault.config.types import SmtpServer


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
def test_what_is_left_out_has_the_usual_value(url: str, host: str, port: int, tls: str) -> None:
    server = SmtpServer.parse(url)
    assert (server.host, server.port, server.tls, server.user) == (host, port, tls, "")


def test_user_and_password_may_contain_anything_encoded() -> None:
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
def test_a_password_leaves_the_machine_in_the_clear_only_on_demand(url: str, tls: str) -> None:
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
def test_a_wrong_address_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"must|needs|takes") as caught:
        SmtpServer.parse(url)
    assert url not in str(caught.value) or url == "smtp://"
