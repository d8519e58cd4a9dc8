"""Malformed and oversized input, sent by hand to the running product: cheap to refuse, and it breaks nothing."""

import json
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
from wsproto.events import BytesMessage, TextMessage

from tests.state.attack_target import Answer, AttackTarget, ask
from tests.support.raw_tab import RawTab, Refused
from tests.support.waiting import HANG_SECONDS, eventually
from videovault.api.middleware.body_limit import MAX_BODY_BYTES, MAX_HEADERS, MAX_TARGET_BYTES
from videovault.api.middleware.connection_limits import MAX_MESSAGE_BYTES
from videovault.embedded import listener_guard
from videovault.logs.redaction import MAX_TRACEBACK_CHARACTERS
from videovault.untrusted_json import MAX_DEPTH

pytestmark = pytest.mark.process

LOG_LINE = re.compile(r"20\d\d-\d\d-\d\dT\S+Z \[")
SLOW = ("-a", "http://", "X-Amz-", "a.b+c-")  # the patterns of the log were quadratic in these
DEEP = "[" * 30_000
AS_DEEP_AS_MAY_BE = MAX_DEPTH - 3  # inside the list, the event and its arguments


def event(**payload: Any) -> str:
    return "42/_event," + json.dumps(["event", {"name": "a.b", "payload": payload, "router_data": {}}])


def code_of_closing(tab: RawTab) -> str:
    """What the server closes the socket with."""
    try:
        frames = list(tab.frames(HANG_SECONDS))
    except Refused as refused:
        return str(refused)
    raise AssertionError(f"the socket stays open: {frames}")


def logged(site: AttackTarget, call: Callable[[], object]) -> list[str]:
    """The lines that this led to; a thread writes them, so those of what was before are waited for, too."""
    begun = _logged_until(site, "this-is-the-first")
    call()
    end = _logged_until(site, "this-is-the-last")
    return site.app.log.read_bytes()[begun:end].decode().splitlines()


def _logged_until(site: AttackTarget, mark: str) -> int:
    """The size of the log once a request that is made now stands in it."""
    before = site.app.log.stat().st_size
    assert ask(site, f"/api/{mark}").status == 404
    eventually(lambda: mark.encode() in site.app.log.read_bytes()[before:], lambda: "the log is not written")
    return site.app.log.stat().st_size


@pytest.mark.parametrize("text", SLOW)
def test_a_long_address_is_refused_and_one_that_is_not_refused_leaves_a_short_line(
    site: AttackTarget, text: str
) -> None:
    def both() -> None:
        assert ask(site, f"/api/{text * (60_000 // len(text))}").code == (414, "TOO_LARGE")
        assert ask(site, f"/api/{text * (MAX_TARGET_BYTES // len(text) - 10)}").code == (404, "NOT_FOUND")

    assert max(map(len, logged(site, both))) < 3000


