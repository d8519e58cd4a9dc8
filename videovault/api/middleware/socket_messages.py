"""How much one message of the pages' socket may bring, checked before any library takes it apart."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from videovault import logs, untrusted_json
from videovault.config.connections import MAX_WEBSOCKET_MESSAGE_BYTES

MOST_BYTES = MAX_WEBSOCKET_MESSAGE_BYTES
MOST_OF_NAME = 512  # of an event or its handler, in characters; each state in the tree adds to it
MOST_OF_ROUTER_DATA = 16 * 1024  # as JSON, in bytes
TOO_BIG, NOT_ALLOWED = 1009, 1008  # RFC 6455, 7.4.1

_MESSAGE, _CONTROL = "4", {"1", "2", "3"}  # of Engine.IO: a message; close, ping and pong
_CONNECT, _EVENT, _WITHOUT_JSON = "0", "2", {"1"}  # of Socket.IO, the last one is disconnect
log = logs.get(__name__)


class Refused(Exception):
    """The message is not one that our pages send; the socket is closed with ``code``."""

    def __init__(self, reason: str, code: int = NOT_ALLOWED) -> None:
        super().__init__(reason)
        self.code = code


def limited(scope: Scope, receive: Receive, send: Send) -> Receive:
    """Messages as they come; the socket is closed at the first that is refused."""

    async def checked() -> Message:
        message = await receive()
        if message["type"] != "websocket.receive":
            return message
        try:
            check(message)
        except Refused as refusal:
            address = scope["client"][0] if scope.get("client") else ""
            log.warning("websocket message refused", reason=str(refusal), address=address)
            await send({"type": "websocket.close", "code": refusal.code, "reason": str(refusal)})
            return {"type": "websocket.disconnect", "code": refusal.code}
        return message

    return checked


def check(message: Mapping[str, Any]) -> None:
    """Raises Refused. ``message`` is ASGI's ``websocket.receive``, put together from all its fragments."""
    text = message.get("text")
    if text is None:  # our pages send no binary data, and attachments would be kept until all have come
        raise Refused("binary message")
    if len(text) > MOST_BYTES or len(text.encode(errors="surrogatepass")) > MOST_BYTES:
        raise Refused("message too large", TOO_BIG)
    if text[:1] in _CONTROL and len(text) == 1:
        return
    if text[:1] != _MESSAGE:
        raise Refused("unknown packet")
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
        raise Refused("unknown packet")
    try:
        read(untrusted_json.loads(data) if data else None)
    except untrusted_json.TooDeep as error:
        raise Refused("JSON too deep") from error
    except ValueError as error:
        raise Refused("malformed JSON") from error


def _check_connect(auth: Any) -> None:
    """The handshake may bring the page's first event along."""
    if auth is not None and not isinstance(auth, dict):
        raise Refused("malformed handshake")
    if auth and auth.get("event") is not None:
        _check_call(auth["event"])


def _check_event(said: Any) -> None:
    if not (isinstance(said, list) and said and isinstance(said[0], str)):
        raise Refused("malformed event")
    if len(said[0]) > MOST_OF_NAME:
        raise Refused("event name too long")
    if said[0] == "event":
        _check_call(said[1] if len(said) == 2 else None)


def _check_call(call: Any) -> None:
    """Of a handler by name, with arguments and the address of the page."""
    if not isinstance(call, dict):
        raise Refused("malformed event")
    name, router = call.get("name"), call.get("router_data") or {}
    if not isinstance(name, str) or len(name) > MOST_OF_NAME:
        raise Refused("event name missing or too long")
    if not (isinstance(router, dict) and isinstance(call.get("payload") or {}, dict)):
        raise Refused("malformed event")
    if len(json.dumps(router)) > MOST_OF_ROUTER_DATA:
        raise Refused("router_data too large", TOO_BIG)
