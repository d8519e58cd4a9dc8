"""A client of the pages' WebSocket without a browser, as an attacker could write one."""

import itertools
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    RejectConnection,
    Request,
    TextMessage,
)

from tests.support.waiting import HANG_SECONDS

HYDRATE = "reflex___state____state.hydrate"
FENCE = "reflex___state____state.videovault___state___session____session_state.dismiss"
NAMESPACE = "/_event,"
_numbers = itertools.count(1)


class Refused(ConnectionError):
    """The server refused or closed the connection."""


@dataclass(frozen=True)
class Frame:
    """One message to the page: the changes of its vars and its events."""

    text: str
    update: dict[str, Any]

    @classmethod
    def of(cls, text: str) -> "Frame":
        said = json.loads(text.partition(",")[2] or "[]")
        update = said[1] if isinstance(said, list) and len(said) > 1 and isinstance(said[1], dict) else {}
        return cls(text, update)

    @property
    def sent_to(self) -> list[str]:
        """The paths of its redirects."""
        told = self.update.get("events") or []
        return [event["payload"]["path"] for event in told if event["name"] == "_redirect"]

    def values(self, var: str) -> list[Any]:
        """The new values of all vars whose name begins like this, in any state."""
        delta = self.update.get("delta") or {}
        return [value for state in delta.values() for name, value in state.items() if name.startswith(var)]


@dataclass
class RawTab:
    """``token`` identifies the tab to Reflex, ``cookie`` is the whole header.

    ``source`` is the client's address, ``forwarded`` the header that a proxy would add.
    """

    url: str
    token: str = field(default_factory=lambda: f"raw-{next(_numbers)}-{time.time_ns()}")
    cookie: str = ""
    origin: str = ""
    source: str = ""
    forwarded: str = ""

    def __post_init__(self) -> None:
        place = urlsplit(self.url)
        host = "127.0.0.1" if self.source else place.hostname or ""
        source = (self.source, 0) if self.source else None
        self._socket = socket.create_connection((host, place.port or 80), HANG_SECONDS, source)
        self._ws = WSConnection(ConnectionType.CLIENT)
        self._partial = ""
        try:
            self._shake_hands(place.netloc)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def send(self, handler: str, payload: Any = None, address: str = "/gallery") -> None:
        """Call a handler by its full name, from the page at ``address``."""
        router = {"pathname": address.partition("?")[0], "asPath": address, "query": {}}
        event = {"name": handler, "payload": payload or {}, "router_data": router}
        self.say(f"42{NAMESPACE}{json.dumps(['event', event])}")

    def answers(self) -> list[Frame]:
        """All messages up to now: every event sent before has been handled, except background events."""
        mark = f"fence={next(_numbers)}-"
        self.send(FENCE, address=f"/gallery?{mark}")
        found = []
        for frame in self.frames(HANG_SECONDS):
            found.append(frame)
            if mark in frame.text:
                return found
        raise AssertionError("the server does not answer")

    def frames(self, seconds: float) -> Iterator[Frame]:
        """The messages that arrive within this time."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            for text in self._received(left):
                if text == "2":
                    self.say("3")
                elif text.startswith(f"42{NAMESPACE}"):
                    yield Frame.of(text)

    def _shake_hands(self, host: str) -> None:
        query = urlencode({"token": self.token, "EIO": 4, "transport": "websocket"})
        headers = [(b"Origin", (self.origin or self.url).encode())]
        headers += [(b"Cookie", self.cookie.encode())] if self.cookie else []
        headers += [(b"X-Forwarded-For", self.forwarded.encode())] if self.forwarded else []
        self._put(Request(host=host, target=f"/_event/?{query}", extra_headers=headers))
        self._await("0")
        self.say(f"40{NAMESPACE}")
        self._await("40")

    def _await(self, beginning: str) -> None:
        until = time.monotonic() + HANG_SECONDS
        while not any(text.startswith(beginning) for text in self._received(until - time.monotonic())):
            assert time.monotonic() < until, f"no {beginning}"

    def _received(self, seconds: float) -> list[str]:
        """The messages that have arrived; waits at most this long for the first."""
        self._socket.settimeout(max(seconds, 0.001))
        try:
            data = self._socket.recv(65536)
        except TimeoutError:
            return []
        if not data:
            raise Refused("closed")
        self._ws.receive_data(data)
        texts = []
        for event in self._ws.events():
            if isinstance(event, RejectConnection):
                raise Refused(str(event.status_code))
            if isinstance(event, CloseConnection):
                raise Refused(str(event.code))
            if isinstance(event, TextMessage):
                self._partial += event.data
                if event.message_finished:
                    texts.append(self._partial)
                    self._partial = ""
            else:
                assert isinstance(event, AcceptConnection), event
        return texts

    def say(self, text: str, *, finished: bool = True) -> None:
        """Send this text as a message, or as a fragment of one."""
        self._put(TextMessage(data=text, message_finished=finished))

    def say_bytes(self, data: bytes) -> None:
        self._put(BytesMessage(data=data))

    def _put(self, event: Request | TextMessage | BytesMessage) -> None:
        self._socket.sendall(self._ws.send(event))
