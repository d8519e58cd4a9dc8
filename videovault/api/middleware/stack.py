"""The middleware around pages and API: limits, host and CSRF checks, headers, request log, hidden admin pages."""

import re
import time
from collections.abc import Callable, Collection
from urllib.parse import quote, unquote, urlsplit
from uuid import uuid4

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from videovault import logs, untrusted_json
from videovault.api import auth
from videovault.api.middleware import body_limit, connection_limits, csp, hosts
from videovault.api.middleware.connection_limits import OpenConnections
from videovault.api.middleware.csrf import CROSS_SITE, is_cross_site
from videovault.api.middleware.hosts import apply_forwarded_headers, client_ip
from videovault.api.responses import IDENTITY, INTERNAL_ERROR, NOT_FOUND, REQUEST_ID, problem
from videovault.db import is_unavailable
from videovault.errors import DatabaseUnavailable, NotSignedIn
from videovault.logs.redaction import CALLBACK_PATH, HIDDEN
from videovault.services.accounts import sessions

CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f]")
BODY_INCOMPLETE = "The body of this request is not complete or its chunks are malformed."
BODY_TOO_SLOW = f"The body did not arrive within {body_limit.BODY_SECONDS:.0f} seconds."
ACCEPTED_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

ADMIN_PAGES = "/admin"
UNKNOWN_PAGE = "/there-is-no-such-page"

ScriptHashes = Callable[[], Collection[str]]
log = logs.get(__name__)


def wrap_in_middleware(
    app: ASGIApp, script_hashes: ScriptHashes = tuple, open_connections: OpenConnections | None = None
) -> ASGIApp:
    """``script_hashes`` returns the hashes of the pages' inline scripts, for their Content Security Policy."""
    connections = open_connections or OpenConnections()

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        peer = connection_limits.peer(scope)
        if not hosts.is_ambiguous(scope):  # otherwise refused below, before a proxy's Host could replace it
            scope = apply_forwarded_headers(scope)
        with connections.connection(scope) as is_accepted:
            if scope["type"] == "websocket":
                if is_accepted and _refusal(scope) is None:
                    await connection_limits.serve(app, scope, receive, send, peer, connections)
                else:
                    code = connection_limits.POLICY_VIOLATION
                    await send({"type": "websocket.close", "code": code, "reason": CROSS_SITE})
                return
            scope[REQUEST_ID] = _request_id(scope)
            scope[IDENTITY] = {}
            with logs.context(request_id=scope[REQUEST_ID], client_ip=client_ip(scope)):
                response = _ResponseSender(scope, send, script_hashes)
                await _serve_http(app if is_accepted else _too_many_requests(), scope, receive, response)

    return wrapped


class _ResponseSender:
    """Forwards the application's response with the headers that it did not set itself."""

    def __init__(self, scope: Scope, send: Send, script_hashes: ScriptHashes) -> None:
        self._scope = scope
        self._send = send
        self._script_hashes = script_hashes
        self._started_at = time.monotonic()
        self.status = 0  # until the response has started
        self.is_complete = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = list(message.get("headers", []))  # servers accept any iterable
            headers = MutableHeaders(raw=message["headers"])
            headers["X-Request-Id"] = self._scope[REQUEST_ID]
            if "location" in headers:
                headers["Location"] = _without_own_host(headers["Location"], self._scope)
            response = csp.ResponseInfo(self._scope, self.status, headers.get("content-type", ""))
            csp.add_headers(headers, response, self._script_hashes() if response.is_page else ())
        await self._send(message)
        self.is_complete = message["type"] != "http.response.start" and not message.get("more_body", False)

    def log_request(self) -> None:
        """One line per request under /api, without the query, which may contain keys."""
        if self._scope["path"].startswith("/api"):
            log.info(
                "request",
                method=self._scope["method"],
                path=_loggable_path(self._scope),
                status=self.status,
                milliseconds=round((time.monotonic() - self._started_at) * 1000),
                **self._scope[IDENTITY],
            )


async def _serve_http(app: ASGIApp, scope: Scope, receive: Receive, response: _ResponseSender) -> None:
    try:
        refusal = _refusal(scope)
        if refusal is None:
            await app(scope, await body_limit.read_body(scope, receive), response)
        else:
            await refusal(scope, receive, response)
    except (
        body_limit.BodyTooLarge,
        body_limit.BodyTooSlow,
        body_limit.BodyIncomplete,
        untrusted_json.TooDeep,
    ) as error:
        await _body_refused(error)(scope, receive, response)
    except Exception as error:
        request = {"method": scope["method"], "path": _loggable_path(scope)}
        if is_unavailable(error):
            log.warning("the database does not answer", reason=type(error).__name__, **request)
        else:
            log.exception("unhandled error", **request)
        if response.status and not response.is_complete:
            raise  # only the server can still tell the client that the rest is missing
        if not response.status:
            await _failed(error, scope[REQUEST_ID])(scope, receive, response)
    response.log_request()


