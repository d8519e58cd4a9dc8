"""A request that is sent while the answer before it is still coming, so that no round trip passes in between."""

import time
from threading import Lock

import httpx

from videovault.gateways.socket_stream import SocketStream

RETRY_AFTER_SECONDS = 3600.0
MAX_ORIGINS = 1000

Origin = tuple[str, str, int]
"""Scheme, host and port."""


class PipelinedRequest:
    """What was asked for ahead on a wire, which is here once the answer before has been read to its end."""

    def __init__(self, request: httpx.Request) -> None:
        self._request = request
        self._wire: SocketStream | None = None

    def attach(self, wire: SocketStream) -> None:
        """The answer before has ended: the next bytes on the wire are those of this one."""
        self._wire = wire

    def take_stream(self, request: httpx.Request) -> SocketStream | None:
        """The wire with the answer to ``request``, once; None if that was not asked, or the answer before broke off."""
        if request.url != self._request.url or request.headers != self._request.headers:
            return None
        wire, self._wire = self._wire, None
        return wire

    def close(self) -> None:
        """The answer, unless it was taken, is not wanted any more."""
        wire, self._wire = self._wire, None
        if wire:
            wire.close()


class UnpipelinedOrigins:
    """Origins that did not answer what they were asked ahead; tried again after an hour. For any thread."""

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
