"""Session binding, rate and messages of the pages' websockets."""

import asyncio
import json
import time
from typing import Any
from urllib.parse import parse_qs

import pytest
from starlette.types import Message, Scope

from tests.state.event_handlers import handlers
from tests.support.installation import Configure
from videovault.api.middleware.connection_limits import (
    BURST,
    MAX_EVENT_NAME_CHARS,
    MAX_MESSAGE_BYTES,
    MAX_ROUTER_DATA_BYTES,
    MESSAGES_PER_SECOND,
    MessageRefused,
    OpenConnections,
    RateLimitedSocket,
    bind_to_session,
    check_message,
    limit_messages,
)
from videovault.untrusted_json import MAX_DEPTH


def bound_token(cookie: str = "", query: str = "token=t&EIO=4") -> list[str]:
    headers = [(b"cookie", cookie.encode())] if cookie else []
    scope: Scope = {"type": "websocket", "headers": headers, "query_string": query.encode()}
    found = parse_qs(bind_to_session(scope)["query_string"].decode())
    assert "token" not in found or found["EIO"] == ["4"]
    return found.get("token", [])


def test_a_tabs_token_depends_on_its_session(installation: object) -> None:
    del installation
    ours, theirs = "videovault_session=a", "videovault_session=b"
    assert bound_token(ours) == bound_token(f"theme=dark; {ours}") != bound_token(theirs)
    assert bound_token() not in (bound_token(ours), bound_token(theirs), ["t"])
    assert bound_token(ours, "token=u&EIO=4") != bound_token(ours)


def test_a_websocket_without_a_token_gets_none(installation: object) -> None:
    del installation
    assert bound_token("videovault_session=a", "EIO=4") == []


PEER = ("127.0.0.1", 1)
DELAYED = 6  # messages beyond the burst


async def _seconds(count: int) -> float:
    """The seconds the server takes to read this many messages that have already arrived."""

    async def receive() -> Message:
        return {"type": "websocket.receive", "text": "2"}

    async def send(message: Message) -> None:
        del message

    connections = OpenConnections()
    connections.delivered[PEER] = 0
    socket = RateLimitedSocket(receive, send, PEER, connections, PEER[0])
    began = time.monotonic()
    for _ in range(count):
        await socket.receive()
    return time.monotonic() - began


@pytest.mark.usefixtures("installation")
def test_messages_beyond_the_burst_are_delayed() -> None:
    assert asyncio.run(_seconds(BURST + DELAYED)) >= (DELAYED - 1) / MESSAGES_PER_SECOND


def test_without_rate_limits_messages_are_not_delayed(configure: Configure) -> None:
    configure(RATE_LIMITS="off")
    endless = 20 * BURST  # 95 seconds with rate limits
    assert asyncio.run(_seconds(endless)) < (endless - BURST) / MESSAGES_PER_SECOND


EVENT = {"name": "state.handler", "payload": {"a": "b"}, "router_data": {"pathname": "/", "query": {}}}


def text(*arguments: Any) -> Message:
    return {"type": "websocket.receive", "text": f"42/_event,{json.dumps(arguments)}"}


def event(**changed: Any) -> Message:
    return text("event", {**EVENT, **changed})


def sized(size: int) -> Message:
    missing = size - len(event(payload={"a": ""})["text"])
    return event(payload={"a": "x" * missing})


def nested(levels: int) -> Message:
    """An event with ``levels`` of brackets, three of which are its own."""
    value: Any = ""
    for _ in range(levels - 3):
        value = [value]
    return event(payload={"a": value})


ACCEPTED = {
    "an event": event(),
    "one without arguments": text("event", {"name": "a", "payload": None}),
    "a ping": text("ping"),
    "an error of a browser": text("client_error", {"message": "x"}),
    "the handshake": {"type": "websocket.receive", "text": "40/_event,"},
    "the handshake with an event": {
        "type": "websocket.receive",
        "text": "40/_event," + json.dumps({"event": EVENT, "state_schema": "x"}),
    },
    "an acknowledgement of a ping": {"type": "websocket.receive", "text": "3"},
    "the end": {"type": "websocket.receive", "text": "41/_event,"},
    "as much as may be": sized(MAX_MESSAGE_BYTES),
    "as deep as may be": nested(MAX_DEPTH),
    "a name as long as may be": event(name="x" * MAX_EVENT_NAME_CHARS),
}
REFUSED = {
    "too much": (sized(MAX_MESSAGE_BYTES + 1), 1009),
    "too much in bytes": (
        {"text": "42" + "\u20ac" * (MAX_MESSAGE_BYTES // 3 + 1)},
        1009,
    ),
    "too deep": (nested(MAX_DEPTH + 1), 1008),
    "far too deep": ({"text": '42/_event,["event",' + "[" * 30_000 + "]" * 30_000 + "]"}, 1008),
    "too deep for the handshake": ({"text": "40/_event," + "[" * 30_000}, 1008),
    "too deep for a ping": ({"text": "3" + "[" * 30_000}, 1008),
    "too deep behind no packet": ({"text": "4" + "[" * 30_000}, 1008),
    "a long name of a handler": (event(name="x" * (MAX_EVENT_NAME_CHARS + 1)), 1008),
    "a long name of an event": (text("x" * (MAX_EVENT_NAME_CHARS + 1)), 1008),
    "much router_data": (event(router_data={"query": {"a": "x" * MAX_ROUTER_DATA_BYTES}}), 1009),
    "much router_data in the handshake": (
        {
            "text": "40/_event,"
            + json.dumps({"event": {**EVENT, "router_data": {"a": "x" * MAX_ROUTER_DATA_BYTES}}})
        },
        1009,
    ),
    "router_data that is none": (event(router_data="x"), 1008),
    "arguments that are none": (event(payload=["x"]), 1008),
    "no event": (text("event"), 1008),
    "an event in a string": (text("event", json.dumps(EVENT)), 1008),
    "an event without a name": (text("event", {"payload": {}}), 1008),
    "no JSON": ({"text": '42/_event,["event"'}, 1008),
    "an endless number": ({"text": '42/_event,["event",' + "9" * 10_000 + "]"}, 1008),
    "nothing": ({"text": ""}, 1008),
    "an unknown packet": ({"text": "9"}, 1008),
    "bytes": ({"bytes": b"x"}, 1008),
    "bytes in text": ({"text": "beA=="}, 1008),
    "attachments to wait for": (
        {"text": '459999999999-/_event,["event",{"_placeholder":true,"num":0}]'},
        1008,
    ),
    "an acknowledgement with attachments": ({"text": '469-/_event,1["x"]'}, 1008),
}


@pytest.mark.parametrize("message", ACCEPTED.values(), ids=ACCEPTED)
def test_messages_that_pages_send_are_accepted(message: Message) -> None:
    check_message(message)


@pytest.mark.parametrize(("message", "code"), REFUSED.values(), ids=REFUSED)
def test_other_messages_are_refused(message: Message, code: int) -> None:
    with pytest.raises(MessageRefused) as refused:
        check_message(message)
    assert refused.value.code == code


def test_handler_names_are_far_below_the_limit() -> None:
    assert max(len(handler.full_name) for handler in handlers()) < MAX_EVENT_NAME_CHARS * 3 / 4


def test_a_refused_message_closes_the_websocket() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.receive", "bytes": b"x"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def received() -> Message:
        return await limit_messages({"client": ("192.0.2.1", 1)}, receive, send)()

    message = asyncio.run(received())
    assert message == {"type": "websocket.disconnect", "code": 1008}
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": "binary message"}]
