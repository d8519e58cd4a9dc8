"""Whether something answers at an address at all: asked so that nothing is begun or changed there."""

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
from videovault.gateways import http_headers, s3_retry, tls
from videovault.gateways.s3 import error_for, parse_error_response
from videovault.gateways.storage import Storage

TIMEOUT = httpx.Timeout(4.0)
MAX_BODY_BYTES = 64 * 1024
Method = Literal["GET", "HEAD", "OPTIONS"]


class Unreachable(UpstreamError):
    """Nothing answers at the address; the message says how far one gets."""


@dataclass(frozen=True)
class CheckResponse:
    """What came back: ``body`` is at most its first 64 KiB, ``at`` what the Date header says."""

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
    """One question, one answer, whatever its status; redirects are not followed. Raises Unreachable.

    ``authority`` is the file of a certificate authority that is trusted beside the usual ones.
    """
    started = time.monotonic()
    with _in_words(), httpx.Client(timeout=TIMEOUT, verify=tls.ssl_context(authority)) as client:
        with client.stream(method, url, headers=dict(headers or {})) as answer:
            body = b"".join(_first(answer.iter_bytes(), MAX_BODY_BYTES))
        return CheckResponse(answer.status_code, answer.headers, body, time.monotonic() - started)


def _first(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    for piece in pieces:
        yield piece[:most]
        most -= len(piece)
        if most <= 0:
            return


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unreachable(_sentence(error), retryable=True) from error


def _sentence(error: Exception) -> str:
    causes = list(_causes(error))
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "Its name is not known: no address was found for it."
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return "It cannot prove who it is: its TLS certificate is not valid, or it speaks no TLS."
    if isinstance(error, httpx.TimeoutException):
        return f"It did not answer within {TIMEOUT.read:g} seconds."
    if isinstance(error, httpx.ConnectError):
        return "It refuses connections, or no way leads there."
    return "It broke off, or its answer could not be understood."


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


# Fetching an object as browsers do, by a presigned link, to see whether links work.

OPERATION = "GetObject by a presigned link"
LINK_SECONDS = 60


def fetch_by_link(vault: Storage, key: str, *, headers: dict[str, str] | None = None) -> bytes:
    """The first 64 KiB behind a link to ``key``. Raises ObjectMissing, and StorageError for a link that is refused.

    Browsers may have another address for the store, which this server need not reach: its own is tried then.
    """
    if not vault.is_embedded:  # links to the embedded S3 lead back to this server
        try:
            return s3_retry.call_with_retry(lambda: _get(vault.presign(key, seconds=LINK_SECONDS), headers))
        except StorageError as error:
            if error.answer is not None or not vault.has_public_address:
                raise
    link = vault.presign(key, seconds=LINK_SECONDS, internal=True)
    return s3_retry.call_with_retry(lambda: _get(link, headers))


def _get(link: str, headers: dict[str, str] | None) -> bytes:
    try:
        answer = send_request(link, "GET", headers, authority=os.environ.get("AWS_CA_BUNDLE", ""))
    except Unreachable as error:
        raise StorageError(
            "S3 does not answer, or its answer cannot be understood.", retryable=True
        ) from error
    if answer.status in (200, 206):
        return answer.body
    raise error_for(parse_error_response(answer.status, answer.headers, answer.body, OPERATION))
