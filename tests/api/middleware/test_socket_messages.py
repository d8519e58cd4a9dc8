"""What one message of the pages' socket may bring."""

import asyncio
import json
from typing import Any

import pytest
from starlette.types import Message

from tests.state.event_handlers import handlers
from videovault.api.middleware.websocket_limits import (
    MAX_EVENT_NAME_CHARS,
    MAX_MESSAGE_BYTES,
    MAX_ROUTER_DATA_BYTES,
    MessageRefused,
    check_message,
    limit_messages,
)
from videovault.untrusted_json import MAX_DEPTH

EVENT = {"name": "state.handler", "payload": {"a": "b"}, "router_data": {"pathname": "/", "query": {}}}


def text(*said: Any) -> Message:
    return {"type": "websocket.receive", "text": f"42/_event,{json.dumps(said)}"}


def event(**changed: Any) -> Message:
    return text("event", {**EVENT, **changed})


def sized(size: int) -> Message:
    missing = size - len(event(payload={"a": ""})["text"])
    return event(payload={"a": "x" * missing})


def nested(levels: int) -> Message:
    """``levels`` of brackets, of which the event itself has three."""
    value: Any = ""
    for _ in range(levels - 3):
        value = [value]
    return event(payload={"a": value})


LET_IN = {
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


@pytest.mark.parametrize("message", LET_IN.values(), ids=LET_IN)
def test_what_pages_send_is_let_in(message: Message) -> None:
    check_message(message)


@pytest.mark.parametrize(("message", "code"), REFUSED.values(), ids=REFUSED)
def test_what_no_page_sends_is_refused_and_never_a_fault(message: Message, code: int) -> None:
    with pytest.raises(MessageRefused) as refused:
        check_message(message)
    assert refused.value.code == code


def test_the_names_of_all_handlers_are_far_below_the_limit() -> None:
    assert max(len(handler.full_name) for handler in handlers()) < MAX_EVENT_NAME_CHARS * 3 / 4


def test_the_socket_is_closed_and_the_application_told_that_it_is_gone() -> None:
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
