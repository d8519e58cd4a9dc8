"""Limits on open requests and page websockets per client address, and on each websocket's messages.

A page's websocket is bound to the session it was opened with.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlencode

from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from videovault import logs, security, untrusted_json
from videovault.api import auth
from videovault.api.middleware.hosts import client_ip, is_trusted_proxy, limit_key
from videovault.config import MAX_WEBSOCKET_MESSAGE_BYTES, settings
from videovault.logs import LimitLog
from videovault.services.accounts import sessions

Peer = tuple[str, int]
PER_ADDRESS = "connections per address"
SOCKETS = "page sockets in total"
ANONYMOUS = "page sockets without a session"
ANONYMOUS_PER_ADDRESS = "page sockets without a session per address"
MESSAGES_PER_SECOND = 20.0
BURST = 100  # a page that loads, or typing into a form, sends several messages at once
MAX_MESSAGE_BYTES = MAX_WEBSOCKET_MESSAGE_BYTES
MAX_EVENT_NAME_CHARS = 512  # of an event or its handler; each state in the tree adds to it
MAX_ROUTER_DATA_BYTES = 16 * 1024  # as JSON
FRAME_BYTES = 8  # around a message of at most 64 KiB
POLICY_VIOLATION, TOO_BIG, TRY_AGAIN_LATER = 1008, 1009, 1013  # RFC 6455, 7.4.1 and the IANA registry
TOO_MANY = "Too many pages are open."

# Packet types of Engine.IO: a message; close, ping and pong.
_MESSAGE, _CONTROL = "4", {"1", "2", "3"}
# Packet types of Socket.IO; the last one is disconnect.
_CONNECT, _EVENT, _WITHOUT_JSON = "0", "2", {"1"}

log = logs.get(__name__)


class OpenConnections:
    """The open connections of this process. Use it on the event loop only; other threads may copy ``delivered``.

    ``delivered`` maps the peer of each open page websocket to the bytes of messages it has delivered.
    A trusted proxy that does not name its client may stand for many, so it counts towards the totals only.
    """

    def __init__(self) -> None:
        self.delivered: dict[Peer, int] = {}
        self.notes = LimitLog()
        self._is_closing = False
        self._serving: set[asyncio.Future[None]] = set()
        self._open: Counter[str] = Counter()
        self._anonymous: Counter[str] = Counter()

    @contextmanager
    def connection(self, scope: Scope) -> Iterator[bool]:
        """Count a request or websocket while it is open. Yields False if its address has too many."""
        with self._counted(self._open, scope) as count:
            if count > settings().max_connections_per_address:
                self.notes.note(PER_ADDRESS, limit_key(scope))
                yield False
            else:
                yield True

    @contextmanager
    def websocket(self, scope: Scope, opened_by: Peer, *, is_anonymous: bool) -> Iterator[bool]:
        """Count a page's websocket while it is open. Yields False if there are too many of its kind."""
        limit = SOCKETS if len(self.delivered) >= settings().max_connections else ""
        if not is_anonymous:
            with self._registered(opened_by, scope, limit) as is_accepted:
                yield is_accepted
            return
        with self._counted(self._anonymous, scope) as count:
            if self._anonymous.total() > settings().max_anonymous_sockets:
                limit = ANONYMOUS
            elif count > settings().max_anonymous_sockets_per_address:
                limit = ANONYMOUS_PER_ADDRESS
            with self._registered(opened_by, scope, limit) as is_accepted:
                yield is_accepted

    async def until_closed(self, serving: Awaitable[None]) -> None:
        """Serve a page's websocket until it ends or ``close`` is called."""
        task = asyncio.ensure_future(serving)
        self._serving.add(task)
        try:
            await task
        except asyncio.CancelledError:
            if not self._is_closing:
                raise
        finally:
            task.cancel()
            self._serving.discard(task)

    def close(self) -> None:
        """End all page websockets: the HTTP server aborts if it drops one that the application still reads."""
        self._is_closing = True
        for task in self._serving:
            task.cancel()

    @contextmanager
    def _registered(self, opened_by: Peer, scope: Scope, limit: str) -> Iterator[bool]:
        if limit:
            self.notes.note(limit, limit_key(scope))
            yield False
            return
        self.delivered[opened_by] = 0
        try:
            yield True
        finally:
            self.delivered.pop(opened_by, None)

    @contextmanager
    def _counted(self, counter: Counter[str], scope: Scope) -> Iterator[int]:
        """The connections of the client including this one; 0 for clients that cannot be told apart."""
        address = "" if is_trusted_proxy(scope) else limit_key(scope)
        counter[address] += 1
        try:
            yield counter[address] if address else 0
        finally:
            counter[address] -= 1
            if not counter[address]:
                del counter[address]


