"""How many page sockets there may be, and how fast each may send; what a message may bring is in ``socket_messages``."""

import asyncio
import time
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from videovault import security
from videovault.api.middleware import socket_messages
from videovault.api.middleware.connection_limits import OpenConnections, Peer, is_anonymous
from videovault.api.middleware.forwarded import client_address
from videovault.config import settings

# A tab of a browser, under whose token the pages' state lives on the server, tied to the session it was opened in.


def bound(scope: Scope) -> Scope:
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
                messages = socket_messages.limited(scope, bounded.receive, bounded.send)
                await counted.until_closed(_served(app, bound(scope), messages, bounded.send))
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
