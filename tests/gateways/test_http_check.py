"""The check of a URL returns its response, or says why there is none."""

import pytest

from tests.support.app import free_port
from tests.support.listeners import RawAnswer
from tests.support.misbehaving_server import MIB, MisbehavingServer, ServerBehaviour
from videovault.gateways import http_check
from videovault.gateways.http_check import Unreachable


def test_any_status_is_a_response() -> None:
    with MisbehavingServer() as server:
        url = server.serve("/x", ServerBehaviour(status=404, body=b"no"))
        answer = http_check.send_request(url, headers={"Origin": "https://videos.example"})
        assert (answer.status, answer.body) == (404, b"no")
        assert answer.at is not None
        assert server.seen("/x")[0].headers["origin"] == "https://videos.example"


def test_redirects_are_not_followed() -> None:
    with MisbehavingServer() as server:
        assert http_check.send_request(server.redirect("/x", "/y")).status == 302
        assert server.seen("/y") == []


def test_only_the_start_of_a_long_body_is_read() -> None:
    with MisbehavingServer() as server:
        answer = http_check.send_request(server.serve("/x", ServerBehaviour(size=200 * MIB)))
        assert len(answer.body) == http_check.MAX_BODY_BYTES
        assert server.bytes_sent("/x") < 100 * MIB


def test_date_header_may_be_missing() -> None:
    with RawAnswer(b"HTTP/1.1 204 No Content\r\n\r\n", at_once=True) as port:
        assert http_check.send_request(f"http://127.0.0.1:{port}", "OPTIONS").at is None


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:{port}/", "refuses connections"),
        ("http://nowhere.invalid/", "host name is unknown"),
        ("http://[::1/", "could not be understood"),
        ("gopher://127.0.0.1/", "could not be understood"),
    ],
)
def test_error_says_why_there_is_no_response(url: str, reason: str) -> None:
    with pytest.raises(Unreachable, match=reason):
        http_check.send_request(url.format(port=free_port()))


def test_server_without_tls_is_reported() -> None:
    with MisbehavingServer() as server, pytest.raises(Unreachable, match="TLS certificate is not valid"):
        http_check.send_request(server.origin.replace("http://", "https://"))


def test_response_that_is_no_http_is_reported() -> None:
    with (
        RawAnswer(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", at_once=True) as port,
        pytest.raises(Unreachable, match="could not be understood"),
    ):
        http_check.send_request(f"http://127.0.0.1:{port}")