def peer(scope: Scope) -> Peer:
    """The other end of the TCP connection, before forwarded headers are applied."""
    host, port = scope.get("client") or ("", 0)
    return host, int(port)  # granian passes it as text


async def is_anonymous(scope: Scope) -> bool:
    """Whether the connection carries no valid session."""
    token = auth.session_token(scope)
    if not token:
        return True
    try:
        return not await asyncio.to_thread(
            sessions.authenticate_many, [security.token_hash(token)], note=False
        )
    except SQLAlchemyError:
        log.exception("session lookup failed, the websocket counts as anonymous")
        return True


async def serve(
    app: ASGIApp, scope: Scope, receive: Receive, send: Send, peer: Peer, connections: OpenConnections
) -> None:
    """Serve a page's websocket, unless too many are open."""
    with connections.websocket(scope, peer, is_anonymous=await is_anonymous(scope)) as is_accepted:
        if not is_accepted:
            await send({"type": "websocket.close", "code": TRY_AGAIN_LATER, "reason": TOO_MANY})
            return
        limited = RateLimitedSocket(receive, send, peer, connections, limit_key(scope))
        try:
            messages = limit_messages(scope, limited.receive, limited.send)
            await connections.until_closed(app(bind_to_session(scope), messages, limited.send))
        finally:
            limited.release()


def bind_to_session(scope: Scope) -> Scope:
    """Combine the tab's token, by which the server keeps the page's state, with the session's cookie.

    The browser's token is no secret: scripts can read it and proxies log it. Alone it must not open the tab's state,
    nor receive updates meant for it.
    """
    session = auth.session_token(scope)
    query = [
        (name, security.token_hash(f"{session} {value}") if name == "token" else value)
        for name, value in parse_qsl(scope["query_string"].decode("latin-1"))
    ]
    return {**scope, "query_string": urlencode(query).encode()}


class RateLimitedSocket:
    """Counts and delays the messages of one websocket; one that breaks the rules looks closed to the application."""

    def __init__(
        self, receive: Receive, send: Send, peer: Peer, connections: OpenConnections, address: str
    ) -> None:
        self._receive, self._send = receive, send
        self._peer, self._connections, self._address = peer, connections, address
        self._is_connected = False
        self._allowance, self._updated_at = float(BURST), time.monotonic()

    async def send(self, message: Message) -> None:
        await self._send(message)

    def release(self) -> None:
        """Drop the server's buffers of 170 KB, which reference cycles of Engine.IO would keep until a collection."""
        self._receive, self._send = _receive_closed, _discard

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "websocket.receive":
            return message
        self._connections.delivered[self._peer] += FRAME_BYTES + _size(message)
        if (message.get("text") or "").startswith(_MESSAGE + _CONNECT):
            if self._is_connected:
                self._connections.notes.note("one connect per websocket", self._address)
                return {"type": "websocket.disconnect", "code": POLICY_VIOLATION}
            self._is_connected = True
        if settings().rate_limits == "on":
            await self._wait_for_turn()
        return message

    async def _wait_for_turn(self) -> None:
        """Token bucket. Nothing is read during the wait, so the sender has to wait too."""
        now = time.monotonic()
        earned = (now - self._updated_at) * MESSAGES_PER_SECOND
        self._allowance, self._updated_at = min(BURST, self._allowance + earned) - 1, now
        if self._allowance < 0:
            await asyncio.sleep(-self._allowance / MESSAGES_PER_SECOND)


