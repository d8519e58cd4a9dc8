"""HTTP pipelining: a request sent before the previous response has ended, which saves a round trip."""

import time
from threading import Lock

import httpx

from videovault.gateways.socket_stream import SocketStream

RETRY_AFTER_SECONDS = 3600.0
MAX_ORIGINS = 1000

Origin = tuple[str, str, int]
"""Scheme, host and port."""


class PipelinedRequest:
    """A request sent early; it has its connection once the previous response has been read to its end."""

    def __init__(self, request: httpx.Request) -> None:
        self._request = request
        self._connection: SocketStream | None = None

    def attach(self, connection: SocketStream) -> None:
        """The previous response has ended: the next bytes on the connection belong to this request."""
        self._connection = connection

    def take_connection(self, request: httpx.Request) -> SocketStream | None:
        """The connection with the response, once; None for another request, or if the previous response broke off."""
        if request.url != self._request.url or request.headers != self._request.headers:
            return None
        connection, self._connection = self._connection, None
        return connection

    def close(self) -> None:
        """Drop the response, unless it was taken."""
        connection, self._connection = self._connection, None
        if connection:
            connection.close()


class UnpipelinedOrigins:
    """Origins that failed to answer a pipelined request; used again after an hour. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._until: dict[Origin, float] = {}

    def add(self, origin: Origin) -> None:
        now = time.monotonic()
        with self._lock:
            self._until = {each: until for each, until in self._until.items() if until > now}
            if len(self._until) < MAX_ORIGINS:
                self._until[origin] = now + RETRY_AFTER_SECONDS

    def __contains__(self, origin: Origin) -> bool:
        return self._until.get(origin, 0.0) > time.monotonic()
