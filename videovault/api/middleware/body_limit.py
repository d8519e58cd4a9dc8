"""How much a request may bring, and how long it may take: its body is counted and timed while it is read."""

import asyncio
from typing import Annotated

import anyio
from fastapi import Depends, Request
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

from videovault import untrusted_json

MAX_BODY_BYTES = 1024 * 1024
MAX_TARGET_BYTES = 16 * 1024
MAX_HEADERS = 100
MAX_HEADER_BYTES = 64 * 1024
BODY_SECONDS = 60.0  # for all of it; 1 MiB needs 140 kbit/s
# Reading JSON takes the event loop 40 ms for a MiB, and more on a busy machine. Long ones are read one after another,
# with a pause for everybody else in between.
LONG_JSON_BYTES = 64 * 1024
PAUSE_SECONDS = 0.25  # for a MiB
_long_json = anyio.CapacityLimiter(1)


class BodyTooSlow(Exception):
    """The body did not arrive in time."""


class BodyTooLarge(Exception):
    """The body is over the limit."""


class BodyIncomplete(Exception):
    """The body ended before it was complete: its chunks are malformed, or the client has left."""


def has_too_long_target(scope: Scope) -> bool:
    """More than ``MAX_TARGET_BYTES`` of path and query, as they were sent."""
    path = scope.get("raw_path") or scope["path"].encode()
    return len(path) + len(scope.get("query_string", b"")) > MAX_TARGET_BYTES


def has_too_many_headers(scope: Scope) -> bool:
    """More than ``MAX_HEADERS``, or more than ``MAX_HEADER_BYTES`` of names and values."""
    sizes = [len(name) + len(value) for name, value in scope["headers"]]
    return len(sizes) > MAX_HEADERS or sum(sizes) > MAX_HEADER_BYTES


async def read_body(scope: Scope, receive: Receive) -> Receive:
    """The request's body, read completely and to be received again. Raises TooLarge, TooSlow, Unreadable, TooDeep.

    It is counted in any case: a declared length may be missing, and need not be true.
    """
    if _declared(scope) > MAX_BODY_BYTES:
        raise BodyTooLarge
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _read(receive)
    except TimeoutError as error:
        raise BodyTooSlow from error
    if _is_json(scope):
        await _check_json(body)
    return _replayed(body, receive)


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BodyIncomplete
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge
        if not message.get("more_body", False):
            return bytes(body)


async def _check_json(body: bytes) -> None:
    """Raises TooDeep. What is long waits for its turn to be read by the framework, too, which happens right afterwards."""
    if len(body) <= LONG_JSON_BYTES:
        untrusted_json.check(body)
        return
    async with _long_json:
        await asyncio.to_thread(untrusted_json.check, body)
        await asyncio.sleep(PAUSE_SECONDS * len(body) / MAX_BODY_BYTES)


def _is_json(scope: Scope) -> bool:
    kind = Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()
    return kind.endswith(("/json", "+json"))


async def _raw(request: Request) -> bytes:
    return await request.body()


RawBody = Annotated[bytes, Depends(_raw)]


def _declared(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if length.isdecimal() else 0


def _replayed(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
