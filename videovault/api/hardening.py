"""What every HTTP answer of this port gets, the pages' too: an id, a limit for bodies, safe headers, a log line."""

import time
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from videovault import logs
from videovault.api.envelope import OUR_FAULT, REQUEST_ID, problem

MAX_BODY_BYTES = 1024 * 1024
SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "frame-ancestors 'none'; object-src 'none'; base-uri 'self'; form-action 'self'",
}
FOREVER = "public, max-age=31536000, immutable"  # file names under /assets carry a hash of the content

log = logs.get(__name__)


class _TooLarge(Exception):
    """The body is over the limit."""


class _Gone(Exception):
    """The client left before its body was complete."""


def harden(app: ASGIApp) -> ASGIApp:
    """The application behind the guard; websockets pass untouched."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        scope[REQUEST_ID] = uuid4().hex
        with logs.context(request_id=scope[REQUEST_ID]):
            await _serve(app, scope, receive, _Answer(scope, send))

    return guarded


class _Answer:
    """Sends on what the application answers, with the headers that it did not set itself."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._began = time.monotonic()
        self.status = 0  # until the answer has begun
        self.complete = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            _complete(MutableHeaders(raw=_raw(message)), self._scope, self.status)
        await self._send(message)
        self.complete = message["type"] != "http.response.start" and not message.get("more_body", False)

    def note(self) -> None:
        """One line a request under /api; never its query, which may hold keys."""
        if self._scope["path"].startswith("/api"):
            took = round((time.monotonic() - self._began) * 1000)
            log.info(
                "request",
                method=self._scope["method"],
                path=quote(self._scope["path"]),  # as it came: no control characters
                status=self.status,
                milliseconds=took,
            )


async def _serve(app: ASGIApp, scope: Scope, receive: Receive, answer: _Answer) -> None:
    try:
        body = await _body(scope, receive)
        await app(scope, _replayed(body, receive), answer)
    except _TooLarge:
        message = f"The body is too large: at most {MAX_BODY_BYTES // 1024} KiB are possible."
        await problem(413, "TOO_LARGE", message)(scope, receive, answer)
    except _Gone:
        return
    except Exception:
        log.exception("unhandled error", method=scope["method"], path=scope["path"])
        if answer.status and not answer.complete:
            raise  # only the server can still tell the client that the rest is missing
        if not answer.status:
            await problem(500, "INTERNAL_ERROR", OUR_FAULT, request_id=scope[REQUEST_ID])(
                scope, receive, answer
            )
    answer.note()


async def _body(scope: Scope, receive: Receive) -> bytes:
    """The whole body, counted while it is read: a length may be missing, and need not be true."""
    if _declared(scope) > MAX_BODY_BYTES:
        raise _TooLarge
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise _TooLarge
        if not message.get("more_body", False):
            return bytes(body)


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


def _complete(headers: MutableHeaders, scope: Scope, status: int) -> None:
    headers["X-Request-Id"] = scope[REQUEST_ID]
    for name, value in SECURITY.items():
        headers.setdefault(name, value)
    caching = _caching(scope["path"], headers.get("content-type", ""), status)
    if caching:
        headers.setdefault("Cache-Control", caching)


def _caching(path: str, content_type: str, status: int) -> str:
    if path.startswith("/api"):
        return "no-store"
    if path.startswith("/assets/") and status in (200, 206, 304):
        return FOREVER
    return "no-cache" if content_type.startswith("text/html") else ""


def _raw(message: MutableMapping[str, Any]) -> list[tuple[bytes, bytes]]:
    """The answer's headers as a list that may be added to; servers take any iterable."""
    message["headers"] = list(message.get("headers", []))
    raw: list[tuple[bytes, bytes]] = message["headers"]
    return raw
