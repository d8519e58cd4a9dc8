"""Whether something answers at an address at all: asked so that nothing is begun or changed there."""

import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import httpx

from videovault.errors import UpstreamError
from videovault.gateways import http_dates, tls

TIMEOUT = httpx.Timeout(4.0)
MOST_BYTES = 64 * 1024
Method = Literal["GET", "HEAD", "OPTIONS"]


class Unreachable(UpstreamError):
    """Nothing answers at the address; the message says how far one gets."""


@dataclass(frozen=True)
class Answer:
    """What came back: ``body`` is at most its first 64 KiB, ``at`` what the Date header says."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def at(self) -> datetime | None:
        return http_dates.read(self.headers.get("date", ""))


def ask(
    url: str, method: Method = "GET", headers: Mapping[str, str] | None = None, authority: str = ""
) -> Answer:
    """One question, one answer, whatever its status; redirects are not followed. Raises Unreachable.

    ``authority`` is the file of a certificate authority that is trusted beside the usual ones.
    """
    started = time.monotonic()
    with _in_words(), httpx.Client(timeout=TIMEOUT, verify=tls.trusted(authority)) as client:
        with client.stream(method, url, headers=dict(headers or {})) as answer:
            body = b"".join(_first(answer.iter_bytes(), MOST_BYTES))
        return Answer(answer.status_code, answer.headers, body, time.monotonic() - started)


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
