"""What a page's socket may send: messages of the kinds that pages send, of a limited size and at a limited rate."""

import asyncio
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from videovault.api import tabs
from videovault.api.connections import OpenConnections, Peer, is_anonymous
from videovault.api.proxies import client_address
from videovault.config import settings
from videovault.config.connections import MAX_WEBSOCKET_MESSAGE_BYTES

CONNECT = "40"
# Engine.IO's close and pong; Socket.IO's connect, disconnect and event. Pages send no others, such as attachments.
KINDS = ("1", "3", CONNECT, "41", "42")
MESSAGES_PER_SECOND = 20.0
TOO_MANY = "Too many pages are open."
BURST = 100  # a page that loads, or somebody who types into a form, sends several at once


async def serve(
    app: ASGIApp, scope: Scope, receive: Receive, send: Send, peer: Peer, counted: OpenConnections
) -> None:
    """Let the page in, unless there are too many like it."""
    with counted.socket(scope, peer, is_anonymous=await is_anonymous(scope)) as is_let_in:
        if is_let_in:
            bounded = _Bounded(receive, send, peer, counted, client_address(scope))
            try:
                await app(tabs.bound(scope), bounded.receive, bounded.send)
            finally:
                bounded.let_go()
        else:
            await send({"type": "websocket.close", "code": 1013, "reason": TOO_MANY})


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
        self._counted.messages[self._peer] += 1
        refusal = self._refusal(message)
        if refusal:
            self._counted.notes.note(refusal, self._address)
            return {"type": "websocket.disconnect", "code": 1008}
        if settings().rate_limits == "on":
            await self._keep_pace()
        return message

    def _refusal(self, message: Message) -> str:
        """Why the socket is to be closed; empty if all is well."""
        text = message.get("text")
        if text is None or not text.startswith(KINDS):
            return "kinds of websocket messages"
        if len(text.encode()) > MAX_WEBSOCKET_MESSAGE_BYTES:
            return "size of a websocket message"
        if text.startswith(CONNECT):
            if self._is_connected:
                return "one connect per websocket"
            self._is_connected = True
        return ""

    async def _keep_pace(self) -> None:
        """Wait until the message is due. Nothing is read meanwhile, so that the sender has to wait, too."""
        now = time.monotonic()
        earned = (now - self._counted_at) * MESSAGES_PER_SECOND
        self._allowance, self._counted_at = min(BURST, self._allowance + earned) - 1, now
        if self._allowance < 0:
            await asyncio.sleep(-self._allowance / MESSAGES_PER_SECOND)


async def _closed() -> Message:
    return {"type": "websocket.disconnect", "code": 1005}


async def _ignored(message: Message) -> None:
    """What is sent to a socket that has been closed."""
