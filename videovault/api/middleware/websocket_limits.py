"""How many page sockets there may be, and how fast each may send; what a message may bring is in ``socket_messages``."""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from videovault import logs, security, untrusted_json
from videovault.api.middleware.connection_limits import OpenConnections, Peer, is_anonymous
from videovault.api.middleware.forwarded import client_address
from videovault.config import MAX_WEBSOCKET_MESSAGE_BYTES, settings

# How much one message of the pages' socket may bring, checked before any library takes it apart.

MAX_MESSAGE_BYTES = MAX_WEBSOCKET_MESSAGE_BYTES
MAX_EVENT_NAME_CHARS = 512  # of an event or its handler, in characters; each state in the tree adds to it
MAX_ROUTER_DATA_BYTES = 16 * 1024  # as JSON, in bytes
TOO_BIG, NOT_ALLOWED = 1009, 1008  # RFC 6455, 7.4.1

_MESSAGE, _CONTROL = "4", {"1", "2", "3"}  # of Engine.IO: a message; close, ping and pong
_CONNECT, _EVENT, _WITHOUT_JSON = "0", "2", {"1"}  # of Socket.IO, the last one is disconnect
log = logs.get(__name__)


class MessageRefused(Exception):
    """The message is not one that our pages send; the socket is closed with ``code``."""

    def __init__(self, reason: str, code: int = NOT_ALLOWED) -> None:
        super().__init__(reason)
        self.code = code


def limit_messages(scope: Scope, receive: Receive, send: Send) -> Receive:
    """Messages as they come; the socket is closed at the first that is refused."""

    async def checked() -> Message:
        message = await receive()
        if message["type"] != "websocket.receive":
            return message
        try:
            check_message(message)
        except MessageRefused as refusal:
            address = scope["client"][0] if scope.get("client") else ""
            log.warning("websocket message refused", reason=str(refusal), address=address)
            await send({"type": "websocket.close", "code": refusal.code, "reason": str(refusal)})
            return {"type": "websocket.disconnect", "code": refusal.code}
        return message

    return checked


def check_message(message: Mapping[str, Any]) -> None:
    """Raises Refused. ``message`` is ASGI's ``websocket.receive``, put together from all its fragments."""
    text = message.get("text")
    if text is None:  # our pages send no binary data, and attachments would be kept until all have come
        raise MessageRefused("binary message")
    if len(text) > MAX_MESSAGE_BYTES or len(text.encode(errors="surrogatepass")) > MAX_MESSAGE_BYTES:
        raise MessageRefused("message too large", TOO_BIG)
    if text[:1] in _CONTROL and len(text) == 1:
        return
    if text[:1] != _MESSAGE:
        raise MessageRefused("unknown packet")
    _check_packet(text[1:2], _data(text[2:]))


def _data(packet: str) -> str:
    """The JSON of a packet, which a namespace and a number may stand before."""
    if packet.startswith("/"):
        packet = packet.partition(",")[2]
    return packet.lstrip("0123456789")


def _check_packet(kind: str, data: str) -> None:
    if kind in _WITHOUT_JSON and not data:
        return
    read = {_CONNECT: _check_connect, _EVENT: _check_event}.get(kind)
    if read is None:
        raise MessageRefused("unknown packet")
    try:
        read(untrusted_json.loads(data) if data else None)
    except untrusted_json.TooDeep as error:
        raise MessageRefused("JSON too deep") from error
    except ValueError as error:
        raise MessageRefused("malformed JSON") from error


def _check_connect(auth: Any) -> None:
    """The handshake may bring the page's first event along."""
    if auth is not None and not isinstance(auth, dict):
        raise MessageRefused("malformed handshake")
    if auth and auth.get("event") is not None:
        _check_call(auth["event"])


def _check_event(said: Any) -> None:
    if not (isinstance(said, list) and said and isinstance(said[0], str)):
        raise MessageRefused("malformed event")
    if len(said[0]) > MAX_EVENT_NAME_CHARS:
        raise MessageRefused("event name too long")
    if said[0] == "event":
        _check_call(said[1] if len(said) == 2 else None)


