"""Limits on the queued events of a tab, and the check of event arguments."""

import asyncio
from collections import deque
from typing import Any

import pytest
from reflex.event import EventHandler
from reflex_base.registry import RegisteredEventHandler, RegistrationContext

from tests.state.event_handlers import Handler, handlers
from videovault.state import page_events
from videovault.state.page_events import FAULT_EVENT, MAX_WAITING, UNCHECKED, PageEvents

SOCKET, TAB, NAME = "socket", "tab", "state.handler"
MOST = MAX_WAITING + UNCHECKED
SENT = 3 * MOST


def handler(_state: object, number: int = 0) -> None:
    """A handler of a page."""
    del number


class Queue:
    """Fake of Reflex's event processor: queues events and handles none."""

    def __init__(self) -> None:
        self.waiting: deque[object] = deque()
        self._token_queues = {TAB: self.waiting}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def enqueue(self, token: str, event: object) -> None:
        self._token_queues[token].append(event)


class Application:
    """Fake of Reflex's app."""

    def __init__(self) -> None:
        self.event_processor = Queue()
        self._registration_context = self
        self.event_handlers = {NAME: RegisteredEventHandler(handler=EventHandler(fn=handler), states=())}

    def router(self, path: str) -> str:
        return path


async def _send(events: PageEvents, name: str, number: int) -> None:
    """One event after another, as they are read from one socket."""
    for _ in range(number):
        await events.on_event(SOCKET, {"name": name, "payload": {}, "router_data": {"pathname": "/"}})


async def _namespace(application: Any) -> PageEvents:
    """Of one connected page."""
    events = PageEvents("/_event", application)
    await events._token_manager.link_token_to_sid(TAB, SOCKET)
    events._static_router_data[SOCKET] = {"headers": {}}
    return events


def test_socket_is_not_read_while_its_tab_has_too_many_queued_events() -> None:
    async def flood() -> tuple[int, int]:
        application = Application()
        waiting = application.event_processor.waiting
        sending = asyncio.create_task(_send(await _namespace(application), NAME, SENT))
        await asyncio.sleep(0.3)  # far more than all of it needs
        full, taken = len(waiting), 0
        while not sending.done():
            taken += len(waiting)
            waiting.clear()
            await asyncio.sleep(0.01)
        return full, taken + len(waiting)

    full, taken = asyncio.run(flood())
    assert MAX_WAITING <= full <= MOST
    assert taken == SENT, "queued events were lost"


def test_events_of_unknown_names_are_dropped() -> None:
    async def send() -> int:
        application = Application()
        await _send(await _namespace(application), "state.unknown", SENT)
        return len(application.event_processor.waiting)

    assert asyncio.run(send()) == 0


def test_wrong_arguments_never_reach_the_handler() -> None:
    """A page of another version may send them, so it is shown an error."""

    async def send() -> list[str]:
        application: Any = Application()
        events = await _namespace(application)
        payloads: list[Any] = [{"number": 1}, {"number": "x"}, {"unknown": 1}, [1]]
        for payload in payloads:
            await events.on_event(
                SOCKET, {"name": NAME, "payload": payload, "router_data": {"pathname": "/"}}
            )
        return [event.name for event in application.event_processor.waiting]

    assert asyncio.run(send()) == [NAME, FAULT_EVENT, FAULT_EVENT, FAULT_EVENT]


# What the arguments of an event must be for its handler to be called.

LABELS = {handler.label: handler for handler in handlers()}


def fits(handler: Handler, payload: Any) -> bool:
    registered = RegistrationContext.get().event_handlers[handler.full_name]
    return page_events.payload_fits(registered.handler, payload)


@pytest.mark.parametrize(
    ("label", "payload", "expected"),
    [
        ("State.hydrate", {}, True),
        ("State.hydrate", {"x": 1}, False),
        ("State.hydrate_and_load", {"vars": {"a": 1}, "hashes": ["x"]}, True),
        ("State.hydrate_and_load", {"vars": None}, True),
        ("State.hydrate_and_load", {"vars": [1]}, False),
        ("State.hydrate_and_load", {"hashes": [1]}, False),
        ("State.set_is_hydrated", {"value": True}, True),
        ("State.set_is_hydrated", {"value": "yes"}, False),
        ("AdminAvatarsState.move", {"avatar_id": "a", "by": -1}, True),
        ("AdminAvatarsState.move", {"avatar_id": "a", "by": "-1"}, True),
        ("AdminAvatarsState.move", {"avatar_id": "a", "by": True}, False),
        ("AdminAvatarsState.move", {"avatar_id": "a", "by": "9" * 50}, False),
        ("AdminAvatarsState.move", {"avatar_id": "a", "by": {}}, False),
        ("AdminAvatarsState.move", {"avatar_id": "a"}, False),
        ("AdminAvatarsState.move", {"avatar_id": ["a"], "by": 1}, False),
        ("AdminAvatarsState.save", {"form": {"name": 1}}, True),
        ("AdminAvatarsState.save", {"form": "x"}, False),
        ("AdminAvatarsState.edit", {"avatar_id": "a", "caller": {"is_admin": True}}, False),
    ],
)
def test_arguments_fit_or_not(label: str, payload: dict[str, Any], expected: bool) -> None:
    assert fits(LABELS[label], payload) is expected


def test_every_handler_takes_well_typed_arguments() -> None:
    """Pages send what the signature says; a new type must not be refused."""
    samples: dict[Any, Any] = {str: "x", int: 1, float: 1.5, bool: True}
    for handler in LABELS.values():
        payload = {name: samples[kind] for name, kind in handler.parameters.items() if kind in samples}
        others: dict[str, Any] = {
            name: [] if "list" in str(kind) else {} if "dict" in str(kind) else None
            for name, kind in handler.parameters.items()
            if kind not in samples
        }
        assert fits(handler, payload | others), handler.label
