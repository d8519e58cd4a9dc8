"""A browser tab as the server sees it: a raw websocket that opens a page and receives its messages."""

import asyncio
import json
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from uuid import uuid4

from wsproto import ConnectionType, WSConnection
from wsproto.events import CloseConnection, Event, Ping, Request, TextMessage

HELLO = "reflex___state____state.hydrate_and_load"
DISMISS = "reflex___state____state.videovault___state___session____session_state.dismiss"
HYDRATED = '"is_hydrated_rx_state_":true'
LOAD_AGAIN = '"_remove_session_storage"'  # after it, a page of Reflex asks for its state
CHUNK = 65536


@dataclass
class Tab:
    """``messages`` counts those received; ``is_loaded`` is set once the page has its state."""

    url: str
    cookie: str
    path: str
    messages: int = 0
    is_loaded: asyncio.Event = field(default_factory=asyncio.Event)
    _closed: BaseException | None = None
    _trips: int = 0
    _awaited: dict[str, asyncio.Future[float]] = field(default_factory=dict)

    def expect(self, text: str) -> asyncio.Future[float]:
        """The time.monotonic() of the next message with this text."""
        self._awaited[text] = asyncio.get_running_loop().create_future()
        return self._awaited[text]

    async def round_trip(self) -> float:
        """The seconds until an event that changes the tab's state has been answered."""
        self._trips += 1
        mark = f"trip={self._trips}-"
        answered, began = self.expect(mark), time.monotonic()
        self._send_event(DISMISS, f"{self.path}?{mark}")
        return await answered - began

    def check_open(self) -> None:
        """Raises what has closed the socket."""
        if self._closed is not None:
            raise self._closed

    async def run(self) -> None:
        """Open the page and receive until cancelled. Raises ConnectionError when the server closes the socket."""
        try:
            await self._receive()
        except Exception as error:
            self._closed = error
            raise

    async def _receive(self) -> None:
        address = urlsplit(self.url)
        self._socket, self._text = WSConnection(ConnectionType.CLIENT), ""
        reader, self._writer = await asyncio.open_connection(address.hostname, address.port)
        target = f"/_event/?token={uuid4()}&EIO=4&transport=websocket"
        headers = [(b"origin", self.url.encode()), (b"cookie", self.cookie.encode())]
        self._send(Request(host=address.netloc, target=target, extra_headers=headers))
        try:
            while data := await reader.read(CHUNK):
                self._socket.receive_data(data)
                for event in self._socket.events():
                    self._handle(event)
        finally:
            self._writer.close()
        raise ConnectionError("the server has closed the socket")

    def _handle(self, event: Event) -> None:
        if isinstance(event, TextMessage):
            self._text += event.data
            if event.message_finished:
                text, self._text = self._text, ""
                self._handle_text(text)
        elif isinstance(event, Ping):
            self._send(event.response())
        elif isinstance(event, CloseConnection):
            raise ConnectionError(f"the server has closed the socket: {event.reason or event.code}")

    def _handle_text(self, text: str) -> None:
        """The protocol of socket.io: open, ping, event."""
        if text.startswith("0"):
            hello = {"event": {"name": HELLO, "router_data": {"pathname": self.path, "asPath": self.path}}}
            self._send(TextMessage(data=f"40/_event,{json.dumps(hello)}"))
        elif text == "2":
            self._send(TextMessage(data="3"))
        elif text.startswith("42/_event,"):
            self.messages += 1
            for awaited in [awaited for awaited in self._awaited if awaited in text]:
                found = self._awaited.pop(awaited)
                if not found.done():  # given up
                    found.set_result(time.monotonic())
            if HYDRATED in text:
                self.is_loaded.set()
            if LOAD_AGAIN in text:
                self._send_event(HELLO, self.path)

    def _send_event(self, name: str, address: str) -> None:
        router = {"pathname": self.path, "asPath": address, "query": {}}
        event = {"name": name, "payload": {}, "router_data": router}
        self._send(TextMessage(data=f"42/_event,{json.dumps(['event', event])}"))

    def _send(self, event: Event) -> None:
        self._writer.write(self._socket.send(event))
