"""Headers of every response, and limits of every request."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.api.requests import code
from tests.support.installation import Configure
from tests.support.waiting import HANG_SECONDS
from videovault.api.middleware import body_limit
from videovault.api.middleware.body_limit import (
    MAX_BODY_BYTES,
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    MAX_TARGET_BYTES,
)
from videovault.api.middleware.csp import IMMUTABLE, SECURITY_HEADERS
from videovault.api.middleware.stack import wrap_in_middleware
from videovault.untrusted_json import MAX_DEPTH


async def _page(_request: Request) -> Response:
    return HTMLResponse("<p>A page</p>")


async def _asset(_request: Request) -> Response:
    return PlainTextResponse("x")


async def _own(_request: Request) -> Response:
    headers = {"Cache-Control": "private", "Content-Security-Policy": "sandbox"}
    return PlainTextResponse("x", headers=headers)


async def _broken(_request: Request) -> Response:
    raise RuntimeError("secret detail")


async def _echo(request: Request) -> Response:
    return Response(await request.body())


async def _redirect(_request: Request) -> Response:
    return RedirectResponse("https://s3.example/away?X-Amz-Signature=a")


async def _breaking_off(_request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield b"begun"
        raise RuntimeError("in the middle")

    return StreamingResponse(parts())


APP = wrap_in_middleware(
    Starlette(
        routes=[
            Route("/", _page),
            Route("/assets/app-1a2b.js", _asset),
            Route("/own", _own),
            Route("/api/own", _own),
            Route("/api/any", _asset),
            Route("/broken", _broken),
            Route("/half", _breaking_off),
            Route("/away", _redirect),
            Route("/folder/", _page),
            Route("/{name:path}/", _page),
            Route("/echo", _echo, methods=["POST"]),
        ]
    )
)


def run(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    async def served() -> None:
        await app(scope, receive, send)

    asyncio.run(served())


def ask(method: str, path: str, **options: Any) -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(APP)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.request(method, path, **options)

    return asyncio.run(asked())


@pytest.mark.parametrize("path", ["/", "/assets/app-1a2b.js", "/nothing", "/broken", "/api/any"])
def test_every_response_has_a_request_id_and_security_headers(path: str) -> None:
    headers = ask("GET", path).headers
    assert headers["x-request-id"]
    assert headers.items() >= {name.lower(): value for name, value in SECURITY_HEADERS.items()}.items()


@pytest.mark.parametrize(
    ("path", "caching"),
    [
        ("/", "no-cache"),
        ("/assets/app-1a2b.js", IMMUTABLE),
        ("/assets/missing.js", None),
        ("/api/any", "no-store"),
        ("/api/missing", "no-store"),
        ("/own", "private"),
        ("/api/own", "private"),
    ],
)
def test_cache_control_depends_on_the_kind_of_response(path: str, caching: str | None) -> None:
    assert ask("GET", path).headers.get("cache-control") == caching


def test_headers_set_by_the_application_are_kept() -> None:
    assert ask("GET", "/own").headers["content-security-policy"] == "sandbox"


def test_an_internal_error_outside_the_api_reveals_nothing() -> None:
    answer = ask("GET", "/broken")
    assert answer.status_code == 500
    assert "secret detail" not in answer.text


def test_an_error_in_the_middle_of_a_response_reaches_the_server() -> None:
    with pytest.raises(RuntimeError):
        ask("GET", "/half")


def test_a_chunked_body_reaches_the_route_unchanged() -> None:
    async def parts() -> AsyncIterator[bytes]:
        for number in range(5):
            yield b"%d" % number * 1000

    assert ask("POST", "/echo", content=parts()).content == b"".join(b"%d" % n * 1000 for n in range(5))


def test_a_body_is_counted_whatever_length_is_declared() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            read.append(65536)
            yield b"x" * 65536

    read: list[int] = []
    assert ask("POST", "/echo", content=endless(), headers={"Content-Length": "5"}).status_code == 413
    assert sum(read) <= MAX_BODY_BYTES + 2 * 65536


def test_an_incomplete_body_reaches_no_route() -> None:
    messages: list[Message] = [
        {"type": "http.request", "body": b"x", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/echo", "headers": []}
    run(APP, scope, receive, send)
    assert sent[0]["status"] == 400
    assert json.loads(sent[1]["body"])["error"]["code"] == "INVALID_INPUT"


HANDSHAKES = [
    (b"https://evil.example", False),
    (b"http://x:8080", False),
    (b"http://x", True),
    (b"null", False),
    (None, True),
]


@pytest.mark.parametrize(("origin", "is_accepted"), HANDSHAKES)
def test_cross_site_websockets_are_refused(origin: bytes | None, is_accepted: bool) -> None:
    assert opens_websocket((b"cookie", b"a=b"), *([(b"origin", origin)] if origin else [])) == is_accepted


def opens_websocket(*headers: tuple[bytes, bytes]) -> bool:
    """Whether the handshake reaches the application."""
    seen: list[Scope] = []
    sent: list[Message] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    sent_headers = [(b"host", b"x"), *headers]
    scope = {
        "type": "websocket",
        "path": "/_event",
        "headers": sent_headers,
        "scheme": "ws",
        "query_string": b"",
    }
    run(wrap_in_middleware(app), scope, receive, send)
    assert [message["type"] for message in sent] == ([] if seen else ["websocket.close"])
    return seen == [scope]


@pytest.mark.parametrize("given", ["0f8fad5b-d9cb-469f-a165-70867728950e", "trace_1.2-3"])
def test_a_plain_request_id_is_kept(given: str) -> None:
    assert ask("GET", "/", headers={"X-Request-Id": given}).headers["x-request-id"] == given


@pytest.mark.parametrize(
    "given", ["", "short", "x" * 65, "with space", "<script>alert(1)</script>", "{1:2}-abcdef"]
)
def test_other_request_ids_are_replaced(given: str) -> None:
    assert len(ask("GET", "/", headers={"X-Request-Id": given}).headers["x-request-id"]) == 32


@pytest.mark.parametrize("path", ["/", "/api/any", "/assets/app-1a2b.js", "/nothing"])
def test_nothing_may_be_framed(path: str) -> None:
    headers = ask("GET", path).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("path", ["/", "/api/any", "/assets/app-1a2b.js"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_cross_origin_reads_are_denied(method: str, path: str) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
    answer = ask(method, path, headers=asked)
    assert [name for name in answer.headers if name.startswith("access-control")] == []
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_csrf_is_checked_outside_the_api_too() -> None:
    answer = ask("POST", "/echo", content=b"x", headers={"Origin": "https://evil.example"})
    assert code(answer) == (403, "FORBIDDEN")


def test_hsts_is_sent_only_behind_https(configure: Configure) -> None:
    configure(PUBLIC_URL="http://videos.example.com")
    assert "strict-transport-security" not in ask("GET", "/").headers
    configure(PUBLIC_URL="https://videos.example.com")
    assert ask("GET", "/").headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"


@pytest.mark.parametrize(
    ("size", "is_accepted"), [(MAX_HEADER_BYTES - 1000, True), (MAX_HEADER_BYTES, False)]
)
def test_websockets_have_the_same_header_size_limit(size: int, is_accepted: bool) -> None:
    assert opens_websocket((b"origin", b"http://x"), (b"x-long", b"x" * size)) == is_accepted


@pytest.mark.parametrize(("number", "is_accepted"), [(MAX_HEADERS - 1, True), (MAX_HEADERS, False)])
def test_websockets_have_the_same_header_count_limit(number: int, is_accepted: bool) -> None:
    assert opens_websocket(*[(b"x-a", b"")] * number) == is_accepted


@pytest.mark.parametrize("hosts", [[b"x"], [b"evil.example"]], ids=["the same", "another"])
def test_websockets_with_a_second_host_are_refused(hosts: list[bytes]) -> None:
    assert not opens_websocket(*[(b"host", host) for host in hosts])


def test_headers_over_the_size_limit_are_431() -> None:
    answer = ask("GET", "/api/any", headers={"X-Long": "x" * MAX_HEADER_BYTES})
    assert answer.status_code == 431
    assert answer.json()["error"]["code"] == "TOO_LARGE"
    assert ask("GET", "/api/any", headers={"X-Long": "x" * (MAX_HEADER_BYTES - 1000)}).status_code == 200


def test_headers_over_the_count_limit_are_431() -> None:
    few = dict.fromkeys((f"x-{number}" for number in range(MAX_HEADERS - 10)), "")
    assert ask("GET", "/api/any", headers=few).status_code == 200
    many = dict.fromkeys((f"x-{number}" for number in range(MAX_HEADERS)), "")
    assert ask("GET", "/api/any", headers=many).status_code == 431


@pytest.mark.parametrize("address", ["/api/any?{}", "/api/{}", "/{}"])
def test_an_address_over_the_limit_is_414(address: str) -> None:
    length = MAX_TARGET_BYTES - len(address) + 3
    assert ask("GET", address.format("x" * (length - 1))).status_code in (200, 307, 404)
    answer = ask("GET", address.format("x" * (length + 1)))
    assert code(answer) == (414, "TOO_LARGE")


@pytest.mark.parametrize("kind", ["application/json", "application/merge-patch+json; charset=utf-8"])
def test_too_deep_json_reaches_no_route(kind: str) -> None:
    for most in (MAX_DEPTH, MAX_DEPTH + 1):
        body = b"[" * most + b"]" * most
        answer = ask("POST", "/echo", content=body, headers={"Content-Type": kind})
        assert answer.status_code == (200 if most == MAX_DEPTH else 400)
    assert answer.json()["error"]["fields"]["body"]


def test_brackets_are_allowed_outside_json() -> None:
    assert (
        ask("POST", "/echo", content=b"[" * 1000, headers={"Content-Type": "text/plain"}).status_code == 200
    )


def test_long_json_bodies_are_parsed_one_at_a_time() -> None:
    """Parsing one blocks the event loop."""

    async def read(size: int) -> object:
        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b'"' + b"x" * (size - 2) + b'"', "more_body": False}

        headers = [(b"content-type", b"application/json")]
        return await body_limit.read_body({"type": "http", "headers": headers}, receive)

    async def try_both() -> None:
        async with body_limit._long_json:
            long = asyncio.create_task(read(body_limit.LONG_JSON_BYTES + 1))
            await asyncio.wait_for(read(body_limit.LONG_JSON_BYTES), HANG_SECONDS)
            assert not long.done()
        await asyncio.wait_for(long, HANG_SECONDS)

    asyncio.run(try_both())


@pytest.mark.parametrize("path", ["/a%0ab", "/api/a%0ab", "/api/any%0a", "/%00", "/api/%7f", "/a%1b[2J"])
def test_a_path_with_control_characters_is_404(path: str) -> None:
    answer = ask("GET", path)
    assert code(answer) == (404, "NOT_FOUND")


def test_a_second_host_is_refused_even_with_a_forwarded_host(configure: Configure) -> None:
    configure(FORWARDED_ALLOW_IPS="127.0.0.1")
    headers = [("Host", "x"), ("Host", "evil.example"), ("X-Forwarded-Host", "x")]
    answer = ask("GET", "/api/any", headers=headers)
    assert code(answer) == (400, "INVALID_INPUT")


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/folder", "/folder/"),
        ("/folder?a=b&c=%2F", "/folder/?a=b&c=%2F"),
        ("//evil.example", "/evil.example/"),
        ("/%5Cevil.example", "/%5Cevil.example/"),
    ],
)
def test_a_trailing_slash_redirect_omits_the_host(path: str, location: str) -> None:
    answer = ask("GET", f"http://x{path}")
    assert (answer.status_code, answer.headers["location"]) == (307, location)


def test_other_redirects_are_unchanged() -> None:
    assert ask("GET", "/away").headers["location"] == "https://s3.example/away?X-Amz-Signature=a"


def test_a_slow_body_is_408_and_closes_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(body_limit, "BODY_SECONDS", 0.05)

    async def begun() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(HANG_SECONDS)

    answer = ask("POST", "/echo", content=begun())
    assert code(answer) == (408, "TOO_SLOW")
    assert answer.headers["connection"] == "close"
