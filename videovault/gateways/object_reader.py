"""Read ranges of a stored object by its presigned URL, within a byte budget."""

import itertools
import os
import re
import time
from types import TracebackType
from typing import Self

import httpx

from videovault.backoff import exponential
from videovault.gateways import socket_stream

TIMEOUT_SECONDS = 10.0
OUTAGE_SECONDS = 10.0  # how long the store may be unavailable, or not show a new object
FIRST_PAUSE, MAX_PAUSE = 0.1, 2.0
TRANSIENT_STATUSES = {404, 429, 500, 502, 503, 504}
CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


class ObjectReadFailed(Exception):
    """The object cannot be read, or the budget is exceeded; the message says which."""


class ObjectUnavailable(ObjectReadFailed):
    """S3 is unavailable, or rejects the request temporarily."""


class ObjectReader:
    """Fetches at most ``budget`` bytes of ``url``, and none after ``until`` (time.monotonic)."""

    def __init__(self, url: str, budget: int, until: float) -> None:
        self._url = url
        self._budget = budget
        self._until = until
        # boto3 reads a private certificate authority from this variable, httpx does not.
        authority = os.environ.get("AWS_CA_BUNDLE", "")
        self._client = httpx.Client(verify=socket_stream.ssl_context(authority))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def size(self) -> int:
        """In bytes. Raises ObjectReadFailed."""
        return self._fetch(0, 1)[1]

    def read(self, start: int, count: int) -> bytes:
        """``count`` bytes from ``start``, fewer at the end. Raises ObjectReadFailed."""
        return self._fetch(start, count)[0]

    def _fetch(self, start: int, count: int) -> tuple[bytes, int]:
        if count > self._budget:
            raise ObjectReadFailed("the byte budget of the object is exceeded")
        self._budget -= count
        headers = {"Range": f"bytes={start}-{start + count - 1}", "Accept-Encoding": "identity"}
        until = min(self._until, time.monotonic() + OUTAGE_SECONDS)
        for attempt in itertools.count(1):
            is_last = time.monotonic() >= until
            try:
                with self._client.stream(
                    "GET", self._url, headers=headers, timeout=self._timeout()
                ) as answer:
                    if is_last or answer.status_code not in TRANSIENT_STATUSES:
                        return self._read_range(answer, start, count)
            except httpx.HTTPError as error:
                if is_last:
                    raise ObjectUnavailable(f"S3 did not answer: {type(error).__name__}") from error
            time.sleep(min(exponential(FIRST_PAUSE, MAX_PAUSE, attempt), max(0.0, until - time.monotonic())))
        raise AssertionError("unreachable")

    def _read_range(self, answer: httpx.Response, start: int, count: int) -> tuple[bytes, int]:
        """The requested range, and the size of the whole object. Some S3s send a range with status 200."""
        content_range = CONTENT_RANGE.fullmatch(answer.headers.get("content-range", ""))
        if answer.status_code in TRANSIENT_STATUSES:
            raise ObjectUnavailable(f"S3 did not send it (status {answer.status_code})")
        if answer.status_code not in (200, 206) or not content_range or int(content_range[1]) != start:
            raise ObjectReadFailed(f"S3 does not send ranges of it (status {answer.status_code})")
        data = bytearray()
        for chunk in answer.iter_raw():
            data += chunk
            self._timeout()
            if len(data) >= count:
                break
        return bytes(data[:count]), int(content_range[2])

    def _timeout(self) -> float:
        """Seconds to wait for S3, within the deadline."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise ObjectReadFailed("it took too long")
        return min(left, TIMEOUT_SECONDS)
