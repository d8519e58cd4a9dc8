"""Check whether a URL answers, and whether presigned links work, without changing anything there."""

import base64
import os
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import httpx

from videovault.errors import StorageError, UpstreamError
from videovault.gateways import http_headers, s3_client, socket_stream
from videovault.gateways.s3_client import error_for, parse_error_response
from videovault.gateways.storage import Storage

TIMEOUT = httpx.Timeout(4.0)
MAX_BODY_BYTES = 64 * 1024
Method = Literal["GET", "HEAD", "OPTIONS"]
OPERATION = "GetObject by a presigned link"
LINK_SECONDS = 60


class Unreachable(UpstreamError):
    """The URL does not answer; the message says why."""


@dataclass(frozen=True)
class CheckResponse:
    """``body`` has at most the first 64 KiB; ``at`` is the Date header."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def at(self) -> datetime | None:
        return http_headers.parse_date(self.headers.get("date", ""))


def send_request(
    url: str, method: Method = "GET", headers: Mapping[str, str] | None = None, authority: str = ""
) -> CheckResponse:
    """Send one request and return the response of any status, without following redirects. Raises Unreachable.

    ``authority`` is the file of an additionally trusted certificate authority.
    """
    started = time.monotonic()
    with (
        _translating_errors(),
        httpx.Client(timeout=TIMEOUT, verify=socket_stream.ssl_context(authority)) as client,
    ):
        with client.stream(method, url, headers=dict(headers or {})) as answer:
            body = b"".join(_limited(answer.iter_bytes(), MAX_BODY_BYTES))
        return CheckResponse(answer.status_code, answer.headers, body, time.monotonic() - started)


def open_websocket(url: str, headers: Mapping[str, str] | None = None) -> int:
    """Ask for a websocket and close it at once; the status of the response, 101 if it was opened. Raises Unreachable."""
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
    }
    with (
        _translating_errors(),
        httpx.Client(timeout=TIMEOUT, verify=socket_stream.ssl_context("")) as client,
        client.stream("GET", url, headers={**(headers or {}), **upgrade}) as answer,
    ):
        return answer.status_code


def fetch_by_link(vault: Storage, key: str, *, headers: dict[str, str] | None = None) -> bytes:
    """Fetch the first 64 KiB of ``key`` by a presigned link, as a browser does.

    If this server cannot reach the store's public address, it tries its own. Raises ObjectMissing, and StorageError
    for a rejected link.
    """
    if not vault.is_embedded:  # links to the embedded S3 lead back to this server
        try:
            return s3_client.call_with_retry(
                lambda: _get_link(vault.presign(key, seconds=LINK_SECONDS), headers)
            )
        except StorageError as error:
            if error.answer is not None or not vault.has_public_address:
                raise
    link = vault.presign(key, seconds=LINK_SECONDS, internal=True)
    return s3_client.call_with_retry(lambda: _get_link(link, headers))


def _get_link(link: str, headers: dict[str, str] | None) -> bytes:
    try:
        answer = send_request(link, "GET", headers, authority=os.environ.get("AWS_CA_BUNDLE", ""))
    except Unreachable as error:
        raise StorageError(
            "S3 does not answer, or its answer cannot be understood.", retryable=True
        ) from error
    if answer.status in (200, 206):
        return answer.body
    raise error_for(parse_error_response(answer.status, answer.headers, answer.body, OPERATION))


def _limited(chunks: Iterator[bytes], remaining: int) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk[:remaining]
        remaining -= len(chunk)
        if remaining <= 0:
            return


@contextmanager
def _translating_errors() -> Iterator[None]:
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unreachable(_message(error), retryable=True) from error


def _message(error: Exception) -> str:
    causes = list(_causes(error))
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "The host name is unknown: DNS has no address for it."
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return "Its TLS certificate is not valid, or it does not support TLS."
    if isinstance(error, httpx.TimeoutException):
        return f"It did not answer within {TIMEOUT.read:g} seconds."
    if isinstance(error, httpx.ConnectError):
        return "It refuses connections, or cannot be reached."
    return "It closed the connection, or its answer could not be understood."


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
