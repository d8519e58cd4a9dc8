"""A browser tab as the server sees it: a raw socket that opens a page and takes what it is sent."""

import asyncio
import json
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from uuid import uuid4

from wsproto import ConnectionType, WSConnection
from wsproto.events import CloseConnection, Event, Ping, Request, TextMessage

HELLO = "reflex___state____state.hydrate_and_load"
HYDRATED = '"is_hydrated_rx_state_":true'
CHUNK = 65536


@dataclass
class Tab:
    """``messages`` counts what came; ``is_there`` is set once the page is alive."""

    url: str
    cookie: str
    path: str
    messages: int = 0
    is_there: asyncio.Event = field(default_factory=asyncio.Event)
    _awaited: dict[str, asyncio.Future[float]] = field(default_factory=dict)

    def hears(self, text: str) -> asyncio.Future[float]:
        """When this text has come, by time.monotonic(), from now on."""
        self._awaited[text] = asyncio.get_running_loop().create_future()
        return self._awaited[text]

    async def stay(self) -> None:
        """Open the page and listen until cancelled. Raises ConnectionError when the server ends it."""
        place = urlsplit(self.url)
        self._socket, self._text = WSConnection(ConnectionType.CLIENT), ""
        reader, self._writer = await asyncio.open_connection(place.hostname, place.port)
        target = f"/_event/?token={uuid4()}&EIO=4&transport=websocket"
        headers = [(b"origin", self.url.encode()), (b"cookie", self.cookie.encode())]
        self._send(Request(host=place.netloc, target=target, extra_headers=headers))
        try:
            while data := await reader.read(CHUNK):
                self._socket.receive_data(data)
                for event in self._socket.events():
                    self._take(event)
        finally:
            self._writer.close()
        raise ConnectionError("the server has closed the socket")

    def _take(self, event: Event) -> None:
        if isinstance(event, TextMessage):
            self._text += event.data
            if event.message_finished:
                text, self._text = self._text, ""
                self._answer(text)
        elif isinstance(event, Ping):
            self._send(event.response())
        elif isinstance(event, CloseConnection):
            raise ConnectionError(f"the server has closed the socket: {event.reason or event.code}")

    def _answer(self, text: str) -> None:
        """By the protocol of socket.io: open, ping, event."""
        if text.startswith("0"):
            hello = {"event": {"name": HELLO, "router_data": {"pathname": self.path, "asPath": self.path}}}
            self._send(TextMessage(data=f"40/_event,{json.dumps(hello)}"))
        elif text == "2":
            self._send(TextMessage(data="3"))
        elif text.startswith("42/_event,"):
            self.messages += 1
            for awaited in [awaited for awaited in self._awaited if awaited in text]:
                self._awaited.pop(awaited).set_result(time.monotonic())
            if HYDRATED in text:
                self.is_there.set()

    def _send(self, event: Event) -> None:
        self._writer.write(self._socket.send(event))
