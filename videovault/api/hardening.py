"""What every request to this port goes through, the pages' too: limits, origins, an id, safe headers, a log line."""

import re
import time
from collections.abc import Callable, Collection, MutableMapping
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from videovault import logs
from videovault.api import bodies, connections, hosts, page_socket, policy
from videovault.api.connections import OpenConnections
from videovault.api.envelope import OUR_FAULT, REQUEST_ID, problem
from videovault.api.origins import FOREIGN, is_foreign
from videovault.api.proxies import believed

TOO_SLOW = f"The body did not arrive within {bodies.BODY_SECONDS:.0f} seconds."
PLAIN_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

PageScripts = Callable[[], Collection[str]]
log = logs.get(__name__)


def harden(
    app: ASGIApp, page_scripts: PageScripts = tuple, open_connections: OpenConnections | None = None
) -> ASGIApp:
    """The application behind the guard; ``page_scripts`` tells the hashes of the scripts inside its pages."""
    counted = open_connections or OpenConnections()

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        peer = connections.peer(scope)
        scope = believed(scope)
        with counted.entered(scope) as is_let_in:
            if scope["type"] == "websocket":
                if is_let_in and not _is_foreign_socket(scope):
                    await page_socket.serve(app, scope, receive, send, peer, counted)
                else:
                    await send({"type": "websocket.close", "code": 1008, "reason": FOREIGN})
                return
            scope[REQUEST_ID] = _request_id(scope)
            with logs.context(request_id=scope[REQUEST_ID]):
                answer = _Answer(scope, send, page_scripts)
                await _serve(app if is_let_in else _too_many(), scope, receive, answer)

    return guarded


class _Answer:
    """Sends on what the application answers, with the headers that it did not set itself."""

    def __init__(self, scope: Scope, send: Send, page_scripts: PageScripts) -> None:
        self._scope = scope
        self._send = send
        self._page_scripts = page_scripts
        self._began = time.monotonic()
        self.status = 0  # until the answer has begun
        self.complete = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(raw=_raw(message))
            headers["X-Request-Id"] = self._scope[REQUEST_ID]
            answer = policy.Answer(self._scope, self.status, headers.get("content-type", ""))
            policy.complete(headers, answer, self._page_scripts() if answer.is_page else ())
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


def _is_foreign_socket(scope: Scope) -> bool:
    """A websocket carries its visitor's cookie, whichever site's page opens it."""
    return hosts.is_unknown(scope) or is_foreign(scope) or bodies.has_too_many_headers(scope)


async def _serve(app: ASGIApp, scope: Scope, receive: Receive, answer: _Answer) -> None:
    try:
        refusal = _refusal(scope)
        if refusal is None:
            await app(scope, await bodies.whole(scope, receive), answer)
        else:
            await refusal(scope, receive, answer)
    except bodies.TooLarge:
        await _too_large(413, "body", bodies.MAX_BODY_BYTES)(scope, receive, answer)
    except bodies.TooSlow:
        await problem(408, "TOO_SLOW", TOO_SLOW, headers={"Connection": "close"})(scope, receive, answer)
    except bodies.Gone:
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


def _refusal(scope: Scope) -> Response | None:
    if bodies.has_too_many_headers(scope):
        return _too_large(431, "head", bodies.MAX_HEADER_BYTES)
    if hosts.is_unknown(scope):
        return problem(421, "UNKNOWN_HOST", hosts.UNKNOWN)
    return problem(403, "FORBIDDEN", FOREIGN) if is_foreign(scope) else None


def _too_many() -> Response:
    message = "Too many requests of this network address are under way. Please try again in a moment."
    return problem(429, "RATE_LIMITED", message, headers={"Retry-After": "5"})


def _too_large(status: int, part: str, most: int) -> Response:
    message = f"The {part} of this request is too large: at most {most // 1024} KiB are possible."
    return problem(status, "TOO_LARGE", message)


def _request_id(scope: Scope) -> str:
    """The one that a proxy or program gave it, if that is short and plain enough for logs and headers."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if PLAIN_ID.fullmatch(given) else uuid4().hex


def _raw(message: MutableMapping[str, Any]) -> list[tuple[bytes, bytes]]:
    """The answer's headers as a list that may be added to; servers take any iterable."""
    message["headers"] = list(message.get("headers", []))
    raw: list[tuple[bytes, bytes]] = message["headers"]
    return raw
