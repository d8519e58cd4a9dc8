"""What every request to this port goes through, the pages' too: limits, origins, an id, safe headers, a log line."""

import re
import time
from collections.abc import Callable, Collection, MutableMapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from videovault import logs, untrusted_json
from videovault.api.middleware import body_limit, connection_limits, csp, hosts, websocket_limits
from videovault.api.middleware.connection_limits import OpenConnections
from videovault.api.middleware.csrf import FOREIGN, is_cross_site
from videovault.api.middleware.forwarded import apply_forwarded_headers, client_ip
from videovault.api.responses import IDENTITY, NOTHING_HERE, OUR_FAULT, REQUEST_ID, problem
from videovault.logs.redaction import CALLBACK_PATH, HIDDEN

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
UNREADABLE = "The body of this request is not complete or its chunks are malformed."
TOO_SLOW = f"The body did not arrive within {body_limit.BODY_SECONDS:.0f} seconds."
PLAIN_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

PageScripts = Callable[[], Collection[str]]
log = logs.get(__name__)


def wrap_in_middleware(
    app: ASGIApp, page_scripts: PageScripts = tuple, open_connections: OpenConnections | None = None
) -> ASGIApp:
    """The application behind the guard; ``page_scripts`` tells the hashes of the scripts inside its pages."""
    counted = open_connections or OpenConnections()

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        peer = connection_limits.peer(scope)
        if not hosts.is_ambiguous(scope):  # else it is refused as it came
            scope = apply_forwarded_headers(scope)
        with counted.entered(scope) as is_let_in:
            if scope["type"] == "websocket":
                if is_let_in and _refusal(scope) is None:
                    await websocket_limits.serve(app, scope, receive, send, peer, counted)
                else:  # a websocket carries its visitor's cookie, whichever site's page opens it
                    await send({"type": "websocket.close", "code": 1008, "reason": FOREIGN})
                return
            scope[REQUEST_ID] = _request_id(scope)
            scope[IDENTITY] = {}
            with logs.context(request_id=scope[REQUEST_ID], client_ip=client_ip(scope)):
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
            if "location" in headers:
                headers["Location"] = _beside(headers["Location"], self._scope)
            answer = csp.ResponseInfo(self._scope, self.status, headers.get("content-type", ""))
            csp.add_headers(headers, answer, self._page_scripts() if answer.is_page else ())
        await self._send(message)
        self.complete = message["type"] != "http.response.start" and not message.get("more_body", False)

    def note(self) -> None:
        """One line a request under /api; never its query, which may hold keys."""
        if self._scope["path"].startswith("/api"):
            took = round((time.monotonic() - self._began) * 1000)
            log.info(
                "request",
                method=self._scope["method"],
                path=_logged(self._scope),
                status=self.status,
                milliseconds=took,
                **self._scope[IDENTITY],
            )


async def _serve(app: ASGIApp, scope: Scope, receive: Receive, answer: _Answer) -> None:
    try:
        refusal = _refusal(scope)
        if refusal is None:
            await app(scope, await body_limit.read_body(scope, receive), answer)
        else:
            await refusal(scope, receive, answer)
    except (
        body_limit.BodyTooLarge,
        body_limit.BodyTooSlow,
        body_limit.BodyIncomplete,
        untrusted_json.TooDeep,
    ) as error:
        await _about_body(error)(scope, receive, answer)
    except Exception:
        log.exception("unhandled error", method=scope["method"], path=_logged(scope))
        if answer.status and not answer.complete:
            raise  # only the server can still tell the client that the rest is missing
        if not answer.status:
            await problem(500, "INTERNAL_ERROR", OUR_FAULT, request_id=scope[REQUEST_ID])(
                scope, receive, answer
            )
    answer.note()


def _refusal(scope: Scope) -> Response | None:
    if body_limit.has_too_long_target(scope):
        return _too_large(414, "address", body_limit.MAX_TARGET_BYTES)
    if body_limit.has_too_many_headers(scope):
        return _too_large(431, "head", body_limit.MAX_HEADER_BYTES)
    if CONTROL.search(scope["path"]):  # no route has any, and those of the framework do not see a line break
        return problem(404, "NOT_FOUND", NOTHING_HERE)
    if hosts.is_ambiguous(scope):
        return problem(400, "INVALID_INPUT", hosts.AMBIGUOUS, fields={"host": hosts.AMBIGUOUS})
    if hosts.is_unknown(scope):
        return problem(421, "UNKNOWN_HOST", hosts.UNKNOWN)
    return problem(403, "FORBIDDEN", FOREIGN) if is_cross_site(scope) else None


def _about_body(error: Exception) -> Response:
    """Why the body is refused. A client that has left does not see the answer."""
    if isinstance(error, body_limit.BodyTooLarge):
        return _too_large(413, "body", body_limit.MAX_BODY_BYTES)
    if isinstance(error, body_limit.BodyTooSlow):
        return problem(408, "TOO_SLOW", TOO_SLOW, headers={"Connection": "close"})
    message = UNREADABLE if isinstance(error, body_limit.BodyIncomplete) else str(error)
    return problem(400, "INVALID_INPUT", message, fields={"body": message})


def _too_many() -> Response:
    message = "Too many requests of this network address are under way. Please try again in a moment."
    return problem(429, "RATE_LIMITED", message, headers={"Retry-After": "5"})


def _too_large(status: int, part: str, most: int) -> Response:
    message = f"The {part} of this request is too large: at most {most // 1024} KiB are possible."
    return problem(status, "TOO_LARGE", message)


def _beside(location: str, scope: Scope) -> str:
    """The same path with or without a slash at its end is written without the host that the request has named."""
    try:
        told = urlsplit(location)
    except ValueError:
        return location
    is_here = told.netloc == Headers(scope=scope).get("host")
    if not is_here or unquote(told.path).rstrip("/") != scope["path"].rstrip("/"):
        return location
    # Two slashes in front would make the first part of the path a host.
    return "/" + told._replace(scheme="", netloc="", path=told.path.lstrip("/\\")).geturl()


def _logged(scope: Scope) -> str:
    """The path as it came, without control characters and without the token of a report address."""
    return CALLBACK_PATH.sub(rf"\1{HIDDEN}", quote(scope["path"]))


def _request_id(scope: Scope) -> str:
    """The one that a proxy or program gave it, if that is short and plain enough for logs and headers."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if PLAIN_ID.fullmatch(given) else uuid4().hex


def _raw(message: MutableMapping[str, Any]) -> list[tuple[bytes, bytes]]:
    """The answer's headers as a list that may be added to; servers take any iterable."""
    message["headers"] = list(message.get("headers", []))
    raw: list[tuple[bytes, bytes]] = message["headers"]
    return raw
