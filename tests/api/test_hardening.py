"""What every answer of the port gets, the pages' and the bucket's too."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from videovault.api.hardening import FOREVER, MAX_BODY_BYTES, SECURITY, harden


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


async def _half(_request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield b"begun"
        raise RuntimeError("in the middle")

    return StreamingResponse(parts())


APP = harden(
    Starlette(
        routes=[
            Route("/", _page),
            Route("/assets/app-1a2b.js", _asset),
            Route("/own", _own),
            Route("/api/own", _own),
            Route("/api/any", _asset),
            Route("/broken", _broken),
            Route("/half", _half),
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


def test_a_caller_that_hangs_up_in_its_body_is_let_go() -> None:
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
    assert sent == []


def test_websockets_pass_untouched() -> None:
    seen: list[tuple[Scope, Receive, Send]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope, receive, send))

    async def receive() -> Message:
        raise AssertionError

    async def send(_message: Message) -> None:
        raise AssertionError

    scope = {"type": "websocket", "path": "/_event"}
    run(harden(app), scope, receive, send)
    assert seen == [(scope, receive, send)]
    assert scope == {"type": "websocket", "path": "/_event"}