class MessageRefused(Exception):
    """Our pages do not send such a message; the websocket is closed with ``code``."""

    def __init__(self, reason: str, code: int = POLICY_VIOLATION) -> None:
        super().__init__(reason)
        self.code = code


def limit_messages(scope: Scope, receive: Receive, send: Send) -> Receive:
    """Check each message before any library parses it, and close the websocket at the first that is refused."""

    async def checked() -> Message:
        message = await receive()
        if message["type"] != "websocket.receive":
            return message
        try:
            check_message(message)
        except MessageRefused as refusal:
            log.warning("websocket message refused", reason=str(refusal), address=client_ip(scope))
            await send({"type": "websocket.close", "code": refusal.code, "reason": str(refusal)})
            return {"type": "websocket.disconnect", "code": refusal.code}
        return message

    return checked


def check_message(message: Mapping[str, Any]) -> None:
    """Raises MessageRefused. ``message`` is ASGI's ``websocket.receive``, reassembled from its fragments."""
    text = message.get("text")
    if text is None:  # pages send no binary data, and Socket.IO would keep attachments until all have arrived
        raise MessageRefused("binary message")
    if len(text) > MAX_MESSAGE_BYTES or _size(message) > MAX_MESSAGE_BYTES:
        raise MessageRefused("message too large", TOO_BIG)
    if text[:1] in _CONTROL and len(text) == 1:
        return
    if text[:1] != _MESSAGE:
        raise MessageRefused("unknown packet")
    _check_packet(text[1:2], _packet_data(text[2:]))


def _packet_data(packet: str) -> str:
    """The JSON of a packet without the namespace and the number that may precede it."""
    if packet.startswith("/"):
        packet = packet.partition(",")[2]
    return packet.lstrip("0123456789")


def _check_packet(kind: str, data: str) -> None:
    if kind in _WITHOUT_JSON and not data:
        return
    check = {_CONNECT: _check_connect, _EVENT: _check_event}.get(kind)
    if check is None:
        raise MessageRefused("unknown packet")
    try:
        check(untrusted_json.loads(data) if data else None)
    except untrusted_json.TooDeep as error:
        raise MessageRefused("JSON too deep") from error
    except ValueError as error:
        raise MessageRefused("malformed JSON") from error


def _check_connect(handshake: Any) -> None:
    """The handshake may contain the page's first event."""
    if handshake is not None and not isinstance(handshake, dict):
        raise MessageRefused("malformed handshake")
    if handshake and handshake.get("event") is not None:
        _check_handler_call(handshake["event"])


def _check_event(event: Any) -> None:
    if not (isinstance(event, list) and event and isinstance(event[0], str)):
        raise MessageRefused("malformed event")
    if len(event[0]) > MAX_EVENT_NAME_CHARS:
        raise MessageRefused("event name too long")
    if event[0] == "event":
        _check_handler_call(event[1] if len(event) == 2 else None)


def _check_handler_call(call: Any) -> None:
    """A handler's name, its arguments and the page's address."""
    if not isinstance(call, dict):
        raise MessageRefused("malformed event")
    name, router = call.get("name"), call.get("router_data") or {}
    if not isinstance(name, str) or len(name) > MAX_EVENT_NAME_CHARS:
        raise MessageRefused("event name missing or too long")
    if not (isinstance(router, dict) and isinstance(call.get("payload") or {}, dict)):
        raise MessageRefused("malformed event")
    if len(json.dumps(router)) > MAX_ROUTER_DATA_BYTES:
        raise MessageRefused("router_data too large", TOO_BIG)


def _size(message: Mapping[str, Any]) -> int:
    text = message.get("text")
    return len(message.get("bytes") or b"") if text is None else len(text.encode(errors="surrogatepass"))


async def _receive_closed() -> Message:
    return {"type": "websocket.disconnect", "code": 1005}


async def _discard(message: Message) -> None:
    """What is sent to a websocket that has been closed."""