def _check_call(call: Any) -> None:
    """Of a handler by name, with arguments and the address of the page."""
    if not isinstance(call, dict):
        raise MessageRefused("malformed event")
    name, router = call.get("name"), call.get("router_data") or {}
    if not isinstance(name, str) or len(name) > MAX_EVENT_NAME_CHARS:
        raise MessageRefused("event name missing or too long")
    if not (isinstance(router, dict) and isinstance(call.get("payload") or {}, dict)):
        raise MessageRefused("malformed event")
    if len(json.dumps(router)) > MAX_ROUTER_DATA_BYTES:
        raise MessageRefused("router_data too large", TOO_BIG)


# A tab of a browser, under whose token the pages' state lives on the server, tied to the session it was opened in.


def bind_to_session(scope: Scope) -> Scope:
    """The request for the pages' socket, with a token that nobody comes by without this session's cookie.

    The browser's own is no secret: scripts can read it and proxies log it. By itself it would open what is in the
    tab, and what still runs for it would go on telling whoever came next.
    """
    session = cookie_parser(Headers(scope=scope).get("cookie", "")).get(settings().session_cookie, "")
    query = [
        (name, security.token_hash(f"{session} {value}") if name == "token" else value)
        for name, value in parse_qsl(scope["query_string"].decode("latin-1"))
    ]
    return {**scope, "query_string": urlencode(query).encode()}


CONNECT = "40"  # of Engine.IO and Socket.IO
MESSAGES_PER_SECOND = 20.0
TOO_MANY = "Too many pages are open."
FRAME_BYTES = 8  # round a message of at most 64 KiB
BURST = 100  # a page that loads, or typing into a form, sends several at once


async def serve(
    app: ASGIApp, scope: Scope, receive: Receive, send: Send, peer: Peer, counted: OpenConnections
) -> None:
    """Let the page in, unless there are too many like it."""
    with counted.socket(scope, peer, is_anonymous=await is_anonymous(scope)) as is_let_in:
        if is_let_in:
            bounded = _Bounded(receive, send, peer, counted, client_address(scope))
            try:
                messages = limit_messages(scope, bounded.receive, bounded.send)
                await counted.until_closed(_served(app, bind_to_session(scope), messages, bounded.send))
            finally:
                bounded.let_go()
        else:
            await send({"type": "websocket.close", "code": 1013, "reason": TOO_MANY})


async def _served(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)


class _Bounded:
    """Receives for one socket; one that breaks the rules is told to the application as closed."""

    def __init__(
        self, receive: Receive, send: Send, peer: Peer, counted: OpenConnections, address: str
    ) -> None:
        self._receive, self._send = receive, send
        self._peer, self._counted, self._address = peer, counted, address
        self._is_connected = False
        self._allowance, self._counted_at = float(BURST), time.monotonic()

    async def send(self, message: Message) -> None:
        await self._send(message)

    def let_go(self) -> None:
        """Engine.IO leaves cycles behind, and with them the server's buffers of 170 KB until Python looks for cycles."""
        self._receive, self._send = _closed, _ignored

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "websocket.receive":
            return message
        self._counted.delivered[self._peer] += FRAME_BYTES + _size(message)
        if (message.get("text") or "").startswith(CONNECT):
            if self._is_connected:
                self._counted.notes.note("one connect per websocket", self._address)
                return {"type": "websocket.disconnect", "code": 1008}
            self._is_connected = True
        if settings().rate_limits == "on":
            await self._keep_pace()
        return message

    async def _keep_pace(self) -> None:
        """Wait until the message is due. Nothing is read meanwhile, so that the sender has to wait, too."""
        now = time.monotonic()
        earned = (now - self._counted_at) * MESSAGES_PER_SECOND
        self._allowance, self._counted_at = min(BURST, self._allowance + earned) - 1, now
        if self._allowance < 0:
            await asyncio.sleep(-self._allowance / MESSAGES_PER_SECOND)


def _size(message: Message) -> int:
    text = message.get("text")
    return len(message.get("bytes") or b"") if text is None else len(text.encode(errors="surrogatepass"))


async def _closed() -> Message:
    return {"type": "websocket.disconnect", "code": 1005}


async def _ignored(message: Message) -> None:
    """What is sent to a socket that has been closed."""
