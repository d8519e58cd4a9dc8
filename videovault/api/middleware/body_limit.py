"""Limits on a request's target, headers and body. The body is counted and timed while it is read."""

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
BODY_SECONDS = 60.0  # for the whole body; 1 MiB needs 140 kbit/s
# Parsing JSON blocks the event loop for 40 ms per MiB, longer on a busy machine. Long documents are parsed one at a
# time, with a pause in between for all other requests.
LONG_JSON_BYTES = 64 * 1024
PAUSE_SECONDS = 0.25  # per MiB
_long_json = anyio.CapacityLimiter(1)


class BodyTooSlow(Exception):
    """The body did not arrive in time."""


class BodyTooLarge(Exception):
    """The body is over the limit."""


class BodyIncomplete(Exception):
    """The body ended early: its chunks are malformed, or the client has disconnected."""


def has_too_long_target(scope: Scope) -> bool:
    """Whether path and query, as they were sent, exceed ``MAX_TARGET_BYTES``."""
    path = scope.get("raw_path") or scope["path"].encode()
    return len(path) + len(scope.get("query_string", b"")) > MAX_TARGET_BYTES


def has_too_many_headers(scope: Scope) -> bool:
    """Whether there are more than ``MAX_HEADERS``, or names and values exceed ``MAX_HEADER_BYTES``."""
    sizes = [len(name) + len(value) for name, value in scope["headers"]]
    return len(sizes) > MAX_HEADERS or sum(sizes) > MAX_HEADER_BYTES


async def read_body(scope: Scope, receive: Receive) -> Receive:
    """Read the whole body and return a ``receive`` that delivers it again.

    The bytes are always counted: a declared length may be missing or wrong.
    Raises BodyTooLarge, BodyTooSlow, BodyIncomplete and TooDeep.
    """
    if _declared_length(scope) > MAX_BODY_BYTES:
        raise BodyTooLarge
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _read(receive)
    except TimeoutError as error:
        raise BodyTooSlow from error
    if media_type(scope).endswith(("/json", "+json")):
        await _check_json(body)
    return _replay(body, receive)


def media_type(scope: Scope) -> str:
    """The type in ``Content-Type`` without its parameters; empty without the header."""
    return Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()


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
    """Raises TooDeep. Long bodies also wait here for the framework's own parsing, which follows immediately."""
    if len(body) <= LONG_JSON_BYTES:
        untrusted_json.check(body)
        return
    async with _long_json:
        await asyncio.to_thread(untrusted_json.check, body)
        await asyncio.sleep(PAUSE_SECONDS * len(body) / MAX_BODY_BYTES)


async def _raw_body(request: Request) -> bytes:
    return await request.body()


RawBody = Annotated[bytes, Depends(_raw_body)]


def _declared_length(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if length.isdecimal() else 0


def _replay(body: bytes, receive: Receive) -> Receive:
    is_delivered = False

    async def replay() -> Message:
        nonlocal is_delivered
        if is_delivered:
            return await receive()
        is_delivered = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