def _failed(error: Exception, request_id: str) -> Response:
    if not is_unavailable(error):
        return problem(500, "INTERNAL_ERROR", INTERNAL_ERROR, request_id=request_id)
    away = DatabaseUnavailable()
    return problem(503, away.code, away.public_message, headers={"Retry-After": str(away.retry_after)})


def _refusal(scope: Scope) -> Response | None:
    if body_limit.has_too_long_target(scope):
        return _too_large(414, "address", body_limit.MAX_TARGET_BYTES)
    if body_limit.has_too_many_headers(scope):
        return _too_large(431, "head", body_limit.MAX_HEADER_BYTES)
    if CONTROL_CHARACTER.search(
        scope["path"]
    ):  # no route has any, and the framework's patterns match a line break
        return problem(404, "NOT_FOUND", NOT_FOUND)
    if hosts.is_ambiguous(scope):
        return problem(400, "INVALID_INPUT", hosts.AMBIGUOUS, fields={"host": hosts.AMBIGUOUS})
    if hosts.is_unknown(scope):
        return problem(421, "UNKNOWN_HOST", hosts.UNKNOWN)
    return problem(403, "FORBIDDEN", CROSS_SITE) if is_cross_site(scope) else None


def _body_refused(error: Exception) -> Response:
    if isinstance(error, body_limit.BodyTooLarge):
        return _too_large(413, "body", body_limit.MAX_BODY_BYTES)
    if isinstance(error, body_limit.BodyTooSlow):
        return problem(408, "TOO_SLOW", BODY_TOO_SLOW, headers={"Connection": "close"})
    message = BODY_INCOMPLETE if isinstance(error, body_limit.BodyIncomplete) else str(error)
    return problem(400, "INVALID_INPUT", message, fields={"body": message})


def _too_many_requests() -> Response:
    message = "Too many requests from this network address are in progress. Please try again in a moment."
    return problem(429, "RATE_LIMITED", message, headers={"Retry-After": "5"})


def _too_large(status: int, part: str, limit: int) -> Response:
    message = f"The {part} of this request is too large: the limit is {limit // 1024} KiB."
    return problem(status, "TOO_LARGE", message)


def _without_own_host(location: str, scope: Scope) -> str:
    """Drop the request's own host from a redirect that only adds or removes a trailing slash."""
    try:
        target = urlsplit(location)
    except ValueError:
        return location
    is_same_host = target.netloc == Headers(scope=scope).get("host")
    if not is_same_host or unquote(target.path).rstrip("/") != scope["path"].rstrip("/"):
        return location
    # A second leading slash would turn the first part of the path into a host.
    return "/" + target._replace(scheme="", netloc="", path=target.path.lstrip("/\\")).geturl()


def _loggable_path(scope: Scope) -> str:
    """The path with control characters quoted and the token of a report URL redacted."""
    return CALLBACK_PATH.sub(rf"\1{HIDDEN}", quote(scope["path"]))


def _request_id(scope: Scope) -> str:
    """The id that a proxy or client sent, if it is short and plain enough for logs and headers; else a new one."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if ACCEPTED_REQUEST_ID.fullmatch(given) else uuid4().hex


def hide_admin_pages(app: ASGIApp) -> ASGIApp:
    """Give everyone signed in who is not an admin the same 404 as for an unknown address.

    Anonymous visitors still reach the admin pages, which send them to sign in.
    """

    async def hidden(scope: Scope, receive: Receive, send: Send) -> None:
        is_admin_page = scope["type"] == "http" and _is_admin_page(scope["path"])
        if is_admin_page and await run_in_threadpool(_is_other_user, auth.session_token(scope)):
            scope = {**scope, "path": UNKNOWN_PAGE, "raw_path": UNKNOWN_PAGE.encode()}
        await app(scope, receive, send)

    return hidden


def _is_admin_page(path: str) -> bool:
    return path == ADMIN_PAGES or path.startswith(f"{ADMIN_PAGES}/")


def _is_other_user(token: str) -> bool:
    try:
        return bool(token) and not sessions.authenticate(token).is_admin
    except NotSignedIn:
        return False
