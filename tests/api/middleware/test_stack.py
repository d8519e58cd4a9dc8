"""What every answer of the port gets, the pages' and the bucket's too."""

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

from tests.support.installation import Configure
from videovault.api.middleware.body_limit import MAX_BODY_BYTES
from videovault.api.middleware.csp import FOREVER, SECURITY
from videovault.api.middleware.stack import wrap_in_middleware


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


async def _away(_request: Request) -> Response:
    return RedirectResponse("https://s3.example/away?X-Amz-Signature=a")


async def _half(_request: Request) -> Response:
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
            Route("/half", _half),
            Route("/away", _away),
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
def test_every_answer_has_an_id_and_safe_headers(path: str) -> None:
    headers = ask("GET", path).headers
    assert headers["x-request-id"]
    assert headers.items() >= {name.lower(): value for name, value in SECURITY.items()}.items()


@pytest.mark.parametrize(
    ("path", "caching"),
    [
        ("/", "no-cache"),
        ("/assets/app-1a2b.js", FOREVER),
        ("/assets/missing.js", None),
        ("/api/any", "no-store"),
        ("/api/missing", "no-store"),
        ("/own", "private"),
        ("/api/own", "private"),
    ],
)
def test_each_kind_of_answer_is_kept_as_long_as_it_may(path: str, caching: str | None) -> None:
    assert ask("GET", path).headers.get("cache-control") == caching


def test_headers_that_the_application_set_itself_stay() -> None:
    assert ask("GET", "/own").headers["content-security-policy"] == "sandbox"


def test_a_fault_outside_the_api_shows_nothing_either() -> None:
    answer = ask("GET", "/broken")
    assert answer.status_code == 500
    assert "secret detail" not in answer.text


def test_a_fault_in_the_middle_of_an_answer_is_the_servers_to_break_off() -> None:
    with pytest.raises(RuntimeError):
        ask("GET", "/half")


def test_a_body_comes_through_as_it_was_sent() -> None:
    async def parts() -> AsyncIterator[bytes]:
        for number in range(5):
            yield b"%d" % number * 1000

    assert ask("POST", "/echo", content=parts()).content == b"".join(b"%d" % n * 1000 for n in range(5))


def test_a_body_is_counted_while_it_is_read_whatever_length_was_declared() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            read.append(65536)
            yield b"x" * 65536

    read: list[int] = []
    assert ask("POST", "/echo", content=endless(), headers={"Content-Length": "5"}).status_code == 413
    assert sum(read) <= MAX_BODY_BYTES + 2 * 65536


def test_a_body_that_breaks_off_reaches_no_route() -> None:
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


@pytest.mark.parametrize(("origin", "is_let_in"), HANDSHAKES)
def test_a_websocket_is_for_pages_of_this_site_and_programs(origin: bytes | None, is_let_in: bool) -> None:
    assert opens_websocket((b"cookie", b"a=b"), *([(b"origin", origin)] if origin else [])) == is_let_in


def opens_websocket(*headers: tuple[bytes, bytes]) -> bool:
    """Whether the application gets to see the handshake, which is otherwise refused."""
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
def test_a_plain_request_id_that_came_with_the_request_is_kept(given: str) -> None:
    assert ask("GET", "/", headers={"X-Request-Id": given}).headers["x-request-id"] == given


@pytest.mark.parametrize(
    "given", ["", "short", "x" * 65, "with space", "<script>alert(1)</script>", "{1:2}-abcdef"]
)
def test_any_other_request_id_is_replaced(given: str) -> None:
    assert len(ask("GET", "/", headers={"X-Request-Id": given}).headers["x-request-id"]) == 32


@pytest.mark.parametrize("path", ["/", "/api/any", "/assets/app-1a2b.js", "/nothing"])
def test_no_other_site_may_frame_anything(path: str) -> None:
    headers = ask("GET", path).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("path", ["/", "/api/any", "/assets/app-1a2b.js"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_no_other_site_may_read_anything(method: str, path: str) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
    answer = ask(method, path, headers=asked)
    assert [name for name in answer.headers if name.startswith("access-control")] == []
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_other_sites_change_nothing_outside_the_api_either() -> None:
    answer = ask("POST", "/echo", content=b"x", headers={"Origin": "https://evil.example"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN")


def test_only_an_installation_behind_https_insists_on_https(configure: Configure) -> None:
    configure(PUBLIC_URL="http://videos.example.com")
    assert "strict-transport-security" not in ask("GET", "/").headers
    configure(PUBLIC_URL="https://videos.example.com")
    assert ask("GET", "/").headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