@pytest.mark.parametrize("text", SLOW)
def test_a_long_event_never_reaches_a_handler_or_the_log(site: AttackTarget, text: str) -> None:
    def send() -> None:
        with site.tab() as tab:
            tab.say("42/_event," + json.dumps(["event", text * (80_000 // len(text))]))
            assert code_of_closing(tab) == "1009"

    [line] = [line for line in logged(site, send) if "this-is" not in line]
    assert "message too large" in line
    assert "127.0.0.1" in line


REFUSED = {
    "too deep": '42/_event,["event",' + DEEP,
    "too deep by one": event(a=json.loads("[" * (AS_DEEP_AS_MAY_BE + 1) + "]" * (AS_DEEP_AS_MAY_BE + 1))),
    "too deep for a ping": "3" + DEEP,
    "a handler with a long name": '42/_event,["event",{"name":"' + "x" * 5000 + '"}]',
    "the page at a long address": '42/_event,["event",{"name":"a","router_data":{"asPath":"'
    + "x" * 50_000
    + '"}}]',
    "no JSON": "42/_event,{",
    "attachments that never come": '459999999999-/_event,["event"]',
}


@pytest.mark.parametrize("message", REFUSED.values(), ids=REFUSED)
def test_a_message_that_no_page_sends_closes_its_own_socket_and_no_other(
    site: AttackTarget, message: str
) -> None:
    def send() -> None:
        with site.tab() as tab:
            tab.say(message)
            assert code_of_closing(tab) in ("1008", "1009")

    with site.adas_tab(site.ada.cookie) as hers:
        lines = logged(site, send)
        assert hers.answers()
    assert not any("Traceback" in line or "RecursionError" in line for line in lines)


def test_a_message_counts_as_a_whole_however_it_is_cut(site: AttackTarget) -> None:
    with site.tab() as tab:
        _in_pieces(tab, event(a="x" * (MAX_MESSAGE_BYTES - 1000)))
        assert tab.answers()
        _in_pieces(tab, event(a="x" * MAX_MESSAGE_BYTES))
        assert code_of_closing(tab) == "1009"


def test_fragments_that_never_become_a_message_are_cut_off(site: AttackTarget) -> None:
    def send() -> None:
        with site.tab() as tab:
            with suppress(ConnectionError):  # as it may be cut off while this sends
                for _ in range(2 * listener_guard.MAX_UNFINISHED_BYTES // 1000):
                    tab._socket.sendall(tab._ws.send(TextMessage(data="x" * 1000, message_finished=False)))
            with suppress(ConnectionError):
                assert list(tab.frames(HANG_SECONDS)) == []

    with site.adas_tab(site.ada.cookie) as hers:
        [line] = [line for line in logged(site, send) if "this-is" not in line]
        assert hers.answers()
    assert "size of a websocket message" in line


def _in_pieces(tab: RawTab, text: str, size: int = 1000) -> None:
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    for number, piece in enumerate(pieces, 1):
        tab._socket.sendall(tab._ws.send(TextMessage(data=piece, message_finished=number == len(pieces))))


def test_binary_messages_close_the_socket(site: AttackTarget) -> None:
    with site.tab() as tab:
        tab._socket.sendall(tab._ws.send(BytesMessage(data=b"x")))
        assert code_of_closing(tab) == "1008"


@pytest.mark.parametrize(
    "path", ["/api/auth/login", "/api/auth/register", "/api/auth/video/status", "/api/auth/create-video"]
)
def test_deep_json_is_an_ordinary_refusal(site: AttackTarget, path: str) -> None:
    for body in (DEEP.encode(), b'{"a":' * 30_000, DEEP.encode("utf-16")):
        headers = ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        method = "PUT" if path.endswith("status") else "POST"
        assert ask(site, path, *headers, method=method, body=body).code == (400, "INVALID_INPUT")


@pytest.mark.parametrize(
    "chunks",
    [b"ZZZ\r\nabc\r\n0\r\n\r\n", b"5\r\nabc\r\n0\r\n\r\n", b"-1\r\n\r\n", b"fffffffffffffffff\r\n\r\n"],
)
@pytest.mark.parametrize("path", ["/api/auth/login", "/api/auth/video/status"])
def test_malformed_chunks_are_an_ordinary_refusal(site: AttackTarget, path: str, chunks: bytes) -> None:
    headers = ["Content-Type: application/json", "Transfer-Encoding: chunked"]
    assert ask(site, path, *headers, method="POST", body=chunks).code[0] in (400, 405)


def test_a_body_over_the_limit_is_an_ordinary_refusal(site: AttackTarget) -> None:
    length = f"Content-Length: {MAX_BODY_BYTES + 1}"
    assert ask(site, "/api/auth/login", length, method="POST").code == (413, "TOO_LARGE")


@pytest.mark.parametrize(
    "path", ["/a%0ab", "/api/a%0ab", "/api/auth/video/a%0ab", "/%00", "/api%0a", "/api/%1b%5b2J"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_path_with_control_characters_is_answered_in_the_envelope(
    site: AttackTarget, path: str, method: str
) -> None:
    assert ask(site, path, "Origin: " + site.app.url, "Content-Length: 0", method=method).code == (
        404,
        "NOT_FOUND",
    )


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/api", (404, "NOT_FOUND")),
        ("GET", "/api/", (404, "NOT_FOUND")),
        ("PROPFIND", "/api/auth/me", (405, "METHOD_NOT_ALLOWED")),
        ("PROPFIND", "/api/nothing", (404, "NOT_FOUND")),
        ("GET", "/api/auth/login", (405, "METHOD_NOT_ALLOWED")),
        ("OPTIONS", "/api/auth/me", (405, "METHOD_NOT_ALLOWED")),
    ],
)
def test_everything_under_the_api_is_answered_in_the_envelope(
    site: AttackTarget, method: str, path: str, code: tuple[int, str]
) -> None:
    preflight = ["Origin: " + site.app.url, "Access-Control-Request-Method: GET", "Content-Length: 0"]
    assert ask(site, path, *preflight, method=method).code == code


@pytest.mark.parametrize("second", ["evil.example", "localhost"])
@pytest.mark.parametrize(
    "path", ["/", "/api/auth/me", "/healthz", "/gallery", "/_event/?EIO=4&transport=websocket"]
)
def test_a_second_host_is_refused(site: AttackTarget, path: str, second: str) -> None:
    assert ask(site, path, f"Host: {second}").code == (400, "INVALID_INPUT")


def test_too_many_headers_are_refused(site: AttackTarget) -> None:
    few = [f"X-{number}: a" for number in range(MAX_HEADERS - 10)]
    assert ask(site, "/healthz", *few).status == 200
    assert ask(site, "/healthz", *few * 2).status == 431


@pytest.mark.parametrize("host", ["localhost", "10.1.2.3:99", "evil"])
@pytest.mark.parametrize("path", ["/gallery", "/gallery?a=b", "/login?next=%2Fgallery"])
def test_a_redirect_for_a_slash_repeats_no_host(site: AttackTarget, path: str, host: str) -> None:
    place = urlsplit(site.app.url)
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("localhost", place.port or 80), timeout=HANG_SECONDS) as connection:
        connection.sendall(request.encode())
        answer = Answer(connection.recv(65536))
    page, _, query = path.partition("?")
    assert (answer.status, answer.header("location")) == (307, f"{page}/" + (f"?{query}" if query else ""))


def test_every_line_of_the_log_went_through_our_own_writer(site: AttackTarget) -> None:
    """Engine.IO would write this one a second time, by itself and as it is."""

    def poll() -> None:
        ask(site, "/_event/?EIO=4&transport=polling&token=my-own-token", f"Origin: {site.app.url}")
        ask(site, "/_event/?EIO=3&transport=websocket&token=my-own-token", f"Origin: {site.app.url}")

    lines = logged(site, poll)
    assert all(LOG_LINE.match(line) for line in lines), lines
    assert max(map(len, lines)) < MAX_TRACEBACK_CHARACTERS
    assert not any("my-own" in line for line in lines)
