"""Downloads from the embedded S3 through the app's port: rclone verifies each link, the file is sent from disk.

rclone answers ranges with status 200, which prevents seeking in browsers, and ignores conditions. Proxying its response
would cost 4.4 CPU seconds per GiB (2.4 in the web process); sending the file costs 0.4 to 0.6.
"""

import asyncio
import logging
import re
import stat
from functools import cached_property
from os import stat_result
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from videovault.api.responses import problem
from videovault.config import EMBEDDED_BUCKET, settings
from videovault.embedded import s3
from videovault.gateways import http_headers

log = logging.getLogger(__name__)

PREFIX = f"/{EMBEDDED_BUCKET}/"
RESPONSE_SECONDS = 60.0
FROM_S3 = (
    "content-type",
    "content-disposition",
    "content-language",
    "cache-control",
    "etag",
    "last-modified",
)
# Stored files come from untrusted sources and are served from the app's origin, so they run in a sandbox without
# scripts. It keeps its origin because Chromium otherwise refuses to play a video opened directly.
SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": (
        "default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'; "
        "sandbox allow-same-origin"
    ),
}
ONE_RANGE = r"(\d+-\d*|-\d+)"
VALID_RANGE = re.compile(rf"bytes={ONE_RANGE}(\s*,\s*{ONE_RANGE})*", re.IGNORECASE)


class PassThrough:
    """ASGI middleware that answers GET and HEAD of ``/<embedded bucket>/<key>`` with a presigned link.

    All other requests, and all requests when another S3 is used, go to ``app``.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PREFIX) and settings().uses_embedded_s3:
            response = await self._answer(Request(scope))
            await response(_with_valid_range(scope), receive, send)
        else:
            await self.app(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return _refusal(405)
        if "X-Amz-Signature" not in request.query_params:
            return _refusal(403)
        try:
            checked = await self._check_link(request)
        except httpx.HTTPError as error:
            log.warning("The embedded S3 did not answer: %r", error)
            return _refusal(502)
        if checked.status_code != 200:
            return _refusal(checked.status_code)
        return await asyncio.to_thread(_file, request, checked.headers)

    async def _check_link(self, request: Request) -> httpx.Response:
        """The embedded S3's response to this link; the range limits it to one byte."""
        config = settings()
        path = quote(request.scope["path"]).encode()
        url = httpx.URL(
            f"http://127.0.0.1:{config.installation.s3_port}",
            raw_path=path + b"?" + request.scope["query_string"],
        )
        headers = {"Host": signed_host(config.base_url), "Range": "bytes=0-0"}
        return await self._client.request(request.method, url, headers=headers)

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        """Keeps no idle connections, so it need not be closed; a new one on loopback costs 0.2 ms."""
        return httpx.AsyncClient(
            timeout=RESPONSE_SECONDS, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
        )


class _File(FileResponse):
    chunk_size = 256 * 1024


def signed_host(base_url: str) -> str:
    """The Host that boto3 signs for ``base_url``: without the scheme's default port."""
    parts = urlsplit(base_url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else str(parts.hostname)
    default_port = {"http": 80, "https": 443}[parts.scheme]
    return host if parts.port in (None, default_port) else f"{host}:{parts.port}"


def _with_valid_range(scope: Scope) -> Scope:
    """An invalid range, or one without GET, must be ignored, not refused (RFC 9110, 14.2)."""
    range_ = Headers(scope=scope).get("range", "")
    if scope["method"] == "GET" and VALID_RANGE.fullmatch(range_):
        return scope
    return {**scope, "headers": [(name, value) for name, value in scope["headers"] if name != b"range"]}


def _file(request: Request, from_s3: httpx.Headers) -> Response:
    path = s3.bucket_folder(settings().data_dir) / request.scope["path"].removeprefix(PREFIX)
    found = _regular_file(path)
    if found is None:
        return _refusal(404)
    headers = {name: from_s3[name] for name in FROM_S3 if name in from_s3}
    response = _File(
        path, headers={"cache-control": "private"} | headers | SECURITY_HEADERS, stat_result=found
    )
    status = _condition(request.headers, response.headers)
    if status == 304:
        return Response(status_code=304, headers=_without_body(response.headers))
    return _refusal(status) if status else response


def _regular_file(path: Path) -> stat_result | None:
    """rclone refuses keys that leave the bucket; a symbolic link must not leave it either."""
    try:
        inside = path.resolve().is_relative_to(s3.bucket_folder(settings().data_dir).resolve())
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found if inside and stat.S_ISREG(found.st_mode) else None


def _condition(request: Headers, response: Headers) -> int | None:
    """304 or 412 by the request's conditions (RFC 9110, 13.2.2), or None."""
    if "if-match" in request:
        if not _matches(request["if-match"], response["etag"]):
            return 412
    elif _changed_since(request.get("if-unmodified-since"), response) is True:
        return 412
    if "if-none-match" in request:
        return 304 if _matches(request["if-none-match"], response["etag"]) else None
    return 304 if _changed_since(request.get("if-modified-since"), response) is False else None


def _matches(listed: str, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in listed.split(",")]
    return etag in tags or tags == ["*"]


def _changed_since(date: str | None, response: Headers) -> bool | None:
    """None without a valid date."""
    since, changed = http_headers.parse_date(date or ""), http_headers.parse_date(response["last-modified"])
    return changed > since if since and changed else None


def _without_body(headers: Headers) -> dict[str, str]:
    return {name: headers[name] for name in ("cache-control", "etag", "last-modified")}


REFUSALS = {
    403: (403, "FORBIDDEN", "This link is not valid or has expired. Please open the video again."),
    404: (404, "NOT_FOUND", "There is nothing at this address."),
    405: (405, "METHOD_NOT_ALLOWED", "Only GET and HEAD are possible here."),
    412: (412, "PRECONDITION_FAILED", "The stored file is not the one you expect."),
    502: (502, "STORAGE_FAILED", "The storage cannot be reached. Please try again in a minute."),
}
# rclone answers 400 to an expired link, and 416 to any range of an empty object.
REFUSALS |= {400: REFUSALS[403], 416: REFUSALS[404]}


def _refusal(status: int) -> Response:
    status, code, message = REFUSALS.get(status, REFUSALS[502])
    headers = {"cache-control": "no-store"} | ({"allow": "GET, HEAD"} if status == 405 else {})
    return problem(status, code, message, headers=headers)
